//! What types that stand for one object of a REST service share.

use http::Method;
use sahab_contract::{
    Error, Kind, Result,
    cloud::{Call, escape},
};
use serde_json::{Map, Value};

use super::{Act, Object};

/// Creates the object under its planned id. A conflict whose object is there is our own earlier try.
pub async fn create(act: &Act, object: &mut Object, call: Call, show: Call, key: &str) -> Result<Value> {
    let context = act.context.with_preset_id(object.planned_id.clone());
    let reply = match act.cloud.call(&context, call).await {
        Ok(reply) => reply,
        Err(error) if error.is_conflict() => match act.cloud.call(&act.context, show).await {
            Ok(reply) => reply,
            Err(_) => return Err(error),
        },
        Err(error) => return Err(error),
    };
    let body = unwrap(reply.body, key);
    let id = ["id", "uuid"].into_iter().find_map(|name| body.get(name)?.as_str().map(str::to_owned));
    object.physical_id = Some(id.unwrap_or_else(|| object.planned_id.clone()));
    Ok(body)
}

/// The member `key` of an answer, or the answer itself when `key` is empty.
pub fn unwrap(mut body: Value, key: &str) -> Value {
    if key.is_empty() { body } else { body.get_mut(key).map(Value::take).unwrap_or(Value::Null) }
}

/// Sends a request whose object may be gone already. `false`: it was.
pub async fn delete(act: &Act, call: Call) -> Result<bool> {
    match act.cloud.call(&act.context, call).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The object, or none when it does not exist.
pub async fn find(act: &Act, service: &'static str, path: &str, key: &str) -> Result<Option<Value>> {
    match act.cloud.call(&act.context, Call::get(service, path)).await {
        Ok(reply) => Ok(Some(unwrap(reply.body, key))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// `/v2.0/networks/{id}`
pub fn member(collection: &str, id: &str) -> String {
    format!("{collection}/{}", escape(id))
}

/// The properties that have a value.
pub fn given(properties: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    names
        .iter()
        .filter_map(|name| {
            properties.get(*name).filter(|value| !value.is_null()).map(|v| ((*name).to_owned(), v.clone()))
        })
        .collect()
}

/// A request with a body.
pub fn send(
    service: &'static str,
    method: Method,
    path: impl Into<String>,
    key: &str,
    body: Map<String, Value>,
) -> Call {
    let body = if key.is_empty() {
        Value::Object(body)
    } else {
        Value::Object(Map::from_iter([(key.to_owned(), Value::Object(body))]))
    };
    Call::new(service, method, path).body(body)
}

/// The object vanished behind the stack's back.
pub fn vanished(kind: &str, id: &str) -> Error {
    Error::new(Kind::NotFound, "NotFound", format!("{kind} {id} could not be found."))
}
