//! Accepting start, stop, reboot, pause, unpause, kill and rebuild: a state check, a record, a durable task.

use sahab_contract::{RequestContext, Result};
use sahab_task::NewTask;
use serde_json::{Value, json};

use crate::{
    ContainerService,
    db::{
        action,
        container::{self, Model},
    },
    state::{Action, Status, TaskState},
    task, texts,
};

impl ContainerService {
    /// `arguments` are the power action's own: `timeout`, `signal`.
    pub async fn power(
        &self,
        context: &RequestContext,
        ident: &str,
        action: Action,
        arguments: Value,
    ) -> Result<Model> {
        let state = match action {
            Action::Start => TaskState::ContainerStarting,
            Action::Stop => TaskState::ContainerStopping,
            Action::Reboot => TaskState::ContainerRebooting,
            Action::Pause => TaskState::ContainerPausing,
            Action::Unpause => TaskState::ContainerUnpausing,
            _ => TaskState::ContainerKilling,
        };
        let txn = self.database.begin().await?;
        let mut row = self.find_for(&txn, context, ident, action).await?;
        action.check(&row.uuid, row.status)?;
        self.driver_of(&row)?;
        if action == Action::Reboot {
            row.status = Status::Restarting;
        }
        self.accept(&txn, context, &mut row, action, state, task::POWER, json!({"do": action, "with": arguments}))
            .await?;
        txn.commit().await?;
        self.queue.nudge();
        Ok(row)
    }

    /// Makes the container anew, from another image if one is named; addresses stay.
    pub async fn rebuild(&self, context: &RequestContext, ident: &str, image: Option<String>) -> Result<Model> {
        self.learn_hosts().await;
        let txn = self.database.begin().await?;
        let mut row = self.find_for(&txn, context, ident, Action::Rebuild).await?;
        Action::Rebuild.check(&row.uuid, row.status)?;
        self.accept_rebuild(&txn, context, &mut row, image).await?;
        txn.commit().await?;
        self.queue.nudge();
        Ok(row)
    }

    /// Also the way in which a container that vanished is healed.
    pub(crate) async fn accept_rebuild(
        &self,
        txn: &sea_orm::DatabaseTransaction,
        context: &RequestContext,
        row: &mut Model,
        image: Option<String>,
    ) -> Result<()> {
        let fresh = row.host.is_none();
        if fresh {
            // Its first creation failed and gave the host back.
            let host = self.place(txn, row).await?.map_err(texts::conflict)?;
            row.host = Some(host);
        }
        let run = row.status == Status::Running || (row.auto_heal && row.started_at.is_some());
        row.status = Status::Rebuilding;
        let image = image.unwrap_or_else(|| row.image.clone());
        let input = json!({"run": run, "image": image});
        self.accept(txn, context, row, Action::Rebuild, TaskState::ContainerRebuilding, task::REBUILD, input).await
    }

    /// Writes the action, the row and the task. The task's input gets the action's id.
    #[expect(clippy::too_many_arguments, reason = "each is a different thing, and a struct would be used once")]
    pub(crate) async fn accept(
        &self,
        txn: &sea_orm::DatabaseTransaction,
        context: &RequestContext,
        row: &mut Model,
        what: Action,
        state: TaskState,
        kind: &'static str,
        mut input: Value,
    ) -> Result<()> {
        let action = action::begin(txn, context, row, what).await?;
        Self::claim_row(row, state, action);
        container::save(txn, row).await?;
        input["action"] = json!(action);
        let task = NewTask { kind, key: row.uuid.clone(), input, request_id: context.request_id.clone() };
        self.queue.enqueue(txn, task).await
    }
}
