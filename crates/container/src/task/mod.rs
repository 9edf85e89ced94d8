//! The durable operations on containers and what they share.
//!
//! Every step may run twice and every undo may find its step half done. A task ends in [`ContainerService::settle`],
//! which writes the outcome, ends the action's record and publishes the status in this order.

mod create;
mod delete;
mod group;
mod image;
mod net;
mod power;
mod update;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta};
use sahab_contract::{Error, Kind, RequestContext, Result, container::ContainerDriver, context::now};
use sahab_task::{Handlers, Step, Task};
use serde_json::json;

use crate::{
    ContainerService,
    container::observed::Seen,
    db::{
        action,
        container::{self, Model},
    },
    state::Status,
};

pub const CREATE: &str = "container.create";
pub const REBUILD: &str = "container.rebuild";
pub const POWER: &str = "container.power";
pub const DELETE: &str = "container.delete";
pub const UPDATE: &str = "container.update";
pub const ATTACH: &str = "container.attach";
pub const DETACH: &str = "container.detach";
pub const GROUP: &str = "container.group";
pub const IMAGE: &str = "container.image";

pub fn handlers(service: &ContainerService) -> Handlers {
    vec![
        Arc::new(create::Provision::creating(service.clone())),
        Arc::new(create::Provision::rebuilding(service.clone())),
        Arc::new(power::Power(service.clone())),
        Arc::new(delete::Delete(service.clone())),
        Arc::new(update::Update(service.clone())),
        Arc::new(net::Attach(service.clone())),
        Arc::new(net::Detach(service.clone())),
        Arc::new(group::Group(service.clone())),
        Arc::new(image::Pull(service.clone())),
    ]
}

/// How long an operation waits for an engine that does not answer: a restart of Docker must not fail what is under way.
const ENGINE_PATIENCE: TimeDelta = TimeDelta::seconds(60);
const ENGINE_PAUSE: Duration = Duration::from_millis(300);

/// Turns "does not answer" into waiting, up to [`ENGINE_PATIENCE`]. Since when is kept with the task.
fn patiently(task: &mut Task, outcome: Result<Step>) -> Result<Step> {
    const KEY: &str = "waiting_since";
    match outcome {
        Err(error) if error.kind() == Kind::Unavailable => {
            let since = task.state[KEY].as_i64().and_then(DateTime::from_timestamp_millis);
            let waited = since.map_or(TimeDelta::zero(), |since| now() - since);
            if waited >= ENGINE_PATIENCE {
                return Err(Error::conflict(error.code().to_owned(), error.message().to_owned()));
            }
            if since.is_none() {
                if !task.state.is_object() {
                    task.state = json!({});
                }
                task.state[KEY] = json!(now().timestamp_millis());
            }
            Ok(Step::Again(ENGINE_PAUSE))
        }
        outcome => {
            if let Some(state) = task.state.as_object_mut() {
                state.remove(KEY);
            }
            outcome
        }
    }
}

fn action_of(task: &Task) -> i64 {
    task.input["action"].as_i64().unwrap_or_default()
}

/// The engine's own failure is its answer about this container: repeating would only delay it. An engine that does not
/// answer at all stays retryable.
fn verdict(error: Error) -> Error {
    match error.kind() {
        Kind::Internal => {
            tracing::warn!(error = error.report(), "the engine failed");
            Error::conflict(error.code().to_owned(), error.message().to_owned())
        }
        _ => error,
    }
}

impl ContainerService {
    /// The row that a task works on; `None` when there is nothing left to do for it.
    async fn row_of(&self, task: &Task) -> Result<Option<Model>> {
        let row = container::by_uuid(self.database.read(), &task.key).await?;
        Ok(row.filter(|row| row.status != Status::Deleting))
    }

    async fn driver_for(&self, host: Option<&str>) -> Result<Arc<dyn ContainerDriver>> {
        let host = host.unwrap_or_default();
        match self.host(host) {
            Some(host) => Ok(host.driver),
            None => Err(Error::unavailable("compute-host-not-up", format!("Container host {host} is not up."))),
        }
    }

    /// Ends an action: `change` writes the outcome into the row as it is now, unless a delete has taken it over.
    async fn settle(
        &self,
        task: &Task,
        outcome: std::result::Result<(), &Error>,
        change: impl FnOnce(&mut Model) + Send,
    ) -> Result<()> {
        let action = action_of(task);
        let txn = self.database.begin().await?;
        if !action::end(&txn, action, outcome).await? {
            // Killed between this and the end of the task: what happened since must not be overwritten.
            return Ok(());
        }
        let row = container::by_uuid(&txn, &task.key).await?;
        let mut published = None;
        if let Some(mut row) = row.filter(|row| row.status != Status::Deleting) {
            change(&mut row);
            if row.task_action == Some(action) {
                row.task_state = None;
                row.task_action = None;
            }
            container::save(&txn, &mut row).await?;
            published = Some(row);
        }
        txn.commit().await?;
        self.progress().remove(&task.key);
        // The engine's news that came meanwhile was left for us; usually it is what the task did itself.
        let missed = self.missed().remove(&task.key);
        let again = match (&published, missed) {
            (Some(row), Some(seen)) => seen.is_none_or(|seen| seen.differs(row)),
            (None, _) | (_, None) => false,
        };
        if let Some(row) = published {
            self.publish_status(&row);
        }
        if again {
            let (service, uuid) = (self.clone(), task.key.clone());
            tokio::spawn(async move { service.refresh_quietly(&uuid).await });
        }
        Ok(())
    }

    /// What the engine says now; `None` when the container is not there or the engine does not answer.
    async fn glance(&self, row: &Model) -> Option<Seen> {
        let driver = self.host(row.host.as_deref()?)?.driver;
        driver.inspect(&row.uuid).await.ok().map(Seen::from)
    }

    /// The row after an operation failed: the engine's word if there is one, and the reason. `lost` is the status when
    /// the engine has no such container or does not answer.
    async fn failed(&self, task: &Task, error: &Error, lost: Option<Status>) -> Result<()> {
        let Some(row) = self.row_of(task).await? else {
            return self.settle(task, Err(error), |_| {}).await;
        };
        let seen = self.glance(&row).await;
        let reason = error.message().to_owned();
        self.settle(task, Err(error), move |row| {
            match seen {
                Some(seen) => seen.apply(row),
                None => row.status = lost.unwrap_or(row.status),
            }
            row.status_reason = Some(reason);
        })
        .await
    }

    async fn program_for(&self, task: &Task) -> Result<RequestContext> {
        self.program(&task.request_id).await
    }
}
