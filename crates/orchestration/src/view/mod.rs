//! Wire types of the Orchestration API v1 (spec 1.6-1.17). Strings begin and end here.

pub mod event;
pub mod resource;
pub mod software;
pub mod stack;

use chrono::{DateTime, Utc};
use sahab_contract::cloud::escape;
use serde_json::{Value, json};

use crate::db;

/// ISO 8601 without fraction.
pub fn time(at: DateTime<Utc>) -> Value {
    Value::String(at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

pub fn maybe_time(at: Option<DateTime<Utc>>) -> Value {
    at.map_or(Value::Null, time)
}

/// `http://host/orchestration/v1/PROJECT/stacks/NAME/ID`
pub fn stack_url(base_url: &str, project_id: &str, name: &str, id: &str) -> String {
    format!("{base_url}/v1/{}/stacks/{}/{}", escape(project_id), escape(name), escape(id))
}

pub fn stack_url_of(base_url: &str, row: &db::stack::Model) -> String {
    stack_url(base_url, &row.project_id, &row.name, &row.id)
}

pub fn link(rel: &str, href: impl Into<String>) -> Value {
    json!({"rel": rel, "href": href.into()})
}
