//! `/v3/domains`

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::json;

use super::{State, list, wrapped};
use crate::{
    input::{Input, repr, wrong},
    project::ProjectInput,
    view,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/domains", index);
    table.post("/v3/domains", create);
    table.get("/v3/domains/{domain_id}", show);
    table.patch("/v3/domains/{domain_id}", update);
    table.delete("/v3/domains/{domain_id}", delete);
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.domain_list(&request.context, &request.query).await?;
    let ids: Vec<&str> = page.rows.iter().map(|row| row.id.as_str()).collect();
    let tags = service.tags_of(&ids).await?;
    list(
        &request,
        "domains",
        page,
        |row| &row.id,
        |base, row| view::domain(base, row, tags.get(&row.id).map_or(&[], Vec::as_slice)),
    )
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let mut input = Input::read(&mut request, "domain")?;
    input.require(&["name"])?;
    let explicit = input.text("explicit_domain_id", 64)?;
    if let Some(id) = &explicit
        && !(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        let value = json!(id);
        return Err(wrong("explicit_domain_id", &value, &format!("{} is not a UUID in hex form", repr(&value))));
    }
    let row = service.domain_create(&request.context, ProjectInput::parse(input)?, explicit).await?;
    let tags = service.tags_of(&[&row.id]).await?.remove(&row.id).unwrap_or_default();
    Ok(Response::created(wrapped("domain", view::domain(&request.meta.base_url, &row, &tags))))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let row = service.domain_get(&request.context, request.param("domain_id")).await?;
    let tags = service.tags_of(&[&row.id]).await?.remove(&row.id).unwrap_or_default();
    Ok(Response::ok(wrapped("domain", view::domain(&request.meta.base_url, &row, &tags))))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let input = ProjectInput::parse(Input::read(&mut request, "domain")?)?;
    let row = service.domain_update(&request.context, request.param("domain_id"), input).await?;
    let tags = service.tags_of(&[&row.id]).await?.remove(&row.id).unwrap_or_default();
    Ok(Response::ok(wrapped("domain", view::domain(&request.meta.base_url, &row, &tags))))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.domain_delete(&request.context, request.param("domain_id")).await?;
    Ok(Response::no_content())
}
