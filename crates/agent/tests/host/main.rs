//! The whole host side: real Docker, real kernel, the control plane played by [`control::Control`].
//!
//! Everything runs in a network namespace and with folders of its own, so nothing of the machine's own Docker or Sahab is
//! touched. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test may panic and print")]

mod control;
#[path = "../../../docker/tests/support/dockerd.rs"]
mod dockerd;
mod measure;
mod story;
mod world;
