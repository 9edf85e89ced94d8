//! The service as its clients see it.

mod api;
mod fakes;
mod lifecycle;
mod support;
