//! The tables of the orchestration service, and every query on them.
//!
//! `stack` holds what an operation needs to be repeated from any point: template, environment, the operation's
//! traversal id and, while an update runs, the previous template. `resource` holds one row per physical object; a row
//! is `obsolete` once another one took its name over, until it is deleted. `event` is the history shown to users.

pub mod event;
mod migrations;
pub mod resource;
pub mod software_config;
pub mod software_deployment;
pub mod stack;
pub mod state;
pub mod tag;

pub use migrations::migrations;
pub use state::{Action, Status};
