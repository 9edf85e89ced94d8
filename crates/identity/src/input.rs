//! Request bodies: the envelope, and each attribute checked with the text of upstream's JSON schema validation.
//!
//! A handler takes the attributes it knows out of an [`Input`]; what is left are extras (stored and given back flat) or
//! an error, by resource.

use chrono::{DateTime, NaiveDateTime, Utc};
use sahab_api::{JsonBody, Request};
use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

/// Most extra attributes that one resource stores.
const MAX_EXTRAS: usize = 128;

/// The attributes of one resource, as sent.
#[derive(Debug)]
pub struct Input {
    name: String,
    map: Map<String, Value>,
}

/// The body as a JSON object.
pub fn object(request: &mut Request) -> Result<Map<String, Value>> {
    let plain_json = request
        .header("content-type")
        .is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json"));
    let value = match request.json() {
        JsonBody::Absent => Value::Object(Map::new()),
        _ if !plain_json => {
            return Err(Error::invalid(
                "ValidationError",
                "Expecting to find application/json in Content-Type header. The server could not comply with the \
                 request since it is either malformed or otherwise incorrect. The client is assumed to be in error.",
            ));
        }
        JsonBody::Value(value) => value,
        JsonBody::Malformed(_) => {
            return Err(Error::invalid(
                "ValidationError",
                "Expecting to find valid JSON in request body. The server could not comply with the request since it \
                 is either malformed or otherwise incorrect. The client is assumed to be in error.",
            ));
        }
    };
    match value {
        Value::Object(map) => Ok(map),
        other => Err(Error::invalid("SchemaValidationError", format!("{} is not of type 'object'", repr(&other)))),
    }
}

impl Input {
    /// The object below `key` of the body.
    pub fn read(request: &mut Request, key: &str) -> Result<Self> {
        let mut map = object(request)?;
        match map.remove(key) {
            Some(Value::Object(map)) => Ok(Input { name: key.to_owned(), map }),
            Some(other) => Err(wrong(key, &other, &not_of_type(&other, "object"))),
            None => Err(Error::invalid("SchemaValidationError", format!("'{key}' is a required property"))),
        }
    }

    pub fn from_value(name: &str, value: Value) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Input { name: name.to_owned(), map }),
            other => Err(wrong(name, &other, &not_of_type(&other, "object"))),
        }
    }

    pub fn require(&self, names: &[&str]) -> Result<()> {
        for name in names {
            if !self.map.contains_key(*name) {
                let value = Value::Object(self.map.clone());
                return Err(wrong(&self.name, &value, &format!("'{name}' is a required property")));
            }
        }
        Ok(())
    }

    /// Takes an attribute out, whatever it is.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name)
    }

    /// A text of `1..=max` characters that is not only white space.
    pub fn name(&mut self, name: &str, max: usize) -> Result<Option<String>> {
        let Some(text) = self.text(name, max)? else { return Ok(None) };
        if text.is_empty() {
            return Err(wrong(name, &Value::String(text), "'' should be non-empty"));
        }
        if text.trim().is_empty() {
            let reason = format!("{} does not match '[\\\\S]+'", repr(&Value::String(text.clone())));
            return Err(wrong(name, &Value::String(text), &reason));
        }
        Ok(Some(text))
    }

    /// A text of at most `max` characters.
    pub fn text(&mut self, name: &str, max: usize) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() > max => {
                let value = Value::String(text);
                Err(wrong(name, &value, &format!("{} is too long", repr(&value))))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, &other, &not_of_type(&other, "string"))),
        }
    }

    /// As [`Input::text`]; `null` is `Some(None)`.
    pub fn text_or_null(&mut self, name: &str, max: usize) -> Result<Option<Option<String>>> {
        if self.map.get(name).is_some_and(Value::is_null) {
            self.take(name);
            return Ok(Some(None));
        }
        Ok(self.text(name, max)?.map(Some))
    }

    /// An id: letters, digits and dashes, 1 to 64 of them.
    pub fn id(&mut self, name: &str) -> Result<Option<String>> {
        let Some(text) = self.text(name, 64)? else { return Ok(None) };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            let value = Value::String(text);
            return Err(wrong(name, &value, &format!("{} does not match '^[a-zA-Z0-9-]+$'", repr(&value))));
        }
        Ok(Some(text))
    }

    pub fn id_or_null(&mut self, name: &str) -> Result<Option<Option<String>>> {
        if self.map.get(name).is_some_and(Value::is_null) {
            self.take(name);
            return Ok(Some(None));
        }
        Ok(self.id(name)?.map(Some))
    }

    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong(name, &other, &not_of_type(&other, "boolean"))),
        }
    }

    pub fn integer(&mut self, name: &str, minimum: i64, maximum: i64) -> Result<Option<i64>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_i64() {
            None => Err(wrong(name, &value, &not_of_type(&value, "integer"))),
            Some(number) if number < minimum => {
                Err(wrong(name, &value, &format!("{number} is less than the minimum of {minimum}")))
            }
            Some(number) if number > maximum => {
                Err(wrong(name, &value, &format!("{number} is greater than the maximum of {maximum}")))
            }
            Some(number) => Ok(Some(number)),
        }
    }

    pub fn map(&mut self, name: &str) -> Result<Option<Map<String, Value>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(wrong(name, &other, &not_of_type(&other, "object"))),
        }
    }

    pub fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(wrong(name, &other, &not_of_type(&other, "array"))),
        }
    }

    /// An ISO 8601 time; `null` is `Some(None)`.
    pub fn time_or_null(&mut self, name: &str) -> Result<Option<Option<DateTime<Utc>>>> {
        match self.text_or_null(name, 64)? {
            None => Ok(None),
            Some(None) => Ok(Some(None)),
            Some(Some(text)) => match parse_time(&text) {
                Some(time) => Ok(Some(Some(time))),
                None => Err(Error::invalid(
                    "ValidationTimeStampError",
                    "Timestamp not in expected format. The server could not comply with the request since it is either \
                     malformed or otherwise incorrect. The client is assumed to be in error.",
                )),
            },
        }
    }

    /// What was not taken. `links` is never stored.
    pub fn extras(mut self) -> Result<Map<String, Value>> {
        self.map.shift_remove("links");
        if self.map.len() > MAX_EXTRAS {
            return Err(Error::invalid("ValidationError", format!("more than {MAX_EXTRAS} additional attributes")));
        }
        Ok(self.map)
    }

    /// Fails when anything was not taken.
    pub fn finish(mut self) -> Result<()> {
        self.map.shift_remove("links");
        match self.map.keys().next() {
            None => Ok(()),
            Some(key) => {
                let reason = format!("Additional properties are not allowed ('{key}' was unexpected)");
                Err(wrong(&self.name, &Value::Object(self.map.clone()), &reason))
            }
        }
    }
}

/// `2026-11-22T16:13:04.000000Z`, with or without fraction and zone.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    let text = text.trim_end_matches('Z');
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
        .ok()
        .map(|time| time.and_utc())
}

/// The text of a failed schema check.
pub fn wrong(name: &str, value: &Value, reason: &str) -> Error {
    let mut shown = repr(value);
    let mut reason = reason.to_owned();
    if is_secret(name) {
        reason = reason.replace(&shown, "'***'");
        shown = "'***'".into();
    }
    if let Some((cut, _)) = shown.char_indices().nth(1024) {
        // Upstream repeats any value whole; a bound costs no client anything.
        shown.truncate(cut);
        shown.push('…');
    }
    if let Some((cut, _)) = reason.char_indices().nth(2048) {
        reason.truncate(cut);
    }
    Error::invalid(
        "SchemaValidationError",
        format!("Invalid input for field/attribute {name}. Value: {shown}. {reason}"),
    )
}

fn is_secret(name: &str) -> bool {
    matches!(name, "password" | "original_password" | "secret" | "blob")
}

pub fn not_of_type(value: &Value, kind: &str) -> String {
    format!("{} is not of type '{kind}'", repr(value))
}

/// Python's repr(), which upstream's texts show. Passwords and secrets are masked.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Value::String(text) => {
            format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| match is_secret(key) {
                true => format!("'{key}': '***'"),
                false => format!("'{key}': {}", repr(value)),
            };
            format!("{{{}}}", map.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}
