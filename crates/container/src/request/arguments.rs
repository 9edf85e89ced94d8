//! Arguments of an action: clients send them as query parameters or as keys of a JSON body, so both are one.

use sahab_api::{JsonBody, Request};
use sahab_contract::{Error, Kind, Result};
use serde_json::{Map, Value};

use crate::texts;

#[derive(Debug, Default)]
pub struct Arguments(pub Map<String, Value>);

impl Arguments {
    /// Query and body merged. The literal `None` of a query is an absent value (python-zunclient).
    pub fn read(request: &mut Request) -> Result<Self> {
        let mut all = Self::body(request)?;
        all.extend(Self::query(request).0);
        Ok(Arguments(all))
    }

    pub fn query(request: &Request) -> Self {
        let pairs = request.query.iter().filter(|(_, value)| *value != "None");
        Arguments(pairs.map(|(key, value)| (key.to_owned(), Value::String(value.to_owned()))).collect())
    }

    fn body(request: &mut Request) -> Result<Map<String, Value>> {
        let json = request.header("content-type").is_none_or(|kind| kind.to_ascii_lowercase().contains("json"));
        match request.json() {
            JsonBody::Absent | JsonBody::Value(Value::Null) => Ok(Map::new()),
            _ if !json => Err(Error::new(
                Kind::UnsupportedMediaType,
                "unsupported-media-type",
                "The request body must be application/json.",
            )),
            JsonBody::Value(Value::Object(object)) => Ok(object),
            JsonBody::Value(other) => Err(texts::schema("body", &other, "It is not of type 'object'")),
            JsonBody::Malformed(reason) => Err(texts::invalid(format!("The request body is not JSON: {reason}"))),
        }
    }

    /// Refuses every key that is not in the list.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(texts::unexpected(key)),
            None => Ok(()),
        }
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(texts::schema(key, other, "It is not of type 'string'")),
        }
    }

    pub fn required(&self, key: &str) -> Result<&str> {
        match self.text(key)? {
            Some("") => Err(texts::schema(key, &Value::from(""), "It is too short")),
            Some(text) => Ok(text),
            None => Err(texts::missing(key)),
        }
    }

    /// Any spelling of yes and no.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(default) };
        match value {
            Value::Bool(flag) => Ok(*flag),
            Value::String(text) => match text.as_str() {
                "True" | "TRUE" | "true" | "1" | "ON" | "On" | "on" | "YES" | "Yes" | "yes" => Ok(true),
                "False" | "FALSE" | "false" | "0" | "OFF" | "Off" | "off" | "NO" | "No" | "no" => Ok(false),
                _ => Err(texts::schema(key, value, "It is not a boolean")),
            },
            Value::Number(number) if number.as_u64() == Some(1) => Ok(true),
            Value::Number(number) if number.as_u64() == Some(0) => Ok(false),
            _ => Err(texts::schema(key, value, "It is not a boolean")),
        }
    }

    /// A JSON boolean or its two spellings as text.
    pub fn strict(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value {
            Value::Bool(flag) => Ok(Some(*flag)),
            Value::String(text) if text == "True" || text == "true" => Ok(Some(true)),
            Value::String(text) if text == "False" || text == "false" => Ok(Some(false)),
            _ => Err(texts::schema(key, value, "It is not of type 'boolean'")),
        }
    }

    /// A whole number, as such or as digits.
    pub fn integer(&self, key: &str, minimum: i64, maximum: i64) -> Result<Option<i64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => whole(text),
            _ => None,
        };
        match number {
            None => Err(texts::schema(key, value, "It is not a whole number")),
            Some(number) if number < minimum => {
                Err(texts::schema(key, value, format!("{number} is less than the minimum of {minimum}")))
            }
            Some(number) if number > maximum => {
                Err(texts::schema(key, value, format!("{number} is greater than the maximum of {maximum}")))
            }
            Some(number) => Ok(Some(number)),
        }
    }
}

/// Digits with an optional minus sign; nothing else that `parse` would take.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: Value) -> Arguments {
        Arguments(value.as_object().unwrap().clone())
    }

    #[test]
    fn booleans_come_in_many_spellings() {
        let given = arguments(json!({"a": "YES", "b": "off", "c": "maybe", "d": true, "e": "yes"}));
        assert!(given.flag("a", false).unwrap());
        assert!(!given.flag("b", true).unwrap());
        assert!(given.flag("c", true).is_err());
        assert_eq!(given.strict("d").unwrap(), Some(true));
        assert!(given.strict("e").is_err());
        assert!(given.flag("absent", true).unwrap());
    }

    #[test]
    fn numbers_are_bounded() {
        let given = arguments(json!({"a": "12", "b": -1, "c": "1e3", "d": "", "e": "+1"}));
        assert_eq!(given.integer("a", 0, 100).unwrap(), Some(12));
        for key in ["b", "c", "d", "e"] {
            assert!(given.integer(key, 0, 100).is_err(), "{key}");
        }
        assert!(given.integer("a", 0, 10).is_err());
    }
}
