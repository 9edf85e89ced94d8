//! How the Networking API looks on the wire: error bodies, suffixes, content negotiation.

use std::borrow::Cow;

use sahab_api::{Family, Meta, Request, Response};
use sahab_contract::{Error, Kind, Result};
use serde_json::json;

pub struct Neutron;

impl Family for Neutron {
    fn service_type(&self) -> &'static str {
        "network"
    }

    fn render_error(&self, _: &Meta, error: &Error) -> Response {
        let (status, kind, message) = match error.kind() {
            // The authentication layer's body, not Neutron's.
            Kind::Unauthenticated => {
                return Response::json(
                    401,
                    json!({"error": {"code": 401, "title": "Unauthorized", "message": error.message()}}),
                );
            }
            Kind::Internal => {
                (500, "HTTPInternalServerError", "Request Failed: internal server error while processing your request.")
            }
            Kind::OverQuota => (409, error.code(), error.message()),
            other => (other.status(), error.code(), error.message()),
        };
        Response::json(status, json!({"NeutronError": {"type": kind, "message": message, "detail": ""}}))
    }

    /// Any path may carry the suffix `.json`; a trailing slash means nothing except after the version.
    fn normalize<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let path = path.strip_suffix(".json").unwrap_or(path);
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        match path {
            "" => Cow::Borrowed("/"),
            "/v2.0" => Cow::Borrowed("/v2.0/"),
            other => Cow::Borrowed(other),
        }
    }

    fn before(&self, request: &mut Request) -> Result<()> {
        let accepted = request.header("accept").is_none_or(|accept| {
            accept.trim().is_empty()
                || accept.contains("json")
                || accept.contains("*/*")
                || accept.contains("application/*")
        });
        if accepted {
            Ok(())
        } else {
            Err(Error::new(
                Kind::NotAcceptable,
                "HTTPNotAcceptable",
                "The server could not comply with the request since it is either malformed or otherwise incorrect.",
            ))
        }
    }

    /// Bulk creations of a hundred ports are larger than other services' bodies.
    fn body_limit(&self) -> usize {
        1024 * 1024
    }
}
