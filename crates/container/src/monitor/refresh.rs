//! One container's state, from an event or a look, into its row.

use sahab_contract::{RequestContext, Result, container::Observed};
use serde_json::json;

use crate::{
    ContainerService,
    container::observed::Seen,
    db::container::{self, Model},
    state::{Action, Status, TaskState},
    task,
};

/// Whether the engine would start it again whatever happened, unless somebody stopped it.
fn restarts_for_ever(row: &Model) -> bool {
    row.restart_policy.as_ref().is_some_and(|policy| matches!(policy.name.as_str(), "always" | "unless-stopped"))
}

impl ContainerService {
    /// An event of a host. While a task has the container, the task's end looks again.
    pub(super) async fn on_change(&self, host: &str, id: &str, observed: Option<Observed>) {
        // First remembered, then looked: a task that ends in between either sees the mark or is seen to have ended.
        let seen = observed.map(Seen::from);
        self.missed().insert(id.to_owned(), seen.clone());
        let row = match container::by_uuid(self.database.read(), id).await {
            Ok(row) => row,
            Err(error) => {
                tracing::warn!(container = id, error = error.report(), "an event could not be followed");
                return;
            }
        };
        let Some(row) = row.filter(|row| row.host.as_deref() == Some(host)) else {
            self.missed().remove(id);
            return;
        };
        if row.task_state.is_some() {
            return;
        }
        self.missed().remove(id);
        // Events may be older than the last task's end. When they agree with the row nothing is to be done; when they
        // do not, only a fresh look decides.
        if seen.is_none_or(|seen| seen.differs(&row)) {
            self.refresh_quietly(id).await;
        }
    }

    pub(crate) async fn refresh_quietly(&self, id: &str) {
        if let Err(error) = self.refresh(id).await {
            tracing::debug!(container = id, error = error.report(), "a container could not be looked at");
        }
    }

    /// Looks at the engine and writes what changed, unless somebody changed the row meanwhile.
    pub(crate) async fn refresh(&self, id: &str) -> Result<()> {
        let Some(row) = container::by_uuid(self.database.read(), id).await? else { return Ok(()) };
        let Some(host) = row.host.as_deref().and_then(|host| self.host(host)) else { return Ok(()) };
        match host.driver.inspect(id).await {
            Ok(observed) => self.learn(&row, Some(observed.into())).await,
            Err(error) if error.is_not_found() => self.learn(&row, None).await,
            Err(error) => Err(error),
        }
    }

    /// Writes a report about the row as it was when the report was asked for; `None`: the engine does not have it.
    pub(super) async fn learn(&self, before: &Model, seen: Option<Seen>) -> Result<()> {
        if let Some(seen) = &seen
            && !seen.differs(before)
        {
            return Ok(());
        }
        // Known to be lost already; a healing that failed is not tried again every minute.
        let given_up = before.status == Status::Error && before.status_reason.is_some() && !before.auto_remove;
        if seen.is_none() && given_up {
            return Ok(());
        }
        let txn = self.database.begin().await?;
        let Some(mut row) = container::by_uuid(&txn, &before.uuid).await? else { return Ok(()) };
        if row.revision != before.revision || row.task_state.is_some() {
            return Ok(());
        }
        match seen {
            Some(seen) => {
                let dropped = row.status == Status::Running && seen.error.is_some();
                seen.apply(&mut row);
                match dropped && row.status == Status::Stopped && restarts_for_ever(&row) {
                    true => self.resume(&txn, &mut row).await?,
                    false => container::save(&txn, &mut row).await?,
                }
            }
            None => self.lost(&txn, &mut row).await?,
        }
        txn.commit().await?;
        self.queue.nudge();
        self.publish_status(&row);
        Ok(())
    }

    /// The engine restarted while nobody served its network driver, and could not keep its promise to start this again.
    async fn resume(&self, txn: &sea_orm::DatabaseTransaction, row: &mut Model) -> Result<()> {
        tracing::info!(container = row.uuid, "the engine gave a container up that restarts always, starting it");
        let context = RequestContext { elevated: true, ..RequestContext::new(None) };
        let input = json!({"do": Action::Start, "with": {}});
        self.accept(txn, &context, row, Action::Start, TaskState::ContainerStarting, task::POWER, input).await
    }

    /// The engine does not have the container any more.
    async fn lost(&self, txn: &sea_orm::DatabaseTransaction, row: &mut Model) -> Result<()> {
        let context = RequestContext { elevated: true, ..RequestContext::new(None) };
        let rebuildable = Action::Rebuild.allows(row.status);
        if row.auto_remove {
            return self.accept_delete(txn, &context, row, Action::Delete, false).await;
        }
        if row.auto_heal && rebuildable {
            tracing::info!(container = row.uuid, "a container vanished, making it again");
            return self.accept_rebuild(txn, &context, row, None).await;
        }
        row.status = Status::Error;
        row.status_reason = Some(format!("No such container: zun-{} in docker", row.uuid));
        container::save(txn, row).await
    }
}
