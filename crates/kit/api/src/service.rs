//! How a service describes itself to the dispatcher.

use std::{borrow::Cow, future::Future, pin::Pin, sync::Arc};

use http::Method;
use sahab_contract::{Error, Kind, Result};

use crate::{
    request::{Meta, Request},
    response::Response,
};

type HandlerFuture = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;
type HandlerFn = Arc<dyn Fn(Request) -> HandlerFuture + Send + Sync>;

/// One row of the endpoint table.
#[derive(Clone)]
pub struct Endpoint {
    pub method: Method,
    /// `/v2.0/networks/{id}`; `{*rest}` takes the remainder.
    pub path: &'static str,
    /// Reachable without a token.
    pub open: bool,
    /// Overrides the family's body limit, in bytes.
    pub body_limit: Option<usize>,
    /// The handler reads the body as a stream; no limit is applied before it.
    pub streaming: bool,
    pub(crate) handler: HandlerFn,
}

/// Builds an endpoint table whose handlers share a state.
pub struct Table<S> {
    state: S,
    endpoints: Vec<Endpoint>,
}

impl<S: Clone + Send + Sync + 'static> Table<S> {
    pub fn new(state: S) -> Self {
        Table { state, endpoints: Vec::new() }
    }
    pub fn route<F, Fut>(&mut self, method: Method, path: &'static str, handler: F) -> &mut Endpoint
    where
        F: Fn(S, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send + 'static,
    {
        let state = self.state.clone();
        let index = self.endpoints.len();
        self.endpoints.push(Endpoint {
            method,
            path,
            open: false,
            body_limit: None,
            streaming: false,
            handler: Arc::new(move |request| Box::pin(handler(state.clone(), request))),
        });
        &mut self.endpoints[index]
    }
    pub fn get<F, Fut>(&mut self, path: &'static str, handler: F) -> &mut Endpoint
    where
        F: Fn(S, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send + 'static,
    {
        self.route(Method::GET, path, handler)
    }
    pub fn head<F, Fut>(&mut self, path: &'static str, handler: F) -> &mut Endpoint
    where
        F: Fn(S, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send + 'static,
    {
        self.route(Method::HEAD, path, handler)
    }
    pub fn post<F, Fut>(&mut self, path: &'static str, handler: F) -> &mut Endpoint
    where
        F: Fn(S, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send + 'static,
    {
        self.route(Method::POST, path, handler)
    }
    pub fn put<F, Fut>(&mut self, path: &'static str, handler: F) -> &mut Endpoint
    where
        F: Fn(S, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send + 'static,
    {
        self.route(Method::PUT, path, handler)
    }
    pub fn patch<F, Fut>(&mut self, path: &'static str, handler: F) -> &mut Endpoint
    where
        F: Fn(S, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send + 'static,
    {
        self.route(Method::PATCH, path, handler)
    }
    pub fn delete<F, Fut>(&mut self, path: &'static str, handler: F) -> &mut Endpoint
    where
        F: Fn(S, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send + 'static,
    {
        self.route(Method::DELETE, path, handler)
    }
    pub fn finish(self) -> Vec<Endpoint> {
        self.endpoints
    }
}

impl Endpoint {
    /// Reachable without a token.
    pub fn open(&mut self) -> &mut Self {
        self.open = true;
        self
    }
    pub fn body_limit(&mut self, bytes: usize) -> &mut Self {
        self.body_limit = Some(bytes);
        self
    }
    pub fn streaming(&mut self) -> &mut Self {
        self.streaming = true;
        self
    }
}

/// How one API family looks on the wire.
pub trait Family: Send + Sync {
    /// Type in the catalogue, as application credentials' access rules name it.
    fn service_type(&self) -> &'static str;

    /// The family's error body. `Kind::Internal` must not show anything but a generic text.
    fn render_error(&self, meta: &Meta, error: &Error) -> Response;

    /// Rewrites the path before routing (suffixes, doubled slashes, optional version prefixes).
    fn normalize<'a>(&self, path: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(path)
    }

    /// Runs after authentication and before the handler: version negotiation and checks common to all endpoints.
    fn before(&self, _request: &mut Request) -> Result<()> {
        Ok(())
    }

    /// Runs on every answer of the service, errors included: version headers and the like. `endpoint` is the matched
    /// path pattern.
    fn after(&self, _meta: &Meta, _endpoint: Option<&str>, _response: &mut Response) {}

    /// `HEAD` is answered by the `GET` handler, without the body.
    fn head_as_get(&self) -> bool {
        false
    }

    /// Largest accepted body in bytes; oslo.middleware's default.
    fn body_limit(&self) -> usize {
        114_688
    }

    fn body_too_large(&self, limit: usize) -> Error {
        Error::new(Kind::TooLarge, "RequestTooLarge", format!("Request is too large. Larger than {limit}"))
    }

    fn no_such_path(&self, _meta: &Meta) -> Error {
        Error::not_found("HTTPNotFound", "The resource could not be found.")
    }

    /// `allowed` are the methods that the path knows.
    fn method_not_allowed(&self, _meta: &Meta, _allowed: &[Method]) -> Error {
        Error::new(Kind::MethodNotAllowed, "HTTPMethodNotAllowed", "The method is not allowed for this resource.")
    }
}

/// A service, ready to be mounted.
pub struct Service {
    /// Path prefix and name in [`sahab_contract::cloud::Call`]: `network`.
    pub name: &'static str,
    /// Classic port of its own: 9696.
    pub port: u16,
    pub family: Arc<dyn Family>,
    pub endpoints: Vec<Endpoint>,
}
