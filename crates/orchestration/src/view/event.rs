//! Events on the wire.

use sahab_contract::cloud::escape;
use serde_json::{Value, json};

use super::{link, resource::resource_url, stack_url_of, time};
use crate::db::{event, stack};

/// An event of `stack`; `root` is given when events of nested stacks are listed together.
pub fn shown(base_url: &str, event: &event::Model, stack: &stack::Model, root: Option<&stack::Model>) -> Value {
    let resource = resource_url(base_url, stack, &event.resource_name);
    let mut links = vec![
        link("self", format!("{resource}/events/{}", escape(&event.id))),
        link("resource", resource),
        link("stack", stack_url_of(base_url, stack)),
    ];
    if let Some(root) = root {
        links.push(link("root_stack", stack_url_of(base_url, root)));
    }
    json!({
        "id": event.id,
        "event_time": time(event.at),
        "resource_name": event.resource_name,
        "logical_resource_id": event.resource_name,
        "physical_resource_id": event.physical_id,
        "resource_status": format!("{}_{}", event.action, event.status),
        "resource_status_reason": event.reason,
        "links": links,
    })
}

/// One event in full.
pub fn detailed(base_url: &str, event: &event::Model, stack: &stack::Model, properties: Value) -> Value {
    let mut item = shown(base_url, event, stack, None);
    item["resource_type"] = json!(event.resource_type);
    item["resource_properties"] = properties;
    json!({"event": item})
}
