//! The whole service in one process: a real database, a fake network service behind the same dispatcher, a host in
//! memory.

mod api;
mod bench;
mod faults;
mod garbage;
mod kills;
mod lifecycle;
mod network;
mod resources;
