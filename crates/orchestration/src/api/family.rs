//! How the Orchestration API looks on the wire: errors, paths, limits (spec 1.1-1.3).

use std::borrow::Cow;

use http::Method;
use sahab_api::{Family, Meta, Request, Response};
use sahab_contract::{Error, Kind, Result};
use serde_json::{Value, json};

pub struct HeatFamily {
    pub body_limit: usize,
}

/// Code of the answer to everything that is no version 1 path.
const VERSIONS: &str = "MultipleChoices";
/// Code of a path that no route has.
const NO_ROUTE: &str = "NoRoute";

pub fn versions(base_url: &str) -> Value {
    json!({"versions": [{"id": "v1.0", "status": "CURRENT", "links": [{"rel": "self", "href": format!("{base_url}/v1/")}]}]})
}

fn explanation(status: u16) -> &'static str {
    match status {
        400 => "The server could not comply with the request since it is either malformed or otherwise incorrect.",
        401 => "This server could not verify that you are authorized to access the document you requested.",
        403 => "Access was denied to this resource.",
        404 => "The resource could not be found.",
        405 => "The method specified is not allowed for this resource.",
        409 => "There was a conflict when trying to complete your request.",
        503 => "The server is currently unavailable. Please try again at a later time.",
        _ => "The server has either erred or is incapable of performing the requested operation.",
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// Upstream's exception for errors that other parts named otherwise.
fn type_of(error: &Error) -> String {
    match (error.code(), error.kind()) {
        ("", Kind::NotFound) => "EntityNotFound".into(),
        ("", Kind::Forbidden) => "Forbidden".into(),
        ("", Kind::Conflict) => "ActionInProgress".into(),
        ("", Kind::Internal) => "InternalError".into(),
        ("", _) => "HTTPBadRequest".into(),
        (code, _) => code.to_owned(),
    }
}

impl Family for HeatFamily {
    fn service_type(&self) -> &'static str {
        "orchestration"
    }

    fn render_error(&self, meta: &Meta, error: &Error) -> Response {
        match error.code() {
            VERSIONS => return Response::json(300, versions(&meta.base_url)),
            NO_ROUTE => {
                let message = "The resource could not be found.<br /><br />\n\n\n";
                return Response::json(404, json!({"message": message, "code": "404 Not Found", "title": "Not Found"}));
            }
            _ => {}
        }
        let status = match error.kind() {
            // Whatever is wrong with a request is a 400 here.
            Kind::OverQuota
            | Kind::TooLarge
            | Kind::UnsupportedMediaType
            | Kind::NotAcceptable
            | Kind::PreconditionFailed => 400,
            Kind::Gone => 404,
            kind => kind.status(),
        };
        let message = if error.kind() == Kind::Internal {
            "An unexpected error occurred; the request id finds it in the log."
        } else {
            error.message()
        };
        Response::json(
            status,
            json!({
                "code": status,
                "title": title(status),
                "explanation": explanation(status),
                "error": {"type": type_of(error), "traceback": null, "message": message},
            }),
        )
    }

    /// An ARN may come with its slashes bare: it is one segment.
    fn normalize<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let Some(start) = path.find("/stacks/arn:openstack:heat::") else { return Cow::Borrowed(path) };
        let (head, arn) = path.split_at(start + "/stacks/".len());
        let mut slashes = 0;
        let mut out = head.to_owned();
        for c in arn.chars() {
            if c == '/' && slashes < 2 {
                slashes += 1;
                out.push_str("%2F");
            } else {
                out.push(c);
            }
        }
        Cow::Owned(out)
    }

    fn before(&self, request: &mut Request) -> Result<()> {
        let tenant = request.param("tenant").to_owned();
        if tenant.is_empty() || request.context.auth.is_none() || request.context.is_admin() {
            return Ok(());
        }
        if request.context.project_id() != Some(tenant.as_str()) {
            return Err(Error::forbidden(
                "InvalidTenant",
                format!(
                    "Searching Tenant {} from Tenant {tenant} forbidden.",
                    request.context.project_id().unwrap_or("None")
                ),
            ));
        }
        Ok(())
    }

    fn body_limit(&self) -> usize {
        self.body_limit
    }

    fn body_too_large(&self, limit: usize) -> Error {
        Error::invalid(
            "RequestLimitExceeded",
            format!("Request limit exceeded: JSON body size exceeds maximum allowed size ({limit} bytes)."),
        )
    }

    fn no_such_path(&self, meta: &Meta) -> Error {
        let first = meta.path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if first == "v1" || first == "v1.0" {
            return Error::not_found(NO_ROUTE, "The resource could not be found.");
        }
        Error::not_found(VERSIONS, "choose a version")
    }

    fn method_not_allowed(&self, _: &Meta, allowed: &[Method]) -> Error {
        let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        Error::new(
            Kind::MethodNotAllowed,
            "HTTPMethodNotAllowed",
            format!("The method is not allowed for this resource (allowed: {}).", names.join(", ")),
        )
    }
}
