//! Pieces that most rendered objects share.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::resource::View;

/// Puts a member that cannot fail to serialise.
pub fn put(out: &mut View, name: &str, value: impl Serialize) {
    out.insert(name.to_owned(), serde_json::to_value(value).unwrap_or(Value::Null));
}

/// Both names of the owner.
pub fn owner(out: &mut View, project: &str) {
    put(out, "tenant_id", project);
    put(out, "project_id", project);
}

pub fn times(out: &mut View, created: DateTime<Utc>, updated: DateTime<Utc>, revision: i32) {
    put(out, "created_at", time(created));
    put(out, "updated_at", time(updated));
    put(out, "revision_number", revision);
}

pub fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
