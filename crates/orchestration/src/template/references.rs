//! What an expression wants to know of other resources, and the simplest sources of such knowledge.

use std::collections::HashMap;

use indexmap::IndexSet;
use sahab_contract::Result;
use serde_json::Value;

use super::expression::{Lookup, ResourceView, select_path};

/// One `get_attr`: `attribute` is none for `get_attr: [resource]` (all attributes). `path` holds the leading elements that
/// are known without other resources.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttributeReference {
    pub resource: String,
    pub attribute: Option<String>,
    pub path: Vec<Value>,
}

/// Everything an expression reads from other resources, conditions applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Names in `get_resource`.
    pub ids: IndexSet<String>,
    /// Each `get_attr`.
    pub attributes: IndexSet<AttributeReference>,
}

impl References {
    /// The names of all resources that are read in any way.
    pub fn resources(&self) -> IndexSet<&str> {
        self.ids.iter().map(String::as_str).chain(self.attributes.iter().map(|a| a.resource.as_str())).collect()
    }
}

impl Extend<References> for References {
    fn extend<T: IntoIterator<Item = References>>(&mut self, others: T) {
        for other in others {
            self.ids.extend(other.ids);
            self.attributes.extend(other.attributes);
        }
    }
}

/// No resource exists yet: every answer is [`Lookup::Unknown`]. For validation and preview.
pub struct NoResources;

impl ResourceView for NoResources {
    fn reference_id(&self, _resource: &str) -> Result<Lookup> {
        Ok(Lookup::Unknown)
    }
    fn attribute(&self, _resource: &str, _attribute: &str, _path: &[Value]) -> Result<Lookup> {
        Ok(Lookup::Unknown)
    }
    fn all_attributes(&self, _resource: &str) -> Result<Lookup> {
        Ok(Lookup::Unknown)
    }
}

/// Answers fetched beforehand, by [`References`]. What was not fetched is unknown.
///
/// An attribute is looked up with its exact path first, then without a path (the path is then applied here), so that
/// an engine may fetch either.
#[derive(Clone, Debug, Default)]
pub struct FetchedResources {
    pub ids: HashMap<String, Value>,
    pub attributes: HashMap<AttributeReference, Value>,
}

impl ResourceView for FetchedResources {
    fn reference_id(&self, resource: &str) -> Result<Lookup> {
        Ok(self.ids.get(resource).map_or(Lookup::Unknown, |id| Lookup::Known(id.clone())))
    }

    fn attribute(&self, resource: &str, attribute: &str, path: &[Value]) -> Result<Lookup> {
        // From the longest fetched prefix to the bare attribute.
        for length in (0..=path.len()).rev() {
            let key = AttributeReference {
                resource: resource.to_owned(),
                attribute: Some(attribute.to_owned()),
                path: path[..length].to_vec(),
            };
            if let Some(value) = self.attributes.get(&key) {
                return Ok(Lookup::Known(select_path(value, &path[length..])));
            }
        }
        Ok(Lookup::Unknown)
    }

    fn all_attributes(&self, resource: &str) -> Result<Lookup> {
        let key = AttributeReference { resource: resource.to_owned(), attribute: None, path: Vec::new() };
        Ok(self.attributes.get(&key).map_or(Lookup::Unknown, |value| Lookup::Known(value.clone())))
    }
}
