//! `OS::Heat::None`: accepts anything and does nothing; for switching a type off through the registry.

use async_trait::async_trait;
use sahab_contract::Result;
use serde_json::Value;

use crate::{
    properties::PropertyDiff,
    resources::{Act, Description, Object, Progress, ResourceType, Update},
};

pub struct NoneType {
    description: Description,
}

impl NoneType {
    pub fn new() -> Self {
        let mut description =
            Description::new("OS::Heat::None", "Enables easily disabling certain resources via the resource_registry.");
        description.accepts_anything = true;
        NoneType { description }
    }
}

#[async_trait]
impl ResourceType for NoneType {
    fn description(&self) -> &Description {
        &self.description
    }
    fn is_pure(&self) -> bool {
        true
    }
    async fn create(&self, _: &Act, object: &mut Object) -> Result<Progress> {
        object.physical_id = Some(object.planned_id.clone());
        Ok(Progress::Done)
    }
    async fn update(&self, _: &Act, _: &mut Object, _: &PropertyDiff) -> Result<Update> {
        Ok(Update::Done)
    }
    async fn delete(&self, _: &Act, _: &mut Object) -> Result<Progress> {
        Ok(Progress::Done)
    }
    async fn attribute(&self, _: &Act, _: &Object, _: &str) -> Result<Value> {
        Ok(Value::Null)
    }
}
