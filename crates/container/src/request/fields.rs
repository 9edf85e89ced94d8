//! Checks of single fields that several requests share.

use std::{collections::BTreeMap, net::IpAddr};

use base64::Engine;
use sahab_contract::Result;
use serde_json::{Map, Value};

use crate::texts;

/// What a member may ask for; server settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub cpu: (f64, f64),
    /// MiB
    pub memory: (i64, i64),
    /// GiB
    pub disk: (i64, i64),
}

impl Default for Limits {
    fn default() -> Self {
        Limits { cpu: (0.1, 16.0), memory: (4, 8192), disk: (1, 160) }
    }
}

pub fn name(field: &str, value: &Value) -> Result<String> {
    let text = text(field, value, 2, 255)?;
    let mut letters = text.bytes();
    let first = letters.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && letters.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
        return Ok(text);
    }
    Err(texts::schema(field, value, "It does not match '^[a-zA-Z0-9][a-zA-Z0-9_.-]+$'"))
}

/// Text of a length in characters, without control characters.
pub fn text(field: &str, value: &Value, shortest: usize, longest: usize) -> Result<String> {
    let Value::String(text) = value else {
        return Err(texts::schema(field, value, "It is not of type 'string'"));
    };
    let length = text.chars().count();
    if length < shortest {
        return Err(texts::schema(field, value, "It is too short"));
    }
    if length > longest {
        return Err(texts::schema(field, value, "It is too long"));
    }
    if text.chars().any(char::is_control) {
        return Err(texts::schema(field, value, "It contains control characters"));
    }
    Ok(text.clone())
}

/// A complete reference, `repository:tag`. The tag defaults to `latest`, a digest stays.
pub fn image(value: &Value) -> Result<String> {
    let text = text("image", value, 2, 255)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/:@-".contains(&byte);
    let sane = text.bytes().all(allowed)
        && text.split('/').all(|part| !part.is_empty() && part.bytes().any(|byte| byte.is_ascii_alphanumeric()))
        && text.as_bytes()[0].is_ascii_alphanumeric();
    if sane {
        return Ok(text);
    }
    Err(texts::schema("image", value, "It does not match '[a-zA-Z0-9][a-zA-Z0-9_.-]'"))
}

/// Number of cores, as a number or as text.
pub fn cpu(value: &Value, limits: &Limits) -> Result<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            text.parse().ok()
        }
        _ => None,
    };
    let Some(number) = number.filter(|number: &f64| number.is_finite()) else {
        return Err(texts::schema("cpu", value, "It is not a number"));
    };
    if number < limits.cpu.0 || number > limits.cpu.1 {
        let why = format!("It must be between {} and {}", limits.cpu.0, limits.cpu.1);
        return Err(texts::schema("cpu", value, why));
    }
    Ok(number)
}

pub fn memory(value: &Value, limits: &Limits) -> Result<i64> {
    bounded("memory", value, limits.memory)
}

pub fn disk(value: &Value, limits: &Limits) -> Result<i64> {
    bounded("disk", value, limits.disk)
}

fn bounded(field: &str, value: &Value, (least, most): (i64, i64)) -> Result<i64> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    match number {
        None => Err(texts::schema(field, value, "It does not match '^[0-9]+$'")),
        Some(number) if number < least || number > most => {
            Err(texts::schema(field, value, format!("It must be between {least} and {most}")))
        }
        Some(number) => Ok(number),
    }
}

/// A count, as a number or as digits.
pub fn count(field: &str, value: &Value) -> Result<u32> {
    let number = bounded(field, value, (0, i64::from(i32::MAX)))?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

pub fn object<'a>(field: &str, value: &'a Value) -> Result<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| texts::schema(field, value, "It is not of type 'object'"))
}

pub fn array<'a>(field: &str, value: &'a Value) -> Result<&'a Vec<Value>> {
    value.as_array().ok_or_else(|| texts::schema(field, value, "It is not of type 'array'"))
}

/// A list of texts that the kernel takes as arguments.
pub fn arguments(field: &str, value: &Value) -> Result<Vec<String>> {
    array(field, value)?
        .iter()
        .map(|item| match item {
            Value::String(text) if !text.contains('\0') => Ok(text.clone()),
            _ => Err(texts::schema(field, item, "It is not of type 'string'")),
        })
        .collect()
}

pub fn only(field: &str, object: &Map<String, Value>, known: &[&str]) -> Result<()> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(texts::schema(
            field,
            &Value::Object(object.clone()),
            format!("Additional properties are not allowed ('{key}' was unexpected)"),
        )),
        None => Ok(()),
    }
}

/// An object whose values are texts.
pub fn texts_by_name(field: &str, value: &Value) -> Result<BTreeMap<String, String>> {
    object(field, value)?
        .iter()
        .map(|(key, item)| match item {
            Value::String(text) if !key.is_empty() && !key.contains(['\0', '\n']) && !text.contains('\0') => {
                Ok((key.clone(), text.clone()))
            }
            Value::String(_) => Err(texts::schema(field, item, format!("'{}' cannot be used", key.escape_debug()))),
            _ => Err(texts::schema(field, item, "It is not of type 'string'")),
        })
        .collect()
}

/// Names and values for a process: no name may hold `=`.
pub fn environment(value: &Value) -> Result<BTreeMap<String, String>> {
    let all = texts_by_name("environment", value)?;
    match all.keys().find(|key| key.contains('=')) {
        Some(key) => Err(texts::schema("environment", &Value::from(key.as_str()), "A name must not contain '='")),
        None => Ok(all),
    }
}

pub fn labels(value: &Value) -> Result<BTreeMap<String, String>> {
    let all = texts_by_name("labels", value)?;
    match all.keys().find(|key| key.starts_with("sahab.")) {
        Some(key) => {
            Err(texts::schema("labels", &Value::from(key.as_str()), "Names with 'sahab.' are the cloud's own"))
        }
        None => Ok(all),
    }
}

pub fn hostname(value: &Value) -> Result<String> {
    // 255 by the schema; no kernel takes more than 64.
    let name = text("hostname", value, 1, 63)?;
    let body = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if name.bytes().all(body) && name.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(name);
    }
    Err(texts::schema("hostname", value, "It does not match '^[a-zA-Z0-9-._]*$'"))
}

/// `80`, `80/tcp`, `53/udp` → `80/tcp`
pub fn exposed_port(key: &str) -> Result<String> {
    let (number, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    let port = number.parse::<u16>().ok().filter(|port| *port > 0 && number.bytes().all(|byte| byte.is_ascii_digit()));
    match (port, protocol) {
        (Some(port), "tcp" | "udp") => Ok(format!("{port}/{protocol}")),
        _ => Err(texts::invalid_value(format!(
            "Invalid exposed port '{}'. It must be a port number, optionally with /tcp or /udp.",
            key.escape_debug()
        ))),
    }
}

pub fn address(field: &str, value: &Value, v6: bool) -> Result<String> {
    let parsed = value.as_str().and_then(|text| text.parse::<IpAddr>().ok()).filter(|address| address.is_ipv6() == v6);
    match parsed {
        Some(address) => Ok(address.to_string()),
        None => Err(texts::schema(field, value, format!("It is not an 'ipv{}' address", if v6 { 6 } else { 4 }))),
    }
}

/// Content of a file; standard alphabet, line breaks allowed.
pub fn base64(field: &str, value: &str) -> Result<Vec<u8>> {
    let compact: String = value.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD
        .decode(compact)
        .map_err(|_| texts::invalid_value(format!("The {field} is not valid base64.")))
}

pub fn absolute_path(field: &str, value: &Value) -> Result<String> {
    let path = text(field, value, 2, 4096)?;
    if path.starts_with('/') && !path.split('/').any(|part| part == "..") && !path.contains(':') {
        return Ok(path);
    }
    Err(texts::schema(field, value, "It must be an absolute path without '..' and ':'"))
}

/// Whether an identifier in a path is a uuid rather than a name.
pub fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok() && (text.len() == 36 || text.len() == 32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names() {
        assert!(name("name", &json!("web-1")).is_ok());
        for bad in
            [json!("a"), json!("-a"), json!("a b"), json!("a\nb"), json!("a/b"), json!(1), json!("x".repeat(256))]
        {
            assert!(name("name", &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers() {
        let limits = Limits::default();
        assert_eq!(cpu(&json!("0.5"), &limits).unwrap(), 0.5);
        assert_eq!(memory(&json!("512"), &limits).unwrap(), 512);
        for bad in [json!("128m"), json!(1.5), json!(-1), json!("9999999999999999999"), json!(1), json!([])] {
            assert!(memory(&bad, &limits).is_err(), "{bad}");
        }
        for bad in [json!("NaN"), json!("inf"), json!("1e3"), json!(0), json!(17), json!("-1")] {
            assert!(cpu(&bad, &limits).is_err(), "{bad}");
        }
    }

    #[test]
    fn images() {
        for good in ["nginx", "nginx:1.2", "reg.example:5000/a/b:t", "a@sha256:00"] {
            assert!(image(&json!(good)).is_ok(), "{good}");
        }
        for bad in ["x", "..", "a/../b", "a b", "a\n", "/a", "a//b", "-a"] {
            assert!(image(&json!(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports() {
        assert_eq!(exposed_port("80").unwrap(), "80/tcp");
        assert_eq!(exposed_port("53/udp").unwrap(), "53/udp");
        for bad in ["0", "65536", "80/sctp", "80/", "a", "+80", "80/tcp/x"] {
            assert!(exposed_port(bad).is_err(), "{bad}");
        }
    }
}
