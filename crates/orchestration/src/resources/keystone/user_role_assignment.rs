//! `OS::Keystone::UserRoleAssignment`: roles of an existing user. Its id is that of the resource itself.

use async_trait::async_trait;
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{SERVICE, assignments};
use crate::{
    properties::{PropertyDiff, PropertySchema, ResolvedProperties},
    resources::{Act, Description, Object, Progress, ResourceType, Update},
};

/// Keys of `data`: who was given what.
const USER: &str = "user";
const ROLES: &str = "roles";

pub struct UserRoleAssignment {
    description: Description,
}

impl UserRoleAssignment {
    pub fn new() -> Self {
        let description =
            Description::new("OS::Keystone::UserRoleAssignment", "Resource for granting roles to a user.")
                .properties([
                    (
                        "user",
                        PropertySchema::string("Name or id of keystone user.")
                            .required()
                            .custom("keystone.user")
                            .updatable(),
                    ),
                    ("roles", assignments::roles_schema()),
                ])
                .service(SERVICE, "keystone")
                .admin_only();
        UserRoleAssignment { description }
    }
}

async fn bring(act: &Act, object: &mut Object, wanted: &assignments::Assignments) -> Result<()> {
    let user = object.text("user").unwrap_or_default().to_owned();
    let given = assignments::from_value(object.data.get(ROLES));
    let before = object.data.get(USER).and_then(Value::as_str).unwrap_or(&user).to_owned();
    if before == user {
        assignments::bring(act, &user, &given, wanted).await?;
    } else {
        assignments::bring(act, &before, &given, &Default::default()).await?;
        assignments::bring(act, &user, &Default::default(), wanted).await?;
    }
    object.data.insert(USER.into(), json!(user));
    object.data.insert(ROLES.into(), assignments::to_value(wanted));
    Ok(())
}

#[async_trait]
impl ResourceType for UserRoleAssignment {
    fn description(&self) -> &Description {
        &self.description
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        assignments::check(properties)
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let wanted = assignments::of_list(object.list("roles"));
        bring(act, object, &wanted).await?;
        object.physical_id = Some(object.row_id.clone());
        Ok(Progress::Done)
    }
    async fn update(&self, act: &Act, object: &mut Object, _: &PropertyDiff) -> Result<Update> {
        let wanted = assignments::of_list(object.list("roles"));
        bring(act, object, &wanted).await?;
        Ok(Update::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        // A create that was cut off may have given some without noting it.
        if !object.data.contains_key(ROLES) {
            let planned = assignments::of_list(object.list("roles"));
            object.data.insert(ROLES.into(), assignments::to_value(&planned));
        }
        bring(act, object, &Default::default()).await?;
        Ok(Progress::Done)
    }
}
