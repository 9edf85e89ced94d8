//! Wire shapes of images and members, and the formats that exist.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::db::{image, member};

pub const DISK_FORMATS: &[&str] = &["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"];
pub const CONTAINER_FORMATS: &[&str] = &["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"];
pub const VISIBILITIES: &[&str] = &["community", "public", "private", "shared"];

/// Attributes that the server alone writes.
pub const READ_ONLY: &[&str] = &[
    "id",
    "status",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "size",
    "virtual_size",
    "created_at",
    "updated_at",
    "self",
    "file",
    "schema",
    "direct_url",
    "stores",
    "locations",
    "deleted",
    "deleted_at",
];

/// Attributes that may be set and are no custom properties.
pub const BASE: &[&str] = &[
    "name",
    "visibility",
    "owner",
    "protected",
    "os_hidden",
    "disk_format",
    "container_format",
    "min_ram",
    "min_disk",
    "tags",
];

/// `YYYY-MM-DDTHH:MM:SSZ`
pub fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub fn image(row: &image::Model) -> Value {
    let mut out = Map::new();
    if let Value::Object(properties) = &row.properties {
        out.extend(properties.clone());
    }
    let base = json!({
        "id": row.id, "name": row.name, "status": row.status, "visibility": row.visibility, "owner": row.owner,
        "protected": row.protected, "os_hidden": row.os_hidden, "disk_format": row.disk_format,
        "container_format": row.container_format, "size": row.size, "virtual_size": null, "min_ram": row.min_ram,
        "min_disk": row.min_disk, "checksum": row.checksum,
        "os_hash_algo": row.os_hash_value.as_ref().map(|_| "sha512"), "os_hash_value": row.os_hash_value,
        "tags": row.tags, "created_at": time(row.created_at), "updated_at": time(row.updated_at),
        "self": format!("/v2/images/{}", row.id), "file": format!("/v2/images/{}/file", row.id),
        "schema": "/v2/schemas/image",
    });
    if let Value::Object(base) = base {
        out.extend(base);
    }
    Value::Object(out)
}

pub fn member(row: &member::Model) -> Value {
    json!({
        "member_id": row.member_id, "image_id": row.image_id, "status": row.status, "created_at": time(row.created_at),
        "updated_at": time(row.updated_at), "schema": "/v2/schemas/member",
    })
}
