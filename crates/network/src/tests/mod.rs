//! The service through its endpoints: in process, over a real database.

mod access;
mod cloud;
mod groups;
mod lists;
mod networks;
mod plans;
mod ports;
mod routers;
mod subnets;
