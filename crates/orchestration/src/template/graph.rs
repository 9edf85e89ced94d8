//! The order of work: which resource needs which.

use std::collections::{HashSet, VecDeque};

use indexmap::{IndexMap, IndexSet};
use sahab_contract::{Error, Result};

/// How many nodes of a cycle its error names.
const MAX_CYCLE_NODES: usize = 20;

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
        let mut open: Vec<usize> = self.requires.values().map(IndexSet::len).collect();
        let mut ready: VecDeque<usize> = (0..open.len()).filter(|node| open[*node] == 0).collect();
        let mut order = Vec::with_capacity(open.len());
        while let Some(node) = ready.pop_front() {
            let Some((name, dependants)) = self.required_by.get_index(node) else { continue };
            order.push(name.clone());
            for dependant in dependants {
                let Some(dependant) = self.requires.get_index_of(dependant) else { continue };
                open[dependant] -= 1;
                if open[dependant] == 0 {
                    ready.push_back(dependant);
                }
            }
        }
        if order.len() == self.requires.len() { Ok(order) } else { Err(self.cycle_error(&order, describe)) }
    }

    /// Upstream prints the nodes that could not be ordered, each with what it still waits for.
    fn cycle_error(&self, ordered: &[String], describe: &dyn Fn(&str) -> String) -> Error {
        let ordered: HashSet<&str> = ordered.iter().map(String::as_str).collect();
        let left = |name: &&String| !ordered.contains(name.as_str());
        let mut nodes: Vec<String> = Vec::new();
        let mut hidden = 0;
        for (name, requires) in self.requires.iter().filter(|(name, _)| left(name)) {
            if nodes.len() == MAX_CYCLE_NODES {
                hidden += 1;
                continue;
            }
            let waits: Vec<String> =
                requires.iter().filter(left).take(MAX_CYCLE_NODES).map(|name| describe(name)).collect();
            nodes.push(format!("{}: {{{}}}", describe(name), waits.join(", ")));
        }
        if hidden > 0 {
            nodes.push(format!("… and {hidden} more"));
        }
        Error::invalid("CircularDependencyException", format!("Circular Dependency Found: {{{}}}", nodes.join(", ")))
    }

    /// The nodes, dependants first.
    pub fn reverse_order(&self, describe: &dyn Fn(&str) -> String) -> Result<Vec<String>> {
        let mut order = self.order(describe)?;
        order.reverse();
        Ok(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        edges.iter().for_each(|(requirer, required)| graph.add_edge(requirer, required));
        graph
    }

    fn quoted(name: &str) -> String {
        format!("TestResource \"{name}\"")
    }

    #[test]
    fn dependencies_come_first_and_last_in_reverse() {
        let graph = graph(&[("wordpress", "db"), ("wordpress", "secgroup"), ("db", "secgroup")]);
        assert_eq!(graph.order(&quoted).unwrap(), ["secgroup", "db", "wordpress"]);
        assert_eq!(graph.reverse_order(&quoted).unwrap(), ["wordpress", "db", "secgroup"]);
        assert_eq!(graph.required_by("secgroup").collect::<Vec<_>>(), ["wordpress", "db"]);
        assert_eq!(graph.requires("db").collect::<Vec<_>>(), ["secgroup"]);
        assert_eq!(graph.len(), 3);
    }

    #[test]
    fn a_cycle_names_its_nodes_only() {
        let error = graph(&[("a", "b"), ("b", "a"), ("a", "c")]).order(&quoted).unwrap_err();
        assert_eq!(error.code(), "CircularDependencyException");
        assert_eq!(
            error.message(),
            r#"Circular Dependency Found: {TestResource "a": {TestResource "b"}, TestResource "b": {TestResource "a"}}"#
        );
        assert!(graph(&[("a", "a")]).order(&quoted).is_err());
    }
}
