//! What the services and the host agent know of each other, and nothing more.
//!
//! A service never depends on another service: it asks through a trait of this crate, or through the other service's
//! own REST API called in process ([`cloud::Cloud`]), so that validation, policy and quotas are the same for a user and
//! for a neighbour. Drivers (Docker, dataplane) depend on this crate alone and never see the database.
//!
//! Invariants: no I/O here, no dependency on a web or database framework, types are plain data that serialise.

pub mod cloud;
pub mod container;
pub mod context;
pub mod error;
pub mod event;
pub mod identity;
pub mod network;

pub use context::{AppCredential, Auth, Named, RequestContext, Scope, Scoped};
pub use error::{Error, Kind, Result};
