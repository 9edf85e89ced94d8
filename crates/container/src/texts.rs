//! Every error that clients or upstream's test suite know by code or text, in one place.

use sahab_contract::{Error, Kind};
use serde_json::Value;

use crate::state::{Action, Status};

pub fn container_not_found(ident: &str) -> Error {
    Error::not_found("container-not-found", format!("Container {ident} could not be found."))
}

pub fn not_found(code: &'static str, what: &str, ident: &str) -> Error {
    Error::not_found(code, format!("{what} {ident} could not be found."))
}

pub fn invalid_state(action: Action, container: &str, status: Status) -> Error {
    Error::conflict(
        "invalid-state-exception",
        format!("Cannot {} container {container} in {} state", action.name(), status.text()),
    )
}

pub fn conflict(message: impl Into<String>) -> Error {
    Error::conflict("conflict", message)
}

pub fn ambiguous(what: &str, name: &str) -> Error {
    conflict(format!("Multiple {what}s exist with same name {name}. Please use the {what} uuid instead."))
}

/// A JSON-schema violation, worded as nova's and zun's validators do.
pub fn schema(field: &str, value: &Value, why: impl std::fmt::Display) -> Error {
    const LONGEST: usize = 200;
    let mut shown = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if let Some((cut, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(cut);
        shown.push('…');
    }
    Error::invalid("schema-validation-error", format!("Invalid input for field '{field}'. Value: '{shown}'. {why}"))
}

pub fn missing(field: &str) -> Error {
    Error::invalid("schema-validation-error", format!("'{field}' is a required property"))
}

pub fn unexpected(field: &str) -> Error {
    Error::invalid(
        "schema-validation-error",
        format!("Additional properties are not allowed ('{field}' was unexpected)"),
    )
}

pub fn invalid_value(message: impl Into<String>) -> Error {
    Error::invalid("invalid-value", message)
}

pub fn invalid(message: impl Into<String>) -> Error {
    Error::invalid("invalid", message)
}

pub fn newer_version(field: &str, used: (u16, u16), needed: (u16, u16)) -> Error {
    Error::invalid(
        "invalid-param-in-version",
        format!(
            "Invalid param {field} because current request version is {}.{}. {field} is only supported from version {}.{}",
            used.0, used.1, needed.0, needed.1
        ),
    )
}

/// What a later release brings. Refused, because accepting and ignoring it would be a lie.
pub fn unsupported(what: &str) -> Error {
    Error::invalid("not-supported", format!("{what} is not available in this release."))
}

pub fn forbidden(rule: &str) -> Error {
    Error::forbidden("policy-not-authorized", format!("Policy doesn't allow {rule} to be performed."))
}

pub fn over_quota(resources: &[&str]) -> Error {
    let listed: Vec<_> = resources.iter().map(|name| format!("'{name}'")).collect();
    Error::new(Kind::OverQuota, "over-quota", format!("Quota exceeded for resources: [{}]", listed.join(", ")))
}

/// The container was never placed, or its placement was taken back after a failure.
pub fn no_host(container: &str) -> Error {
    conflict(format!("Container {container} is on no host; rebuild or delete it."))
}

pub fn host_down(host: &str) -> Error {
    Error::unavailable("compute-host-not-up", format!("Container host {host} is not up."))
}
