//! `/v3/OS-EP-FILTER`

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::Value;

use super::{State, catalog::endpoint_view, list, whole, wrapped};
use crate::{
    endpoint_filter::{GroupInput, group_view},
    input::Input,
    view,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/OS-EP-FILTER/projects/{project_id}/endpoints", project_endpoints);
    table.put("/v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}", add);
    table.get("/v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}", check);
    table.delete("/v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}", remove);
    table.get("/v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects", endpoint_projects);
    table.get("/v3/OS-EP-FILTER/projects/{project_id}/endpoint_groups", project_groups);
    table.get("/v3/OS-EP-FILTER/endpoint_groups", index);
    table.post("/v3/OS-EP-FILTER/endpoint_groups", create);
    table.get("/v3/OS-EP-FILTER/endpoint_groups/{group_id}", show);
    table.patch("/v3/OS-EP-FILTER/endpoint_groups/{group_id}", update);
    table.delete("/v3/OS-EP-FILTER/endpoint_groups/{group_id}", delete);
    table.get("/v3/OS-EP-FILTER/endpoint_groups/{group_id}/projects", group_projects);
    table.get("/v3/OS-EP-FILTER/endpoint_groups/{group_id}/endpoints", group_endpoints);
    table.put("/v3/OS-EP-FILTER/endpoint_groups/{group_id}/projects/{project_id}", group_add);
    table.get("/v3/OS-EP-FILTER/endpoint_groups/{group_id}/projects/{project_id}", group_check);
    table.delete("/v3/OS-EP-FILTER/endpoint_groups/{group_id}/projects/{project_id}", group_remove);
}

async fn project_endpoints(service: State, request: Request) -> Result<Response> {
    let rows = service.endpoints_of_project(&request.context, request.param("project_id")).await?;
    let base = &request.meta.base_url;
    Ok(whole(&request, "endpoints", rows.iter().map(|row| endpoint_view(base, row)).collect()))
}

async fn add(service: State, request: Request) -> Result<Response> {
    service.filter_add(&request.context, request.param("project_id"), request.param("endpoint_id")).await?;
    Ok(Response::no_content())
}

async fn check(service: State, request: Request) -> Result<Response> {
    service.filter_check(&request.context, request.param("project_id"), request.param("endpoint_id")).await?;
    Ok(Response::no_content())
}

async fn remove(service: State, request: Request) -> Result<Response> {
    service.filter_remove(&request.context, request.param("project_id"), request.param("endpoint_id")).await?;
    Ok(Response::no_content())
}

async fn endpoint_projects(service: State, request: Request) -> Result<Response> {
    let rows = service.projects_of_endpoint(&request.context, request.param("endpoint_id")).await?;
    let base = &request.meta.base_url;
    Ok(whole(&request, "projects", rows.iter().map(|row| view::project(base, row, &[])).collect()))
}

async fn project_groups(service: State, request: Request) -> Result<Response> {
    let rows = service.endpoint_groups_of_project(&request.context, request.param("project_id")).await?;
    let base = &request.meta.base_url;
    Ok(whole(&request, "endpoint_groups", rows.iter().map(|row| group_view(base, row)).collect()))
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.endpoint_group_list(&request.context, &request.query).await?;
    list(&request, "endpoint_groups", page, |row| &row.id, group_view)
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let input = Input::read(&mut request, "endpoint_group")?;
    input.require(&["name", "filters"])?;
    let row = service.endpoint_group_create(&request.context, GroupInput::parse(input)?).await?;
    Ok(Response::created(wrapped("endpoint_group", group_view(&request.meta.base_url, &row))))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let id = request.param("group_id");
    let row = service.endpoint_group_get(&request.context, "identity:get_endpoint_group", id).await?;
    Ok(Response::ok(wrapped("endpoint_group", group_view(&request.meta.base_url, &row))))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let input = GroupInput::parse(Input::read(&mut request, "endpoint_group")?)?;
    let row = service.endpoint_group_update(&request.context, request.param("group_id"), input).await?;
    Ok(Response::ok(wrapped("endpoint_group", group_view(&request.meta.base_url, &row))))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.endpoint_group_delete(&request.context, request.param("group_id")).await?;
    Ok(Response::no_content())
}

async fn group_projects(service: State, request: Request) -> Result<Response> {
    let rows = service.projects_of_group(&request.context, request.param("group_id")).await?;
    let base = &request.meta.base_url;
    Ok(whole(&request, "projects", rows.iter().map(|row| view::project(base, row, &[])).collect()))
}

async fn group_endpoints(service: State, request: Request) -> Result<Response> {
    let rows = service.endpoints_of_group(&request.context, request.param("group_id")).await?;
    let base = &request.meta.base_url;
    Ok(whole(&request, "endpoints", rows.iter().map(|row| endpoint_view(base, row)).collect::<Vec<Value>>()))
}

async fn group_add(service: State, request: Request) -> Result<Response> {
    service.group_filter_add(&request.context, request.param("project_id"), request.param("group_id")).await?;
    Ok(Response::no_content())
}

async fn group_check(service: State, request: Request) -> Result<Response> {
    let (project, group) = (request.param("project_id"), request.param("group_id"));
    let row = service.group_filter_check(&request.context, project, group).await?;
    Ok(Response::ok(wrapped("endpoint_group", group_view(&request.meta.base_url, &row))))
}

async fn group_remove(service: State, request: Request) -> Result<Response> {
    service.group_filter_remove(&request.context, request.param("project_id"), request.param("group_id")).await?;
    Ok(Response::no_content())
}
