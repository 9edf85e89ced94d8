//! A template joined with its parameters and files: everything that is constant during one operation.

use std::{collections::BTreeMap, sync::Arc};

use sahab_contract::Result;
use serde_json::Value;

use super::{
    DeletionPolicy, Graph, Inputs, OutputDefinition, References, ResourceDefinition, ResourceFacade, ResourceView,
    Template,
};
use crate::{
    parameters::Parameters,
    properties::{PropertySchemas, ResolvedProperties},
};

/// The contents of the request's `files`, by path or URL as the client wrote it.
pub type Files = BTreeMap<String, String>;

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
        Ok(BoundTemplate { template, inputs: Arc::new(Inputs { parameters, files, facade }) })
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
        self.template.resources.values()
    }
    /// The resource, when its condition holds.
    pub fn resource(&self, name: &str) -> Option<&ResourceDefinition> {
        self.template.resources.get(name)
    }
    /// The outputs; the flag says whether the output's condition holds (if not, its value is null).
    pub fn outputs(&self) -> impl Iterator<Item = (&OutputDefinition, bool)> {
        self.template.outputs.values().map(|output| (output, true))
    }

    /// What the resource's properties, metadata and policies read of others.
    pub fn resource_references(&self, name: &str) -> Result<References> {
        let _ = name;
        Err(sahab_contract::Error::internal("not yet written"))
    }
    /// What an output reads.
    pub fn output_references(&self, name: &str) -> Result<References> {
        let _ = name;
        Err(sahab_contract::Error::internal("not yet written"))
    }

    /// Edges from `depends_on` and from references.
    ///
    /// # Errors
    /// `InvalidTemplateReference` for names that do not exist.
    pub fn graph(&self) -> Result<Graph> {
        Err(sahab_contract::Error::internal("not yet written"))
    }

    /// Everything that can be checked without resource types: references, functions, cycles, files.
    ///
    /// `has_attribute(resource, attribute)` says whether the resource's type has that attribute (types with dynamic
    /// attributes answer true).
    pub fn validate(&self, has_attribute: &dyn Fn(&ResourceDefinition, &str) -> bool) -> Result<()> {
        let _ = has_attribute;
        Err(sahab_contract::Error::internal("not yet written"))
    }

    /// Resolves and checks a resource's properties (see [`ResolvedProperties`]).
    /// Errors carry the whole path: `Property error: resources.a.properties.b: …`.
    pub fn resolve_properties(
        &self,
        name: &str,
        schema: &PropertySchemas,
        resources: &dyn ResourceView,
    ) -> Result<ResolvedProperties> {
        let _ = (name, schema, resources);
        Err(sahab_contract::Error::internal("not yet written"))
    }
    /// As [`Self::resolve_properties`], for the `update_policy` section.
    pub fn resolve_update_policy(
        &self,
        name: &str,
        schema: &PropertySchemas,
        resources: &dyn ResourceView,
    ) -> Result<ResolvedProperties> {
        let _ = (name, schema, resources);
        Err(sahab_contract::Error::internal("not yet written"))
    }
    /// The metadata map (empty when there is none).
    pub fn resolve_metadata(&self, name: &str, resources: &dyn ResourceView) -> Result<Value> {
        let _ = (name, resources);
        Err(sahab_contract::Error::internal("not yet written"))
    }
    /// An output's value; null when its condition does not hold or the value is unknown.
    pub fn resolve_output(&self, name: &str, resources: &dyn ResourceView) -> Result<Value> {
        let _ = (name, resources);
        Err(sahab_contract::Error::internal("not yet written"))
    }
    /// The resource's deletion policy.
    pub fn deletion_policy(&self, name: &str) -> Result<DeletionPolicy> {
        let _ = name;
        Err(sahab_contract::Error::internal("not yet written"))
    }
    /// The id of the object to adopt instead of creating one.
    pub fn external_id(&self, name: &str) -> Result<Option<String>> {
        let _ = name;
        Err(sahab_contract::Error::internal("not yet written"))
    }
}
