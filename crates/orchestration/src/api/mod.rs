//! The endpoint table of the Orchestration API v1 (spec 1.5): parse, call the domain, render.

mod actions;
mod events;
mod family;
mod resources;
mod software;
mod stacks;
mod types;

use std::sync::Arc;

use sahab_api::{Endpoint, JsonBody, Request, Response, Table};
use sahab_contract::{Error, Result};
use serde_json::{Value, json};

pub use family::HeatFamily;

use crate::{core::Core, db::stack, stacks as domain, stacks::request, template::error, view};

type State = Arc<Core>;

pub fn endpoints(core: Arc<Core>) -> Vec<Endpoint> {
    let mut table = Table::new(core);
    table
        .get(
            "/",
            |_, request: Request| async move { Ok(Response::json(300, family::versions(&request.meta.base_url))) },
        )
        .open();
    table.get("/healthcheck", |_, _| async { Ok(Response::text(200, "text/plain", "OK")) }).open();
    table.get("/v1/{tenant}/build_info", |core: State, request: Request| async move {
        core.enforce(&request.context, "build_info:build_info", request.param("tenant"))?;
        let revision = env!("CARGO_PKG_VERSION");
        Ok(Response::ok(json!({"api": {"revision": revision}, "engine": {"revision": revision}})))
    });
    stacks::routes(&mut table);
    actions::routes(&mut table);
    resources::routes(&mut table);
    events::routes(&mut table);
    software::routes(&mut table);
    types::routes(&mut table);
    table.finish()
}

/// The body, if the client declared and sent JSON; otherwise handlers behave as if there was none.
fn optional_body(request: &mut Request) -> Result<Option<Value>> {
    let is_json = match request.header("content-type") {
        None => true,
        Some(text) => {
            let kind = text.split(';').next().unwrap_or_default().trim();
            kind.is_empty() || kind == "application/json" || kind == "text/plain"
        }
    };
    if !is_json {
        return Ok(None);
    }
    match request.json() {
        JsonBody::Value(value @ Value::Object(_)) => Ok(Some(value)),
        JsonBody::Value(Value::Null) | JsonBody::Absent => Ok(None),
        JsonBody::Value(_) => Err(no_object()),
        JsonBody::Malformed(reason) => Err(error::bad_request(format!("JSON parse error: {reason}"))),
    }
}

fn body(request: &mut Request) -> Result<Value> {
    optional_body(request)?.ok_or_else(no_object)
}

fn no_object() -> Error {
    error::bad_request("The body must be a JSON object.")
}

/// The stack that the path names by its canonical pair.
async fn stack_of(core: &Core, request: &Request, rule: &str) -> Result<stack::Model> {
    domain::get(core, &request.context, rule, request.param("tenant"), request.param("name"), request.param("id")).await
}

/// A boolean query argument.
fn flag(request: &Request, name: &str) -> Result<bool> {
    match request.query.get(name) {
        Some(text) => request::boolean(name, &Value::String(text.to_owned())),
        None => Ok(false),
    }
}

/// A count in the query.
fn number(request: &Request, name: &str) -> Result<Option<u64>> {
    request.query.get(name).map(|text| request::count(name, &Value::String(text.to_owned()))).transpose()
}

/// `nested_depth`: a number, or `true` for all there is.
fn nested_depth(core: &Core, request: &Request) -> Result<u64> {
    let deepest = u64::try_from(core.settings.max_nested_stack_depth).unwrap_or(u64::MAX);
    match request.query.get("nested_depth") {
        None => Ok(0),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(deepest),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(0),
        Some(text) => Ok(request::count("nested_depth", &Value::String(text.to_owned()))?.min(deepest)),
    }
}

fn all(request: &Request, name: &str) -> Vec<String> {
    request.query.all(name).map(str::to_owned).collect()
}

/// 302 to the canonical URL, the same query and the rest of the path kept.
async fn redirect(core: State, request: Request, rest: &str) -> Result<Response> {
    let tenant = request.param("tenant");
    let row = domain::lookup(&core, &request.context, tenant, request.param("name")).await?;
    let mut location = format!("{}{rest}", view::stack_url_of(&request.meta.base_url, &row));
    if !request.query.raw().is_empty() {
        location.push('?');
        location.push_str(request.query.raw());
    }
    Ok(Response::empty(302).header(http::header::LOCATION, location))
}
