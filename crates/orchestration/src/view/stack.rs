//! Stacks on the wire.

use sahab_contract::RequestContext;
use serde_json::{Map, Value, json};

use super::{link, maybe_time, stack_url, stack_url_of, time};
use crate::{
    db::{stack, state},
    plan::Plan,
    stacks::{outputs::Output, request::StackRequest},
};

const NO_DESCRIPTION: &str = "No description";

/// `{"stack": {"id", "links"}}`
pub fn created(base_url: &str, row: &stack::Model) -> Value {
    json!({"stack": {"id": row.id, "links": [link("self", stack_url_of(base_url, row))]}})
}

/// An item of a list.
pub fn summary(base_url: &str, row: &stack::Summary, tags: &[String], with_project: bool) -> Value {
    let mut item = json!({
        "id": row.id,
        "links": [link("self", stack_url(base_url, &row.project_id, &row.name, &row.id))],
        "stack_name": row.name,
        "description": row.description,
        "stack_status": state::joined(row.action, row.status),
        "stack_status_reason": row.status_reason,
        "creation_time": time(row.created_at),
        "updated_time": maybe_time(row.updated_at),
        "deletion_time": maybe_time(row.deleted_at),
        "stack_owner": row.user_name,
        "parent": row.owner_id,
        "stack_user_project_id": row.project_id,
        "tags": if tags.is_empty() { Value::Null } else { json!(tags) },
    });
    if with_project {
        item["project"] = json!(row.project_id);
    }
    item
}

/// `output_value` and `output_error` of an output that was computed.
pub fn output(output: &Output) -> Value {
    let mut item = json!({
        "output_key": output.name,
        "description": output.description.as_deref().unwrap_or("No description given"),
        "output_value": output.value,
    });
    if let Some(error) = &output.error {
        item["output_error"] = json!(error);
    }
    item
}

/// Everything of one stack. `outputs` is absent when they were not asked for.
pub fn shown(
    base_url: &str,
    row: &stack::Model,
    tags: &[String],
    parameters: Map<String, Value>,
    outputs: Option<&[Output]>,
) -> Value {
    let description = if row.description.is_empty() { NO_DESCRIPTION } else { &row.description };
    let mut stack = json!({
        "id": row.id,
        "links": [link("self", stack_url_of(base_url, row))],
        "stack_name": row.name,
        "description": description,
        "template_description": description,
        "creation_time": time(row.created_at),
        "updated_time": maybe_time(row.updated_at),
        "deletion_time": maybe_time(row.deleted_at),
        "notification_topics": [],
        "capabilities": [],
        "disable_rollback": row.disable_rollback,
        "timeout_mins": row.timeout_mins,
        "stack_owner": row.user_name,
        "parent": row.owner_id,
        "stack_user_project_id": row.project_id,
        "tags": tags,
        "stack_status": state::joined(row.action, row.status),
        "stack_status_reason": row.status_reason,
        "parameters": parameters,
    });
    if let Some(outputs) = outputs {
        stack["outputs"] = outputs.iter().map(output).collect();
    }
    json!({"stack": stack})
}

/// A stack that does not exist.
pub fn preview(
    context: &RequestContext,
    base_url: &str,
    project_id: &str,
    name: &str,
    request: &StackRequest,
    plan: &Plan,
    resources: Value,
) -> Value {
    let description = plan.bound.template().description().unwrap_or(NO_DESCRIPTION);
    json!({"stack": {
        "id": "None",
        "links": [link("self", stack_url(base_url, project_id, name, "None"))],
        "stack_name": name,
        "description": description,
        "template_description": description,
        "creation_time": null,
        "updated_time": null,
        "deletion_time": null,
        "notification_topics": [],
        "capabilities": [],
        "disable_rollback": request.disable_rollback.unwrap_or(true),
        "timeout_mins": request.timeout_mins.flatten(),
        "stack_owner": context.auth.as_ref().map(|auth| auth.user.name.clone()),
        "parent": null,
        "stack_user_project_id": null,
        "tags": request.tags.clone().unwrap_or_default(),
        "parameters": plan.bound.parameters().to_strings(),
        "resources": resources,
    }})
}
