//! `/v3/projects` and their tags.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, list, users::with_extra, wrapped};
use crate::{
    db::projects::project,
    input::{self, Input},
    listing::{Page, self_url},
    project::{ProjectInput, tags},
    project_tree::{Shape, shape},
    view,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/projects", index);
    table.post("/v3/projects", create);
    table.get("/v3/projects/{project_id}", show);
    table.patch("/v3/projects/{project_id}", update);
    table.delete("/v3/projects/{project_id}", delete);
    table.get("/v3/projects/{project_id}/tags", tag_list);
    table.put("/v3/projects/{project_id}/tags", tag_replace);
    table.delete("/v3/projects/{project_id}/tags", tag_clear);
    table.get("/v3/projects/{project_id}/tags/{tag}", tag_check);
    table.put("/v3/projects/{project_id}/tags/{tag}", tag_add);
    table.delete("/v3/projects/{project_id}/tags/{tag}", tag_remove);
}

/// A page of projects with their tags, read in one query.
pub(super) async fn with_tags(service: &State, request: &Request, page: Page<project::Model>) -> Result<Response> {
    let ids: Vec<&str> = page.rows.iter().map(|row| row.id.as_str()).collect();
    let tags = service.tags_of(&ids).await?;
    list(
        request,
        "projects",
        page,
        |row| &row.id,
        |base, row| view::project(base, row, tags.get(&row.id).map_or(&[], Vec::as_slice)),
    )
}

async fn rendered(service: &State, request: &Request, row: &project::Model) -> Result<Value> {
    let tags = service.tags_of(&[&row.id]).await?;
    Ok(view::project(&request.meta.base_url, row, tags.get(&row.id).map_or(&[], Vec::as_slice)))
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.project_list(&request.context, &request.query).await?;
    with_tags(&service, &request, page).await
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let input = Input::read(&mut request, "project")?;
    input.require(&["name"])?;
    let row = service.project_create(&request.context, ProjectInput::parse(input)?).await?;
    Ok(Response::created(wrapped("project", rendered(&service, &request, &row).await?)))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let row = service.project_get(&request.context, request.param("project_id")).await?;
    let parents = shape(&request.query, "parents")?;
    let subtree = shape(&request.query, "subtree")?;
    let mut body = rendered(&service, &request, &row).await?;
    let base = &request.meta.base_url;
    let items = |rows: Vec<project::Model>| -> Value {
        rows.iter().map(|row| json!({"project": view::project(base, row, &[])})).collect()
    };
    match parents {
        None => {}
        Some(Shape::Ids) => body["parents"] = service.parents_as_ids(&row).await?,
        Some(Shape::List) => body["parents"] = items(service.parents_as_list(&request.context, &row).await?),
    }
    match subtree {
        None => {}
        Some(Shape::Ids) => body["subtree"] = service.subtree_as_ids(&row).await?,
        Some(Shape::List) => body["subtree"] = items(service.subtree_as_list(&request.context, &row).await?),
    }
    Ok(Response::ok(wrapped("project", body)))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let input = ProjectInput::parse(Input::read(&mut request, "project")?)?;
    let row = service.project_update(&request.context, request.param("project_id"), input).await?;
    let body = with_extra(rendered(&service, &request, &row).await?, &row.extra);
    Ok(Response::ok(wrapped("project", body)))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.project_delete(&request.context, request.param("project_id")).await?;
    Ok(Response::no_content())
}

async fn tag_body(service: &State, request: &Request) -> Result<Response> {
    let id = request.param("project_id");
    let tags = service.tags_of(&[id]).await?.remove(id).unwrap_or_default();
    Ok(Response::ok(json!({"tags": tags, "links": {"self": self_url(&request.meta, &request.query)}})))
}

async fn tag_list(service: State, request: Request) -> Result<Response> {
    service.tag_project(&request.context, "identity:list_project_tags", request.param("project_id")).await?;
    tag_body(&service, &request).await
}

async fn tag_replace(service: State, mut request: Request) -> Result<Response> {
    let mut input = Input::from_value("tags", Value::Object(input::object(&mut request)?))?;
    input.require(&["tags"])?;
    let tags = tags(input.list("tags")?.unwrap_or_default())?;
    input.finish()?;
    let id = request.param("project_id");
    service.tags_replace(&request.context, "identity:update_project_tags", id, tags).await?;
    tag_body(&service, &request).await
}

async fn tag_clear(service: State, request: Request) -> Result<Response> {
    let id = request.param("project_id");
    service.tags_replace(&request.context, "identity:delete_project_tags", id, Vec::new()).await?;
    Ok(Response::no_content())
}

async fn tag_check(service: State, request: Request) -> Result<Response> {
    service.tag_check(&request.context, request.param("project_id"), request.param("tag")).await?;
    Ok(Response::no_content())
}

async fn tag_add(service: State, request: Request) -> Result<Response> {
    service.tag_add(&request.context, request.param("project_id"), request.param("tag")).await?;
    let mut response = Response::empty(201);
    response.set("location", self_url(&request.meta, &request.query));
    Ok(response)
}

async fn tag_remove(service: State, request: Request) -> Result<Response> {
    service.tag_remove(&request.context, request.param("project_id"), request.param("tag")).await?;
    Ok(Response::no_content())
}
