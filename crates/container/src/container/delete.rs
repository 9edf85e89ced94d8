//! Accepting a delete. What works on the container is cancelled; the delete then runs after its way back.

use sahab_contract::{RequestContext, Result};
use sea_orm::DatabaseTransaction;
use serde_json::json;

use crate::{
    ContainerService,
    db::container::Model,
    state::{Action, Status, TaskState},
    task,
};

#[derive(Clone, Copy, Debug, Default)]
pub struct DeleteRequest {
    pub force: bool,
    pub stop: bool,
    pub all_projects: bool,
}

impl ContainerService {
    pub async fn delete(&self, context: &RequestContext, ident: &str, request: DeleteRequest) -> Result<()> {
        if request.all_projects {
            self.enforce_own(context, "container:delete_all_projects")?;
        }
        let txn = self.database.begin().await?;
        let mut row = self.find_for(&txn, context, ident, Action::Delete).await?;
        if request.force {
            self.enforce(context, "container:delete_force", &row.project_id)?;
        }
        if request.stop && row.status == Status::Running {
            self.enforce(context, "container:stop", &row.project_id)?;
        }
        let action = match request {
            DeleteRequest { stop: true, .. } => Action::DeleteAfterStop,
            DeleteRequest { force: true, .. } => Action::DeleteForce,
            _ => Action::Delete,
        };
        action.check(&row.uuid, row.status)?;
        self.accept_delete(&txn, context, &mut row, action, request.stop).await?;
        txn.commit().await?;
        self.queue.nudge_cancel(&row.uuid);
        self.publish_status(&row);
        Ok(())
    }

    pub(crate) async fn accept_delete(
        &self,
        txn: &DatabaseTransaction,
        context: &RequestContext,
        row: &mut Model,
        action: Action,
        stop: bool,
    ) -> Result<()> {
        // In this order: cancelling marks every task that is there already.
        self.queue.cancel(txn, &row.uuid).await?;
        row.status = Status::Deleting;
        let input = json!({"stop": stop});
        self.accept(txn, context, row, action, TaskState::ContainerDeleting, task::DELETE, input).await
    }
}
