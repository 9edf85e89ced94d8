//! Software configs and deployments on the wire.

use serde_json::{Value, json};

use super::time;
use crate::db::{software_config, software_deployment};

/// A config in a list. `with_project`: whose it is, for those who see everybody's.
pub fn listed(row: &software_config::Model, with_project: bool) -> Value {
    let mut item = json!({"id": row.id, "name": row.name, "group": row.tool, "creation_time": time(row.created_at)});
    if with_project {
        item["project"] = json!(row.project_id);
    }
    item
}

pub fn config(row: &software_config::Model) -> Value {
    let mut item = listed(row, false);
    item["config"] = row.config.clone();
    item["inputs"] = row.inputs.clone();
    item["outputs"] = row.outputs.clone();
    item["options"] = row.options.clone();
    item
}

pub fn deployment(row: &software_deployment::Model) -> Value {
    let mut item = json!({
        "id": row.id,
        "server_id": row.server_id,
        "config_id": row.config_id,
        "input_values": row.input_values,
        "output_values": row.output_values,
        "action": row.action,
        "status": row.status.as_str(),
        "status_reason": row.status_reason,
        "creation_time": time(row.created_at),
    });
    if let Some(at) = row.updated_at {
        item["updated_time"] = time(at);
    }
    item
}
