//! Changing name, healing and resources of a container.

use std::time::Duration;

use sahab_contract::{RequestContext, Result};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::{
    ContainerService,
    db::container::{self, Model, Usage},
    request::{Arguments, fields},
    state::{Action, TaskState},
    task, texts,
};

/// How long a caller waits for the host to take new limits; afterwards the task goes on without it.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    pub name: Option<String>,
    pub auto_heal: Option<bool>,
    pub cpu: Option<f64>,
    pub memory: Option<i64>,
}

impl Update {
    pub fn parse(arguments: &Arguments, limits: &fields::Limits) -> Result<Self> {
        arguments.only(&["name", "auto_heal", "cpu", "memory"])?;
        for (key, value) in &arguments.0 {
            if value.is_null() {
                return Err(texts::schema(key, value, "It must not be null"));
            }
        }
        Ok(Update {
            name: arguments.get("name").map(|value| fields::name("name", value)).transpose()?,
            auto_heal: arguments.strict("auto_heal")?,
            cpu: arguments.get("cpu").map(|value| fields::cpu(value, limits)).transpose()?,
            memory: arguments.get("memory").map(|value| fields::memory(value, limits)).transpose()?,
        })
    }
}

impl ContainerService {
    /// `action` is `Update` or `ResizeContainer`: two names of one thing.
    pub async fn update(&self, context: &RequestContext, ident: &str, action: Action, update: Update) -> Result<Model> {
        let mut settled = self.settled.subscribe();
        let txn = self.database.begin().await?;
        let mut row = self.find_for(&txn, context, ident, action).await?;
        action.check(&row.uuid, row.status)?;
        let cpu = update.cpu.unwrap_or(row.cpu);
        let memory = update.memory.unwrap_or(row.memory);
        let resized = cpu != row.cpu || memory != row.memory;
        if let Some(name) = update.name {
            row.name = name;
        }
        if let Some(auto_heal) = update.auto_heal {
            row.auto_heal = auto_heal;
        }
        if !resized {
            container::save(&txn, &mut row).await?;
            txn.commit().await?;
            return Ok(row);
        }
        self.driver_of(&row)?;
        if row.task_state.is_some() {
            return Err(texts::conflict(format!("Container {} is busy; try again later.", row.uuid)));
        }
        let more = Usage { containers: 0, cpu: cpu - row.cpu, memory: memory - row.memory, disk: 0 };
        self.check_quota(&txn, &row.project_id, more).await?;
        self.fits(&txn, &row, cpu, memory).await?.map_err(texts::conflict)?;
        let input = json!({"cpu": cpu, "memory": memory, "old_cpu": row.cpu, "old_memory": row.memory});
        (row.cpu, row.memory) = (cpu, memory);
        self.accept(&txn, context, &mut row, action, TaskState::ContainerUpdating, task::UPDATE, input).await?;
        txn.commit().await?;
        self.queue.nudge();

        let uuid = row.uuid.clone();
        let outcome = tokio::time::timeout(PATIENCE, async {
            loop {
                match settled.recv().await {
                    Ok((action, outcome)) if Some(action) == row.task_action => return outcome,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        if let Ok(Some(error)) = outcome.await {
            return Err(super::sync_error(&row, error));
        }
        container::by_uuid(self.database.read(), &uuid).await?.ok_or_else(|| texts::container_not_found(&uuid))
    }

    /// The action `rename` of versions up to 1.13.
    pub async fn rename(&self, context: &RequestContext, ident: &str, name: String) -> Result<Model> {
        let txn = self.database.begin().await?;
        let mut row = self.find_for(&txn, context, ident, Action::Rename).await?;
        Action::Rename.check(&row.uuid, row.status)?;
        if row.name == name {
            return Err(texts::conflict(format!("The new name {name} is the container's name already.")));
        }
        row.name = name;
        container::save(&txn, &mut row).await?;
        txn.commit().await?;
        Ok(row)
    }
}
