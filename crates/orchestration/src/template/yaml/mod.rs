//! Text to data, as upstream reads it: JSON first, else YAML 1.1 by PyYAML's safe loader with timestamps left as strings.
//!
//! What no YAML crate does and templates rely on: `yes`/`on` are booleans, `017` is octal, `22:22` is sexagesimal,
//! `1_000` is a number, `<<` merges, the last of duplicate keys wins. Keys that are not strings become the text JSON gives
//! them (`80:` → `"80"`), because templates are stored as JSON.
//!
//! Invariants: no input panics or recurses without bound, and what anchors and merges expand to is charged against a
//! budget before it is built.

mod compose;
mod repair;
mod scalar;

use std::fmt;

use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use super::error;

/// The largest template, environment or nested template text, in bytes (`max_template_size`).
pub const MAX_TEXT_BYTES: usize = 524_288;

/// Why a text is no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What is wrong and where (line and column count from 1).
    Syntax { message: String, line: usize, column: usize },
    /// The text or what it expands to is beyond a limit.
    Limit(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Syntax { message, line, column } => write!(f, "{message} (line {line}, column {column})"),
            Fault::Limit(message) => f.write_str(message),
        }
    }
}

impl Fault {
    /// The error of a request whose `kind` (`Template`, `Environment`) is this text.
    pub(crate) fn into_error(self, kind: &str) -> Error {
        match self {
            Fault::Limit(message) => error::limit(message),
            Fault::Syntax { .. } => error::bad_request(format!("{kind} not in valid format: {self}")),
        }
    }
}

/// Reads a template: the document must be a map.
///
/// # Errors
/// `Template not in valid format: …` with line and column; `RequestLimitExceeded` when the text or what it expands to
/// is too large.
pub fn parse_mapping(text: &str) -> Result<Map<String, Value>> {
    match parse_value(text)? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(error::bad_request("The Template must be a JSON or YAML document.")),
    }
}

/// Reads any document.
pub fn parse_value(text: &str) -> Result<Value> {
    load(text).map_err(|fault| fault.into_error("Template"))
}

/// Reads any document, leaving the wording of a failure to the caller.
pub(crate) fn load(text: &str) -> Result<Value, Fault> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Fault::Limit(format!(
            "Template size ({} bytes) exceeds maximum allowed size ({MAX_TEXT_BYTES} bytes).",
            text.len()
        )));
    }
    // JSON is almost YAML: the exceptions (tabs, long keys) are why upstream tries it first.
    match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[' | b'"') => serde_json::from_str(text).or_else(|_| compose::compose(text)),
        _ => compose::compose(text),
    }
}

#[cfg(test)]
mod tests;
