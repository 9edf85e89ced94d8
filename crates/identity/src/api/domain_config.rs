//! `/v3/domains/{domain_id}/config` and the defaults.

use sahab_api::{Request, Response, Table};
use sahab_contract::{Error, Result};
use serde_json::{Value, json};

use super::{State, wrapped};
use crate::{domain_config::Part, input};

pub fn routes(table: &mut Table<State>) {
    table.put("/v3/domains/{domain_id}/config", put);
    for path in [
        "/v3/domains/{domain_id}/config",
        "/v3/domains/{domain_id}/config/{group}",
        "/v3/domains/{domain_id}/config/{group}/{option}",
    ] {
        table.get(path, show);
        table.patch(path, patch);
        table.delete(path, delete);
    }
    for path in [
        "/v3/domains/config/default",
        "/v3/domains/config/{group}/default",
        "/v3/domains/config/{group}/{option}/default",
    ] {
        table.get(path, default);
    }
}

fn part(request: &Request) -> Part<'_> {
    let given = |name: &str| Some(request.param(name)).filter(|text| !text.is_empty());
    Part { group: given("group"), option: given("option") }
}

fn config(request: &mut Request) -> Result<Value> {
    input::object(request)?
        .remove("config")
        .ok_or_else(|| Error::invalid("SchemaValidationError", "'config' is a required property"))
}

async fn put(service: State, mut request: Request) -> Result<Response> {
    let config = config(&mut request)?;
    let all = service.config_put(&request.context, request.param("domain_id"), &config).await?;
    Ok(Response::created(wrapped("config", all)))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let config = service.config_get(&request.context, request.param("domain_id"), part(&request)).await?;
    Ok(Response::ok(wrapped("config", config)))
}

async fn patch(service: State, mut request: Request) -> Result<Response> {
    let config = config(&mut request)?;
    let all = service.config_patch(&request.context, request.param("domain_id"), part(&request), &config).await?;
    Ok(Response::ok(json!({"config": all})))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.config_delete(&request.context, request.param("domain_id"), part(&request)).await?;
    Ok(Response::no_content())
}

async fn default(service: State, request: Request) -> Result<Response> {
    Ok(Response::ok(wrapped("config", service.config_default(&request.context, part(&request))?)))
}
