//! The template language: HOT of every version and the CloudFormation dialect, without any I/O.
//!
//! What happens to a template, in order:
//! 1. [`yaml::parse_mapping`] turns text (JSON or YAML 1.1, as upstream's loader reads it) into an ordered map;
//! 2. [`Template::from_map`] checks sections and keys and turns every value into an [`Expression`];
//! 3. [`crate::parameters::Parameters`] combines the parameters' schemas with what user and environment give;
//! 4. [`Template::bind`] joins template, parameters and files into a [`BoundTemplate`]: conditions are decided, resources
//!    and outputs are switched on or off;
//! 5. the engine asks the bound template for its [`Graph`], for the [`References`] of a definition (what must be fetched
//!    before it can be resolved), and for resolved properties, metadata and outputs. Everything that depends on living
//!    resources comes through the one trait [`ResourceView`]; [`NoResources`] answers "unknown" (validation),
//!    [`FetchedResources`] holds answers fetched beforehand.
//!
//! Invariants: nothing here blocks, panics or grows without a bound; every failure is a [`sahab_contract::Error`] with
//! upstream's type and text. A value that cannot be known yet is [`Resolved::Unknown`], never a made-up value.

mod bound;
mod conditions;
mod definition;
pub mod error;
pub mod expression;
mod files;
mod graph;
pub mod python;
mod references;
mod sections;
mod version;
pub mod yaml;

pub use bound::BoundTemplate;
pub use definition::{DeletionPolicy, OutputDefinition, ParameterGroup, ResourceDefinition, Template};
pub use expression::{Expression, Inputs, Lookup, Resolved, ResourceFacade, ResourceView, Scope};
pub use files::{Files, find_file};
pub use graph::Graph;
pub use references::{AttributeReference, FetchedResources, NoResources, References};
pub use version::{Dialect, FunctionDescription, Version};

pub use serde_json::{Map as JsonMap, Value};
/// An ordered map of JSON values.
pub type Map = JsonMap<String, Value>;
