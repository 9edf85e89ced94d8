//! The environment of a stack: parameter values, defaults, and the registry that maps resource types.

mod merge;
mod registry;

pub use merge::merge_files;
pub use registry::{Hook, Registry, RestrictedAction, TypeTarget};

use sahab_contract::Result;
use serde_json::{Map, Value};

/// A parsed environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Environment {
    pub parameters: Map<String, Value>,
    pub parameter_defaults: Map<String, Value>,
    pub registry: Registry,
    pub event_sinks: Vec<Value>,
    pub encrypted_param_names: Vec<String>,
}

impl Environment {
    /// Reads text.
    pub fn parse(text: &str) -> Result<Environment> {
        let _ = text;
        Err(sahab_contract::Error::internal("not yet written"))
    }

    /// Reads the `environment` of a request or a row: an object, or text.
    pub fn from_value(value: &Value) -> Result<Environment> {
        let _ = value;
        Err(sahab_contract::Error::internal("not yet written"))
    }

    /// The form that is stored and shown by `GET …/environment`.
    pub fn to_map(&self) -> Map<String, Value> {
        Map::new()
    }

    /// What `PATCH` does: `other` wins key by key.
    pub fn overlay(&mut self, other: &Environment) {
        let _ = other;
    }

    /// The environment of a nested stack: registry (seen from inside `resource`) and parameter defaults, no parameters.
    pub fn nested(&self, resource: &str, parameters: Map<String, Value>) -> Environment {
        let _ = resource;
        Environment { parameters, ..self.clone() }
    }
}
