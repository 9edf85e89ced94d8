//! Upstream's failures that more than one resource knows, with upstream's names and texts.

use sahab_contract::{Error, Kind};

pub fn bad_request(message: impl Into<String>) -> Error {
    Error::invalid("HTTPBadRequest", message)
}

/// `BadRequest`: what upstream's plugins raise, as opposed to its parser.
pub fn bad_resource(resource: &str, message: impl AsRef<str>) -> Error {
    Error::invalid("BadRequest", format!("Bad {resource} request: {}.", message.as_ref().trim_end_matches('.')))
}

pub fn invalid_input(message: impl AsRef<str>) -> Error {
    Error::invalid("InvalidInput", format!("Invalid input for operation: {}.", message.as_ref().trim_end_matches('.')))
}

pub fn invalid_attribute(name: &str, reason: impl AsRef<str>) -> Error {
    bad_request(format!("Invalid input for {name}. Reason: {}.", reason.as_ref().trim_end_matches('.')))
}

/// The rule that refused.
pub fn not_authorized(rule: &str) -> Error {
    Error::forbidden("PolicyNotAuthorized", format!("rule:{rule} is disallowed by policy"))
}

pub fn network_not_found(id: &str) -> Error {
    Error::not_found("NetworkNotFound", format!("Network {id} could not be found."))
}

pub fn subnet_not_found(id: &str) -> Error {
    Error::not_found("SubnetNotFound", format!("Subnet {id} could not be found."))
}

pub fn port_not_found(id: &str) -> Error {
    Error::not_found("PortNotFound", format!("Port {id} could not be found."))
}

pub fn router_not_found(id: &str) -> Error {
    Error::not_found("RouterNotFound", format!("Router {id} could not be found"))
}

pub fn group_not_found(id: &str) -> Error {
    Error::not_found("SecurityGroupNotFound", format!("Security group {id} does not exist"))
}

pub fn address_group_not_found(id: &str) -> Error {
    Error::not_found("AddressGroupNotFound", format!("Address group {id} could not be found."))
}

pub fn agent_not_found(id: &str) -> Error {
    Error::not_found("AgentNotFound", format!("Agent {id} could not be found."))
}

pub fn zone_not_found(name: &str) -> Error {
    Error::not_found("AvailabilityZoneNotFound", format!("AvailabilityZone {name} could not be found."))
}

pub fn over_quota(resources: &[&str]) -> Error {
    let names: Vec<_> = resources.iter().map(|name| format!("'{name}'")).collect();
    Error::new(Kind::OverQuota, "OverQuota", format!("Quota exceeded for resources: [{}].", names.join(", ")))
}
