//! What the types of the network service share (spec 4.2).

use http::Method;
use sahab_contract::{
    Error, Result,
    cloud::{Call, escape},
};
use serde_json::{Map, Value, json};

use crate::{
    properties::{PropertyDiff, PropertySchema, ResolvedProperties},
    resources::{Act, Description, Neighbour, Object, Progress, in_error, rest},
};

pub const SERVICE: &str = "network";

/// A kind of object: its collection, the member of bodies, the word in messages.
#[derive(Clone, Copy)]
pub struct Collection {
    pub path: &'static str,
    pub key: &'static str,
    pub word: &'static str,
}

pub fn describe(name: &'static str, text: &'static str) -> Description {
    Description::new(name, text).service(SERVICE, "neutron")
}

pub fn tags_schema() -> PropertySchema {
    PropertySchema::list("The tags to be added to the object.").updatable().of(PropertySchema::string("A tag."))
}

pub fn value_specs_schema() -> PropertySchema {
    PropertySchema::map("Extra parameters to include in the request. Parameters are often specific to installed hardware or extensions.")
        .default_value(json!({}))
}

impl Collection {
    pub fn member(&self, id: &str) -> String {
        rest::member(self.path, id)
    }

    /// Creates the object with `name` (the physical one by default), `value_specs` and tags.
    pub async fn create(&self, act: &Act, object: &mut Object, mut body: Map<String, Value>) -> Result<Value> {
        merge_value_specs(object, &mut body);
        let call = rest::send(SERVICE, Method::POST, self.path, self.key, body);
        let show = Call::get(SERVICE, self.member(&object.planned_id));
        let made = rest::create(act, object, call, show, self.key).await?;
        self.set_tags(act, object).await?;
        Ok(made)
    }

    pub async fn set_tags(&self, act: &Act, object: &Object) -> Result<()> {
        let Some(tags) = object.get("tags") else { return Ok(()) };
        let path = format!("{}/tags", self.member(object.id()));
        act.cloud.call(&act.context, Call::put(SERVICE, path, json!({"tags": tags}))).await?;
        Ok(())
    }

    pub async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        self.show_of(act, object.id()).await
    }

    /// The object of that id.
    pub async fn show_of(&self, act: &Act, id: &str) -> Result<Value> {
        match rest::find(act, SERVICE, &self.member(id), self.key).await? {
            Some(found) => Ok(found),
            None => Err(rest::vanished(self.word, id)),
        }
    }

    /// ACTIVE and DOWN are built, BUILD will be.
    pub async fn built(&self, act: &Act, object: &Object) -> Result<Progress> {
        let found = self.show(act, object).await?;
        match found["status"].as_str().unwrap_or("ACTIVE") {
            "BUILD" => Ok(Progress::wait_for(object.id())),
            "ERROR" | "DEGRADED" => Err(in_error(format!(
                "Went to status {} due to \"Unknown\"",
                found["status"].as_str().unwrap_or_default()
            ))),
            _ => Ok(Progress::Done),
        }
    }

    /// Sends the changed values; empty changes send nothing.
    pub async fn update(
        &self,
        act: &Act,
        object: &Object,
        diff: &PropertyDiff,
        mut body: Map<String, Value>,
    ) -> Result<()> {
        if diff.changed.contains_key("value_specs") {
            merge_value_specs(object, &mut body);
        }
        if !body.is_empty() {
            let call = rest::send(SERVICE, Method::PUT, self.member(object.id()), self.key, body);
            act.cloud.call(&act.context, call).await?;
        }
        if diff.changed.contains_key("tags") {
            let path = format!("{}/tags", self.member(object.id()));
            let tags = object.get("tags").cloned().unwrap_or_else(|| json!([]));
            act.cloud.call(&act.context, Call::put(SERVICE, path, json!({"tags": tags}))).await?;
        }
        Ok(())
    }

    pub async fn delete(&self, act: &Act, object: &Object) -> Result<Progress> {
        rest::delete(act, Call::delete(SERVICE, self.member(object.id()))).await?;
        Ok(Progress::Done)
    }

    pub async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        let found = self.show(act, object).await?;
        match found["status"].as_str() {
            Some(status @ ("ERROR" | "DEGRADED")) => Err(in_error(format!("'{}': status is {status}", self.word))),
            _ => Ok(Some(())),
        }
    }

    pub async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        matches!(self.check(act, object).await, Ok(Some(())))
    }

    /// Sends a change that belongs to no schema.
    pub async fn put(&self, act: &Act, id: &str, body: Value) -> Result<Value> {
        let call = Call::put(SERVICE, self.member(id), json!({self.key: body}));
        Ok(rest::unwrap(act.cloud.call(&act.context, call).await?.body, self.key))
    }
}

fn merge_value_specs(object: &Object, body: &mut Map<String, Value>) {
    for (key, value) in object.map("value_specs").into_iter().flatten() {
        body.insert(key.clone(), value.clone());
    }
}

/// The values of these properties, renamed where the service calls them otherwise; the name defaults to the physical one.
pub fn body_of(object: &Object, names: &[(&str, &str)]) -> Map<String, Value> {
    let mut body = Map::new();
    for (name, key) in names {
        match object.get(name) {
            Some(value) => {
                body.insert((*key).into(), value.clone());
            }
            None if *name == "name" => {
                body.insert("name".into(), object.physical_name.clone().into());
            }
            None => {}
        }
    }
    body
}

/// The changed ones among these properties. A name that went away becomes the physical one; other vanished values are
/// sent as `null_as` says, or not at all.
pub fn changes_of(
    object: &Object,
    diff: &PropertyDiff,
    names: &[(&str, &str)],
    null_as: &dyn Fn(&str) -> Option<Value>,
) -> Map<String, Value> {
    let mut body = Map::new();
    for (name, key) in names {
        let Some((value, _)) = diff.changed.get(*name) else { continue };
        if !value.is_null() {
            body.insert((*key).into(), object.properties.get(*name).cloned().unwrap_or_else(|| value.clone()));
        } else if *name == "name" {
            body.insert("name".into(), object.physical_name.clone().into());
        } else if let Some(value) = null_as(name) {
            body.insert((*key).into(), value);
        }
    }
    body
}

/// A `value_specs` key may not repeat a property, nor say whose the object is.
pub fn check_value_specs(description: &Description, properties: &ResolvedProperties) -> Result<()> {
    for key in properties.map("value_specs").into_iter().flat_map(Map::keys) {
        if description.properties.contains_key(key.as_str()) || key == "shared" || key == "tenant_id" {
            return Err(crate::template::error::validation(format!(
                "{key} not allowed in value_specs: it is a property of {}",
                description.name
            )));
        }
    }
    Ok(())
}

/// Properties of agents that this cloud does not have.
pub fn refuse_agents(properties: &ResolvedProperties, name: &str) -> Result<()> {
    match properties.list(name) {
        Some(list) if !list.is_empty() => Err(crate::template::error::validation(format!(
            "Property {name} is not supported: this cloud has no such agents to choose from"
        ))),
        _ => Ok(()),
    }
}

pub fn conflicting(a: &str, b: &str) -> Error {
    Error::invalid(
        "ResourcePropertyConflict",
        format!("Cannot define the following properties at the same time: {a}, {b}."),
    )
}

pub fn unspecified(a: &str, b: &str) -> Error {
    Error::invalid(
        "PropertyUnspecifiedError",
        format!("At least one of the following properties must be specified: {a}, {b}."),
    )
}

/// Whether the property has a value, known or not.
pub fn has(properties: &ResolvedProperties, name: &str) -> bool {
    properties.unknown.contains(name) || properties.get(name).is_some()
}

/// Names of the subnets of the template that lie on the same network, as written.
pub fn subnets_on(network: Option<&Value>, all: &[Neighbour<'_>]) -> Vec<String> {
    let Some(network) = network else { return Vec::new() };
    all.iter()
        .filter(|other| other.type_name == "OS::Neutron::Subnet")
        .filter(|other| other.raw(&["network", "network_id"]) == Some(network))
        .map(|other| other.name.to_owned())
        .collect()
}

/// Names of the router interfaces whose subnet passes the test.
pub fn interfaces_where(all: &[Neighbour<'_>], test: &dyn Fn(&Neighbour<'_>) -> bool) -> Vec<String> {
    all.iter()
        .filter(|other| other.type_name == "OS::Neutron::RouterInterface" && test(other))
        .map(|other| other.name.to_owned())
        .collect()
}

/// The router interfaces that a public address for this port value has to wait for: those on the port's subnets when
/// the port is of this template and says them, else every one (upstream waits for none then, and templates race).
pub fn interfaces_for_port(port: Option<&Value>, all: &[Neighbour<'_>]) -> Vec<String> {
    let Some(port) = port else { return Vec::new() };
    let name = port["get_resource"].as_str().or_else(|| port["Ref"].as_str());
    let found =
        name.and_then(|name| all.iter().find(|other| other.name == name && other.type_name == "OS::Neutron::Port"));
    let subnets: Vec<&Value> = found
        .and_then(|port| port.raw(&["fixed_ips"]))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("subnet").or_else(|| item.get("subnet_id")))
        .collect();
    if subnets.is_empty() {
        return interfaces_where(all, &|_| true);
    }
    interfaces_where(all, &|interface| {
        interface.raw(&["subnet", "subnet_id"]).is_none_or(|subnet| subnets.contains(&subnet))
    })
}

pub fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}
