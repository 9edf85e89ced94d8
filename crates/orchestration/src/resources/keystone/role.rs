//! `OS::Keystone::Role`

use async_trait::async_trait;
use http::Method;
use sahab_contract::{Result, cloud::Call};
use serde_json::{Map, Value};

use super::SERVICE;
use crate::{
    properties::{PropertyDiff, PropertySchema},
    resources::{Act, Description, IdForm, Object, Progress, ResourceType, Update, rest},
};

const PATH: &str = "/v3/roles";
const KEY: &str = "role";

pub struct Role {
    description: Description,
}

impl Role {
    pub fn new() -> Self {
        let description = Description::new("OS::Keystone::Role", "Heat Template Resource for Keystone Role.")
            .properties([
                ("name", PropertySchema::string("Name of keystone role.").updatable()),
                ("domain", PropertySchema::string("Name or id of keystone domain.").custom("keystone.domain")),
            ])
            .service(SERVICE, "keystone")
            .admin_only();
        Role { description }
    }
}

#[async_trait]
impl ResourceType for Role {
    fn description(&self) -> &Description {
        &self.description
    }
    fn id_form(&self) -> IdForm {
        IdForm::Hex
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let name = object.text("name").unwrap_or(&object.physical_name).to_owned();
        let mut body = Map::from_iter([("name".to_owned(), Value::String(name))]);
        if let Some(domain) = object.get("domain") {
            body.insert("domain_id".into(), domain.clone());
        }
        let call = rest::send(SERVICE, Method::POST, PATH, KEY, body);
        let show = Call::get(SERVICE, rest::member(PATH, &object.planned_id));
        rest::create(act, object, call, show, KEY).await?;
        Ok(Progress::Done)
    }
    async fn update(&self, act: &Act, object: &mut Object, _: &PropertyDiff) -> Result<Update> {
        let name = object.text("name").unwrap_or(&object.physical_name).to_owned();
        let body = Map::from_iter([("name".to_owned(), Value::String(name))]);
        let call = rest::send(SERVICE, Method::PATCH, rest::member(PATH, object.id()), KEY, body);
        act.cloud.call(&act.context, call).await?;
        Ok(Update::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        rest::delete(act, Call::delete(SERVICE, rest::member(PATH, object.id()))).await?;
        Ok(Progress::Done)
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        self.show(act, object).await.map(|_| Some(()))
    }
    async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        self.show(act, object).await.is_ok()
    }
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        let found = rest::find(act, SERVICE, &rest::member(PATH, object.id()), KEY).await?;
        found.ok_or_else(|| rest::vanished("Role", object.id()))
    }
}
