//! The durable task of a stack's operation.

use std::sync::Arc;

use async_trait::async_trait;
use sahab_contract::{Error, Result};
use sahab_task::{Handler, Step, Task};
use serde_json::{Value, json};

use super::operation;
use crate::{
    core::Core,
    db::{Status, stack},
};

/// Stored with the task.
pub const KIND: &str = "orchestration.stack";

pub struct StackHandler {
    core: Arc<Core>,
}

impl StackHandler {
    pub fn new(core: Arc<Core>) -> Self {
        StackHandler { core }
    }
}

/// What the task is about.
pub fn input(stack_id: &str, traversal: &str) -> Value {
    json!({"stack_id": stack_id, "traversal": traversal})
}

fn text<'a>(task: &'a Task, key: &str) -> &'a str {
    task.input[key].as_str().unwrap_or_default()
}

#[async_trait]
impl Handler for StackHandler {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn steps(&self) -> &'static [&'static str] {
        &["run"]
    }
    fn takes_a_place(&self) -> bool {
        false
    }

    async fn run(&self, _: &str, task: &mut Task) -> Result<Step> {
        operation::run(&self.core, text(task, "stack_id"), text(task, "traversal"), &task.request_id).await?;
        Ok(Step::Next)
    }

    /// Nothing to take back: a superseding operation works on the rows as they are.
    async fn undo(&self, _: &str, _: &mut Task) -> Result<()> {
        Ok(())
    }

    /// A run that failed for good is a fault of the program (the database, the identity): the stack must not stay in
    /// progress. A superseded run finds another traversal and changes nothing.
    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()> {
        let Err(error) = outcome else { return Ok(()) };
        let Some(row) = stack::find(self.core.database.read(), text(task, "stack_id")).await? else { return Ok(()) };
        if row.traversal == text(task, "traversal") && row.status == Status::Failed {
            // Cancelled without a rollback: what was cut off must not look busy.
            return operation::abort(&self.core, &row, "cancelled").await;
        }
        if row.traversal != text(task, "traversal") || row.status != Status::InProgress {
            return Ok(());
        }
        let reason = format!("Stack {} failed: {}", row.action, error.message());
        operation::fail_unfinished(&self.core, &row, &reason).await
    }
}
