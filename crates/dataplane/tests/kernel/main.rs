//! The dataplane against the real kernel: real packets between namespaces that play containers.
//!
//! Needs root, `ip`, `nft`, `conntrack`, `ping` and `python3`. Every test has a host namespace, ids and a prefix of its
//! own, so the tests run in parallel and leave the machine's own network alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are tests"
)]

mod external;
mod groups;
mod lifecycle;
mod measure;
mod router;
mod spoof;
mod world;
