//! Start, stop, reboot, pause, unpause, kill.

use async_trait::async_trait;
use sahab_contract::{Error, Result};
use sahab_task::{Handler, Step, Task};
use serde_json::json;

use super::{POWER, patiently, verdict};
use crate::{
    ContainerService,
    container::observed::Seen,
    state::{Action, Status},
};

pub struct Power(pub ContainerService);

fn what(task: &Task) -> Result<Action> {
    Ok(serde_json::from_value(task.input["do"].clone())?)
}

impl Power {
    async fn act(&self, task: &mut Task) -> Result<Step> {
        let Some(row) = self.0.row_of(task).await? else { return Ok(Step::Finish) };
        let driver = self.0.driver_for(row.host.as_deref()).await?;
        let with = &task.input["with"];
        let timeout = with["timeout"].as_u64().and_then(|seconds| u32::try_from(seconds).ok());
        let id = &row.uuid;
        let outcome = match what(task)? {
            Action::Start => driver.start(id).await,
            Action::Stop => driver.stop(id, timeout).await,
            Action::Reboot => driver.restart(id, timeout).await,
            Action::Pause => driver.pause(id).await,
            Action::Unpause => driver.unpause(id).await,
            _ => driver.kill(id, with["signal"].as_str()).await,
        };
        let seen = Seen::from(outcome.map_err(verdict)?);
        task.state = json!({ "seen": seen });
        Ok(Step::Next)
    }
}

#[async_trait]
impl Handler for Power {
    fn kind(&self) -> &'static str {
        POWER
    }
    fn steps(&self) -> &'static [&'static str] {
        &["act"]
    }

    async fn run(&self, _step: &str, task: &mut Task) -> Result<Step> {
        let outcome = self.act(task).await;
        patiently(task, outcome)
    }

    async fn undo(&self, _step: &str, _task: &mut Task) -> Result<()> {
        // Nothing to take back: what happened to the processes happened.
        Ok(())
    }

    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()> {
        match outcome {
            Ok(()) => {
                let seen: Option<Seen> = serde_json::from_value(task.state["seen"].clone()).unwrap_or_default();
                self.0
                    .settle(task, outcome, |row| {
                        row.status_reason = None;
                        if let Some(seen) = seen {
                            seen.apply(row);
                        }
                    })
                    .await
            }
            Err(error) => {
                // A status that the request set must not stay; others are still what we last knew.
                let lost = match what(task)? {
                    Action::Reboot | Action::Start => Some(Status::Error),
                    _ if error.is_not_found() => Some(Status::Error),
                    _ => None,
                };
                self.0.failed(task, error, lost).await
            }
        }
    }
}
