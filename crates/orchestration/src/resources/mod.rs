//! Resource types: what a template can ask for and how it is brought about.
//!
//! A [`ResourceType`] is a description (schemas) and a handful of acts. An act is one call or a few to another service
//! through [`Act::cloud`]; it never waits for anything slow: it says [`Progress::Wait`] and is asked again when an event
//! or a timer says so. Invariant: every act can be repeated from any point. Creation is exactly-once because the object
//! takes the id that the engine stored beforehand ([`Object::planned_id`]); a repeated delete finds nothing and is done.

pub mod heat;
pub mod keystone;
pub mod neutron;
pub mod provider;
mod registry;
pub mod rest;
pub mod zun;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;
pub use registry::Types;
use sahab_contract::{Error, RequestContext, Result, cloud::Cloud};
use serde_json::{Map, Value};

use crate::{
    properties::{
        AttributeSchema, AttributeSchemas, PropertyDiff, PropertySchema, PropertySchemas, ResolvedProperties,
        SupportStatus, Text,
    },
    template::Files,
};

/// What the API shows of a type, and what the engine must know before it asks for an act.
#[derive(Clone, Debug, Default)]
pub struct Description {
    pub name: Text,
    pub text: Text,
    pub properties: PropertySchemas,
    /// Keys of `update_policy`; empty for most types.
    pub update_policy: PropertySchemas,
    pub attributes: AttributeSchemas,
    pub support: SupportStatus,
    /// The service the type acts through, and upstream's name of it in messages.
    pub service: Option<(&'static str, &'static str)>,
    pub is_admin_only: bool,
    /// Any property and any attribute is fine.
    pub accepts_anything: bool,
    /// Attributes beyond the listed ones.
    pub has_dynamic_attributes: bool,
}

impl Description {
    pub fn new(name: &'static str, text: &'static str) -> Self {
        Description { name: name.into(), text: text.into(), ..Default::default() }
    }
    pub fn service(mut self, service: &'static str, upstream: &'static str) -> Self {
        self.service = Some((service, upstream));
        self
    }
    pub fn properties<const N: usize>(mut self, properties: [(&'static str, PropertySchema); N]) -> Self {
        self.properties = properties.into_iter().map(|(name, schema)| (name.into(), schema)).collect();
        self
    }
    pub fn update_policy<const N: usize>(mut self, properties: [(&'static str, PropertySchema); N]) -> Self {
        self.update_policy = properties.into_iter().map(|(name, schema)| (name.into(), schema)).collect();
        self
    }
    pub fn attributes<const N: usize>(mut self, attributes: [(&'static str, AttributeSchema); N]) -> Self {
        self.attributes =
            attributes.into_iter().map(|(name, schema)| (name.into(), schema)).collect::<IndexMap<_, _>>();
        self
    }
    pub fn admin_only(mut self) -> Self {
        self.is_admin_only = true;
        self
    }
    pub fn hidden(mut self) -> Self {
        self.support.status = "HIDDEN".into();
        self
    }
    pub fn has_attribute(&self, name: &str) -> bool {
        self.accepts_anything || self.has_dynamic_attributes || name == "show" || self.attributes.contains_key(name)
    }
}

/// The world an act happens in.
#[derive(Clone)]
pub struct Act {
    pub cloud: Arc<dyn Cloud>,
    /// The stack's owner with the roles of now.
    pub context: RequestContext,
    pub project_id: String,
    pub files: Arc<Files>,
}

/// One resource as its type sees it.
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// Id of the resource's row, not of the object.
    pub row_id: String,
    pub name: String,
    /// `{stack}-{resource}-{12 characters}`: the default of `name` properties.
    pub physical_name: String,
    pub physical_id: Option<String>,
    /// The id that a created object takes; stored before the act.
    pub planned_id: String,
    pub properties: Map<String, Value>,
    /// Free for the type; stored after each act.
    pub data: Map<String, Value>,
    /// An earlier run of the same create or update was cut off: some of it may have been done.
    pub is_repeat: bool,
}

impl Object {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.properties.get(name).filter(|value| !value.is_null())
    }
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::as_f64)
    }
    pub fn list(&self, name: &str) -> &[Value] {
        self.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
    pub fn map(&self, name: &str) -> Option<&Map<String, Value>> {
        self.get(name).and_then(Value::as_object)
    }
    /// The id to look for, whether creation was seen to succeed or not.
    pub fn id(&self) -> &str {
        self.physical_id.as_deref().unwrap_or(&self.planned_id)
    }
}

/// How far an act is.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    Done,
    Wait {
        /// The object whose events are interesting.
        on: Option<String>,
        /// Look again then, whatever happens; none is the engine's fallback.
        at_most: Option<Duration>,
    },
}

impl Progress {
    pub fn wait_for(id: &str) -> Progress {
        Progress::Wait { on: Some(id.to_owned()), at_most: None }
    }
}

/// The outcome of an update in place.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    Done,
    /// Ask `check_update`.
    Wait,
    /// It cannot be done in place after all.
    Replace,
}

/// The form of the ids of a type's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdForm {
    /// Dashed UUID.
    Uuid,
    /// 32 hexadecimal digits (identity).
    Hex,
}

/// The raw definition of a neighbour in the template, for dependencies that no reference shows.
pub struct Neighbour<'a> {
    pub name: &'a str,
    pub type_name: &'a str,
    /// As written, functions unresolved.
    pub properties: &'a Map<String, Value>,
}

impl Neighbour<'_> {
    /// A property under its name or its legacy name.
    pub fn raw(&self, names: &[&str]) -> Option<&Value> {
        names.iter().find_map(|name| self.properties.get(*name))
    }
}

#[async_trait]
pub trait ResourceType: Send + Sync {
    fn description(&self) -> &Description;

    /// Without any effect outside its own row, so that nothing has to be stored before an act.
    fn is_pure(&self) -> bool {
        false
    }
    fn id_form(&self) -> IdForm {
        IdForm::Uuid
    }
    /// Rules between properties. Unknown values are absent from `properties.values` or null.
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        let _ = properties;
        Ok(())
    }
    /// Rules that other services know. Runs while a request waits, so it may only ask.
    async fn validate_live(&self, act: &Act, properties: &ResolvedProperties) -> Result<()> {
        let _ = (act, properties);
        Ok(())
    }
    /// Set for types that are a stack of their own: the engine runs it, the acts below are never asked for.
    fn nested(&self) -> Option<&dyn Nested> {
        None
    }
    /// Names of neighbours that must come first though nothing refers to them (spec 4.3).
    fn hidden_requirements(&self, own: &Neighbour<'_>, all: &[Neighbour<'_>]) -> Vec<String> {
        let _ = (own, all);
        Vec::new()
    }

    /// Brings the object about, or begins to. Sets `physical_id`.
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress>;
    async fn check_create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let _ = (act, object);
        Ok(Progress::Done)
    }
    /// `object.properties` are the new ones.
    async fn update(&self, act: &Act, object: &mut Object, diff: &PropertyDiff) -> Result<Update> {
        let _ = (act, object, diff);
        Ok(Update::Replace)
    }
    async fn check_update(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        self.check_create(act, object).await
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress>;
    async fn check_delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let _ = (act, object);
        Ok(Progress::Done)
    }
    async fn suspend(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let _ = (act, object);
        Ok(Progress::Done)
    }
    async fn check_suspend(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let _ = (act, object);
        Ok(Progress::Done)
    }
    async fn resume(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let _ = (act, object);
        Ok(Progress::Done)
    }
    async fn check_resume(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let _ = (act, object);
        Ok(Progress::Done)
    }
    /// Called on an object that will be replaced, before its replacement is made.
    async fn prepare_replace(&self, act: &Act, object: &mut Object) -> Result<()> {
        let _ = (act, object);
        Ok(())
    }
    /// Called when a replaced object becomes the current one again.
    async fn restore_replaced(&self, act: &Act, object: &mut Object) -> Result<()> {
        let _ = (act, object);
        Ok(())
    }
    /// Looks whether the object is there and well; `None` when the type cannot tell.
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        let _ = (act, object);
        Ok(None)
    }
    /// After a failed update: whether the object can be updated instead of being replaced.
    async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        let _ = (act, object);
        false
    }

    /// The service's own view of the object (`show`); null when there is none.
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        let _ = (act, object);
        Ok(Value::Null)
    }
    /// An attribute of the schema. The default reads it from [`ResourceType::show`].
    async fn attribute(&self, act: &Act, object: &Object, name: &str) -> Result<Value> {
        let shown = self.show(act, object).await?;
        Ok(shown.get(name).cloned().unwrap_or(Value::Null))
    }
    /// What `get_resource` gives.
    fn reference_id(&self, object: &Object) -> Value {
        Value::String(object.physical_id.clone().unwrap_or_else(|| object.name.clone()))
    }
}

/// A step of bringing a nested stack to its target.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    pub template: Map<String, Value>,
    pub parameters: Map<String, Value>,
    /// How long to wait after it.
    pub pause: Duration,
}

/// What a nested type knows when it is asked for its template.
#[derive(Clone, Copy, Debug)]
pub struct NestedInput<'a> {
    pub properties: &'a Map<String, Value>,
    pub update_policy: &'a Map<String, Value>,
    /// Properties with a part that is not known yet (validation only).
    pub unknown: &'a std::collections::BTreeSet<String>,
    /// Name and reference id of each present member.
    pub members: &'a [(String, String)],
    /// The child's present template, when there is one.
    pub current: Option<&'a Map<String, Value>>,
}

/// A type whose object is a nested stack.
pub trait Nested: Send + Sync {
    /// The templates to go through, at least one; the last is the target. May remember things in `data`.
    fn stages(&self, input: &NestedInput<'_>, data: &mut Map<String, Value>) -> Result<Vec<Stage>>;
    fn attribute_style(&self) -> AttributeStyle;
}

/// How attributes of a nested type are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeStyle {
    /// They are the child's outputs.
    Outputs,
    /// They are lists over the members.
    Members,
}

/// The object reached an error state: the engine deletes and creates it again a few times (spec 3.4).
pub fn in_error(message: impl Into<String>) -> Error {
    Error::conflict("ResourceInError", message)
}

/// The object is in a state that the type does not expect.
pub fn unknown_status(message: impl Into<String>) -> Error {
    Error::invalid("ResourceUnknownStatus", message)
}

/// `HEAT-E99001 …`
pub fn type_unavailable(service: &str, type_name: &str) -> Error {
    Error::invalid(
        "ResourceTypeUnavailable",
        format!(
            "HEAT-E99001 Service {service} is not available for resource type {type_name}, \
             reason: Service endpoint not in service catalog."
        ),
    )
}
