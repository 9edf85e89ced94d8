//! Which implementation a resource type stands for, and the per-resource switches (hooks, restricted actions).

use sahab_contract::Result;
use serde_json::{Map, Value};

/// What a resource's type leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeTarget {
    /// A type that the service implements itself (it has to look it up).
    Type(String),
    /// A nested template: a key of `files`, or a URL. `facade` is the name of the implemented type it shadows.
    Template { location: String, facade: Option<String> },
}

/// A point at which a resource waits until it is told to go on (spec 3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    PreCreate,
    PreUpdate,
    PreDelete,
    PostCreate,
    PostUpdate,
    PostDelete,
}

/// What an update may not do to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestrictedAction {
    Update,
    Replace,
}

/// The `resource_registry` section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    source: Map<String, Value>,
}

impl Registry {
    /// Reads and checks the section.
    pub fn from_map(source: Map<String, Value>) -> Result<Registry> {
        Ok(Registry { source })
    }

    /// The section as given.
    pub fn to_map(&self) -> &Map<String, Value> {
        &self.source
    }

    /// Follows aliases and wildcards for a resource of this stack. `is_registered` knows the implemented types.
    ///
    /// # Errors
    /// `StackValidationFailed` for a name that leads nowhere.
    pub fn resolve(&self, resource: &str, type_name: &str, is_registered: &dyn Fn(&str) -> bool) -> Result<TypeTarget> {
        let _ = (resource, type_name, is_registered);
        Err(sahab_contract::Error::internal("not yet written"))
    }

    /// Whether the resource waits at this hook.
    pub fn has_hook(&self, resource: &str, hook: Hook) -> bool {
        let _ = (resource, hook);
        false
    }

    /// What updates may not do to the resource.
    pub fn restricted_actions(&self, resource: &str) -> Vec<RestrictedAction> {
        let _ = resource;
        Vec::new()
    }
}
