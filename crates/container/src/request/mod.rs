//! Requests parsed at the edge: after this module everything is typed and within its limits.

pub mod arguments;
pub mod create;
pub mod fields;

pub use arguments::Arguments;
