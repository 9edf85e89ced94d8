//! A template joined with its parameters and files: everything that is constant during one operation.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use sahab_contract::{Error, Result};
use serde_json::Value;

use super::{
    DeletionPolicy, Dialect, Expression, Files, Graph, Inputs, NoResources, OutputDefinition, References, Resolved,
    ResourceDefinition, ResourceFacade, ResourceView, Scope, Template, Version, conditions, error, python,
};
use crate::{
    parameters::Parameters,
    properties::{self, PropertySchemas, ResolvedProperties},
};

/// A template that is ready to be planned and resolved. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BoundTemplate {
    template: Arc<Template>,
    inputs: Arc<Inputs>,
}

impl BoundTemplate {
    pub(super) fn new(
        template: Arc<Template>,
        parameters: Parameters,
        files: Arc<Files>,
        facade: Option<ResourceFacade>,
    ) -> Result<Self> {
        let mut inputs = Inputs {
            template: template.clone(),
            parameters,
            files,
            facade,
            conditions: IndexMap::new(),
            enabled: IndexSet::new(),
        };
        conditions::decide(&mut inputs);
        let mut enabled = IndexSet::new();
        for definition in template.resources.values() {
            if holds(definition.condition.as_ref(), &inputs)
                .map_err(|cause| placed(&template, "resources", &definition.name, cause))?
            {
                enabled.insert(definition.name.clone());
            }
        }
        if let Some(name) = enabled.iter().find(|name| inputs.parameters.contains(name)) {
            return Err(error::validation(format!(
                "Duplicate names {{{}}}",
                python::repr(&Value::from(name.as_str()))
            )));
        }
        inputs.enabled = enabled;
        Ok(BoundTemplate { template, inputs: Arc::new(inputs) })
    }

    pub fn template(&self) -> &Arc<Template> {
        &self.template
    }
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }
    pub fn parameters(&self) -> &Parameters {
        &self.inputs.parameters
    }
    pub fn files(&self) -> &Arc<Files> {
        &self.inputs.files
    }

    /// The resources whose condition holds, in the template's order.
    pub fn resources(&self) -> impl Iterator<Item = &ResourceDefinition> {
        self.inputs.enabled.iter().filter_map(|name| self.template.resources.get(name))
    }
    /// The resource, when its condition holds.
    pub fn resource(&self, name: &str) -> Option<&ResourceDefinition> {
        self.inputs.enabled.get(name).and_then(|name| self.template.resources.get(name))
    }
    /// The outputs; the flag says whether the output's condition holds (if not, its value is null).
    pub fn outputs(&self) -> impl Iterator<Item = (&OutputDefinition, bool)> {
        self.template
            .outputs
            .values()
            .map(|output| (output, holds(output.condition.as_ref(), &self.inputs).unwrap_or(true)))
    }

    fn definition(&self, name: &str) -> Result<&ResourceDefinition> {
        self.resource(name).ok_or_else(|| error::reference(name, "template"))
    }

    /// What the resource's properties, metadata and policies read of others.
    pub fn resource_references(&self, name: &str) -> Result<References> {
        let definition = self.definition(name)?;
        let mut all = References::default();
        let sections = [
            &definition.properties,
            &definition.metadata,
            &definition.update_policy,
            &definition.deletion_policy,
            &definition.external_id,
        ];
        for section in sections.into_iter().flatten() {
            all.extend([section.references(&self.inputs)?]);
        }
        Ok(all)
    }

    /// What an output reads; nothing when its condition does not hold.
    pub fn output_references(&self, name: &str) -> Result<References> {
        match self.template.outputs.get(name) {
            Some(output) if holds(output.condition.as_ref(), &self.inputs)? => output.value.references(&self.inputs),
            _ => Ok(References::default()),
        }
    }

    /// Names a resource comes after: its `depends_on` and everything it reads. Resources switched off are left out.
    pub fn required_resources(&self, name: &str) -> Result<IndexSet<String>> {
        let definition = self.definition(name)?;
        let mut required = IndexSet::new();
        for other in &definition.depends_on {
            if self.inputs.enabled.contains(other) {
                required.insert(other.clone());
            } else if !self.template.resources.contains_key(other) {
                return Err(error::reference(other, name));
            }
        }
        if definition.external_id.is_some() {
            if let (Some(id), false) = (self.external_id(name)?, definition.depends_on.is_empty()) {
                return Err(Error::invalid(
                    "InvalidExternalResourceDependency",
                    format!(
                        "Invalid dependency with external {} resource with external id: {id}",
                        definition.type_name
                    ),
                ));
            }
            return Ok(IndexSet::new());
        }
        required.extend(self.resource_references(name)?.resources().into_iter().map(str::to_owned));
        Ok(required)
    }

    /// Edges from `depends_on` and from references.
    ///
    /// # Errors
    /// `InvalidTemplateReference` for names that do not exist. Cycles show when the graph is ordered.
    pub fn graph(&self) -> Result<Graph> {
        let mut graph = Graph::default();
        for name in &self.inputs.enabled {
            graph.add_node(name);
        }
        for name in &self.inputs.enabled {
            for required in self.required_resources(name)? {
                graph.add_edge(name, &required);
            }
        }
        Ok(graph)
    }

    /// A resource as upstream's texts name it: `TestResource "a"`.
    pub fn describe(&self, name: &str) -> String {
        let type_name = self.template.resources.get(name).map_or("Resource", |resource| resource.type_name.as_str());
        let short = type_name.rsplit("::").next().unwrap_or(type_name);
        format!("{short} \"{name}\"")
    }

    /// Everything that can be checked without resource types: references, functions, conditions, cycles.
    ///
    /// `has_attribute(resource, attribute)` says whether the resource's type has that attribute (types with dynamic
    /// attributes answer true).
    pub fn validate(&self, has_attribute: &dyn Fn(&ResourceDefinition, &str) -> bool) -> Result<()> {
        let known = |resource: &str, attribute: &str| {
            self.resource(resource).is_some_and(|found| has_attribute(found, attribute))
        };
        for condition in self.template.conditions.values() {
            condition.validate(&self.inputs, &known)?;
        }
        self.graph()?.order(&|name| self.describe(name))?;
        for definition in self.resources() {
            let sections = [
                &definition.properties,
                &definition.metadata,
                &definition.deletion_policy,
                &definition.update_policy,
                &definition.external_id,
            ];
            for section in sections.into_iter().flatten() {
                section.validate(&self.inputs, &known)?;
            }
            self.deletion_policy(&definition.name)?;
        }
        for output in self.template.outputs.values() {
            if holds(output.condition.as_ref(), &self.inputs)
                .map_err(|cause| placed(&self.template, "outputs", &output.name, cause))?
            {
                output.value.validate(&self.inputs, &known)?;
            }
        }
        Ok(())
    }

    fn path(&self, resource: &str, section: &str) -> String {
        match self.template.version.dialect() {
            Dialect::Hot => format!("resources.{resource}.{section}"),
            Dialect::Cfn => format!("Resources.{resource}.{}", cfn_word(section)),
        }
    }

    fn scope<'a>(&'a self, resources: &'a dyn ResourceView) -> Scope<'a> {
        Scope { inputs: &self.inputs, resources }
    }

    /// Resolves and checks a resource's properties (see [`ResolvedProperties`]).
    /// Errors carry the whole path: `Property error: resources.a.properties.b: …`.
    pub fn resolve_properties(
        &self,
        name: &str,
        schema: &PropertySchemas,
        resources: &dyn ResourceView,
    ) -> Result<ResolvedProperties> {
        let definition = self.definition(name)?;
        let mut resolved = properties::resolve(
            schema,
            definition.properties.as_ref(),
            &self.scope(resources),
            &self.path(name, "properties"),
        )?;
        // A type's updatable `description` defaults to the resource's own.
        if let Some(description) = &definition.description
            && resolved.get("description").is_none()
            && schema.get("description").is_some_and(|schema| schema.update_allowed)
        {
            resolved.values.insert("description".into(), Value::from(description.as_str()));
        }
        Ok(resolved)
    }

    /// As [`Self::resolve_properties`], for the `update_policy` section. Types without a policy schema ignore it.
    pub fn resolve_update_policy(
        &self,
        name: &str,
        schema: &PropertySchemas,
        resources: &dyn ResourceView,
    ) -> Result<ResolvedProperties> {
        if schema.is_empty() {
            return Ok(ResolvedProperties::default());
        }
        let section = self.definition(name)?.update_policy.as_ref();
        properties::resolve(schema, section, &self.scope(resources), &self.path(name, "update_policy"))
    }

    /// The metadata map (empty when there is none or it is not known yet).
    pub fn resolve_metadata(&self, name: &str, resources: &dyn ResourceView) -> Result<Value> {
        let empty = || Value::Object(super::Map::new());
        let Some(metadata) = &self.definition(name)?.metadata else { return Ok(empty()) };
        match metadata.resolve(&self.scope(resources)) {
            Ok(Resolved::Value(Value::Null) | Resolved::Unknown | Resolved::Omitted) => Ok(empty()),
            Ok(Resolved::Value(value)) => Ok(value),
            Err(cause) => Err(error::validation_at(None, &self.path(name, "metadata"), cause.message())),
        }
    }

    /// An output's value; null when its condition does not hold or the value is unknown.
    pub fn resolve_output(&self, name: &str, resources: &dyn ResourceView) -> Result<Value> {
        let Some(output) = self.template.outputs.get(name) else {
            return Err(Error::not_found("NotFound", format!("Specified output key {name} not found.")));
        };
        if !holds(output.condition.as_ref(), &self.inputs)? {
            return Ok(Value::Null);
        }
        match output.value.resolve(&self.scope(resources))? {
            Resolved::Value(value) => Ok(value),
            Resolved::Unknown | Resolved::Omitted => Ok(Value::Null),
        }
    }

    /// The resource's deletion policy.
    ///
    /// # Errors
    /// `Invalid deletion policy "…"`. Whether the type supports snapshots is for the engine to say.
    pub fn deletion_policy(&self, name: &str) -> Result<DeletionPolicy> {
        let Some(policy) = &self.definition(name)?.deletion_policy else { return Ok(DeletionPolicy::Delete) };
        let lower_case = self.template.version >= Version::Newton;
        let value = match policy.resolve(&self.scope(&NoResources))? {
            Resolved::Value(value) => value,
            Resolved::Unknown | Resolved::Omitted => Value::Null,
        };
        match value.as_str() {
            None if value.is_null() => Ok(DeletionPolicy::Delete),
            Some("Delete") => Ok(DeletionPolicy::Delete),
            Some("Retain") => Ok(DeletionPolicy::Retain),
            Some("Snapshot") => Ok(DeletionPolicy::Snapshot),
            Some("delete") if lower_case => Ok(DeletionPolicy::Delete),
            Some("retain") if lower_case => Ok(DeletionPolicy::Retain),
            Some("snapshot") if lower_case => Ok(DeletionPolicy::Snapshot),
            _ => Err(error::validation(format!("Invalid deletion policy \"{}\"", python::text(&value)))),
        }
    }

    /// The id of the object to adopt instead of creating one.
    pub fn external_id(&self, name: &str) -> Result<Option<String>> {
        let Some(id) = &self.definition(name)?.external_id else { return Ok(None) };
        match id.resolve(&self.scope(&NoResources))? {
            Resolved::Value(Value::Null) | Resolved::Unknown | Resolved::Omitted => Ok(None),
            Resolved::Value(value) => Ok(Some(python::text(&value))),
        }
    }
}

/// Whether something with this condition is switched on.
fn holds(condition: Option<&Expression>, inputs: &Inputs) -> Result<bool> {
    let Some(condition) = condition else { return Ok(true) };
    match condition.resolve(&Scope { inputs, resources: &NoResources }) {
        Ok(Resolved::Value(value)) => inputs.condition(&value),
        Ok(Resolved::Unknown | Resolved::Omitted) => Ok(true),
        Err(cause) => Err(cause),
    }
}

/// Adds the condition's place to an error that has none of its own.
fn placed(template: &Template, section: &str, name: &str, cause: Error) -> Error {
    if !cause.message().starts_with("Invalid condition") {
        return cause;
    }
    let path = match template.version.dialect() {
        Dialect::Hot => format!("{section}.{name}.condition"),
        Dialect::Cfn => format!("{}.{name}.Condition", cfn_word(section)),
    };
    error::validation_at(None, &path, cause.message())
}

fn cfn_word(section: &str) -> &'static str {
    match section {
        "resources" => "Resources",
        "outputs" => "Outputs",
        "properties" => "Properties",
        "metadata" => "Metadata",
        _ => "UpdatePolicy",
    }
}

#[cfg(test)]
mod tests;
