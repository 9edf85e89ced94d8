//! `/v3/registered_limits` and `/v3/limits`

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, list, whole, wrapped};
use crate::{
    db::limits::registered_limit,
    input::{self, Input},
    limit::{Full, LimitInput, RegisteredInput, batch},
    view::resource,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/registered_limits", registered_index);
    table.post("/v3/registered_limits", registered_create);
    table.get("/v3/registered_limits/{limit_id}", registered_show);
    table.patch("/v3/registered_limits/{limit_id}", registered_update);
    table.delete("/v3/registered_limits/{limit_id}", registered_delete);
    table.get("/v3/limits/model", model);
    table.get("/v3/limits", index);
    table.post("/v3/limits", create);
    table.get("/v3/limits/{limit_id}", show);
    table.patch("/v3/limits/{limit_id}", update);
    table.delete("/v3/limits/{limit_id}", delete);
}

fn or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

fn registered_view(base: &str, row: &registered_limit::Model) -> Value {
    let own = json!({
        "id": row.id, "service_id": row.service_id, "region_id": or_null(&row.region_id),
        "resource_name": row.resource_name, "default_limit": row.default_limit, "description": row.description,
    });
    resource(base, "registered_limits", &Value::Null, own)
}

fn view(base: &str, (row, registered): &Full) -> Value {
    let own = json!({
        "id": row.id, "project_id": or_null(&row.project_id), "domain_id": or_null(&row.domain_id),
        "service_id": registered.service_id, "region_id": or_null(&registered.region_id),
        "resource_name": registered.resource_name, "resource_limit": row.resource_limit,
        "description": row.description,
    });
    resource(base, "limits", &Value::Null, own)
}

async fn registered_index(service: State, request: Request) -> Result<Response> {
    let page = service.registered_list(&request.context, &request.query).await?;
    list(&request, "registered_limits", page, |row| &row.id, registered_view)
}

async fn registered_create(service: State, mut request: Request) -> Result<Response> {
    let key = "registered_limits";
    let required = ["service_id", "resource_name", "default_limit"];
    let inputs = batch(key, input::object(&mut request)?.remove(key), &required)?;
    let inputs = inputs.into_iter().map(RegisteredInput::parse).collect::<Result<_>>()?;
    let rows = service.registered_create(&request.context, inputs).await?;
    let base = &request.meta.base_url;
    let mut response = whole(&request, key, rows.iter().map(|row| registered_view(base, row)).collect());
    response.status = 201;
    Ok(response)
}

async fn registered_show(service: State, request: Request) -> Result<Response> {
    let row = service.registered_get(&request.context, request.param("limit_id")).await?;
    Ok(Response::ok(wrapped("registered_limit", registered_view(&request.meta.base_url, &row))))
}

async fn registered_update(service: State, mut request: Request) -> Result<Response> {
    let input = RegisteredInput::parse(Input::read(&mut request, "registered_limit")?)?;
    let row = service.registered_update(&request.context, request.param("limit_id"), input).await?;
    Ok(Response::ok(wrapped("registered_limit", registered_view(&request.meta.base_url, &row))))
}

async fn registered_delete(service: State, request: Request) -> Result<Response> {
    service.registered_delete(&request.context, request.param("limit_id")).await?;
    Ok(Response::no_content())
}

async fn model(service: State, request: Request) -> Result<Response> {
    service.enforce(&request.context, "identity:get_limit_model", &Value::Null)?;
    let description = "Limit enforcement and validation does not take project hierarchy into consideration.";
    Ok(Response::ok(json!({"model": {"name": "flat", "description": description}})))
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.limit_list(&request.context, &request.query).await?;
    list(&request, "limits", page, |row| &row.0.id, view)
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let required = ["service_id", "resource_name", "resource_limit"];
    let inputs = batch("limits", input::object(&mut request)?.remove("limits"), &required)?;
    let inputs = inputs.into_iter().map(LimitInput::parse).collect::<Result<_>>()?;
    let rows = service.limit_create(&request.context, inputs).await?;
    let base = &request.meta.base_url;
    let mut response = whole(&request, "limits", rows.iter().map(|row| view(base, row)).collect());
    response.status = 201;
    Ok(response)
}

async fn show(service: State, request: Request) -> Result<Response> {
    let row = service.limit_get(&request.context, request.param("limit_id")).await?;
    Ok(Response::ok(wrapped("limit", view(&request.meta.base_url, &row))))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let mut input = Input::read(&mut request, "limit")?;
    let change = LimitInput {
        resource_limit: input.integer("resource_limit", -1, i64::from(i32::MAX))?,
        description: input.text_or_null("description", 65_535)?,
        ..LimitInput::default()
    };
    input.finish()?;
    let row = service.limit_update(&request.context, request.param("limit_id"), change).await?;
    Ok(Response::ok(wrapped("limit", view(&request.meta.base_url, &row))))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.limit_delete(&request.context, request.param("limit_id")).await?;
    Ok(Response::no_content())
}
