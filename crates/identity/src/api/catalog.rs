//! `/v3/regions`, `/v3/services`, `/v3/endpoints`

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, list, wrapped};
use crate::{
    catalog::{EndpointInput, RegionInput, ServiceInput},
    db::catalog::{endpoint, region, service},
    input::{Input, wrong},
    view::resource,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/regions", region_index);
    table.post("/v3/regions", region_create);
    table.get("/v3/regions/{region_id}", region_show);
    table.put("/v3/regions/{region_id}", region_put);
    table.patch("/v3/regions/{region_id}", region_update);
    table.delete("/v3/regions/{region_id}", region_delete);
    table.get("/v3/services", service_index);
    table.post("/v3/services", service_create);
    table.get("/v3/services/{service_id}", service_show);
    table.patch("/v3/services/{service_id}", service_update);
    table.delete("/v3/services/{service_id}", service_delete);
    table.get("/v3/endpoints", endpoint_index);
    table.post("/v3/endpoints", endpoint_create);
    table.get("/v3/endpoints/{endpoint_id}", endpoint_show);
    table.patch("/v3/endpoints/{endpoint_id}", endpoint_update);
    table.delete("/v3/endpoints/{endpoint_id}", endpoint_delete);
}

pub(super) fn region_view(base: &str, row: &region::Model) -> Value {
    let own = json!({"id": row.id, "parent_region_id": row.parent_id, "description": row.description});
    resource(base, "regions", &row.extra, own)
}

fn service_view(base: &str, row: &service::Model) -> Value {
    let mut own = json!({"id": row.id, "type": row.kind, "enabled": row.enabled});
    if let Some(name) = &row.name {
        own["name"] = Value::from(name.as_str());
    }
    resource(base, "services", &row.extra, own)
}

pub(super) fn endpoint_view(base: &str, row: &endpoint::Model) -> Value {
    let own = json!({
        "id": row.id, "interface": row.interface, "region_id": row.region_id, "region": row.region_id,
        "service_id": row.service_id, "url": row.url, "enabled": row.enabled,
    });
    resource(base, "endpoints", &row.extra, own)
}

async fn region_index(service: State, request: Request) -> Result<Response> {
    let page = service.region_list(&request.context, &request.query).await?;
    list(&request, "regions", page, |row| &row.id, region_view)
}

async fn region_create(service: State, mut request: Request) -> Result<Response> {
    let input = RegionInput::parse(Input::read(&mut request, "region")?)?;
    let row = service.region_create(&request.context, input).await?;
    Ok(Response::created(wrapped("region", region_view(&request.meta.base_url, &row))))
}

async fn region_put(service: State, mut request: Request) -> Result<Response> {
    let mut input = RegionInput::parse(Input::read(&mut request, "region")?)?;
    let id = request.param("region_id").to_owned();
    if input.id.as_ref().is_some_and(|given| *given != id) {
        return Err(wrong("id", &json!(input.id), "Conflicting region IDs specified"));
    }
    if id.chars().count() > 255 {
        return Err(wrong("id", &json!(id), &format!("'{id}' is too long")));
    }
    input.id = Some(id);
    let row = service.region_create(&request.context, input).await?;
    Ok(Response::created(wrapped("region", region_view(&request.meta.base_url, &row))))
}

async fn region_show(service: State, request: Request) -> Result<Response> {
    let row = service.region_get(&request.context, request.param("region_id")).await?;
    Ok(Response::ok(wrapped("region", region_view(&request.meta.base_url, &row))))
}

async fn region_update(service: State, mut request: Request) -> Result<Response> {
    let input = RegionInput::parse(Input::read(&mut request, "region")?)?;
    let row = service.region_update(&request.context, request.param("region_id"), input).await?;
    Ok(Response::ok(wrapped("region", region_view(&request.meta.base_url, &row))))
}

async fn region_delete(service: State, request: Request) -> Result<Response> {
    service.region_delete(&request.context, request.param("region_id")).await?;
    Ok(Response::no_content())
}

async fn service_index(service: State, request: Request) -> Result<Response> {
    let page = service.service_list(&request.context, &request.query).await?;
    list(&request, "services", page, |row| &row.id, service_view)
}

async fn service_create(service: State, mut request: Request) -> Result<Response> {
    let input = Input::read(&mut request, "service")?;
    input.require(&["type"])?;
    let row = service.service_create(&request.context, ServiceInput::parse(input)?).await?;
    Ok(Response::created(wrapped("service", service_view(&request.meta.base_url, &row))))
}

async fn service_show(service: State, request: Request) -> Result<Response> {
    let row = service.service_get(&request.context, request.param("service_id")).await?;
    Ok(Response::ok(wrapped("service", service_view(&request.meta.base_url, &row))))
}

async fn service_update(service: State, mut request: Request) -> Result<Response> {
    let input = ServiceInput::parse(Input::read(&mut request, "service")?)?;
    let row = service.service_update(&request.context, request.param("service_id"), input).await?;
    Ok(Response::ok(wrapped("service", service_view(&request.meta.base_url, &row))))
}

async fn service_delete(service: State, request: Request) -> Result<Response> {
    service.service_delete(&request.context, request.param("service_id")).await?;
    Ok(Response::no_content())
}

async fn endpoint_index(service: State, request: Request) -> Result<Response> {
    let page = service.endpoint_list(&request.context, &request.query).await?;
    list(&request, "endpoints", page, |row| &row.id, endpoint_view)
}

async fn endpoint_create(service: State, mut request: Request) -> Result<Response> {
    let input = Input::read(&mut request, "endpoint")?;
    input.require(&["interface", "service_id", "url"])?;
    let row = service.endpoint_create(&request.context, EndpointInput::parse(input)?).await?;
    Ok(Response::created(wrapped("endpoint", endpoint_view(&request.meta.base_url, &row))))
}

async fn endpoint_show(service: State, request: Request) -> Result<Response> {
    let row = service.endpoint_get(&request.context, request.param("endpoint_id")).await?;
    Ok(Response::ok(wrapped("endpoint", endpoint_view(&request.meta.base_url, &row))))
}

async fn endpoint_update(service: State, mut request: Request) -> Result<Response> {
    let input = EndpointInput::parse(Input::read(&mut request, "endpoint")?)?;
    let row = service.endpoint_update(&request.context, request.param("endpoint_id"), input).await?;
    Ok(Response::ok(wrapped("endpoint", endpoint_view(&request.meta.base_url, &row))))
}

async fn endpoint_delete(service: State, request: Request) -> Result<Response> {
    service.endpoint_delete(&request.context, request.param("endpoint_id")).await?;
    Ok(Response::no_content())
}
