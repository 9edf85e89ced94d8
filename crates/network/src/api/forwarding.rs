//! Port forwardings below floating IPs.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::json;

use super::{State, collection::plain_list};
use crate::{attribute::object_of, port_forwarding as domain};

pub fn register(table: &mut Table<State>) {
    table.get("/v2.0/floatingips/{id}/port_forwardings", list);
    table.post("/v2.0/floatingips/{id}/port_forwardings", create);
    table.get("/v2.0/floatingips/{id}/port_forwardings/{forwarding}", show);
    table.put("/v2.0/floatingips/{id}/port_forwardings/{forwarding}", update);
    table.delete("/v2.0/floatingips/{id}/port_forwardings/{forwarding}", delete);
}

async fn list(service: State, request: Request) -> Result<Response> {
    let views = domain::list(&service, &request.context, request.param("id")).await?;
    let views = super::agent::filtered(
        &request,
        views,
        &["id", "internal_port_id", "external_port", "internal_port", "protocol", "description", "internal_ip_address"],
    )?;
    Ok(plain_list(&request, "port_forwardings", views))
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let body = object_of(request.json(), "port_forwarding")?;
    let view = domain::create(&service, &request.context, request.param("id"), body).await?;
    Ok(Response::created(json!({"port_forwarding": view})))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let (parent, id) = (request.param("id"), request.param("forwarding"));
    Ok(Response::ok(json!({"port_forwarding": domain::show(&service, &request.context, parent, id).await?})))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let body = object_of(request.json(), "port_forwarding")?;
    let (parent, id) = (request.param("id"), request.param("forwarding"));
    Ok(Response::ok(json!({"port_forwarding": domain::update(&service, &request.context, parent, id, body).await?})))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    domain::delete(&service, &request.context, request.param("id"), request.param("forwarding")).await?;
    Ok(Response::no_content())
}
