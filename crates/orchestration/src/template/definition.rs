//! A parsed template: its sections, as data that no longer needs checking.

use std::{collections::BTreeSet, sync::Arc};

use indexmap::IndexMap;
use sahab_contract::Result;

use super::{BoundTemplate, Expression, Files, Map, ResourceFacade, Version, yaml};
use crate::parameters::{ParameterSchema, Parameters};

/// What happens to the physical object when its resource goes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    #[default]
    Delete,
    Retain,
    Snapshot,
}

/// One entry of `resources`.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceDefinition {
    pub name: String,
    /// As written: a registered type, an alias of the environment, or the key of a nested template.
    pub type_name: String,
    pub description: Option<String>,
    pub properties: Option<Expression>,
    pub metadata: Option<Expression>,
    pub depends_on: Vec<String>,
    pub deletion_policy: Option<Expression>,
    pub update_policy: Option<Expression>,
    pub external_id: Option<Expression>,
    pub condition: Option<Expression>,
}

/// One entry of `outputs`.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputDefinition {
    pub name: String,
    pub description: Option<String>,
    pub value: Expression,
    pub condition: Option<Expression>,
}

/// One entry of `parameter_groups`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterGroup {
    pub label: Option<String>,
    pub description: Option<String>,
    pub parameters: Vec<String>,
}

/// A template whose structure is valid. References and values are checked once it is bound.
#[derive(Clone, Debug)]
pub struct Template {
    pub(super) version: Version,
    pub(super) source: Arc<Map>,
    pub(super) description: Option<String>,
    pub(super) parameters: IndexMap<String, ParameterSchema>,
    pub(super) parameter_groups: Vec<ParameterGroup>,
    pub(super) conditions: IndexMap<String, Expression>,
    pub(super) resources: IndexMap<String, ResourceDefinition>,
    pub(super) outputs: IndexMap<String, OutputDefinition>,
}

impl Template {
    /// Reads JSON or YAML text.
    pub fn parse(text: &str) -> Result<Template> {
        Template::from_map(yaml::parse_mapping(text)?)
    }

    /// Reads an already decoded template, e.g. the body of a request or a row of the database.
    pub fn from_map(source: Map) -> Result<Template> {
        let _ = source;
        Err(sahab_contract::Error::internal("not yet written"))
    }

    pub fn version(&self) -> Version {
        self.version
    }
    /// The template as it was given, key order kept: what `GET …/template` answers and the database stores.
    pub fn source(&self) -> &Map {
        &self.source
    }
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }
    pub fn parameters(&self) -> &IndexMap<String, ParameterSchema> {
        &self.parameters
    }
    pub fn parameter_groups(&self) -> &[ParameterGroup] {
        &self.parameter_groups
    }
    /// All resources, including those a condition may switch off.
    pub fn resources(&self) -> &IndexMap<String, ResourceDefinition> {
        &self.resources
    }
    /// All outputs, including those a condition may switch off.
    pub fn outputs(&self) -> &IndexMap<String, OutputDefinition> {
        &self.outputs
    }
    /// Every file name in a `get_file`, wherever it can be told without resolving.
    pub fn file_names(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    /// Decides the conditions and joins everything that is constant during one operation.
    ///
    /// `facade` is the parent resource when this is a nested template.
    pub fn bind(
        self: &Arc<Self>,
        parameters: Parameters,
        files: Arc<Files>,
        facade: Option<ResourceFacade>,
    ) -> Result<BoundTemplate> {
        BoundTemplate::new(self.clone(), parameters, files, facade)
    }
}
