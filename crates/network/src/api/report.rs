//! What can be read and belongs to no collection: extensions, availabilities, segments, pools, topologies.

use sahab_api::{Request, Response, Table};
use sahab_contract::{Error, Result};
use serde_json::json;

use super::{State, agent::filtered, collection::plain_list};
use crate::{availability, error::invalid_input, extension, segment, topology};

pub fn register(table: &mut Table<State>) {
    table.get("/v2.0/extensions", extensions);
    table.get("/v2.0/extensions/{alias}", extension_of);
    table.get("/v2.0/network-ip-availabilities", availabilities);
    table.get("/v2.0/network-ip-availabilities/{id}", availability_of);
    table.get("/v2.0/floatingip_pools", pools);
    table.get("/v2.0/segments", segments);
    table.post("/v2.0/segments", segment_change);
    table.get("/v2.0/segments/{id}", segment_of);
    table.put("/v2.0/segments/{id}", segment_change);
    table.delete("/v2.0/segments/{id}", segment_change);
    table.get("/v2.0/service-providers", providers);
    table.get("/v2.0/flavors", flavors);
    table.get("/v2.0/flavors/{id}", flavor_of);
    table.get("/v2.0/service_profiles", profiles);
    table.get("/v2.0/auto-allocated-topology/{project}", topology_of);
    table.delete("/v2.0/auto-allocated-topology/{project}", topology_delete);
}

async fn extensions(_: State, request: Request) -> Result<Response> {
    request.context.auth()?;
    Ok(Response::ok(json!({"extensions": extension::list()})))
}

async fn extension_of(_: State, request: Request) -> Result<Response> {
    request.context.auth()?;
    Ok(Response::ok(json!({"extension": extension::show(request.param("alias"))?})))
}

async fn availabilities(service: State, request: Request) -> Result<Response> {
    let version = match request.query.get("ip_version") {
        None => None,
        Some(text) => Some(text.parse::<i32>().map_err(|_| invalid_input(format!("'{text}' is not an integer")))?),
    };
    let mut views = availability::list(&service, &request.context, version).await?;
    for key in ["network_id", "network_name", "project_id", "tenant_id"] {
        let wanted: Vec<&str> = request.query.all(key).collect();
        if !wanted.is_empty() {
            views.retain(|view| view[key].as_str().is_some_and(|have| wanted.contains(&have)));
        }
    }
    Ok(plain_list(&request, "network_ip_availabilities", views))
}

async fn availability_of(service: State, request: Request) -> Result<Response> {
    let view = availability::show(&service, &request.context, request.param("id")).await?;
    Ok(Response::ok(json!({"network_ip_availability": view})))
}

async fn pools(service: State, request: Request) -> Result<Response> {
    let views = availability::floating_pools(&service, &request.context).await?;
    let views =
        filtered(&request, views, &["subnet_id", "subnet_name", "network_id", "cidr", "project_id", "tenant_id"])?;
    Ok(plain_list(&request, "floatingip_pools", views))
}

async fn segments(service: State, request: Request) -> Result<Response> {
    let networks: Vec<&str> = request.query.all("network_id").collect();
    let views = segment::list(&service, &request.context, &networks).await?;
    let views = filtered(
        &request,
        views,
        &["id", "network_id", "name", "description", "network_type", "physical_network", "segmentation_id"],
    )?;
    Ok(plain_list(&request, "segments", views))
}

async fn segment_of(service: State, request: Request) -> Result<Response> {
    let view = segment::show(&service, &request.context, request.param("id")).await?;
    Ok(Response::ok(json!({"segment": view})))
}

async fn segment_change(service: State, request: Request) -> Result<Response> {
    Err(segment::refuse_change(&service, &request.context))
}

async fn providers(_: State, request: Request) -> Result<Response> {
    request.context.auth()?;
    Ok(Response::ok(json!({"service_providers": [
        {"service_type": "L3_ROUTER_NAT", "name": "single_node", "default": true}
    ]})))
}

/// There is one way to build a router, so there are no flavors to choose from.
async fn flavors(_: State, request: Request) -> Result<Response> {
    request.context.auth()?;
    Ok(Response::ok(json!({"flavors": []})))
}

async fn flavor_of(_: State, request: Request) -> Result<Response> {
    request.context.auth()?;
    let id = request.param("id");
    Err(Error::not_found("FlavorNotFound", format!("Flavor {id} could not be found.")))
}

async fn profiles(_: State, request: Request) -> Result<Response> {
    request.context.auth()?;
    Ok(Response::ok(json!({"service_profiles": []})))
}

/// Clients that know no project say `None`.
fn project_of(request: &Request) -> Result<String> {
    match request.param("project") {
        "None" | "null" => Ok(request.context.require_project()?.to_owned()),
        other => Ok(other.to_owned()),
    }
}

async fn topology_of(service: State, request: Request) -> Result<Response> {
    let project = project_of(&request)?;
    let view = if request.query.all("fields").any(|field| field == "dry-run") {
        topology::dry_run(&service, &request.context, &project).await?
    } else {
        topology::get(&service, &request.context, &project).await?
    };
    Ok(Response::ok(json!({"auto_allocated_topology": view})))
}

async fn topology_delete(service: State, request: Request) -> Result<Response> {
    let project = project_of(&request)?;
    topology::delete(&service, &request.context, &project).await?;
    Ok(Response::no_content())
}
