//! The host side: makes one host agree with what the control plane wants, and tells what it sees.
//!
//! [`Agent`] joins four parts that know nothing of each other: the network's desired state
//! (`NetworkPlans`, `AdHocPorts`, from the network service), the kernel (`Dataplane`), the engine (`ContainerDriver`)
//! and Docker's network driver protocol (`sahab-kuryr`). It never sees a database.
//!
//! - [`plans`]: the newest plans, in memory and on disk, so that containers start while the control plane is away;
//! - [`fabric`]: brings one network or router up to date, whoever asks;
//! - [`reconcile`]: nudges, the timer and the first run, all through the same code; [`housekeeping`]: leftovers;
//! - [`status`]: which ports and floating addresses are in force, told when it changes;
//! - [`endpoints`]: what Docker's network driver asks; [`host`]: what the container service asks.
//!
//! Invariants: a container's rules are in the kernel before its interface is; one object is worked on by one at a time
//! and always from a plan fetched after it was asked for; Docker's socket for the driver exists before Docker is used.

mod agent;
mod endpoints;
mod fabric;
mod host;
mod housekeeping;
mod plans;
mod reconcile;
mod status;
#[cfg(test)]
mod testing;

pub use agent::{Agent, Parts};
