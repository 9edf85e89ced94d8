//! Members of shared images.

use std::sync::Arc;

use sahab_api::{Request, Response};
use sahab_contract::{Error, Result};
use serde_json::{Value, json};

use super::object;
use crate::{ImageService, view};

pub async fn list(service: Arc<ImageService>, request: Request) -> Result<Response> {
    let rows = service.member_list(&request.context, request.param("id")).await?;
    let members: Vec<_> = rows.iter().map(view::member).collect();
    Ok(Response::ok(json!({"members": members, "schema": "/v2/schemas/members"})))
}

pub async fn add(service: Arc<ImageService>, mut request: Request) -> Result<Response> {
    let body = object(&mut request)?;
    let project = text(&body, "member")?;
    Ok(Response::ok(view::member(&service.member_add(&request.context, request.param("id"), project).await?)))
}

pub async fn show(service: Arc<ImageService>, request: Request) -> Result<Response> {
    let row = service.member_show(&request.context, request.param("id"), request.param("member")).await?;
    Ok(Response::ok(view::member(&row)))
}

pub async fn answer(service: Arc<ImageService>, mut request: Request) -> Result<Response> {
    let body = object(&mut request)?;
    let status = text(&body, "status")?;
    let row = service.member_answer(&request.context, request.param("id"), request.param("member"), status).await?;
    Ok(Response::ok(view::member(&row)))
}

pub async fn remove(service: Arc<ImageService>, request: Request) -> Result<Response> {
    service.member_remove(&request.context, request.param("id"), request.param("member")).await?;
    Ok(Response::no_content())
}

fn text<'a>(body: &'a serde_json::Map<String, Value>, key: &str) -> Result<&'a str> {
    match body.get(key).and_then(Value::as_str) {
        Some(text) if !text.is_empty() && text.len() <= 255 => Ok(text),
        _ => Err(Error::invalid("BadRequest", format!("Image member's {key} must be given as a string"))),
    }
}
