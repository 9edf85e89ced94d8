//! Resources of a stack.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, all, body, flag, nested_depth, optional_body, stack_of};
use crate::{
    stacks::resources::{self as domain, Filter},
    template::error,
    view,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v1/{tenant}/stacks/{name}/{id}/resources", index);
    table.get("/v1/{tenant}/stacks/{name}/{id}/resources/{resource}", show);
    table.patch("/v1/{tenant}/stacks/{name}/{id}/resources/{resource}", mark);
    table.get("/v1/{tenant}/stacks/{name}/{id}/resources/{resource}/metadata", metadata);
    table.post("/v1/{tenant}/stacks/{name}/{id}/resources/{resource}/signal", signal);
}

async fn index(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "resource:index").await?;
    let depth = nested_depth(&core, &request)?;
    let known = ["type", "status", "name", "action", "id", "physical_resource_id", "nested_depth", "with_detail"];
    let unknown: Vec<String> = request
        .query
        .iter()
        .map(|(key, _)| key)
        .filter(|key| !known.contains(key))
        .map(|key| format!("'{key}'"))
        .collect();
    if !unknown.is_empty() {
        return Err(error::bad_request(format!("Invalid filter parameters [{}]", unknown.join(", "))));
    }
    let filter = Filter {
        types: all(&request, "type"),
        statuses: all(&request, "status"),
        names: all(&request, "name"),
        actions: all(&request, "action"),
        ids: all(&request, "id"),
        physical_ids: all(&request, "physical_resource_id"),
    };
    let with_detail = flag(&request, "with_detail")?;
    let found = domain::list(&core, &request.context, &row, depth, &filter, with_detail).await?;
    let base = &request.meta.base_url;
    let items: Vec<Value> =
        found.iter().map(|shown| view::resource::shown(base, shown, shown.stack.id != row.id)).collect();
    Ok(Response::ok(json!({"resources": items})))
}

async fn show(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "resource:show").await?;
    let extra: Vec<String> =
        request.query.all("with_attr").flat_map(|text| text.split(',')).map(|name| name.trim().to_owned()).collect();
    let shown = domain::show(&core, &request.context, &row, request.param("resource"), &extra).await?;
    let is_inner = shown.stack.owner_resource.is_some();
    Ok(Response::ok(json!({"resource": view::resource::shown(&request.meta.base_url, &shown, is_inner)})))
}

async fn metadata(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "resource:metadata").await?;
    let metadata = domain::metadata(&core, &request.context, &row, request.param("resource")).await?;
    Ok(Response::ok(json!({"metadata": metadata})))
}

async fn signal(core: State, mut request: Request) -> Result<Response> {
    let body = optional_body(&mut request)?.unwrap_or_else(|| json!({}));
    let row = stack_of(&core, &request, "resource:signal").await?;
    domain::signal(&core, &request.context, &row, request.param("resource"), &body).await?;
    Ok(Response::ok(Value::Null))
}

async fn mark(core: State, mut request: Request) -> Result<Response> {
    let body = body(&mut request)?;
    let row = stack_of(&core, &request, "resource:mark_unhealthy").await?;
    domain::mark_unhealthy(&core, &request.context, &row, request.param("resource"), &body).await?;
    Ok(Response::ok(Value::Null))
}
