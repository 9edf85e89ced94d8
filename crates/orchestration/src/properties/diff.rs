//! What changed between two resolutions of the same resource's properties, and what that demands.

use indexmap::IndexMap;
use sahab_contract::Result;
use serde_json::{Map, Value};

use super::PropertySchemas;

/// How a changed property can be brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyChange {
    InPlace,
    Replace,
}

/// The differing properties.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PropertyDiff {
    /// By name: the new value (null when the property went away) and how it can be brought about.
    pub changed: IndexMap<String, (Value, PropertyChange)>,
}

impl PropertyDiff {
    /// Compares two [`super::ResolvedProperties::values`].
    ///
    /// # Errors
    /// `NotSupported`: `Update to properties p of R (T) is not supported` for immutable ones.
    pub fn between(
        schema: &PropertySchemas,
        resource: &str,
        type_name: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Result<PropertyDiff> {
        let _ = (schema, resource, type_name, old, new);
        Err(sahab_contract::Error::internal("not yet written"))
    }

    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }
    /// Whether any change demands a new object.
    pub fn needs_replacement(&self) -> bool {
        self.changed.values().any(|(_, change)| *change == PropertyChange::Replace)
    }
}
