//! The order of work: which resource needs which.

use indexmap::{IndexMap, IndexSet};
use sahab_contract::Result;

/// A dependency graph over names, in the template's order. An edge goes from the requirer to what it requires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    requires: IndexMap<String, IndexSet<String>>,
    required_by: IndexMap<String, IndexSet<String>>,
}

impl Graph {
    /// Makes sure the node exists.
    pub fn add_node(&mut self, name: &str) {
        if !self.requires.contains_key(name) {
            self.requires.insert(name.to_owned(), IndexSet::new());
            self.required_by.insert(name.to_owned(), IndexSet::new());
        }
    }

    /// `requirer` must come after `required`. The engine adds its types' hidden edges with this, too.
    pub fn add_edge(&mut self, requirer: &str, required: &str) {
        self.add_node(requirer);
        self.add_node(required);
        if let Some(edges) = self.requires.get_mut(requirer) {
            edges.insert(required.to_owned());
        }
        if let Some(edges) = self.required_by.get_mut(required) {
            edges.insert(requirer.to_owned());
        }
    }

    /// All nodes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.requires.keys().map(String::as_str)
    }

    pub fn len(&self) -> usize {
        self.requires.len()
    }

    pub fn is_empty(&self) -> bool {
        self.requires.is_empty()
    }

    /// What `name` needs directly.
    pub fn requires(&self, name: &str) -> impl Iterator<Item = &str> {
        self.requires.get(name).into_iter().flatten().map(String::as_str)
    }

    /// What needs `name` directly (the API's `required_by`).
    pub fn required_by(&self, name: &str) -> impl Iterator<Item = &str> {
        self.required_by.get(name).into_iter().flatten().map(String::as_str)
    }

    /// The nodes, dependencies first.
    ///
    /// # Errors
    /// `CircularDependencyException` naming the nodes left over; `describe` gives a node's text
    /// (upstream: `TestResource "a"`).
    pub fn order(&self, describe: &dyn Fn(&str) -> String) -> Result<Vec<String>> {
        let _ = describe;
        Err(sahab_contract::Error::internal("not yet written"))
    }

    /// The nodes, dependants first.
    pub fn reverse_order(&self, describe: &dyn Fn(&str) -> String) -> Result<Vec<String>> {
        let mut order = self.order(describe)?;
        order.reverse();
        Ok(order)
    }
}
