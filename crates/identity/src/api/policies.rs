//! `/v3/policies` and OS-ENDPOINT-POLICY.

use http::Method;
use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, catalog::endpoint_view, list, whole, wrapped};
use crate::{
    db::catalog::policy,
    input::Input,
    policy_document::{Association, PolicyInput},
    view::resource,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/policies", index);
    table.post("/v3/policies", create);
    table.get("/v3/policies/{policy_id}", show);
    table.patch("/v3/policies/{policy_id}", update);
    table.delete("/v3/policies/{policy_id}", delete);
    for path in [
        "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints/{endpoint_id}",
        "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}",
        "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}/regions/{region_id}",
    ] {
        table.put(path, association);
        table.get(path, association);
        table.delete(path, association);
    }
    table.get("/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints", endpoints);
    table.get("/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", of_endpoint);
}

fn view(base: &str, row: &policy::Model) -> Value {
    resource(base, "policies", &row.extra, json!({"id": row.id, "type": row.kind, "blob": row.blob}))
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.policy_list(&request.context, &request.query).await?;
    list(&request, "policies", page, |row| &row.id, view)
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let input = Input::read(&mut request, "policy")?;
    input.require(&["blob", "type"])?;
    let row = service.policy_create(&request.context, PolicyInput::parse(input)?).await?;
    Ok(Response::created(wrapped("policy", view(&request.meta.base_url, &row))))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let row = service.policy_get(&request.context, request.param("policy_id")).await?;
    Ok(Response::ok(wrapped("policy", view(&request.meta.base_url, &row))))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let input = PolicyInput::parse(Input::read(&mut request, "policy")?)?;
    let row = service.policy_update(&request.context, request.param("policy_id"), input).await?;
    Ok(Response::ok(wrapped("policy", view(&request.meta.base_url, &row))))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.policy_delete(&request.context, request.param("policy_id")).await?;
    Ok(Response::no_content())
}

async fn association(service: State, request: Request) -> Result<Response> {
    let place = Association {
        endpoint_id: request.param("endpoint_id").to_owned(),
        service_id: request.param("service_id").to_owned(),
        region_id: request.param("region_id").to_owned(),
    };
    let policy_id = request.param("policy_id");
    match request.meta.method {
        Method::PUT => service.association_create(&request.context, policy_id, place).await?,
        Method::DELETE => service.association_delete(&request.context, policy_id, place).await?,
        _ => service.association_check(&request.context, policy_id, place).await?,
    }
    Ok(Response::no_content())
}

async fn endpoints(service: State, request: Request) -> Result<Response> {
    let rows = service.endpoints_of_policy(&request.context, request.param("policy_id")).await?;
    let base = &request.meta.base_url;
    Ok(whole(&request, "endpoints", rows.iter().map(|row| endpoint_view(base, row)).collect()))
}

async fn of_endpoint(service: State, request: Request) -> Result<Response> {
    let row = service.policy_of_endpoint(&request.context, request.param("endpoint_id")).await?;
    Ok(Response::ok(wrapped("policy", view(&request.meta.base_url, &row))))
}
