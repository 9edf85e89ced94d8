//! Actions on subnet pools and address groups.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::json;

use super::{State, collection::bare};
use crate::{address_group, attribute::object_of, subnetpool as domain};

pub fn register(table: &mut Table<State>) {
    table.put("/v2.0/subnetpools/{id}/add_prefixes", add_prefixes);
    table.put("/v2.0/subnetpools/{id}/remove_prefixes", remove_prefixes);
    table.put("/v2.0/subnetpools/{id}/onboard_network_subnets", onboard);
    table.put("/v2.0/address-groups/{id}/add_addresses", add_addresses);
    table.put("/v2.0/address-groups/{id}/remove_addresses", remove_addresses);
}

async fn add_prefixes(service: State, mut request: Request) -> Result<Response> {
    let body = bare(&mut request)?;
    Ok(Response::ok(domain::change_prefixes(&service, &request.context, request.param("id"), &body, true).await?))
}

async fn remove_prefixes(service: State, mut request: Request) -> Result<Response> {
    let body = bare(&mut request)?;
    Ok(Response::ok(domain::change_prefixes(&service, &request.context, request.param("id"), &body, false).await?))
}

async fn onboard(service: State, mut request: Request) -> Result<Response> {
    let body = bare(&mut request)?;
    Ok(Response::ok(domain::onboard(&service, &request.context, request.param("id"), &body).await?))
}

async fn add_addresses(service: State, mut request: Request) -> Result<Response> {
    let body = object_of(request.json(), "address_group")?;
    let id = request.param("id");
    let view = address_group::change_addresses(&service, &request.context, id, &body, true).await?;
    Ok(Response::ok(json!({"address_group": view})))
}

async fn remove_addresses(service: State, mut request: Request) -> Result<Response> {
    let body = object_of(request.json(), "address_group")?;
    let id = request.param("id");
    let view = address_group::change_addresses(&service, &request.context, id, &body, false).await?;
    Ok(Response::ok(json!({"address_group": view})))
}
