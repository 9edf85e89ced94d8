//! Actions on routers.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;

use super::{State, collection::bare};
use crate::router as domain;

pub fn register(table: &mut Table<State>) {
    table.put("/v2.0/routers/{id}/add_router_interface", add_interface);
    table.put("/v2.0/routers/{id}/remove_router_interface", remove_interface);
    table.put("/v2.0/routers/{id}/add_extraroutes", add_routes);
    table.put("/v2.0/routers/{id}/remove_extraroutes", remove_routes);
}

async fn add_interface(service: State, mut request: Request) -> Result<Response> {
    let body = bare(&mut request)?;
    Ok(Response::ok(domain::add_interface(&service, &request.context, request.param("id"), &body).await?))
}

async fn remove_interface(service: State, mut request: Request) -> Result<Response> {
    let body = bare(&mut request)?;
    Ok(Response::ok(domain::remove_interface(&service, &request.context, request.param("id"), &body).await?))
}

async fn add_routes(service: State, mut request: Request) -> Result<Response> {
    let body = bare(&mut request)?;
    Ok(Response::ok(domain::change_routes(&service, &request.context, request.param("id"), body, true).await?))
}

async fn remove_routes(service: State, mut request: Request) -> Result<Response> {
    let body = bare(&mut request)?;
    Ok(Response::ok(domain::change_routes(&service, &request.context, request.param("id"), body, false).await?))
}
