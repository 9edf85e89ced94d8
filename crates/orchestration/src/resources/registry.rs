//! The types that this service implements, and the names it knows without implementing them.

use std::sync::Arc;

use indexmap::IndexMap;
use sahab_contract::Result;

use super::{ResourceType, heat, keystone, neutron, type_unavailable, zun};
use crate::template::error;

/// Types of services that this cloud does not have (yet): known, but not available (spec 4.4).
const UNAVAILABLE: &[(&str, &str)] = &[
    ("OS::Nova::", "nova"),
    ("OS::Cinder::", "cinder"),
    ("OS::Glance::", "glance"),
    ("OS::Swift::", "swift"),
    ("OS::Barbican::", "barbican"),
    ("OS::Aodh::", "aodh"),
    ("OS::Blazar::", "blazar"),
    ("OS::Designate::", "designate"),
    ("OS::Ironic::", "ironic"),
    ("OS::Magnum::", "magnum"),
    ("OS::Manila::", "manila"),
    ("OS::Mistral::", "mistral"),
    ("OS::Octavia::", "octavia"),
    ("OS::Sahara::", "sahara"),
    ("OS::Senlin::", "senlin"),
    ("OS::Trove::", "trove"),
    ("OS::Vitrage::", "vitrage"),
    ("OS::Zaqar::", "zaqar"),
    ("AWS::", "nova"),
];

/// Every implemented type by name.
pub struct Types {
    by_name: IndexMap<String, Arc<dyn ResourceType>>,
}

impl Types {
    pub fn new() -> Self {
        let mut types = Types { by_name: IndexMap::new() };
        heat::register(&mut types);
        neutron::register(&mut types);
        zun::register(&mut types);
        keystone::register(&mut types);
        types.by_name.sort_keys();
        types
    }

    pub fn add(&mut self, implementation: impl ResourceType + 'static) {
        let name = implementation.description().name.to_string();
        self.by_name.insert(name, Arc::new(implementation));
    }

    pub fn find(&self, name: &str) -> Option<&Arc<dyn ResourceType>> {
        self.by_name.get(name)
    }

    /// The type, or why there is none: unknown, or of a service that this cloud lacks.
    pub fn get(&self, name: &str) -> Result<&Arc<dyn ResourceType>> {
        if let Some(found) = self.find(name) {
            return Ok(found);
        }
        match UNAVAILABLE.iter().find(|(prefix, _)| name.starts_with(prefix)) {
            Some((_, service)) => Err(type_unavailable(service, name)),
            None => Err(error::type_not_found(name)),
        }
    }

    /// Whether the name means something, implemented or not.
    pub fn is_known(&self, name: &str) -> bool {
        self.by_name.contains_key(name) || UNAVAILABLE.iter().any(|(prefix, _)| name.starts_with(prefix))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn ResourceType>> {
        self.by_name.values()
    }
}

impl Default for Types {
    fn default() -> Self {
        Self::new()
    }
}
