//! Durable work: what a user waits for survives any crash.
//!
//! A request that starts long work writes its rows and enqueues a task in one transaction, answers, and calls
//! [`Queue::nudge`]. The runner executes the task's steps in order and records each as done; after a crash the next start
//! repeats at most the step that was running. A step that fails for good starts the way back: the undo of that step and
//! of every one before it, then [`Handler::finished`] with the error. Every `run` and `undo` must therefore be
//! repeatable, and an undo must cope with a step that only half happened.
//!
//! Tasks with the same key (an object's id) run one after the other in the order of their creation; different keys run
//! in parallel, at most [`Settings::parallel`] at once.

mod db;
mod runner;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
pub use db::migrations;
pub use runner::{Chaos, Queue, Settings};
use sahab_contract::{Error, Result};
use serde_json::Value;

/// A task to be written in the caller's transaction.
#[derive(Clone, Debug)]
pub struct NewTask {
    pub kind: &'static str,
    /// Usually the id of the object that it works on.
    pub key: String,
    pub input: Value,
    pub request_id: String,
}

/// A task being executed.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: i64,
    pub key: String,
    pub input: Value,
    /// Free for the handler; what it holds when a step ends is stored with the step's completion.
    pub state: Value,
    pub request_id: String,
    /// How often the current step has failed with a retryable error.
    pub attempts: u32,
}

/// What a step says when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on with the next one.
    Next,
    /// The rest is not needed.
    Finish,
    /// Not there yet: run this step again after the pause. No attempt is counted. Other tasks use the slot meanwhile.
    Again(Duration),
}

/// One kind of multi-step work.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Stored with the task: never rename a released one.
    fn kind(&self) -> &'static str;
    /// Names of the steps, stored by index: append only.
    fn steps(&self) -> &'static [&'static str];
    async fn run(&self, step: &str, task: &mut Task) -> Result<Step>;
    /// Takes back what the step did or half did. Failing is retried with growing pauses, for ever.
    async fn undo(&self, step: &str, task: &mut Task) -> Result<()>;
    /// The last act, on success and after the way back; may run twice. An error is retried.
    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()>;
    /// How often a step that failed with a retryable error (internal, unavailable) is tried before the way back.
    fn max_attempts(&self) -> u32 {
        5
    }
    /// Whether a running task of this kind takes one of the [`Settings::parallel`] places. A kind that mostly waits for
    /// tasks of others (a stack for its containers) must not: enough of them would starve what they wait for.
    fn takes_a_place(&self) -> bool {
        true
    }
}

pub type Handlers = Vec<Arc<dyn Handler>>;

#[cfg(test)]
mod tests;
