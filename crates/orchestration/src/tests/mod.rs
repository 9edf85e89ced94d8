//! The service as its clients see it.

mod api;
mod application;
mod fakes;
mod lifecycle;
mod nested;
mod previews;
mod support;
