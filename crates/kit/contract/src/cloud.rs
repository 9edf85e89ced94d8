//! One service calls another's REST API without leaving the process.
//!
//! The wire contract is the best tested one there is, so a neighbour uses it too: the same parsing, policy, quotas and
//! errors, no socket and no token. Who calls is passed as a [`RequestContext`], which cannot come from outside.

use async_trait::async_trait;
use http::Method;
use serde_json::Value;

use crate::{
    context::RequestContext,
    error::{Error, Kind, Result},
};

/// A request to a service of this cloud.
#[derive(Clone, Debug)]
pub struct Call {
    /// Name of the service as in its path prefix: `identity`, `network`, `container`, `orchestration`, `image`.
    pub service: &'static str,
    pub method: Method,
    /// Path and query below the service's root: `/v2.0/networks?name=a`. Escape user text with [`escape`].
    pub path: String,
    pub body: Option<Value>,
    /// Extra headers, such as the microversion.
    pub headers: Vec<(&'static str, String)>,
}

impl Call {
    pub fn new(service: &'static str, method: Method, path: impl Into<String>) -> Self {
        Call { service, method, path: path.into(), body: None, headers: Vec::new() }
    }
    pub fn get(service: &'static str, path: impl Into<String>) -> Self {
        Self::new(service, Method::GET, path)
    }
    pub fn post(service: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self::new(service, Method::POST, path).body(body)
    }
    pub fn put(service: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self::new(service, Method::PUT, path).body(body)
    }
    pub fn patch(service: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self::new(service, Method::PATCH, path).body(body)
    }
    pub fn delete(service: &'static str, path: impl Into<String>) -> Self {
        Self::new(service, Method::DELETE, path)
    }
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A successful (2xx or 3xx) answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: http::HeaderMap,
    /// `Null` when the answer had no body.
    pub body: Value,
}

#[async_trait]
pub trait Cloud: Send + Sync {
    /// Calls as `context` (its `elevated` and `preset_id` hold for the call). A status of 400 and more becomes an
    /// [`Error`] with the kind, code and message that the service gave.
    async fn call(&self, context: &RequestContext, call: Call) -> Result<Reply>;

    /// Whether the program serves this service at all.
    fn serves(&self, service: &str) -> bool;
}

/// Percent-encodes text for use in a path segment or a query value.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Reads a service's error body, whatever its family, back into an [`Error`].
pub fn error_from_body(status: u16, body: &Value) -> Error {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (code, message) = if let Some(error) = body.get("NeutronError") {
        (text(&error["type"]), text(&error["message"]))
    } else if let Some(error) = body.get("errors").and_then(|errors| errors.get(0)) {
        let code = text(&error["code"]);
        (code.rsplit('.').next().unwrap_or_default().to_owned(), text(&error["detail"]))
    } else if let Some(error) = body.get("error") {
        match error.get("type") {
            Some(kind) => (text(kind), text(&error["message"])),
            None => (text(&error["title"]), text(&error["message"])),
        }
    } else {
        (String::new(), body.get("message").map(text).unwrap_or_default())
    };
    let message = if message.is_empty() { format!("the service answered {status}") } else { message };
    Error::new(Kind::from_status(status), code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_every_family_survive_the_way_back() {
        let neutron = serde_json::json!({"NeutronError": {"type": "PortNotFound", "message": "Port x", "detail": ""}});
        let error = error_from_body(404, &neutron);
        assert_eq!((error.kind(), error.code(), error.message()), (Kind::NotFound, "PortNotFound", "Port x"));
        let zun = serde_json::json!({"errors": [{"code": "container.conflict", "detail": "busy"}]});
        assert_eq!(error_from_body(409, &zun).code(), "conflict");
        let keystone = serde_json::json!({"error": {"code": 403, "title": "Forbidden", "message": "no"}});
        assert_eq!(error_from_body(403, &keystone).message(), "no");
    }

    #[test]
    fn user_text_cannot_leave_its_segment() {
        assert_eq!(escape("a/b?c=d&e\n"), "a%2Fb%3Fc%3Dd%26e%0A");
    }
}
