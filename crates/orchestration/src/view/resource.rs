//! Resources on the wire.

use sahab_contract::cloud::escape;
use serde_json::{Map, Value, json};

use super::{link, maybe_time, stack_url_of, time};
use crate::{
    db::{resource, stack, state},
    plan::{Kind, Plan},
    stacks::resources::Shown,
};

pub fn resource_url(base_url: &str, stack: &stack::Model, name: &str) -> String {
    format!("{}/resources/{}", stack_url_of(base_url, stack), escape(name))
}

/// A resource; details are shown when they were read. `is_inner`: of a stack below the one asked about.
pub fn shown(base_url: &str, shown: &Shown, is_inner: bool) -> Value {
    let row = &shown.row;
    let mut links = vec![
        link("self", resource_url(base_url, &shown.stack, &row.name)),
        link("stack", stack_url_of(base_url, &shown.stack)),
    ];
    if let Some(nested) = &shown.nested {
        links.push(link("nested", stack_url_of(base_url, nested)));
    }
    let mut item = json!({
        "resource_name": row.name,
        "logical_resource_id": row.name,
        "physical_resource_id": row.physical_id.clone().unwrap_or_default(),
        "resource_type": row.type_name,
        "resource_status": state::joined(row.action, row.status),
        "resource_status_reason": row.reason,
        "creation_time": time(row.created_at),
        "updated_time": time(row.updated_at),
        "required_by": shown.required_by,
        "links": links,
    });
    if is_inner && let Some(owner) = &shown.stack.owner_resource {
        item["parent_resource"] = json!(owner);
    }
    if let Some(attributes) = &shown.attributes {
        item["attributes"] = Value::Object(attributes.clone());
        item["description"] = json!(shown.description.clone().unwrap_or_default());
    }
    item
}

/// The stack that a previewed resource stands in.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub stack: &'a str,
    /// `None` as text for a stack that does not exist.
    pub id: &'a str,
    pub project_id: &'a str,
    /// The resource that the stack is nested in.
    pub parent: Option<&'a str>,
}

impl<'a> Place<'a> {
    pub fn of(stack: &'a stack::Model) -> Place<'a> {
        let parent = stack.owner_resource.as_deref();
        Place { stack: &stack.name, id: &stack.id, project_id: &stack.project_id, parent }
    }

    fn identity(&self, path: String) -> Value {
        json!({"stack_name": self.stack, "stack_id": self.id, "tenant": self.project_id, "path": path})
    }

    /// Says where the resource stands.
    fn name(&self, mut item: Value, resource: &str) -> Value {
        item["resource_identity"] = self.identity(format!("/resources/{resource}"));
        item["stack_identity"] = self.identity(String::new());
        item["stack_name"] = json!(self.stack);
        if let Some(parent) = self.parent {
            item["parent_resource"] = json!(parent);
        }
        item
    }
}

/// A resource of a stack that does not exist.
pub fn preview(place: &Place<'_>, plan: &Plan, name: &str, kind: &Kind, properties: Value, metadata: Value) -> Value {
    let definition = plan.bound.resource(name);
    let required_by: Vec<&str> = plan.graph.required_by(name).collect();
    let item = json!({
        "resource_name": name,
        "logical_resource_id": name,
        "physical_resource_id": "",
        "resource_type": definition.map(|definition| definition.type_name.as_str()),
        "resource_action": "INIT",
        "resource_status": "COMPLETE",
        "resource_status_reason": "",
        "creation_time": null,
        "updated_time": null,
        "description": definition.and_then(|definition| definition.description.clone()).unwrap_or_default(),
        "metadata": metadata,
        "properties": properties,
        "attributes": attributes(kind),
        "required_by": required_by,
    });
    place.name(item, name)
}

fn attributes(kind: &Kind) -> Value {
    let names = kind.implementation.description().attributes.keys().map(|name| (name.to_string(), Value::Null));
    Value::Object(names.collect::<Map<String, Value>>())
}

/// An entry of a previewed update: the present resource, the planned one, or both.
pub fn change(place: &Place<'_>, present: Option<&resource::Model>, planned: Option<(&Plan, &str, &Kind)>) -> Value {
    let name = present.map(|row| row.name.as_str()).or(planned.map(|(_, name, _)| name)).unwrap_or_default();
    let definition = planned.and_then(|(plan, name, _)| plan.bound.resource(name));
    let type_name =
        definition.map(|definition| definition.type_name.as_str()).or(present.map(|row| row.type_name.as_str()));
    let required_by: Vec<&str> =
        planned.map(|(plan, name, _)| plan.graph.required_by(name).collect()).unwrap_or_default();
    let item = json!({
        "resource_name": name,
        "resource_type": type_name,
        "resource_id": present.and_then(|row| row.physical_id.clone()).unwrap_or_default(),
        "physical_resource_id": present.and_then(|row| row.physical_id.clone()).unwrap_or_default(),
        "resource_action": present.map_or("INIT", |row| row.action.as_str()),
        "resource_status": present.map_or("COMPLETE", |row| row.status.as_str()),
        "resource_status_reason": present.map(|row| row.reason.clone()).unwrap_or_default(),
        "description": definition.and_then(|definition| definition.description.clone()).unwrap_or_default(),
        "attributes": planned.map(|(_, _, kind)| attributes(kind)).unwrap_or_else(|| json!({})),
        "metadata": present.map(|row| row.metadata.clone()).unwrap_or_else(|| json!({})),
        "properties": present.map(|row| row.properties.clone()).unwrap_or_else(|| json!({})),
        "creation_time": maybe_time(present.map(|row| row.created_at)),
        "updated_time": maybe_time(present.map(|row| row.updated_at)),
        "required_by": required_by,
    });
    place.name(item, name)
}
