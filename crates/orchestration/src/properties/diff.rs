//! What changed between two resolutions of the same resource's properties, and what that demands (spec 3.6).

use indexmap::IndexMap;
use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use super::PropertySchemas;
use crate::template::python;

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
    /// Compares two [`super::ResolvedProperties::values`]. Null equals absent; numbers compare by value.
    ///
    /// # Errors
    /// `NotSupported`: `Update to properties p of R (T) is not supported.` for immutable ones.
    pub fn between(
        schema: &PropertySchemas,
        resource: &str,
        type_name: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Result<PropertyDiff> {
        let mut changed = IndexMap::new();
        let mut immutable = Vec::new();
        for (name, property) in schema {
            let before = old.get(name.as_ref()).unwrap_or(&Value::Null);
            let after = new.get(name.as_ref()).unwrap_or(&Value::Null);
            if python::equal(before, after) {
                continue;
            }
            if property.immutable {
                immutable.push(name.as_ref());
            }
            let change = if property.update_allowed { PropertyChange::InPlace } else { PropertyChange::Replace };
            changed.insert(name.to_string(), (after.clone(), change));
        }
        if immutable.is_empty() {
            return Ok(PropertyDiff { changed });
        }
        immutable.sort_unstable();
        Err(Error::invalid(
            "NotSupported",
            format!("Update to properties {} of {resource} ({type_name}) is not supported.", immutable.join(", ")),
        ))
    }

    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }
    /// Whether any change demands a new object.
    pub fn needs_replacement(&self) -> bool {
        self.changed.values().any(|(_, change)| *change == PropertyChange::Replace)
    }
    /// The new value of a changed property.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.changed.get(name).map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::properties::PropertySchema;

    #[test]
    fn a_change_is_applied_in_place_replaces_or_is_refused() {
        let schema = PropertySchemas::from([
            ("name".into(), PropertySchema::string("").updatable()),
            ("image".into(), PropertySchema::string("")),
            ("fixed".into(), PropertySchema::string("").immutable()),
        ]);
        let map = |value: Value| value.as_object().cloned().unwrap();
        let diff = |old: Value, new: Value| PropertyDiff::between(&schema, "r", "T", &map(old), &map(new));

        let same = diff(json!({"name": "a", "image": null}), json!({"name": "a"})).unwrap();
        assert!(same.is_empty());
        let renamed = diff(json!({"name": "a"}), json!({})).unwrap();
        assert_eq!((renamed.get("name"), renamed.needs_replacement()), (Some(&Value::Null), false));
        assert!(diff(json!({"image": "a"}), json!({"image": "b"})).unwrap().needs_replacement());
        let error = diff(json!({"fixed": "a"}), json!({"fixed": "b"})).unwrap_err();
        assert_eq!(
            (error.code(), error.message()),
            ("NotSupported", "Update to properties fixed of r (T) is not supported.")
        );
    }
}
