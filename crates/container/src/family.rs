//! How the container API looks on the wire: paths, microversions, error bodies.

use std::borrow::Cow;

use http::{HeaderMap, Method};
use sahab_api::{Family, Meta, Request, Response};
use sahab_contract::{Error, Kind, Result};
use serde_json::{Map, Value, json};

pub const MINIMUM: (u16, u16) = (1, 1);
pub const MAXIMUM: (u16, u16) = (1, 40);
const HEADER: &str = "openstack-api-version";
const RESOURCES: &[&str] = &[
    "services",
    "containers",
    "images",
    "networks",
    "hosts",
    "capsules",
    "availability_zones",
    "quotas",
    "quota_classes",
    "registries",
];

pub struct Zun;

impl Family for Zun {
    fn service_type(&self) -> &'static str {
        "container"
    }

    /// Empty segments do not count and `/v1` may be missing. The client cuts paging links at the host and puts the rest
    /// behind the catalogue's URL, so our own prefix may come again.
    fn normalize<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        if segments.starts_with(&["v1", "container"]) {
            segments.drain(..2);
        } else if segments.first() == Some(&"container") {
            segments.remove(0);
        }
        if segments.first().is_some_and(|first| RESOURCES.contains(first)) {
            segments.insert(0, "v1");
        }
        let joined = format!("/{}", segments.join("/"));
        if joined == path { Cow::Borrowed(path) } else { Cow::Owned(joined) }
    }

    fn before(&self, request: &mut Request) -> Result<()> {
        if versioned(&request.meta.path) {
            request.meta.version = Some(negotiate(&request.meta.headers)?);
        }
        Ok(())
    }

    fn after(&self, meta: &Meta, _endpoint: Option<&str>, response: &mut Response) {
        if !versioned(&meta.path) {
            return;
        }
        // Errors before the handler (token, route) carry the version too: Tempest compares it on every answer.
        if let Ok((major, minor)) = negotiate(&meta.headers) {
            response.set(HEADER, format!("container {major}.{minor}"));
        }
        response.set("openstack-api-minimum-version", format!("container {}.{}", MINIMUM.0, MINIMUM.1));
        response.set("openstack-api-maximum-version", format!("container {}.{}", MAXIMUM.0, MAXIMUM.1));
        response.set("vary", "OpenStack-API-Version");
    }

    fn render_error(&self, meta: &Meta, error: &Error) -> Response {
        let status = error.kind().status();
        let code = match error.kind() {
            Kind::Internal => String::new(),
            _ => kebab(error.code()),
        };
        let message = match error.kind() {
            Kind::Internal => format!(
                "The server could not comply with the request due to an internal error. Error Correlation id: {}",
                meta.request_id
            ),
            _ => error.message().to_owned(),
        };
        let mut item = Map::new();
        item.insert("request_id".into(), json!(meta.request_id));
        let prefix = if code == UNSUPPORTED { "zun" } else { "container" };
        item.insert("code".into(), json!(format!("{prefix}.{code}")));
        item.insert("status".into(), json!(status));
        item.insert("title".into(), json!(message));
        item.insert("detail".into(), json!(message));
        item.insert("links".into(), json!([]));
        if let Some(Value::Object(extra)) = error.extra() {
            item.extend(extra.clone());
        }
        Response::json(status, json!({ "errors": [item] }))
    }

    fn no_such_path(&self, _meta: &Meta) -> Error {
        Error::not_found("", "The resource could not be found.")
    }

    fn method_not_allowed(&self, meta: &Meta, _allowed: &[Method]) -> Error {
        // An action is known by its method too: GET of a POST action is an unknown action.
        let is_action = meta.path.split('/').filter(|part| !part.is_empty()).count() > 3;
        if is_action && (meta.method == Method::GET || meta.method == Method::POST) {
            return self.no_such_path(meta);
        }
        Error::new(Kind::MethodNotAllowed, "", "The method is not allowed for this resource.")
    }

    fn body_too_large(&self, limit: usize) -> Error {
        Error::new(Kind::TooLarge, "request-too-large", format!("The request body is larger than {limit} bytes."))
    }
}

const UNSUPPORTED: &str = "microversion-unsupported";

fn versioned(path: &str) -> bool {
    path.strip_prefix("/v1/").is_some_and(|rest| !rest.is_empty())
}

/// The version to answer in. Several services may share the header, separated by commas (the API working group's
/// microversion guideline); only ours counts.
pub fn negotiate(headers: &HeaderMap) -> Result<(u16, u16)> {
    let refuse = |message: String| {
        Error::new(Kind::NotAcceptable, UNSUPPORTED, message).with_extra(json!({
            "min_version": format!("{}.{}", MINIMUM.0, MINIMUM.1),
            "max_version": format!("{}.{}", MAXIMUM.0, MAXIMUM.1),
            "links": [{"rel": "help", "href": "https://docs.openstack.org/zun/latest/reference/api-microversion-history.html"}],
        }))
    };
    let Some(header) = headers.get(HEADER) else {
        return Ok(MINIMUM);
    };
    let text = header.to_str().map_err(|_| refuse("The OpenStack-API-Version header is not text.".into()))?;
    let mut wanted = None;
    for item in text.split(',') {
        let mut words = item.split_whitespace();
        let (Some(service), Some(version), None) = (words.next(), words.next(), words.next()) else {
            return Err(refuse(format!("Invalid value for the OpenStack-API-Version header: '{text}'.")));
        };
        if service == "container" {
            wanted = Some(version);
        }
    }
    let Some(wanted) = wanted else {
        return Err(refuse(format!("The OpenStack-API-Version header '{text}' names no version of 'container'.")));
    };
    if wanted.eq_ignore_ascii_case("latest") {
        return Ok(MAXIMUM);
    }
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let parsed = wanted.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    let Some(version) = parsed else {
        return Err(refuse(format!("'{wanted}' is not a version; it must look like 1.40 or be 'latest'.")));
    };
    if version < MINIMUM || version > MAXIMUM {
        return Err(refuse(format!(
            "Version {wanted} is not supported by the API. Minimum is {}.{} and maximum is {}.{}.",
            MINIMUM.0, MINIMUM.1, MAXIMUM.0, MAXIMUM.1
        )));
    }
    Ok(version)
}

/// 406 unless the request's version is in the range; what a method that does not exist at a version answers.
pub fn require(request: &Request, from: (u16, u16), until: (u16, u16), hint: &str) -> Result<()> {
    let version = request.version();
    if version >= from && version <= until {
        return Ok(());
    }
    Err(Error::new(
        Kind::NotAcceptable,
        "",
        format!("This action does not exist in version {}.{}. {hint}", version.0, version.1).trim_end(),
    ))
}

/// Neighbours' codes are class names; ours are hyphenated.
fn kebab(code: &str) -> String {
    let mut out = String::with_capacity(code.len() + 4);
    for (index, letter) in code.chars().enumerate() {
        if letter.is_ascii_uppercase() {
            if index > 0 && !out.ends_with('-') {
                out.push('-');
            }
            out.push(letter.to_ascii_lowercase());
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> Result<(u16, u16)> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, value.parse().unwrap());
        negotiate(&headers)
    }

    #[test]
    fn versions() {
        assert_eq!(negotiate(&HeaderMap::new()).unwrap(), (1, 1));
        assert_eq!(with("container latest").unwrap(), (1, 40));
        assert_eq!(with("container 1.12").unwrap(), (1, 12));
        assert_eq!(with("container 1.5, compute 2.1").unwrap(), (1, 5));
        for bad in ["compute 1.1", "1.5", "container foo", "container 1.0", "container 1.41", "container 2.1", ""] {
            assert_eq!(with(bad).unwrap_err().kind(), Kind::NotAcceptable, "{bad}");
        }
    }

    #[test]
    fn paths() {
        for path in
            ["/v1/containers", "/v1/containers/", "/containers", "//v1//containers", "/v1/container/v1/containers"]
        {
            assert_eq!(Zun.normalize(path), "/v1/containers", "{path}");
        }
        assert_eq!(Zun.normalize("/"), "/");
        assert_eq!(Zun.normalize("/v1/"), "/v1");
    }
}
