//! The service through its endpoints: in process, over a real database.

mod cloud;
mod lists;
mod networks;
