//! A parsed template: its sections, as data that no longer needs checking.

use std::{collections::BTreeSet, sync::Arc};

use indexmap::IndexMap;
use sahab_contract::Result;

use super::{BoundTemplate, Expression, Files, Map, ResourceFacade, Version, expression::Function, sections, yaml};
use crate::parameters::{ParameterSchema, Parameters};

/// What happens to the physical object when its resource goes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    #[default]
    Delete,
    Retain,
    Snapshot,
}

impl DeletionPolicy {
    /// The upstream name (`Delete`, `Retain`, `Snapshot`).
    pub fn as_str(self) -> &'static str {
        match self {
            DeletionPolicy::Delete => "Delete",
            DeletionPolicy::Retain => "Retain",
            DeletionPolicy::Snapshot => "Snapshot",
        }
    }
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
    /// CloudFormation's `Mappings`.
    pub(super) mappings: Map,
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
        sections::read(source)
    }

    /// Reads what a request carries: an object, or text. Anything else is refused.
    pub fn from_value(value: &super::Value) -> Result<Template> {
        match value {
            super::Value::String(text) => Template::parse(text),
            super::Value::Object(map) => Template::from_map(map.clone()),
            _ => Err(super::error::bad_request("The Template must be a JSON or YAML document.")),
        }
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

    /// Every file name in a `get_file` that can be told without resolving.
    pub fn file_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for resource in self.resources.values() {
            let sections = [&resource.properties, &resource.metadata, &resource.update_policy];
            sections.into_iter().flatten().for_each(|section| collect_files(section, &mut names));
        }
        self.outputs.values().for_each(|output| collect_files(&output.value, &mut names));
        names
    }

    /// Decides the conditions and joins everything that is constant during one operation.
    ///
    /// `facade` is the parent resource when this is a nested template.
    ///
    /// # Errors
    /// Conditions that resources use and that cannot be decided, and names used for both a parameter and a resource.
    pub fn bind(
        self: &Arc<Self>,
        parameters: Parameters,
        files: Arc<Files>,
        facade: Option<ResourceFacade>,
    ) -> Result<BoundTemplate> {
        BoundTemplate::new(self.clone(), parameters, files, facade)
    }
}

fn collect_files(expression: &Expression, names: &mut BTreeSet<String>) {
    match expression {
        Expression::Literal(_) => {}
        Expression::List(items) => items.iter().for_each(|item| collect_files(item, names)),
        Expression::Map(entries) => entries.values().for_each(|item| collect_files(item, names)),
        Expression::Call(call) => {
            if let (Function::GetFile, Some(name)) = (call.function, call.arguments.as_str()) {
                names.insert(name.to_owned());
            }
            collect_files(&call.arguments, names);
        }
    }
}
