//! `make_url`: a URL from its components, escaped as Python's `urllib.parse` does.

use indexmap::IndexMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sahab_contract::Result;
use serde_json::{Map, Value};

use super::{Expression, resolve::failure};
use crate::template::python;

const KEYS: [&str; 8] = ["scheme", "username", "password", "host", "port", "path", "query", "fragment"];

/// Everything but `quote(safe='')`'s unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');
const ESCAPED_IN_PATH: &AsciiSet = &ESCAPED.remove(b'/');
const ESCAPED_IN_HOST: &AsciiSet = &ESCAPED.remove(b':');
const ESCAPED_IN_QUERY: &AsciiSet = &ESCAPED.remove(b'/').remove(b' ');

/// What can be said before anything is resolved: unknown keys, and the literals' types.
pub(super) fn check_literals(name: &str, arguments: &IndexMap<String, Expression>) -> Result<(), String> {
    let unknown: Vec<&str> = arguments.keys().map(String::as_str).filter(|key| !KEYS.contains(key)).collect();
    if !unknown.is_empty() {
        return Err(format!("Invalid arguments to \"{name}\": {}", unknown.join(", ")));
    }
    for (key, argument) in arguments {
        match argument {
            Expression::Call(_) => {}
            Expression::Map(_) if key == "query" => {}
            Expression::Literal(value) => check(name, key, value)?,
            _ => check(name, key, &Value::Array(Vec::new()))?,
        }
    }
    Ok(())
}

fn check(name: &str, key: &str, value: &Value) -> Result<(), String> {
    match (key, value) {
        ("query", Value::Object(_)) => Ok(()),
        ("query", _) => Err(format!("The \"{key}\" argument to \"{name}\" must be a map")),
        ("port", _) => port(name, value).map(|_| ()),
        (_, Value::String(_)) => Ok(()),
        _ => Err(format!("The \"{key}\" argument to \"{name}\" must be a string")),
    }
}

fn port(name: &str, value: &Value) -> Result<i64, String> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => python::parse_int(text),
        _ => None,
    }
    .ok_or_else(|| format!("Invalid URL port \"{}\" for {name}", python::text(value)))?;
    if (1..=65535).contains(&number) {
        Ok(number)
    } else {
        Err(format!("Invalid URL port {number}, must be in range 1-65535"))
    }
}

fn escape(text: &str, set: &'static AsciiSet) -> String {
    utf8_percent_encode(text, set).to_string()
}

fn escape_query(value: &Value) -> String {
    escape(&python::text(value), ESCAPED_IN_QUERY).replace(' ', "+")
}

pub(super) fn make_url(name: &str, arguments: &Map<String, Value>) -> Result<Value> {
    for (key, value) in arguments {
        check(name, key, value).map_err(failure)?;
    }
    let component = |key: &str| arguments.get(key).and_then(Value::as_str).unwrap_or_default();
    let scheme = component("scheme");
    if scheme.contains(':') {
        return Err(failure("URL \"scheme\" should not contain ':'"));
    }

    let mut authority = String::new();
    let (username, password) = (escape(component("username"), ESCAPED), escape(component("password"), ESCAPED));
    if !username.is_empty() || !password.is_empty() {
        authority += &username;
        if !password.is_empty() {
            authority += ":";
            authority += &password;
        }
        authority += "@";
    }
    let host = component("host");
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = escape(host, ESCAPED_IN_HOST);
    authority += &if host.contains(':') { format!("[{host}]") } else { host };
    if let Some(value) = arguments.get("port") {
        authority += &format!(":{}", python::text(value));
    }

    let path = escape(component("path"), ESCAPED_IN_PATH);
    let mut url = String::new();
    if !scheme.is_empty() {
        url += scheme;
        url += ":";
    }
    if !authority.is_empty() {
        url += "//";
        url += &authority;
        if !path.is_empty() && !path.starts_with('/') {
            url += "/";
        }
    } else if ["http", "https", "ftp", "file"].contains(&scheme) && (path.is_empty() || path.starts_with('/')) {
        url += "//";
    }
    url += &path;
    if let Some(query) = arguments.get("query").and_then(Value::as_object).filter(|query| !query.is_empty()) {
        let pairs: Vec<String> = query
            .iter()
            .map(|(key, value)| format!("{}={}", escape_query(&Value::from(key.as_str())), escape_query(value)))
            .collect();
        url += "?";
        url += &pairs.join("&");
    }
    let fragment = escape(component("fragment"), ESCAPED_IN_PATH);
    if !fragment.is_empty() {
        url += "#";
        url += &fragment;
    }
    Ok(Value::from(url))
}
