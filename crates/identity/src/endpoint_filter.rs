//! Which endpoints a project's catalogue is confined to (OS-EP-FILTER, spec section 18).

use serde_json::Value;

use crate::db::catalog::endpoint;

/// Whether an endpoint group's filters select the endpoint.
pub(crate) fn selects(filters: &Value, endpoint: &endpoint::Model) -> bool {
    filters.as_object().is_some_and(|filters| {
        filters.iter().all(|(key, value)| match key.as_str() {
            "interface" => value == endpoint.interface.as_str(),
            "service_id" => value == endpoint.service_id.as_str(),
            "region_id" => value.as_str() == endpoint.region_id.as_deref(),
            "enabled" => value.as_bool() == Some(endpoint.enabled),
            _ => false,
        })
    })
}
