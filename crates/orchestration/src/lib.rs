//! The orchestration service (Heat): stacks of resources described by templates.
//!
//! The language half ([`template`], [`parameters`], [`environment`], [`properties`]) is pure; the engine half drives the
//! other services through it.

pub mod environment;
pub mod parameters;
pub mod properties;
pub mod template;
