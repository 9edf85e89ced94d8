//! `OS::Keystone::Project`

use async_trait::async_trait;
use http::Method;
use sahab_contract::{Result, cloud::Call};
use serde_json::{Map, Value, json};

use super::SERVICE;
use crate::{
    properties::{AttributeSchema, PropertyDiff, PropertyKind, PropertySchema},
    resources::{Act, Description, IdForm, Object, Progress, ResourceType, Update, rest},
};

const PATH: &str = "/v3/projects";
const KEY: &str = "project";

pub struct Project {
    description: Description,
}

impl Project {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let description = Description::new("OS::Keystone::Project", "Heat Template Resource for Keystone Project.")
            .properties([
                ("name", text("Name of keystone project.").updatable()),
                (
                    "domain",
                    text("Name or id of keystone domain.")
                        .default_value("default")
                        .custom("keystone.domain")
                        .updatable(),
                ),
                ("description", text("Description of keystone project.").default_value("").updatable()),
                (
                    "enabled",
                    PropertySchema::boolean("This project is enabled or disabled.").default_value(true).updatable(),
                ),
                (
                    "parent",
                    text("The name or ID of parent of this keystone project in hierarchy.").custom("keystone.project"),
                ),
                (
                    "tags",
                    PropertySchema::list("A list of tags for labeling and sorting projects.")
                        .default_value(json!([]))
                        .updatable(),
                ),
            ])
            .attributes([
                ("name", AttributeSchema::typed(PropertyKind::String, "Project name.")),
                ("parent_id", AttributeSchema::typed(PropertyKind::String, "Parent project id.")),
                ("domain_id", AttributeSchema::typed(PropertyKind::String, "Domain id for project.")),
                ("enabled", AttributeSchema::typed(PropertyKind::Boolean, "Flag of enable project.")),
                (
                    "is_domain",
                    AttributeSchema::typed(
                        PropertyKind::Boolean,
                        "Indicates whether the project also acts as a domain.",
                    ),
                ),
            ])
            .service(SERVICE, "keystone")
            .admin_only();
        Project { description }
    }
}

fn body(object: &Object) -> Map<String, Value> {
    let mut body = rest::given(&object.properties, &["description", "enabled", "tags"]);
    body.insert("name".into(), object.text("name").unwrap_or(&object.physical_name).into());
    for (name, key) in [("domain", "domain_id"), ("parent", "parent_id")] {
        if let Some(value) = object.get(name) {
            body.insert(key.into(), value.clone());
        }
    }
    body
}

#[async_trait]
impl ResourceType for Project {
    fn description(&self) -> &Description {
        &self.description
    }
    fn id_form(&self) -> IdForm {
        IdForm::Hex
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let call = rest::send(SERVICE, Method::POST, PATH, KEY, body(object));
        let show = Call::get(SERVICE, rest::member(PATH, &object.planned_id));
        rest::create(act, object, call, show, KEY).await?;
        Ok(Progress::Done)
    }
    async fn update(&self, act: &Act, object: &mut Object, diff: &PropertyDiff) -> Result<Update> {
        let mut changes = body(object);
        changes.retain(|key, _| {
            let name = key.strip_suffix("_id").unwrap_or(key);
            diff.changed.contains_key(name)
        });
        let call = rest::send(SERVICE, Method::PATCH, rest::member(PATH, object.id()), KEY, changes);
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
        found.ok_or_else(|| rest::vanished("Project", object.id()))
    }
}
