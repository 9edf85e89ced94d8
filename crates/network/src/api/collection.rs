//! The five verbs of every collection.

use sahab_api::{Request, Response};
use sahab_contract::{Error, Result};
use serde_json::{Map, Value, json};

use super::State;
use crate::{
    attribute::{items_of, object_of},
    error::bad_request,
    listing::{Page, keep_fields, list as list_page},
    resource::{self, Resource, View},
    security_group::{self, SecurityGroup},
};

pub async fn list<R: Resource>(service: State, request: Request) -> Result<Response> {
    let page = list_page::<R>(&service, &request.context, &request.query).await?;
    Ok(Response::ok(page_body(&request, R::PLURAL, page)))
}

/// Listing groups is when a project's default group appears.
pub async fn list_groups(service: State, request: Request) -> Result<Response> {
    request.context.auth()?;
    let asked = request.query.get("project_id").or_else(|| request.query.get("tenant_id"));
    security_group::ensure_listed(&service, &request.context, asked).await?;
    list::<SecurityGroup>(service, request).await
}

fn page_body(request: &Request, plural: &str, page: Page) -> Value {
    let mut body = Map::new();
    body.insert(plural.to_owned(), array(request, page.items));
    if let Some(links) = page.links {
        let href = |query: String| format!("{}{}?{query}", request.context.base_url, request.meta.path);
        let links: Vec<Value> =
            links.into_iter().map(|(rel, query)| json!({"rel": rel, "href": href(query)})).collect();
        if !links.is_empty() {
            body.insert(format!("{plural}_links"), json!(links));
        }
    }
    Value::Object(body)
}

/// A list that is not a table: exact filters, fields.
pub fn plain_list(request: &Request, plural: &str, items: Vec<View>) -> Response {
    Response::ok(json!({plural: array(request, items)}))
}

/// Moves the views: serialising them into a value would copy each once more.
fn array(request: &Request, items: Vec<View>) -> Value {
    items.into_iter().map(|view| Value::Object(keep_fields(&request.query, view))).collect()
}

pub async fn create<R: Resource>(service: State, mut request: Request) -> Result<Response> {
    let (items, bulk) = items_of(request.json(), R::SINGULAR, R::PLURAL)?;
    let mut views = resource::create::<R>(&service, &request.context, items).await?;
    if bulk {
        return Ok(Response::created(json!({R::PLURAL: views})));
    }
    let view = views.pop().ok_or_else(|| Error::internal("nothing was created"))?;
    Ok(Response::created(json!({R::SINGULAR: view})))
}

pub async fn show<R: Resource>(service: State, request: Request) -> Result<Response> {
    request.context.auth()?;
    let view = resource::show::<R>(&service, &request.context, request.param("id")).await?;
    Ok(Response::ok(json!({R::SINGULAR: keep_fields(&request.query, view)})))
}

pub async fn update<R: Resource>(service: State, mut request: Request) -> Result<Response> {
    let expected = expected_revision(&request)?;
    let body = object_of(request.json(), R::SINGULAR)?;
    let view = resource::update::<R>(&service, &request.context, request.param("id"), body, expected).await?;
    Ok(Response::ok(json!({R::SINGULAR: view})))
}

pub async fn delete<R: Resource>(service: State, request: Request) -> Result<Response> {
    let expected = expected_revision(&request)?;
    resource::delete::<R>(&service, &request.context, request.param("id"), expected).await?;
    Ok(Response::no_content())
}

/// `If-Match: revision_number=3`
fn expected_revision(request: &Request) -> Result<Option<i32>> {
    let Some(header) = request.header("if-match") else { return Ok(None) };
    let mut tags = header.split(',').map(str::trim).filter_map(|tag| tag.strip_prefix("revision_number="));
    let Some(first) = tags.next() else { return Ok(None) };
    if tags.next().is_some() {
        return Err(bad_request("Multiple revision_number constraints are not supported."));
    }
    match first.trim_matches('"').parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(bad_request("Revision number must be an integer.")),
    }
}

/// The body as a bare object.
pub fn bare(request: &mut Request) -> Result<Map<String, Value>> {
    match request.json() {
        sahab_api::JsonBody::Value(Value::Object(body)) => Ok(body),
        sahab_api::JsonBody::Absent => Ok(Map::new()),
        _ => Err(bad_request("Body contains invalid data")),
    }
}
