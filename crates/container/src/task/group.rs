//! Adding a security group to all ports of a container, or taking it away.

use async_trait::async_trait;
use sahab_contract::{Error, Result};
use sahab_task::{Handler, Step, Task};

use super::GROUP;
use crate::ContainerService;

pub struct Group(pub ContainerService);

fn group_of(task: &Task) -> &str {
    task.input["group"].as_str().unwrap_or_default()
}

#[async_trait]
impl Handler for Group {
    fn kind(&self) -> &'static str {
        GROUP
    }
    fn steps(&self) -> &'static [&'static str] {
        &["ports"]
    }

    async fn run(&self, _step: &str, task: &mut Task) -> Result<Step> {
        let Some(row) = self.0.row_of(task).await? else { return Ok(Step::Finish) };
        let program = self.0.program_for(task).await?;
        self.0.change_group(&program, &row, group_of(task), task.input["add"] == true).await?;
        Ok(Step::Next)
    }

    async fn undo(&self, _step: &str, task: &mut Task) -> Result<()> {
        let Some(row) = self.0.row_of(task).await? else { return Ok(()) };
        let program = self.0.program_for(task).await?;
        match self.0.change_group(&program, &row, group_of(task), task.input["add"] != true).await {
            // The port or the group went away meanwhile: there is nothing left to restore.
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome,
        }
    }

    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()> {
        self.0
            .settle(task, outcome, |row| match outcome {
                Ok(()) => {
                    row.security_groups.0.retain(|group| group != group_of(task));
                    if task.input["add"] == true {
                        row.security_groups.0.push(group_of(task).to_owned());
                    }
                }
                Err(error) => row.status_reason = Some(error.message().to_owned()),
            })
            .await
    }
}
