//! `OS::Keystone::User`, with its groups and roles.

use std::collections::BTreeSet;

use async_trait::async_trait;
use http::Method;
use sahab_contract::{
    Result,
    cloud::{Call, escape},
};
use serde_json::{Map, Value, json};

use super::{SERVICE, assignments};
use crate::{
    properties::{AttributeSchema, PropertyDiff, PropertyKind, PropertySchema, ResolvedProperties},
    resources::{Act, Description, IdForm, Object, Progress, ResourceType, Update, rest},
};

const PATH: &str = "/v3/users";
const KEY: &str = "user";
/// Keys of `data`: what the user was given.
const ROLES: &str = "roles";
const GROUPS: &str = "groups";

pub struct User {
    description: Description,
}

impl User {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let description = Description::new("OS::Keystone::User", "Heat Template Resource for Keystone User.")
            .properties([
                ("name", text("Name of keystone user.").updatable()),
                (
                    "domain",
                    text("Name or ID of keystone domain.")
                        .default_value("default")
                        .custom("keystone.domain")
                        .updatable(),
                ),
                ("description", text("Description of keystone user.").default_value("").updatable()),
                (
                    "enabled",
                    PropertySchema::boolean("Keystone user is enabled or disabled.").default_value(true).updatable(),
                ),
                ("email", text("Email address of keystone user.").updatable()),
                ("password", text("Password of keystone user.").updatable()),
                (
                    "default_project",
                    text("Name or ID of default project of keystone user.").custom("keystone.project").updatable(),
                ),
                (
                    "groups",
                    PropertySchema::list("Keystone user groups.")
                        .updatable()
                        .of(PropertySchema::string("Keystone user group.").custom("keystone.group")),
                ),
                ("roles", assignments::roles_schema()),
            ])
            .attributes([
                ("name", AttributeSchema::typed(PropertyKind::String, "User name.")),
                ("default_project_id", AttributeSchema::typed(PropertyKind::String, "Default project id for user.")),
                ("domain_id", AttributeSchema::typed(PropertyKind::String, "Domain id for user.")),
                ("enabled", AttributeSchema::typed(PropertyKind::Boolean, "Flag of enable user.")),
                (
                    "password_expires_at",
                    AttributeSchema::typed(PropertyKind::String, "Show user password expiration time."),
                ),
            ])
            .service(SERVICE, "keystone")
            .admin_only();
        User { description }
    }

    async fn bring_memberships(&self, act: &Act, object: &mut Object) -> Result<()> {
        let wanted: BTreeSet<String> =
            object.list("groups").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let given: BTreeSet<String> =
            object.data.get(GROUPS).and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default();
        let path = |group: &str| format!("/v3/groups/{}/users/{}", escape(group), escape(object.id()));
        for group in given.difference(&wanted) {
            rest::delete(act, Call::delete(SERVICE, path(group))).await?;
        }
        for group in &wanted {
            act.cloud.call(&act.context, Call::new(SERVICE, Method::PUT, path(group))).await?;
        }
        let roles = assignments::of_list(object.list("roles"));
        assignments::bring(act, object.id(), &assignments::from_value(object.data.get(ROLES)), &roles).await?;
        object.data.insert(GROUPS.into(), json!(wanted));
        object.data.insert(ROLES.into(), assignments::to_value(&roles));
        Ok(())
    }
}

fn body(object: &Object) -> Map<String, Value> {
    let mut body = rest::given(&object.properties, &["description", "enabled", "email", "password"]);
    body.insert("name".into(), object.text("name").unwrap_or(&object.physical_name).into());
    for (name, key) in [("domain", "domain_id"), ("default_project", "default_project_id")] {
        if let Some(value) = object.get(name) {
            body.insert(key.into(), value.clone());
        }
    }
    body
}

#[async_trait]
impl ResourceType for User {
    fn description(&self) -> &Description {
        &self.description
    }
    fn id_form(&self) -> IdForm {
        IdForm::Hex
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        assignments::check(properties)
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let call = rest::send(SERVICE, Method::POST, PATH, KEY, body(object));
        let show = Call::get(SERVICE, rest::member(PATH, &object.planned_id));
        rest::create(act, object, call, show, KEY).await?;
        self.bring_memberships(act, object).await?;
        Ok(Progress::Done)
    }
    async fn update(&self, act: &Act, object: &mut Object, diff: &PropertyDiff) -> Result<Update> {
        let mut changes = body(object);
        changes.retain(|key, _| {
            let name = key.strip_suffix("_id").unwrap_or(key);
            diff.changed.contains_key(name)
        });
        if !changes.is_empty() {
            let call = rest::send(SERVICE, Method::PATCH, rest::member(PATH, object.id()), KEY, changes);
            act.cloud.call(&act.context, call).await?;
        }
        if diff.changed.contains_key("groups") || diff.changed.contains_key("roles") {
            self.bring_memberships(act, object).await?;
        }
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
        found.ok_or_else(|| rest::vanished("User", object.id()))
    }
}
