//! Agents, what they hold, and availability zones.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{
    State,
    collection::{bare, plain_list},
};
use crate::{
    agent::{self as domain, DHCP_AGENT, L3_AGENT, Scheduled},
    attribute::object_of,
    error::bad_request,
    listing::flag,
    network::Network,
    resource::{View, find},
    router::Router,
};

pub fn register(table: &mut Table<State>) {
    table.get("/v2.0/agents", list);
    table.get("/v2.0/agents/{id}", show);
    table.put("/v2.0/agents/{id}", update);
    table.delete("/v2.0/agents/{id}", delete);
    table.get("/v2.0/agents/{id}/dhcp-networks", networks);
    table.post("/v2.0/agents/{id}/dhcp-networks", add_network);
    table.delete("/v2.0/agents/{id}/dhcp-networks/{network}", remove_network);
    table.get("/v2.0/agents/{id}/l3-routers", routers);
    table.post("/v2.0/agents/{id}/l3-routers", add_router);
    table.delete("/v2.0/agents/{id}/l3-routers/{router}", remove_router);
    table.get("/v2.0/networks/{id}/dhcp-agents", dhcp_agents);
    table.get("/v2.0/routers/{id}/l3-agents", l3_agents);
    table.get("/v2.0/availability_zones", zones);
}

const FILTERS: [&str; 9] =
    ["id", "agent_type", "binary", "topic", "host", "admin_state_up", "alive", "description", "availability_zone"];

/// Exact filters on rendered objects. Agent types compare without case: clients disagree about theirs.
fn matches(request: &Request, view: &View, known: &[&str]) -> Result<bool> {
    for (key, _) in request.query.iter() {
        if matches!(key, "fields" | "sort_key" | "sort_dir" | "limit" | "marker" | "page_reverse") {
            continue;
        }
        if !known.contains(&key) {
            return Err(bad_request(format!("['{key}'] is invalid attribute for filtering")));
        }
        let mut any = false;
        for wanted in request.query.all(key) {
            any |= match view.get(key) {
                Some(Value::Bool(have)) => flag(wanted)? == *have,
                Some(Value::String(have)) if key == "agent_type" => have.eq_ignore_ascii_case(wanted),
                Some(Value::String(have)) => have == wanted,
                Some(Value::Number(have)) => have.to_string() == wanted,
                _ => wanted.is_empty(),
            };
        }
        if !any {
            return Ok(false);
        }
    }
    Ok(true)
}

pub fn filtered(request: &Request, views: Vec<View>, known: &[&str]) -> Result<Vec<View>> {
    let mut out = Vec::new();
    for view in views {
        if matches(request, &view, known)? {
            out.push(view);
        }
    }
    Ok(out)
}

async fn list(service: State, request: Request) -> Result<Response> {
    let views = domain::list(&service, &request.context).await?;
    let views = filtered(&request, views, &FILTERS)?;
    Ok(plain_list(&request, "agents", views))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let view = domain::show(&service, &request.context, request.param("id")).await?;
    Ok(Response::ok(json!({"agent": view})))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let body = object_of(request.json(), "agent")?;
    let view = domain::update(&service, &request.context, request.param("id"), body).await?;
    Ok(Response::ok(json!({"agent": view})))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    domain::delete(&service, &request.context, request.param("id")).await?;
    Ok(Response::no_content())
}

async fn networks(service: State, request: Request) -> Result<Response> {
    let views = domain::objects(&service, &request.context, request.param("id"), Scheduled::Network).await?;
    Ok(plain_list(&request, "networks", views))
}

async fn routers(service: State, request: Request) -> Result<Response> {
    let views = domain::objects(&service, &request.context, request.param("id"), Scheduled::Router).await?;
    Ok(plain_list(&request, "routers", views))
}

async fn schedule(service: State, mut request: Request, key: &str, what: Scheduled) -> Result<Response> {
    let body = bare(&mut request)?;
    let Some(object) = body.get(key).and_then(Value::as_str) else {
        return Err(bad_request(format!("Unable to find '{key}' in request body")));
    };
    domain::schedule(&service, &request.context, request.param("id"), object, what).await?;
    Ok(Response::created(Value::Null))
}

async fn add_network(service: State, request: Request) -> Result<Response> {
    schedule(service, request, "network_id", Scheduled::Network).await
}

async fn add_router(service: State, request: Request) -> Result<Response> {
    schedule(service, request, "router_id", Scheduled::Router).await
}

async fn remove_network(service: State, request: Request) -> Result<Response> {
    let (agent, object) = (request.param("id"), request.param("network"));
    domain::unschedule(&service, &request.context, agent, object, Scheduled::Network).await?;
    Ok(Response::no_content())
}

async fn remove_router(service: State, request: Request) -> Result<Response> {
    let (agent, object) = (request.param("id"), request.param("router"));
    domain::unschedule(&service, &request.context, agent, object, Scheduled::Router).await?;
    Ok(Response::no_content())
}

async fn dhcp_agents(service: State, request: Request) -> Result<Response> {
    let id = request.param("id");
    find::<Network>(service.database.read(), &request.context, id).await?;
    let views = domain::holding(&service, &request.context, DHCP_AGENT, "get_dhcp-agents", id).await?;
    Ok(plain_list(&request, "agents", views))
}

async fn l3_agents(service: State, request: Request) -> Result<Response> {
    let id = request.param("id");
    find::<Router>(service.database.read(), &request.context, id).await?;
    let views = domain::holding(&service, &request.context, L3_AGENT, "get_l3-agents", id).await?;
    Ok(plain_list(&request, "agents", views))
}

async fn zones(service: State, request: Request) -> Result<Response> {
    request.context.auth()?;
    let zone = service.settings.availability_zone.as_str();
    let views = ["network", "router"]
        .into_iter()
        .filter_map(|resource| json!({"name": zone, "resource": resource, "state": "available"}).as_object().cloned());
    let views = filtered(&request, views.collect(), &["name", "resource", "state"])?;
    Ok(plain_list(&request, "availability_zones", views))
}
