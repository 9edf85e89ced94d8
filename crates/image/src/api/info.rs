//! Versions, schemas and facts about the service.

use std::sync::Arc;

use sahab_api::{Request, Response};
use sahab_contract::{Error, Result};
use serde_json::{Value, json};

use crate::{
    ImageService,
    view::{CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES},
};

/// What is served is 2.5 plus the hashes and hidden images of 2.7; the import and multi-store parts are not.
fn versions_body(request: &Request) -> Value {
    let link = json!([{"rel": "self", "href": format!("{}/v2/", request.meta.base_url)}]);
    let versions: Vec<_> = [7, 5, 4, 3, 2, 1, 0]
        .iter()
        .map(|minor| {
            let status = if *minor == 7 { "CURRENT" } else { "SUPPORTED" };
            json!({"id": format!("v2.{minor}"), "status": status, "links": link})
        })
        .collect();
    json!({"versions": versions})
}

pub async fn versions_multiple(_: Arc<ImageService>, request: Request) -> Result<Response> {
    Ok(Response::json(300, versions_body(&request)))
}

pub async fn versions(_: Arc<ImageService>, request: Request) -> Result<Response> {
    Ok(Response::ok(versions_body(&request)))
}

pub async fn healthcheck(_: Arc<ImageService>, _: Request) -> Result<Response> {
    Ok(Response::text(200, "text/plain", "OK"))
}

pub async fn import_methods(_: Arc<ImageService>, _: Request) -> Result<Response> {
    let description = "Import methods available.";
    Ok(Response::ok(json!({"import-methods": {"description": description, "type": "array", "value": []}})))
}

pub async fn usage(_: Arc<ImageService>, _: Request) -> Result<Response> {
    Ok(Response::ok(json!({"usage": {}})))
}

pub async fn schema(_: Arc<ImageService>, request: Request) -> Result<Response> {
    let list = |name: &str, item: Value| {
        json!({
            "name": name,
            "properties": {
                name: {"type": "array", "items": item}, "first": {"type": "string"}, "next": {"type": "string"},
                "schema": {"type": "string"},
            },
            "links": [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"},
                      {"rel": "describedby", "href": "{schema}"}],
        })
    };
    Ok(Response::ok(match request.param("name") {
        "image" => image_schema(),
        "images" => list("images", image_schema()),
        "member" => member_schema(),
        "members" => list("members", member_schema()),
        other => return Err(Error::not_found("", format!("There is no schema {other}."))),
    }))
}

fn image_schema() -> Value {
    let read_only = |kind: Value| json!({"type": kind, "readOnly": true});
    let nullable = json!(["null", "string"]);
    json!({
        "name": "image",
        "properties": {
            "id": {"type": "string", "pattern": "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"},
            "name": {"type": nullable, "maxLength": 255},
            "status": {"type": "string", "readOnly": true, "enum": ["queued", "saving", "active", "deleted", "deactivated"]},
            "visibility": {"type": "string", "enum": VISIBILITIES},
            "protected": {"type": "boolean"}, "os_hidden": {"type": "boolean"},
            "checksum": read_only(nullable.clone()), "os_hash_algo": read_only(nullable.clone()),
            "os_hash_value": read_only(nullable.clone()), "owner": {"type": nullable, "maxLength": 255},
            "size": read_only(json!(["null", "integer"])), "virtual_size": read_only(json!(["null", "integer"])),
            "container_format": {"type": nullable, "enum": formats(CONTAINER_FORMATS)},
            "disk_format": {"type": nullable, "enum": formats(DISK_FORMATS)},
            "created_at": read_only(json!("string")), "updated_at": read_only(json!("string")),
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
            "min_ram": {"type": "integer"}, "min_disk": {"type": "integer"},
            "self": read_only(json!("string")), "file": read_only(json!("string")), "schema": read_only(json!("string")),
        },
        "additionalProperties": {"type": "string"},
        "links": [{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"},
                  {"rel": "describedby", "href": "{schema}"}],
    })
}

fn formats(known: &[&str]) -> Value {
    std::iter::once(Value::Null).chain(known.iter().map(|name| Value::from(*name))).collect()
}

fn member_schema() -> Value {
    json!({
        "name": "member",
        "properties": {
            "member_id": {"type": "string"}, "image_id": {"type": "string"}, "created_at": {"type": "string"},
            "updated_at": {"type": "string"}, "schema": {"type": "string", "readOnly": true},
            "status": {"type": "string", "enum": ["pending", "accepted", "rejected"]},
        },
    })
}
