//! `/v1/registries`.

use http::header::LOCATION;
use sahab_api::{Request, Response};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::paging;
use crate::{
    ContainerService,
    db::registry::{Column, Model, sortable},
    registries::RegistryFields,
    request::{Arguments, fields},
    texts, view,
};

const FILTERS: [&str; 5] = ["name", "domain", "username", "project_id", "user_id"];

/// `links` only on single objects.
fn render(row: &Model, base: Option<&str>) -> Value {
    let mut out = json!({"uuid": row.uuid});
    if let Some(base) = base {
        out["links"] = view::links(base, "registries", &row.uuid);
    }
    out["name"] = json!(row.name);
    out["project_id"] = json!(row.project_id);
    out["user_id"] = json!(row.user_id);
    out["domain"] = json!(row.domain);
    out["username"] = json!(row.username);
    out["password"] = row.password.as_ref().map_or(Value::Null, |_| json!("***"));
    out
}

fn wrapped(row: &Model, request: &Request) -> Value {
    json!({"registry": render(row, Some(&request.context.base_url))})
}

fn read(request: &mut Request) -> Result<RegistryFields> {
    let outer = Arguments::read(request)?;
    outer.only(&["registry"])?;
    let registry = outer.get("registry").ok_or_else(|| texts::missing("registry"))?;
    let object = fields::object("registry", registry)?;
    fields::only("registry", object, &["domain", "name", "username", "password"])?;
    let text = |key: &str, shortest: usize| {
        let value = object.get(key).filter(|value| !value.is_null());
        value.map(|value| fields::text(key, value, shortest, 255)).transpose()
    };
    let domain = text("domain", 1)?;
    if let Some(domain) = &domain {
        let sane = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
        if !domain.bytes().all(sane) || !domain.starts_with(|letter: char| letter.is_ascii_alphanumeric()) {
            return Err(texts::schema("domain", &json!(domain), "It is not a host name with an optional port"));
        }
    }
    Ok(RegistryFields {
        name: text("name", 2)?,
        domain,
        username: text("username", 1)?,
        password: text("password", 1)?,
    })
}

pub async fn list(service: ContainerService, request: Request) -> Result<Response> {
    let arguments = Arguments::query(&request);
    let known = |key: &str| FILTERS.contains(&key) || paging::KEYS.contains(&key) || key == "all_projects";
    if let Some(unknown) = arguments.0.keys().find(|key| !known(key)) {
        return Err(texts::invalid_value(format!("Unknown parameters: {}", unknown.escape_debug())));
    }
    let paging = paging::parse(&arguments, sortable, "id")?;
    let mut filters: Vec<(Column, String)> = Vec::new();
    for key in FILTERS {
        if let (Some(value), Some(column)) = (arguments.text(key)?, sortable(key)) {
            filters.push((column, value.to_owned()));
        }
    }
    let all = arguments.flag("all_projects", false)?;
    let rows = service.registry_page(&request.context, all, &filters, &paging.page, paging.marker.as_deref()).await?;
    let last = rows.last().map(|row| row.uuid.as_str());
    let next = paging::next(&request, "registries", &paging.page, rows.len(), last);
    let shown: Vec<_> = rows.iter().map(|row| render(row, None)).collect();
    Ok(Response::ok(json!({"registries": shown, "next": next})))
}

pub async fn create(service: ContainerService, mut request: Request) -> Result<Response> {
    let fields = read(&mut request)?;
    let row = service.registry_create(&request.context, fields).await?;
    let location = format!("{}/v1/registries/{}", request.context.base_url, row.uuid);
    Ok(Response::created(wrapped(&row, &request)).header(LOCATION, location))
}

pub async fn show(service: ContainerService, request: Request) -> Result<Response> {
    let row = service.registry_show(&request.context, request.param("id")).await?;
    Ok(Response::ok(wrapped(&row, &request)))
}

pub async fn update(service: ContainerService, mut request: Request) -> Result<Response> {
    let fields = read(&mut request)?;
    let row = service.registry_update(&request.context, request.param("id"), fields).await?;
    Ok(Response::ok(wrapped(&row, &request)))
}

pub async fn delete(service: ContainerService, request: Request) -> Result<Response> {
    service.registry_delete(&request.context, request.param("id")).await?;
    Ok(Response::no_content())
}
