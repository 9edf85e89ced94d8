//! Brings stacks to their target.
//!
//! One durable task per operation (its key is the root stack) runs [`operation`]: the state machine of create, update,
//! rollback, delete, suspend, resume and check. Everything it needs is in the stack's and the resources' rows, so a
//! repeated run goes on where the last one was cut off. A [`level::Level`] is one stack of the tree being worked on;
//! nested stacks run inside the operation of their root.
//!
//! Invariants: what a resource is about to do to the outside world is in the database before it does it (see
//! [`journal`]); an operation that was superseded (another traversal id on the stack) never writes a stack's state.

mod backward;
mod failure;
mod forward;
mod handler;
mod hooks;
mod journal;
mod level;
mod nested;
mod operation;
pub mod reader;
mod sweep;
mod waiters;
mod walk;

pub use handler::{KIND, StackHandler, input as task_input};
pub use level::{properties_value, stack_event};
pub use nested::members;
pub use operation::{begin_rollback, snapshot};
pub use waiters::Waiters;
