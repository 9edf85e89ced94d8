//! Docker's remote network driver protocol, as the driver `sahab`.
//!
//! Docker asks over a Unix socket in its plugin directory when it creates a network of this driver and whenever a
//! container of it starts or stops. [`serve`] answers; the kernel's work and the knowledge of ports are behind
//! [`EndpointBackend`], which the host agent implements.
//!
//! Invariants:
//! - Docker tells of a network once and never again, so what it told is in a file before it is answered ([`Store`]);
//! - an endpoint id is new at each start of a container, so the port id is what counts: a newer endpoint of a port ends
//!   an older one, and the older one's late deletion changes nothing;
//! - what exists can be joined, left and deleted while the control plane is away;
//! - Docker gives up after 15 s: every answer is bounded below that.
//!
//! Networks use Docker's `null` address management: with one of our own, each network would hold up a start of Docker by
//! 15 s while the agent is down. The driver hands out the port's addresses itself.

mod backend;
mod driver;
mod server;
mod store;
mod wire;

pub use backend::{Endpoint, EndpointBackend, EndpointRequest, Joined, LeftoverPort, PluggedEndpoint, Route};
pub use driver::Driver;
pub use server::{DEFAULT_SOCKET, serve};
pub use store::Store;
