//! Images and their data.

use std::sync::Arc;

use http::header;
use sahab_api::{Body, JsonBody, Request, Response};
use sahab_contract::{Error, Kind, Result};
use serde_json::json;

use super::object;
use crate::{ImageService, patch, view};

pub async fn list(service: Arc<ImageService>, request: Request) -> Result<Response> {
    let (rows, full) = service.list(&request.context, &request.query).await?;
    let link = |query: String| if query.is_empty() { "/v2/images".to_owned() } else { format!("/v2/images?{query}") };
    let mut body = json!({
        "images": rows.iter().map(view::image).collect::<Vec<_>>(), "schema": "/v2/schemas/images",
        "first": link(request.query.with(&[("marker", None)])),
    });
    if let (true, Some(last)) = (full, rows.last()) {
        body["next"] = link(request.query.with(&[("marker", Some(&last.id))])).into();
    }
    Ok(Response::ok(body))
}

pub async fn create(service: Arc<ImageService>, mut request: Request) -> Result<Response> {
    let body = object(&mut request)?;
    let row = service.create(&request.context, body).await?;
    let location = format!("{}/v2/images/{}", request.meta.base_url, row.id);
    Ok(Response::created(view::image(&row)).header(header::LOCATION, location))
}

pub async fn show(service: Arc<ImageService>, request: Request) -> Result<Response> {
    Ok(Response::ok(view::image(&service.visible(&request.context, request.param("id")).await?)))
}

pub async fn update(service: Arc<ImageService>, mut request: Request) -> Result<Response> {
    let content_type = request.header("content-type").unwrap_or_default();
    let v21 = match content_type.split(';').next().unwrap_or_default().trim() {
        patch::V21 => true,
        patch::V20 => false,
        _ => return Err(Error::new(Kind::UnsupportedMediaType, "", "The request's media type is not supported.")),
    };
    let changes = match request.json() {
        JsonBody::Value(body) => patch::parse(&body, v21)?,
        JsonBody::Absent => return Err(Error::invalid("BadRequest", "The request has no body.")),
        JsonBody::Malformed(reason) => {
            return Err(Error::invalid("BadRequest", format!("Malformed JSON in request body: {reason}")));
        }
    };
    let row = service.update(&request.context, request.param("id"), changes).await?;
    Ok(Response::ok(view::image(&row)))
}

pub async fn delete(service: Arc<ImageService>, request: Request) -> Result<Response> {
    service.delete(&request.context, request.param("id")).await?;
    Ok(Response::no_content())
}

pub async fn upload(service: Arc<ImageService>, mut request: Request) -> Result<Response> {
    let content_type = request.header("content-type").unwrap_or("application/octet-stream");
    if content_type.split(';').next().map(str::trim) != Some("application/octet-stream") {
        return Err(Error::new(Kind::UnsupportedMediaType, "", "Image data must be application/octet-stream."));
    }
    let body = request.stream();
    service.upload(&request.context, request.param("id"), body).await?;
    Ok(Response::no_content())
}

pub async fn download(service: Arc<ImageService>, request: Request) -> Result<Response> {
    let range = request.header("range").map(parse_range).transpose()?;
    let found = service.download(&request.context, request.param("id"), range).await?;
    let Some((row, first, length, body)) = found else { return Ok(Response::no_content()) };
    let size = row.size.unwrap_or_default().unsigned_abs();
    if range.is_some() && first >= size {
        return Ok(Response::empty(416).header(header::CONTENT_RANGE, format!("bytes */{size}")));
    }
    let mut response = Response::new(if range.is_some() { 206 } else { 200 }, Body::Stream(body))
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, length.to_string());
    match range {
        Some(_) => response.set("content-range", format!("bytes {first}-{}/{size}", first + length - 1)),
        None => response.set("content-md5", row.checksum.unwrap_or_default()),
    }
    Ok(response)
}

/// `bytes=first-[last]`
fn parse_range(text: &str) -> Result<(u64, Option<u64>)> {
    let parse = || {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let first = first.parse().ok()?;
        match last {
            "" => Some((first, None)),
            last => Some((first, Some(last.parse().ok().filter(|last| *last >= first)?))),
        }
    };
    parse().ok_or_else(|| Error::invalid("BadRequest", format!("The byte range {text} is not understood.")))
}

pub async fn deactivate(service: Arc<ImageService>, request: Request) -> Result<Response> {
    service.set_active(&request.context, request.param("id"), false).await?;
    Ok(Response::no_content())
}

pub async fn reactivate(service: Arc<ImageService>, request: Request) -> Result<Response> {
    service.set_active(&request.context, request.param("id"), true).await?;
    Ok(Response::no_content())
}

pub async fn tag_add(service: Arc<ImageService>, request: Request) -> Result<Response> {
    service.set_tag(&request.context, request.param("id"), request.param("tag"), true).await?;
    Ok(Response::no_content())
}

pub async fn tag_remove(service: Arc<ImageService>, request: Request) -> Result<Response> {
    service.set_tag(&request.context, request.param("id"), request.param("tag"), false).await?;
    Ok(Response::no_content())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("bytes=0-9").unwrap(), (0, Some(9)));
        assert_eq!(parse_range("bytes=5-").unwrap(), (5, None));
        for bad in ["bytes=9-0", "bytes=-5", "lines=1-2", "bytes=a-b"] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
    }
}
