//! The example networks of a first start, made by API calls like anybody's.
//!
//! `ext-net` comes first and is both external and shared, so that a project without a network of its own gets it, and so
//! do containers created without a network; `flat-lan-1-net` is shared and lies behind a router to it. Each call looks
//! before it creates: a start that was cut short is completed by the next.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sahab_contract::{
    RequestContext, Result,
    cloud::{Call, Cloud, escape},
};
use serde_json::{Value, json};

use crate::settings::Network;

pub async fn create(cloud: &dyn Cloud, admin: &RequestContext, settings: &Network) -> Result<()> {
    let external = ensure(cloud, admin, "network", "networks", json!({
        "name": "ext-net", "router:external": true, "shared": true, "description": "The way out, with public addresses",
    }))
    .await?;
    let range = settings.external_cidr;
    ensure(
        cloud,
        admin,
        "subnet",
        "subnets",
        json!({
            "name": "ext-subnet", "network_id": external, "ip_version": 4, "cidr": range.to_string(),
            "gateway_ip": host(range, 1).to_string(), "enable_dhcp": false,
            "allocation_pools": [{"start": host(range, 2).to_string(), "end": last(range).to_string()}],
        }),
    )
    .await?;
    let lan = ensure(
        cloud,
        admin,
        "network",
        "networks",
        json!({
            "name": "flat-lan-1-net", "shared": true, "description": "A network for everyone",
        }),
    )
    .await?;
    let range = settings.lan_cidr;
    let subnet = ensure(
        cloud,
        admin,
        "subnet",
        "subnets",
        json!({
            "name": "flat-lan-1-subnet", "network_id": lan, "ip_version": 4, "cidr": range.to_string(),
            "gateway_ip": host(range, 1).to_string(),
        }),
    )
    .await?;
    let router = ensure(
        cloud,
        admin,
        "router",
        "routers",
        json!({
            "name": "flat-lan-1-router", "external_gateway_info": {"network_id": external},
        }),
    )
    .await?;
    let path = format!("/v2.0/ports?device_id={router}&device_owner=network%3Arouter_interface");
    let interfaces = cloud.call(admin, Call::get("network", path)).await?;
    if interfaces.body["ports"].as_array().is_none_or(Vec::is_empty) {
        let path = format!("/v2.0/routers/{router}/add_router_interface");
        cloud.call(admin, Call::put("network", path, json!({"subnet_id": subnet}))).await?;
    }
    Ok(())
}

/// The id of the project's object of that name, created if there is none.
async fn ensure(cloud: &dyn Cloud, admin: &RequestContext, single: &str, plural: &str, body: Value) -> Result<String> {
    let name = escape(body["name"].as_str().unwrap_or_default());
    let project = escape(admin.require_project()?);
    let found =
        cloud.call(admin, Call::get("network", format!("/v2.0/{plural}?name={name}&project_id={project}"))).await?;
    let object = match found.body[plural].get(0) {
        Some(object) => object.clone(),
        None => {
            let mut made =
                cloud.call(admin, Call::post("network", format!("/v2.0/{plural}"), json!({single: body}))).await?;
            made.body[single].take()
        }
    };
    Ok(object["id"].as_str().unwrap_or_default().to_owned())
}

fn host(range: Ipv4Net, index: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(range.network()) + index)
}

fn last(range: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(range.broadcast()) - 1)
}
