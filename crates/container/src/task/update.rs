//! New limits for a container. The row has them already (they are claimed); the host follows, or the row goes back.

use async_trait::async_trait;
use sahab_contract::{Error, Result, container::Resources};
use sahab_task::{Handler, Step, Task};

use super::{UPDATE, verdict};
use crate::ContainerService;

pub struct Update(pub ContainerService);

fn resources(task: &Task, cpu: &str, memory: &str) -> Resources {
    Resources { cpu: task.input[cpu].as_f64(), memory: task.input[memory].as_u64() }
}

#[async_trait]
impl Handler for Update {
    fn kind(&self) -> &'static str {
        UPDATE
    }
    fn steps(&self) -> &'static [&'static str] {
        &["update"]
    }

    async fn run(&self, _step: &str, task: &mut Task) -> Result<Step> {
        let Some(row) = self.0.row_of(task).await? else { return Ok(Step::Finish) };
        let driver = self.0.driver_for(row.host.as_deref()).await?;
        driver.update(&row.uuid, &resources(task, "cpu", "memory")).await.map_err(verdict)?;
        Ok(Step::Next)
    }

    async fn undo(&self, _step: &str, task: &mut Task) -> Result<()> {
        let Some(row) = self.0.row_of(task).await? else { return Ok(()) };
        let driver = self.0.driver_for(row.host.as_deref()).await?;
        // The old limits may be below what is used by now: then the row still tells the truth about the claim.
        if let Err(error) = driver.update(&row.uuid, &resources(task, "old_cpu", "old_memory")).await {
            tracing::warn!(container = row.uuid, error = error.report(), "old limits could not be restored");
        }
        Ok(())
    }

    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()> {
        let input = &task.input;
        self.0
            .settle(task, outcome, |row| {
                if outcome.is_err() {
                    row.cpu = input["old_cpu"].as_f64().unwrap_or(row.cpu);
                    row.memory = input["old_memory"].as_i64().unwrap_or(row.memory);
                }
            })
            .await?;
        // No listener is no error.
        let _ = self.0.settled.send((super::action_of(task), outcome.err().cloned()));
        Ok(())
    }
}
