//! Image updates: both patch formats read into one list of changes.

use sahab_contract::{Error, Result};
use serde_json::Value;

pub const V21: &str = "application/openstack-images-v2.1-json-patch";
pub const V20: &str = "application/openstack-images-v2.0-json-patch";

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Add(String, Value),
    Replace(String, Value),
    Remove(String),
}

/// `v21` tells the format: `{"op", "path", "value"}` or `{"replace": "/name", "value"}`.
pub fn parse(body: &Value, v21: bool) -> Result<Vec<Change>> {
    let Some(list) = body.as_array() else {
        return Err(bad("Request body must be a JSON array of operation objects."));
    };
    list.iter().map(|item| one(item, v21)).collect()
}

fn one(item: &Value, v21: bool) -> Result<Change> {
    let Some(object) = item.as_object() else { return Err(bad("Operations must be JSON objects.")) };
    let (operation, path) = if v21 {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let operation = text("op").ok_or_else(|| bad("Unable to find 'op' in JSON Schema change"))?;
        (operation, text("path").ok_or_else(|| bad("Unable to find 'path' in JSON Schema change"))?)
    } else {
        ["add", "replace", "remove"].into_iter().find_map(|name| Some((name, object.get(name)?.as_str()?))).ok_or_else(
            || bad("Operation objects must contain exactly one member named \"add\", \"remove\", or \"replace\"."),
        )?
    };
    let key = key(path)?;
    let value = || {
        object
            .get("value")
            .cloned()
            .ok_or_else(|| bad(&format!("Operation \"{operation}\" requires a member named \"value\".")))
    };
    match operation {
        "add" => Ok(Change::Add(key, value()?)),
        "replace" => Ok(Change::Replace(key, value()?)),
        "remove" => Ok(Change::Remove(key)),
        _ => Err(bad(&format!("Operation \"{operation}\" is not one of add, replace, remove."))),
    }
}

/// A JSON pointer of one level.
fn key(path: &str) -> Result<String> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(bad(&format!("Pointer `{path}` does not start with \"/\".")));
    };
    if rest.is_empty() || rest.contains('/') {
        return Err(bad(&format!("Invalid JSON pointer for this resource: '{path}'")));
    }
    Ok(rest.replace("~1", "/").replace("~0", "~"))
}

fn bad(text: &str) -> Error {
    Error::invalid("BadRequest", text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_formats() {
        let new = json!([{"op": "replace", "path": "/a~1b", "value": "1"}, {"op": "remove", "path": "/c"}]);
        assert_eq!(parse(&new, true).unwrap(), [Change::Replace("a/b".into(), json!("1")), Change::Remove("c".into())]);
        assert_eq!(parse(&json!([{"add": "/x", "value": "y"}]), false).unwrap(), [Change::Add("x".into(), json!("y"))]);
    }

    #[test]
    fn faults_are_named() {
        for body in [
            json!({}),
            json!([1]),
            json!([{"op": "add", "path": "/a"}]),
            json!([{"op": "add", "path": "a", "value": 1}]),
        ] {
            assert!(parse(&body, true).is_err(), "{body}");
        }
        assert!(parse(&json!([{"op": "add", "path": "/a/b", "value": 1}]), true).is_err());
    }
}
