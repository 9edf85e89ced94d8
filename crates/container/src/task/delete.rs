//! Deleting a container: the engine's object, then ports and group, then the row, in this order, so that whoever sees
//! the container gone also sees its ports gone.

use std::time::Duration;

use async_trait::async_trait;
use sahab_contract::{Error, Kind, Result};
use sahab_task::{Handler, Step, Task};

use super::{DELETE, verdict};
use crate::{
    ContainerService,
    db::container::{self, Model},
    state::Status,
};

/// Seconds that the processes get to end by themselves.
const GRACE: u32 = 10;
/// Pause between looks at a host that does not answer. A delete waits for its host as long as it takes.
const HOST_PAUSE: Duration = Duration::from_secs(1);

pub struct Delete(pub ContainerService);

impl Delete {
    async fn row(&self, task: &Task) -> Result<Option<Model>> {
        container::by_uuid(self.0.database.read(), &task.key).await
    }
}

fn wait_for_host(outcome: Result<()>) -> Result<Step> {
    match outcome {
        Ok(()) => Ok(Step::Next),
        Err(error) if error.is_not_found() => Ok(Step::Next),
        Err(error) if error.kind() == Kind::Unavailable => Ok(Step::Again(HOST_PAUSE)),
        Err(error) => Err(verdict(error)),
    }
}

#[async_trait]
impl Handler for Delete {
    fn kind(&self) -> &'static str {
        DELETE
    }
    fn steps(&self) -> &'static [&'static str] {
        &["stop", "remove", "release"]
    }

    async fn run(&self, step: &str, task: &mut Task) -> Result<Step> {
        let Some(row) = self.row(task).await? else { return Ok(Step::Finish) };
        if step == "release" {
            let program = self.0.program_for(task).await?;
            self.0.release_ports(&program, &row).await?;
            return Ok(Step::Next);
        }
        // A container that never had a host, or whose host left the cloud, has nothing on one.
        let Some(host) = row.host.as_deref().and_then(|host| self.0.host(host)) else { return Ok(Step::Next) };
        if step == "remove" {
            return wait_for_host(host.driver.delete(&row.uuid, true).await);
        }
        if task.input["stop"] != true {
            return Ok(Step::Next);
        }
        match host.driver.stop(&row.uuid, Some(GRACE)).await {
            // Paused, half created, or not stoppable for another reason: the removal kills it.
            Err(error) if matches!(error.kind(), Kind::Conflict | Kind::Invalid | Kind::Internal) => Ok(Step::Next),
            outcome => wait_for_host(outcome.map(|_| ())),
        }
    }

    async fn undo(&self, _step: &str, _task: &mut Task) -> Result<()> {
        // A delete only goes forward.
        Ok(())
    }

    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()> {
        let service = &self.0;
        let Err(error) = outcome else {
            let txn = service.database.begin().await?;
            let row = container::by_uuid(&txn, &task.key).await?;
            container::delete(&txn, &task.key).await?;
            txn.commit().await?;
            service.missed().remove(&task.key);
            service.progress().remove(&task.key);
            if let Some(row) = row {
                let payload = serde_json::json!({"status": "Deleted"});
                service.events.publish("container.deleted", &row.uuid, &row.project_id, payload);
            }
            return Ok(());
        };
        if error.code() == "Cancelled" {
            // A second delete was accepted: it is the next task of this key.
            return Ok(());
        }
        let txn = service.database.begin().await?;
        if let Some(mut row) = container::by_uuid(&txn, &task.key).await? {
            row.status = Status::Error;
            row.status_reason = Some(format!("Could not be deleted: {}", error.message()));
            row.task_state = None;
            row.task_action = None;
            container::save(&txn, &mut row).await?;
            crate::db::action::end(&txn, super::action_of(task), outcome).await?;
            txn.commit().await?;
            service.publish_status(&row);
        }
        Ok(())
    }
}
