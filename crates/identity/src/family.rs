//! How the Identity API looks on the wire: Keystone's error bodies and the headers of every answer.

use std::borrow::Cow;

use http::{Method, StatusCode};
use sahab_api::{Family, Meta, Response};
use sahab_contract::{Error, Kind};
use serde_json::{Value, json};

/// Largest accepted body; oslo.middleware's default.
pub struct Keystone;

const NO_SUCH_PATH: &str = "NoSuchPath";

impl Family for Keystone {
    fn service_type(&self) -> &'static str {
        "identity"
    }

    fn render_error(&self, meta: &Meta, error: &Error) -> Response {
        if error.code() == NO_SUCH_PATH {
            // Flask's page: clients look at the status only.
            let page = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n\
                        <p>The requested URL was not found on the server.</p>\n";
            return Response::text(404, "text/html; charset=utf-8", page);
        }
        if error.kind() == Kind::MethodNotAllowed {
            let mut response =
                Response::json(405, json!({"message": "The method is not allowed for the requested URL."}));
            response.set("allow", error.extra().and_then(Value::as_str).unwrap_or_default());
            return response;
        }
        let status = match error.kind() {
            Kind::OverQuota => 403,
            kind => kind.status(),
        };
        let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        let message = match error.kind() {
            Kind::Internal => "An unexpected error prevented the server from fulfilling your request.".to_owned(),
            _ => error.message().to_owned(),
        };
        let mut body = json!({"code": status, "message": message, "title": title});
        if let (Some(body), Some(Value::Object(extra))) = (body.as_object_mut(), error.extra()) {
            body.extend(extra.clone());
        }
        let mut response = Response::json(status, json!({"error": body}));
        if status == 401 {
            response.set("www-authenticate", format!("Keystone uri=\"{}/v3\"", meta.base_url));
        }
        response
    }

    /// One trailing slash means nothing, as Flask's routes here.
    fn normalize<'a>(&self, path: &'a str) -> Cow<'a, str> {
        match path.strip_suffix('/') {
            Some(shorter) if !shorter.is_empty() => Cow::Borrowed(shorter),
            _ => Cow::Borrowed(path),
        }
    }

    fn after(&self, _meta: &Meta, _endpoint: Option<&str>, response: &mut Response) {
        response.set("vary", "X-Auth-Token");
    }

    fn head_as_get(&self) -> bool {
        true
    }

    fn no_such_path(&self, _meta: &Meta) -> Error {
        Error::not_found(NO_SUCH_PATH, "The requested URL was not found on the server.")
    }

    fn method_not_allowed(&self, _meta: &Meta, allowed: &[Method]) -> Error {
        let mut names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        if names.contains(&"GET") && !names.contains(&"HEAD") {
            names.push("HEAD");
        }
        names.sort_unstable();
        Error::new(Kind::MethodNotAllowed, "MethodNotAllowed", "The method is not allowed for the requested URL.")
            .with_extra(Value::String(names.join(", ")))
    }
}
