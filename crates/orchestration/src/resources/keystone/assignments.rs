//! Roles of a user on projects and domains, as lists in properties.

use std::collections::BTreeSet;

use http::Method;
use sahab_contract::{
    Result,
    cloud::{Call, escape},
};
use serde_json::{Value, json};

use super::SERVICE;
use crate::{
    properties::{PropertySchema, ResolvedProperties},
    resources::Act,
    template::error,
};

pub fn roles_schema() -> PropertySchema {
    let text = PropertySchema::string;
    PropertySchema::list("List of role assignments.").updatable().of(PropertySchema::map(
        "Map between role with either project or domain.",
    )
    .with([
        ("role", text("Keystone role.").required().custom("keystone.role")),
        ("project", text("Keystone project.").custom("keystone.project")),
        ("domain", text("Keystone domain.").custom("keystone.domain")),
    ]))
}

/// Exactly one of project and domain in each item.
pub fn check(properties: &ResolvedProperties) -> Result<()> {
    if properties.unknown.contains("roles") {
        return Ok(());
    }
    for item in properties.list("roles").into_iter().flatten() {
        match (item["project"].is_null(), item["domain"].is_null()) {
            (false, false) => {
                return Err(error::validation(
                    "Cannot define the following properties at the same time: project, domain.",
                ));
            }
            (true, true) => {
                return Err(error::validation(
                    "At least one of the following properties must be specified: project, domain.",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// `(collection, its id, role)`, in a stable order.
pub type Assignments = BTreeSet<(String, String, String)>;

pub fn of_list(items: &[Value]) -> Assignments {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    items
        .iter()
        .map(|item| match item["project"].as_str() {
            Some(project) => ("projects".to_owned(), project.to_owned(), text(&item["role"])),
            None => ("domains".to_owned(), text(&item["domain"]), text(&item["role"])),
        })
        .collect()
}

pub fn to_value(assignments: &Assignments) -> Value {
    json!(assignments)
}

pub fn from_value(value: Option<&Value>) -> Assignments {
    value.and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default()
}

/// Gives what is wanted and takes what was given before and is wanted no more. Both can be repeated.
pub async fn bring(act: &Act, user: &str, given: &Assignments, wanted: &Assignments) -> Result<()> {
    for assignment in given.difference(wanted) {
        send(act, Method::DELETE, user, assignment).await?;
    }
    for assignment in wanted {
        send(act, Method::PUT, user, assignment).await?;
    }
    Ok(())
}

async fn send(act: &Act, method: Method, user: &str, (collection, id, role): &(String, String, String)) -> Result<()> {
    let path = format!("/v3/{collection}/{}/users/{}/roles/{}", escape(id), escape(user), escape(role));
    let is_removal = method == Method::DELETE;
    match act.cloud.call(&act.context, Call::new(SERVICE, method, path)).await {
        Ok(_) => Ok(()),
        Err(error) if is_removal && error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
