//! From a resource's property expressions to typed, checked values.

use std::collections::BTreeSet;

use sahab_contract::Result;
use serde_json::{Map, Value};

use super::PropertySchemas;
use crate::{
    parameters::CustomCheck,
    template::{Expression, Scope},
};

/// The outcome of resolving a property section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResolvedProperties {
    /// Every declared property that has a value, defaults filled in; typed. Properties without value and default are
    /// absent. Unknown parts are null.
    pub values: Map<String, Value>,
    /// The properties that contain a part that is not known yet.
    pub unknown: BTreeSet<String>,
    /// The properties the user gave (no default).
    pub given: BTreeSet<String>,
    /// Custom constraints the engine has to ask services about (known values only).
    pub custom_checks: Vec<CustomCheck>,
}

impl ResolvedProperties {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }
    pub fn list(&self, name: &str) -> Option<&Vec<Value>> {
        self.get(name).and_then(Value::as_array)
    }
    pub fn map(&self, name: &str) -> Option<&Map<String, Value>> {
        self.get(name).and_then(Value::as_object)
    }
}

/// Resolves a section; `path` is its place (`resources.a.properties`) for error texts.
pub fn resolve(
    schema: &PropertySchemas,
    section: Option<&Expression>,
    scope: &Scope<'_>,
    path: &str,
) -> Result<ResolvedProperties> {
    let _ = (schema, section, scope, path);
    Err(sahab_contract::Error::internal("not yet written"))
}
