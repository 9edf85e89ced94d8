//! The environment of a stack: parameter values, defaults, and the registry that maps resource types (spec 2.5).
//!
//! Invariant: a parsed environment is valid; its registry's hooks and restrictions are known names.

mod merge;
mod pattern;
mod registry;

pub use merge::merge_files;
pub use registry::{Hook, Registry, RestrictedAction, TypeTarget};

use std::fmt;

use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use crate::template::{error, python, yaml};

/// The sections. The last one appears in files merged by the service only.
const SECTIONS: [&str; 6] =
    ["parameters", "parameter_defaults", "resource_registry", "event_sinks", "encrypted_param_names", STRATEGIES];
const STRATEGIES: &str = "parameter_merge_strategies";

/// A parsed environment.
#[derive(Clone, Default, PartialEq)]
pub struct Environment {
    pub parameters: Map<String, Value>,
    pub parameter_defaults: Map<String, Value>,
    pub registry: Registry,
    pub event_sinks: Vec<Value>,
    pub encrypted_param_names: Vec<String>,
}

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("parameters", &self.parameters.keys().collect::<Vec<_>>())
            .field("parameter_defaults", &self.parameter_defaults.keys().collect::<Vec<_>>())
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

fn invalid(message: impl fmt::Display) -> Error {
    error::bad_request(format!("Environment not in valid format: {message}"))
}

/// Reads text to a map.
fn read_text(text: &str) -> Result<Map<String, Value>> {
    match yaml::load(text).map_err(|fault| fault.into_error("Environment"))? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(invalid("The environment is not a valid YAML mapping data type.")),
    }
}

/// Checks the sections' names. A map without any section is the old flat format: parameters.
fn into_sections(map: Map<String, Value>) -> Result<Map<String, Value>> {
    if !map.keys().any(|key| SECTIONS.contains(&key.as_str())) {
        let mut sections = Map::new();
        sections.insert("parameters".into(), Value::Object(map));
        return Ok(sections);
    }
    for (key, value) in &map {
        if !SECTIONS.contains(&key.as_str()) {
            return Err(invalid(format!("environment has wrong section \"{key}\"")));
        }
        if value.is_null() {
            return Err(invalid(format!("environment has empty section \"{key}\"")));
        }
    }
    Ok(map)
}

fn map_section(sections: &mut Map<String, Value>, key: &str) -> Result<Map<String, Value>> {
    match sections.shift_remove(key) {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(other) => Err(invalid(format!("section \"{key}\" must be a map, not a {}", python::type_name(&other)))),
    }
}

fn list_section(sections: &mut Map<String, Value>, key: &str) -> Result<Vec<Value>> {
    match sections.shift_remove(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(invalid(format!("section \"{key}\" must be a list, not a {}", python::type_name(&other)))),
    }
}

impl Environment {
    /// Reads text.
    pub fn parse(text: &str) -> Result<Environment> {
        Environment::from_map(read_text(text)?)
    }

    /// Reads the `environment` of a request or a row: an object, or text.
    pub fn from_value(value: &Value) -> Result<Environment> {
        match value {
            Value::Null => Ok(Environment::default()),
            Value::String(text) => Environment::parse(text),
            Value::Object(map) => Environment::from_map(map.clone()),
            _ => Err(invalid("The environment is not a valid YAML mapping data type.")),
        }
    }

    /// Reads a decoded environment.
    pub fn from_map(map: Map<String, Value>) -> Result<Environment> {
        let mut sections = into_sections(map)?;
        // Only meaningful while several files are merged.
        sections.shift_remove(STRATEGIES);
        let event_sinks = list_section(&mut sections, "event_sinks")?;
        if let Some(sink) = event_sinks.first() {
            let kind = sink.get("type").map(python::text).unwrap_or_default();
            return Err(invalid(format!("event sink type \"{kind}\" is not available")));
        }
        let encrypted_param_names = list_section(&mut sections, "encrypted_param_names")?
            .into_iter()
            .map(|name| match name {
                Value::String(name) => Ok(name),
                _ => Err(invalid("encrypted_param_names must be a list of strings")),
            })
            .collect::<Result<_>>()?;
        Ok(Environment {
            parameters: map_section(&mut sections, "parameters")?,
            parameter_defaults: map_section(&mut sections, "parameter_defaults")?,
            registry: Registry::from_map(map_section(&mut sections, "resource_registry")?)?,
            event_sinks,
            encrypted_param_names,
        })
    }

    /// The form that is stored and shown by `GET …/environment`.
    pub fn to_map(&self) -> Map<String, Value> {
        let sections = [
            ("parameters", Value::Object(self.parameters.clone())),
            ("parameter_defaults", Value::Object(self.parameter_defaults.clone())),
            ("resource_registry", Value::Object(self.registry.to_map())),
            ("event_sinks", Value::Array(self.event_sinks.clone())),
            ("encrypted_param_names", self.encrypted_param_names.clone().into()),
        ];
        sections.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// What `PATCH` does: `other` wins key by key.
    pub fn overlay(&mut self, other: &Environment) {
        self.parameters.extend(other.parameters.clone());
        self.parameter_defaults.extend(other.parameter_defaults.clone());
        self.registry.overlay(&other.registry);
        if !other.event_sinks.is_empty() {
            self.event_sinks = other.event_sinks.clone();
        }
        for name in &other.encrypted_param_names {
            if !self.encrypted_param_names.contains(name) {
                self.encrypted_param_names.push(name.clone());
            }
        }
    }

    /// The environment of a nested stack: the registry as seen from inside `resource`, the parameter defaults, and the
    /// given parameters instead of the parent's.
    pub fn nested(&self, resource: &str, parameters: Map<String, Value>) -> Environment {
        Environment {
            parameters,
            parameter_defaults: self.parameter_defaults.clone(),
            registry: self.registry.nested(resource),
            event_sinks: self.event_sinks.clone(),
            encrypted_param_names: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
