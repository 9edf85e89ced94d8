//! What a handler gets.

use std::sync::Mutex;

use axum::body::Body as HttpBody;
use bytes::Bytes;
use http::{HeaderMap, Method};
use sahab_contract::{Error, RequestContext, Result};
use serde_json::Value;

/// Facts about the request that outlive its handling; what error rendering and hooks see.
#[derive(Clone, Debug)]
pub struct Meta {
    pub request_id: String,
    /// Public URL of the service, without trailing slash.
    pub base_url: String,
    pub method: Method,
    /// Below the service's root, normalised.
    pub path: String,
    pub headers: HeaderMap,
    /// The version a family negotiated (`1.40`), set in its `before` hook.
    pub version: Option<(u16, u16)>,
}

pub(crate) enum Payload {
    None,
    Json(Value),
    Bytes(Bytes),
    /// The lock is never contended: it makes a request `Sync`, so that handlers may hold a reference to it while they wait.
    Stream(Box<Mutex<HttpBody>>),
}

/// The body, read as JSON. Families answer differently to each case.
#[derive(Debug)]
pub enum JsonBody {
    Absent,
    /// Not JSON: the reason, with line and column.
    Malformed(String),
    Value(Value),
}

pub struct Request {
    pub context: RequestContext,
    pub meta: Meta,
    pub query: Query,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) payload: Payload,
}

impl Request {
    /// A path parameter, percent-decoded. Empty if the pattern has none of that name, which is a fault of ours.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.meta.headers.get(name).and_then(|value| value.to_str().ok())
    }
    /// The negotiated microversion; the family guarantees it is set where it matters.
    pub fn version(&self) -> (u16, u16) {
        self.meta.version.unwrap_or_default()
    }
    pub fn json(&mut self) -> JsonBody {
        match std::mem::replace(&mut self.payload, Payload::None) {
            Payload::None => JsonBody::Absent,
            Payload::Json(value) => JsonBody::Value(value),
            Payload::Bytes(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => JsonBody::Absent,
            Payload::Bytes(bytes) => match serde_json::from_slice(&bytes) {
                Ok(value) => JsonBody::Value(value),
                Err(error) => JsonBody::Malformed(error.to_string()),
            },
            Payload::Stream(_) => JsonBody::Malformed("the body is a stream".into()),
        }
    }
    /// The raw body; empty when there was none.
    pub fn bytes(&mut self) -> Bytes {
        match std::mem::replace(&mut self.payload, Payload::None) {
            Payload::Bytes(bytes) => bytes,
            Payload::Json(value) => Bytes::from(value.to_string()),
            Payload::None | Payload::Stream(_) => Bytes::new(),
        }
    }
    /// The unread body of a streaming endpoint.
    pub fn stream(&mut self) -> HttpBody {
        match std::mem::replace(&mut self.payload, Payload::None) {
            Payload::Stream(body) => body.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner),
            Payload::Bytes(bytes) => HttpBody::from(bytes),
            Payload::Json(value) => HttpBody::from(value.to_string()),
            Payload::None => HttpBody::empty(),
        }
    }
}

/// Query parameters in the order they came; keys may repeat.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
    raw: String,
}

impl Query {
    pub fn parse(raw: &str) -> Result<Self> {
        const MAX_PAIRS: usize = 1000;
        let pairs: Vec<_> = form_urlencoded::parse(raw.as_bytes()).into_owned().take(MAX_PAIRS + 1).collect();
        if pairs.len() > MAX_PAIRS {
            return Err(Error::invalid("HTTPBadRequest", format!("more than {MAX_PAIRS} query parameters")));
        }
        Ok(Query { pairs, raw: raw.to_owned() })
    }
    /// As it came, percent-encoded.
    pub fn raw(&self) -> &str {
        &self.raw
    }
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
    /// The last value of the key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
    /// The same query with some keys replaced or removed, percent-encoded; for paging links.
    pub fn with(&self, changes: &[(&str, Option<&str>)]) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        for (key, value) in self.iter() {
            if !changes.iter().any(|(name, _)| *name == key) {
                out.append_pair(key, value);
            }
        }
        for (key, value) in changes {
            if let Some(value) = value {
                out.append_pair(key, value);
            }
        }
        out.finish()
    }
}
