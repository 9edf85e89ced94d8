//! What a handler gives back.

use axum::body::Body as HttpBody;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;

pub enum Body {
    Empty,
    Json(Value),
    Bytes(Bytes),
    Stream(HttpBody),
}

pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Body,
}

impl Response {
    pub fn new(status: u16, body: Body) -> Self {
        Response { status, headers: HeaderMap::new(), body }
    }
    pub fn json(status: u16, value: Value) -> Self {
        Self::new(status, Body::Json(value))
    }
    pub fn ok(value: Value) -> Self {
        Self::json(200, value)
    }
    pub fn created(value: Value) -> Self {
        Self::json(201, value)
    }
    pub fn accepted(value: Value) -> Self {
        Self::json(202, value)
    }
    /// 204
    pub fn no_content() -> Self {
        Self::new(204, Body::Empty)
    }
    pub fn empty(status: u16) -> Self {
        Self::new(status, Body::Empty)
    }
    pub fn text(status: u16, content_type: &'static str, text: impl Into<String>) -> Self {
        Self::new(status, Body::Bytes(Bytes::from(text.into()))).header(header::CONTENT_TYPE, content_type)
    }
    /// A value that is not a valid header value is left out.
    pub fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.insert(name, value);
        }
        self
    }
    /// As [`Response::header`], by text.
    pub fn set(&mut self, name: &'static str, value: impl AsRef<str>) {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    pub(crate) fn into_http(mut self, head: bool) -> http::Response<HttpBody> {
        let body = match self.body {
            Body::Empty => HttpBody::empty(),
            Body::Json(value) => {
                self.headers
                    .entry(header::CONTENT_TYPE)
                    .or_insert_with(|| HeaderValue::from_static("application/json"));
                HttpBody::from(value.to_string())
            }
            Body::Bytes(bytes) => HttpBody::from(bytes),
            Body::Stream(body) => body,
        };
        let mut response = http::Response::new(if head { HttpBody::empty() } else { body });
        *response.status_mut() =
            http::StatusCode::from_u16(self.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        response
    }
}
