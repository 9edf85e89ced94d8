//! Version documents, and what a later release brings.

use sahab_api::{Request, Response};
use sahab_contract::{Error, Result};
use serde_json::{Map, Value, json};

use crate::{
    ContainerService,
    family::{MAXIMUM, MINIMUM},
    view,
};

fn current(base: &str) -> Value {
    json!({
        "id": "v1", "links": [{"href": format!("{base}/v1/"), "rel": "self"}], "status": "CURRENT",
        "max_version": format!("{}.{}", MAXIMUM.0, MAXIMUM.1), "min_version": format!("{}.{}", MINIMUM.0, MINIMUM.1),
    })
}

pub async fn versions(_: ContainerService, request: Request) -> Result<Response> {
    let version = current(&request.context.base_url);
    Ok(Response::ok(json!({
        "name": "OpenStack Zun API",
        "description": "Sahab's container service: containers as a resource of the cloud.",
        "versions": [version], "default_version": version,
    })))
}

pub async fn version(_: ContainerService, request: Request) -> Result<Response> {
    let base = &request.context.base_url;
    let mut out = Map::new();
    out.insert("id".into(), json!("v1"));
    out.insert(
        "media_types".into(),
        json!([{"base": "application/json", "type": "application/vnd.openstack.zun.v1+json"}]),
    );
    out.insert(
        "links".into(),
        json!([
            {"href": format!("{base}/v1/"), "rel": "self"},
            {"href": "https://docs.openstack.org/zun/latest/", "rel": "describedby", "type": "text/html"},
        ]),
    );
    for resource in [
        "services",
        "containers",
        "images",
        "networks",
        "hosts",
        "capsules",
        "availability_zones",
        "quotas",
        "quota_classes",
        "registries",
    ] {
        out.insert(resource.into(), view::links(base, resource, ""));
    }
    Ok(Response::ok(Value::Object(out)))
}

pub async fn health(_: ContainerService, _: Request) -> Result<Response> {
    Ok(Response::text(200, "text/plain", "OK"))
}

/// Said plainly instead of an empty list: nothing of it exists yet.
pub async fn capsules(_: ContainerService, request: Request) -> Result<Response> {
    request.context.auth()?;
    Err(Error::not_found("not-supported", "Capsules are not available in this release."))
}
