//! The kernel side of the network: [`sahab_contract::network::Dataplane`] on real netlink and nftables.
//!
//! Owns every namespace, link, address, route, rule and connection-tracking entry of Sahab on one host; nothing else in
//! the program talks to the kernel's network. The host agent and Docker's network driver are the only callers.
//!
//! Invariants:
//! - Names derive from ids (see [`names`]), so ownership needs no local database and a restart finds everything again.
//! - Every apply is a difference against what the kernel shows; applying the same plan twice writes nothing.
//! - Rules of a namespace are replaced in one nftables transaction, never flushed first.
//! - A frame from or to an interface that no rule knows is dropped: a port that is plugged before its rules exist is
//!   silent, not open.
//! - A namespace's socket lives in that namespace's own thread and is closed before the namespace is removed.
//!
//! What happens in a plan's way to the kernel: [`model`] parses it, [`compile`] and [`nat`] turn it into a
//! [`ruleset`], [`network`], [`router`] and [`host`] make links and addresses agree, [`flows`] ends the connections that
//! are no longer allowed.

mod bridge;
mod compile;
mod conntrack;
mod dataplane;
mod fake;
mod flows;
mod fold;
mod host;
mod model;
mod names;
mod nat;
mod netlink;
mod netns;
mod network;
mod nft;
mod probe;
mod router;
mod ruleset;
mod settings;
mod sysctl;
mod worker;

pub use dataplane::LinuxDataplane;
pub use fake::{Call, FakeDataplane};
pub use probe::{Check, probe};
pub use settings::{HostPort, HostProtocol, Settings};
