//! Containers on the Docker Engine.
//!
//! [`DockerDriver`] implements `sahab_contract::container::ContainerDriver` over the engine's HTTP API on its Unix
//! socket; [`FakeDriver`] is the same trait in memory, for the tests of other crates. Called by the host agent only.
//!
//! Invariants: an engine object of ours carries our id in its name (`zun-<uuid>`, networks: the uuid itself) and in a
//! label, and the cloud's id in another, so "what is ours" is a listing and the objects of another cloud on the same
//! engine are not in it; every call may be repeated; failures are told apart by HTTP status, never by
//! text. No path sent to the engine contains unchecked text (a `..` in an image name would reach another endpoint).
//! Requests carry no API version: each engine from 20.10 on then speaks its newest, which is all the negotiation needed.

mod archive;
mod create;
mod driver;
mod engine;
mod error;
mod events;
mod fake;
mod files;
mod image;
mod lifecycle;
mod network;
mod observe;
mod process;
mod raw;
mod reference;
mod stats;

pub use driver::DockerDriver;
pub use engine::Settings;
pub use fake::FakeDriver;

/// Label with the id of the cloud that an engine object belongs to.
pub const LABEL_CLOUD: &str = "sahab.cloud";
/// Label with the container's uuid.
pub const LABEL_CONTAINER: &str = "sahab.container";
/// Label, and option for the network driver, with the network's uuid.
pub const LABEL_NETWORK: &str = "sahab.network";
/// Endpoint option: the port's uuid.
pub const OPTION_PORT: &str = "sahab.port";
/// Endpoint option: this endpoint carries the default route.
pub const OPTION_PRIMARY: &str = "sahab.primary";
