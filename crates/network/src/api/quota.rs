//! Quotas.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::json;

use super::State;
use crate::{attribute::object_of, quota as domain};

pub fn register(table: &mut Table<State>) {
    table.get("/v2.0/quotas", list);
    table.get("/v2.0/quotas/tenant", tenant);
    table.get("/v2.0/quotas/project", project);
    table.get("/v2.0/quotas/{project}", show);
    table.put("/v2.0/quotas/{project}", update);
    table.delete("/v2.0/quotas/{project}", reset);
    table.get("/v2.0/quotas/{project}/default", defaults);
    table.get("/v2.0/quotas/{project}/details", details);
}

async fn list(service: State, request: Request) -> Result<Response> {
    Ok(Response::ok(json!({"quotas": domain::list(&service, &request.context).await?})))
}

async fn tenant(_: State, request: Request) -> Result<Response> {
    Ok(Response::ok(json!({"tenant": {"tenant_id": request.context.require_project()?}})))
}

async fn project(_: State, request: Request) -> Result<Response> {
    Ok(Response::ok(json!({"project": {"project_id": request.context.require_project()?}})))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let quota = domain::show(&service, &request.context, request.param("project")).await?;
    Ok(Response::ok(json!({"quota": quota})))
}

async fn defaults(service: State, request: Request) -> Result<Response> {
    let quota = domain::show_defaults(&service, &request.context, request.param("project"))?;
    Ok(Response::ok(json!({"quota": quota})))
}

async fn details(service: State, request: Request) -> Result<Response> {
    let quota = domain::details(&service, &request.context, request.param("project")).await?;
    Ok(Response::ok(json!({"quota": quota})))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let body = object_of(request.json(), "quota")?;
    let quota = domain::update(&service, &request.context, request.param("project"), body).await?;
    Ok(Response::ok(json!({"quota": quota})))
}

async fn reset(service: State, request: Request) -> Result<Response> {
    domain::reset(&service, &request.context, request.param("project")).await?;
    Ok(Response::no_content())
}
