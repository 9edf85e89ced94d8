//! `/v3/roles`, implications and inference rules.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, list, wrapped};
use crate::{db::grant::role, input::Input, listing::self_url, role::RoleInput, view};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/roles", index);
    table.post("/v3/roles", create);
    table.get("/v3/roles/{role_id}", show);
    table.patch("/v3/roles/{role_id}", update);
    table.delete("/v3/roles/{role_id}", delete);
    table.get("/v3/roles/{role_id}/implies", implied);
    table.put("/v3/roles/{role_id}/implies/{implied_id}", imply);
    table.get("/v3/roles/{role_id}/implies/{implied_id}", implication);
    table.head("/v3/roles/{role_id}/implies/{implied_id}", implication_check);
    table.delete("/v3/roles/{role_id}/implies/{implied_id}", forget);
    table.get("/v3/role_inferences", inferences);
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.role_list(&request.context, &request.query).await?;
    list(&request, "roles", page, |row| &row.id, view::role)
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let input = Input::read(&mut request, "role")?;
    input.require(&["name"])?;
    let row = service.role_create(&request.context, RoleInput::parse(input)?).await?;
    Ok(Response::created(wrapped("role", view::role(&request.meta.base_url, &row))))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let row = service.role_get(&request.context, request.param("role_id")).await?;
    Ok(Response::ok(wrapped("role", view::role(&request.meta.base_url, &row))))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let input = RoleInput::parse(Input::read(&mut request, "role")?)?;
    let row = service.role_update(&request.context, request.param("role_id"), input).await?;
    Ok(Response::ok(wrapped("role", view::role(&request.meta.base_url, &row))))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.role_delete(&request.context, request.param("role_id")).await?;
    Ok(Response::no_content())
}

fn short(base: &str, row: &role::Model) -> Value {
    json!({"id": row.id, "links": {"self": format!("{base}/v3/roles/{}", row.id)}, "name": row.name})
}

fn inference(request: &Request, prior: &role::Model, implies: Value) -> Value {
    json!({
        "role_inference": {"prior_role": short(&request.meta.base_url, prior), "implies": implies},
        "links": {"self": self_url(&request.meta, &request.query)},
    })
}

async fn imply(service: State, request: Request) -> Result<Response> {
    let (prior, implied) =
        service.implication_create(&request.context, request.param("role_id"), request.param("implied_id")).await?;
    let implied = short(&request.meta.base_url, &implied);
    Ok(Response::created(inference(&request, &prior, implied)))
}

async fn implication(service: State, request: Request) -> Result<Response> {
    let (prior, implied) = (request.param("role_id"), request.param("implied_id"));
    let found = service.implication_get(&request.context, "identity:get_implied_role", prior, implied).await?;
    let implied = short(&request.meta.base_url, &found.1);
    Ok(Response::ok(inference(&request, &found.0, implied)))
}

async fn implication_check(service: State, request: Request) -> Result<Response> {
    let (prior, implied) = (request.param("role_id"), request.param("implied_id"));
    service.implication_get(&request.context, "identity:check_implied_role", prior, implied).await?;
    Ok(Response::no_content())
}

async fn implied(service: State, request: Request) -> Result<Response> {
    let (prior, implied) = service.implication_list(&request.context, request.param("role_id")).await?;
    let implied = implied.iter().map(|row| short(&request.meta.base_url, row)).collect();
    Ok(Response::ok(inference(&request, &prior, implied)))
}

async fn forget(service: State, request: Request) -> Result<Response> {
    service.implication_delete(&request.context, request.param("role_id"), request.param("implied_id")).await?;
    Ok(Response::no_content())
}

async fn inferences(service: State, request: Request) -> Result<Response> {
    let base = &request.meta.base_url;
    let rules = service.inference_rules(&request.context).await?;
    let rules: Value = rules
        .iter()
        .map(|(prior, implied)| {
            let implied: Value = implied.iter().map(|row| short(base, row)).collect();
            json!({"prior_role": short(base, prior), "implies": implied})
        })
        .collect();
    Ok(Response::ok(json!({"role_inferences": rules})))
}
