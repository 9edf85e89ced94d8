//! From a request to a service's handler, for sockets and for neighbours.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::body::Body as HttpBody;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::{BodyExt, Limited};
use sahab_contract::{
    Error, Kind, RequestContext, Result,
    cloud::{Call, Cloud, Reply, error_from_body},
    context::new_request_id,
    identity::Identity,
};
use serde_json::Value;
use tracing::Instrument;

use crate::{
    access_rules,
    metrics::Metrics,
    request::{Meta, Payload, Query, Request},
    response::{Body, Response},
    service::{Endpoint, Family, Service},
};

/// How long a client may take to send its body.
const BODY_TIME: Duration = Duration::from_secs(60);

/// How much of a body that nobody read is taken in before the answer. A client that is still sending when the connection
/// is closed loses the answer, so it would never learn why it was refused.
const DISCARD_BYTES: usize = 4 << 20;
/// For how long in all, and for how long without anything coming.
const DISCARD_TIME: Duration = Duration::from_secs(2);
const DISCARD_PAUSE: Duration = Duration::from_millis(250);

/// The service whose version prefix is also served at the root of the one port, and that prefix.
const ROOT_SERVICE: &str = "identity";
const CLASSIC_ROOT: &str = "v3";

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// Every service below its path prefix.
    All,
    /// One service at the root: its classic port.
    One(&'static str),
}

struct Mounted {
    name: &'static str,
    family: Arc<dyn Family>,
    router: matchit::Router<HashMap<Method, Arc<Endpoint>>>,
    endpoints: Vec<Arc<Endpoint>>,
}

/// Knows every service. Made empty, so that services can hold it as their [`Cloud`], and filled once.
#[derive(Default)]
pub struct Dispatcher {
    services: OnceLock<Vec<Mounted>>,
    identity: OnceLock<Arc<dyn Identity>>,
    pub metrics: Metrics,
}

impl Dispatcher {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Mounts the services; once. Fails on two equal paths.
    pub fn install(&self, services: Vec<Service>, identity: Arc<dyn Identity>) -> Result<()> {
        let mut mounted = Vec::new();
        for service in services {
            let mut by_path: Vec<(&'static str, HashMap<Method, Arc<Endpoint>>)> = Vec::new();
            let mut endpoints = Vec::new();
            for endpoint in service.endpoints {
                let endpoint = Arc::new(endpoint);
                endpoints.push(endpoint.clone());
                let slot = match by_path.iter_mut().find(|(path, _)| *path == endpoint.path) {
                    Some((_, methods)) => methods,
                    None => {
                        by_path.push((endpoint.path, HashMap::new()));
                        let last = by_path.len() - 1;
                        &mut by_path[last].1
                    }
                };
                if slot.insert(endpoint.method.clone(), endpoint.clone()).is_some() {
                    return Err(Error::internal(format!("{} {} is there twice", endpoint.method, endpoint.path)));
                }
            }
            let mut router = matchit::Router::new();
            for (path, methods) in by_path {
                router.insert(path, methods)?;
            }
            mounted.push(Mounted { name: service.name, family: service.family, router, endpoints });
        }
        let _ = self.services.set(mounted);
        let _ = self.identity.set(identity);
        Ok(())
    }

    /// (service, method, path, open) of every endpoint; for tests that walk the whole table.
    pub fn endpoints(&self) -> Vec<(&'static str, Method, &'static str, bool)> {
        let services = self.services.get().map_or(&[][..], Vec::as_slice);
        services
            .iter()
            .flat_map(|service| {
                service.endpoints.iter().map(|row| (service.name, row.method.clone(), row.path, row.open))
            })
            .collect()
    }

    fn service(&self, name: &str) -> Option<&Mounted> {
        self.services.get()?.iter().find(|service| service.name == name)
    }

    /// Answers one request from a socket. `scheme` is that of the listener.
    pub async fn answer(
        self: &Arc<Self>,
        mount: Mount,
        scheme: &str,
        request: http::Request<HttpBody>,
    ) -> http::Response<HttpBody> {
        let started = Instant::now();
        let request_id = new_request_id();
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let origin = origin(scheme, &parts.headers);
        let (service, rest, base_url) = match mount {
            Mount::One(name) => (self.service(name), path, origin),
            Mount::All => {
                let trimmed = path.trim_start_matches('/');
                let (first, rest) = trimmed.split_once('/').map_or((trimmed, ""), |(first, rest)| (first, rest));
                let rest_start = path.len() - rest.len();
                let rest = if rest.is_empty() && !path.ends_with('/') { "" } else { &path[rest_start - 1..] };
                match self.service(first) {
                    // The one port is also identity's classic port, where people write http://host:5000/v3.
                    None if first == CLASSIC_ROOT => (self.service(ROOT_SERVICE), path, origin),
                    found => (found, rest, format!("{origin}/{first}")),
                }
            }
        };
        let Some(service) = service else {
            return self.root(path, &request_id);
        };
        let path = service.family.normalize(if rest.is_empty() { "/" } else { rest }).into_owned();
        let head = parts.method == Method::HEAD;
        let mut meta = Meta { request_id, base_url, method: parts.method, path, headers: parts.headers, version: None };
        let span = tracing::info_span!("request", id = meta.request_id, service = service.name);
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let response = self.handle(service, &mut meta, Source::Socket(body), &query).instrument(span).await;
        let elapsed = started.elapsed();
        self.metrics.observe(service.name, &meta.method, response.status, elapsed);
        tracing::info!(
            request_id = meta.request_id,
            service = service.name,
            method = %meta.method,
            path = meta.path,
            status = response.status,
            micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            "request"
        );
        let mut response = response.into_http(head);
        set_request_id(response.headers_mut(), &meta.request_id);
        response
    }

    /// What the bare port answers.
    fn root(&self, path: &str, request_id: &str) -> http::Response<HttpBody> {
        let response = match path {
            "/metrics" => {
                Response::text(200, "application/openmetrics-text; version=1.0.0; charset=utf-8", self.metrics.render())
            }
            "/healthcheck" => Response::text(200, "text/plain", "OK"),
            "/" => {
                let names: Vec<_> = self.services.get().into_iter().flatten().map(|service| service.name).collect();
                Response::ok(serde_json::json!({"name": "Sahab", "services": names}))
            }
            _ => Response::json(
                404,
                serde_json::json!({"error": {"code": 404, "title": "Not Found", "message": "There is no such path."}}),
            ),
        };
        let mut response = response.into_http(false);
        set_request_id(response.headers_mut(), request_id);
        response
    }

    async fn handle(&self, service: &Mounted, meta: &mut Meta, source: Source, query: &str) -> Response {
        let family = service.family.as_ref();
        let mut matched = None;
        let (mut unread, inside) = match source {
            Source::Socket(body) => (Some(body), None),
            Source::InProcess(context, body) => (None, Some((*context, body))),
        };
        let handled = AssertUnwindSafe(self.try_handle(service, meta, &mut unread, inside, query, &mut matched));
        let handled = handled.catch_unwind().await;
        if let Some(body) = unread.filter(|_| !meta.headers.contains_key(header::EXPECT)) {
            discard(body).await;
        }
        let outcome = handled.unwrap_or_else(|_| Err(Error::internal("a handler panicked")));
        let mut response = outcome.unwrap_or_else(|error| {
            if error.kind() == Kind::Internal {
                tracing::error!(request_id = meta.request_id, error = error.report(), "request failed");
            }
            let mut response = family.render_error(meta, &error);
            if error.kind() == Kind::Unauthenticated && !response.headers.contains_key(header::WWW_AUTHENTICATE) {
                response.set("www-authenticate", format!("Keystone uri=\"{}\"", identity_url(meta, service.name)));
            }
            response
        });
        family.after(meta, matched.as_deref(), &mut response);
        response
    }

    async fn try_handle(
        &self,
        service: &Mounted,
        meta: &mut Meta,
        body: &mut Option<HttpBody>,
        inside: Option<(RequestContext, Option<Value>)>,
        query: &str,
        matched: &mut Option<String>,
    ) -> Result<Response> {
        let family = service.family.as_ref();
        let Ok(found) = service.router.at(&meta.path) else {
            return Err(family.no_such_path(meta));
        };
        let head = meta.method == Method::HEAD && family.head_as_get();
        let endpoint = match found.value.get(&meta.method) {
            Some(endpoint) => endpoint,
            None => match found.value.get(&Method::GET) {
                Some(endpoint) if head => endpoint,
                _ => {
                    let allowed: Vec<_> = found.value.keys().cloned().collect();
                    return Err(family.method_not_allowed(meta, &allowed));
                }
            },
        };
        *matched = Some(endpoint.path.to_owned());
        let mut params = Vec::new();
        for (name, value) in found.params.iter() {
            let value =
                percent_encoding::percent_decode_str(value).decode_utf8().map_err(|_| family.no_such_path(meta))?;
            params.push((name.to_owned(), value.into_owned()));
        }
        let (context, payload) = match inside {
            Some((context, body)) => (context, body.map_or(Payload::None, Payload::Json)),
            None => {
                let context = self.authenticate(service, meta, endpoint.open).await?;
                let payload = if endpoint.streaming {
                    Payload::Stream(Box::new(std::sync::Mutex::new(body.take().unwrap_or_default())))
                } else {
                    read_body(family, body, endpoint.body_limit.unwrap_or(family.body_limit()), &meta.headers).await?
                };
                (context, payload)
            }
        };
        let mut request = Request { context, meta: meta.clone(), query: Query::parse(query)?, params, payload };
        let ready = family.before(&mut request);
        meta.version = request.meta.version;
        ready?;
        (endpoint.handler)(request).await
    }

    async fn authenticate(&self, service: &Mounted, meta: &Meta, open: bool) -> Result<RequestContext> {
        let token = meta.headers.get("x-auth-token").and_then(|value| value.to_str().ok());
        let auth = match (token, self.identity.get()) {
            (Some(token), Some(identity)) if !token.is_empty() => match identity.validate(token).await {
                Ok(auth) => Some(auth),
                Err(_) if open => None,
                Err(error) => return Err(error),
            },
            _ if open => None,
            _ => return Err(Error::unauthenticated("The request you have made requires authentication.")),
        };
        if let Some(credential) = auth.as_ref().and_then(|auth| auth.app_credential.as_ref())
            && let Some(rules) = &credential.access_rules
            && !open
            && !access_rules::allow(rules, service.family.service_type(), &meta.method, &meta.path)
        {
            return Err(Error::unauthenticated("The request you have made requires authentication."));
        }
        let global = meta.headers.get("x-openstack-request-id").and_then(|value| value.to_str().ok());
        Ok(RequestContext {
            request_id: meta.request_id.clone(),
            global_request_id: global.filter(|id| id.len() <= 64).map(str::to_owned),
            base_url: meta.base_url.clone(),
            ..RequestContext::new(auth)
        })
    }
}

enum Source {
    Socket(HttpBody),
    InProcess(Box<RequestContext>, Option<Value>),
}

#[async_trait]
impl Cloud for Dispatcher {
    async fn call(&self, context: &RequestContext, call: Call) -> Result<Reply> {
        let Some(service) = self.service(call.service) else {
            return Err(Error::unavailable("ServiceNotFound", format!("this cloud has no {} service", call.service)));
        };
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(*name), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut meta = Meta {
            request_id: context.request_id.clone(),
            base_url: context.base_url.clone(),
            method: call.method,
            path: service.family.normalize(path).into_owned(),
            headers,
            version: None,
        };
        let source = Source::InProcess(Box::new(context.clone()), call.body);
        let response = Box::pin(self.handle(service, &mut meta, source, query)).await;
        let body = match response.body {
            Body::Json(value) => value,
            Body::Empty | Body::Stream(_) => Value::Null,
            Body::Bytes(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        };
        if response.status >= 400 {
            return Err(error_from_body(response.status, &body));
        }
        Ok(Reply { status: response.status, headers: response.headers, body })
    }

    fn serves(&self, service: &str) -> bool {
        self.service(service).is_some()
    }
}

/// Takes the body when it was read; one that is too large is left.
async fn read_body(
    family: &dyn Family,
    slot: &mut Option<HttpBody>,
    limit: usize,
    headers: &HeaderMap,
) -> Result<Payload> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(family.body_too_large(limit));
    }
    let Some(mut body) = slot.take() else { return Ok(Payload::None) };
    match tokio::time::timeout(BODY_TIME, Limited::new(&mut body, limit).collect()).await {
        Ok(Ok(body)) => Ok(Payload::Bytes(body.to_bytes())),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            *slot = Some(body);
            Err(family.body_too_large(limit))
        }
        Ok(Err(_)) => Err(Error::invalid("HTTPBadRequest", "The request body could not be read.")),
        Err(_) => Err(Error::invalid("HTTPBadRequest", "The request body did not arrive in time.")),
    }
}

/// Reads what is still coming and forgets it.
async fn discard(mut body: HttpBody) {
    let all = async {
        let mut left = DISCARD_BYTES;
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(DISCARD_PAUSE, body.frame()).await {
            left = left.saturating_sub(frame.data_ref().map_or(0, bytes::Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(DISCARD_TIME, all).await;
}

/// `http://host:port` as the client wrote it; proxies may say what the client saw. Only used in links.
fn origin(scheme: &str, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let plain = |host: &&str| {
        !host.is_empty()
            && host.len() <= 255
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
    };
    let host = text("x-forwarded-host").filter(plain).or_else(|| text("host").filter(plain)).unwrap_or("localhost");
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        Some("http") => "http",
        _ => scheme,
    };
    format!("{scheme}://{host}")
}

/// Where identity is, seen from another service of the same port.
fn identity_url(meta: &Meta, service: &str) -> String {
    match meta.base_url.strip_suffix(service) {
        Some(root) if service != "identity" => format!("{root}identity"),
        _ => meta.base_url.clone(),
    }
}

fn set_request_id(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert("x-openstack-request-id", value);
    }
}
