//! The HTTP side that every service shares: the endpoint table, request and answer types, token checking, error
//! rendering, in-process calls, the listener and request metrics.
//!
//! A service describes itself as a [`Service`]: a name, a [`Family`] (how its API looks on the wire: error bodies,
//! versions, path quirks) and a table of [`Endpoint`]s. The [`Dispatcher`] routes requests from sockets and, through
//! [`sahab_contract::cloud::Cloud`], from neighbours; both take the same path from routing on.
//!
//! Invariants: a handler only runs with an authenticated context unless its endpoint is declared open; identity headers
//! sent by clients are never read; bodies are bounded before a handler sees them; an internal error's cause is logged,
//! never sent.

mod access_rules;
mod dispatch;
mod metrics;
mod request;
mod response;
mod server;
mod service;

pub use dispatch::{Dispatcher, Mount};
pub use metrics::Metrics;
pub use request::{JsonBody, Meta, Query, Request};
pub use response::{Body, Response};
pub use server::{Listener, ServerSettings};
pub use service::{Endpoint, Family, Service, Table};

#[cfg(test)]
mod tests;
