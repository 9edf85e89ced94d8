//! `POST …/actions`: suspend, resume, check, cancel.

use sahab_contract::{RequestContext, Result};
use serde_json::Value;

use super::{in_progress, not_supported, update};
use crate::{
    core::Core,
    db::{Action, Status, event, stack},
    engine,
    template::error,
};

pub async fn act(core: &Core, context: &RequestContext, row: stack::Model, body: &Value) -> Result<()> {
    core.enforce(context, "actions:action", &row.project_id)?;
    let row = super::live(row)?;
    let names: Vec<&String> = body.as_object().map(|map| map.keys().collect()).unwrap_or_default();
    let name = match names.as_slice() {
        [] => return Err(error::bad_request("No action specified")),
        [name] => name.as_str(),
        _ => return Err(error::bad_request("Multiple actions specified")),
    };
    match name {
        "suspend" => begin(core, context, row, Action::Suspend).await,
        "resume" => begin(core, context, row, Action::Resume).await,
        "check" => begin(core, context, row, Action::Check).await,
        "cancel_update" => cancel(core, context, row, true).await,
        "cancel_without_rollback" => cancel(core, context, row, false).await,
        other => Err(error::bad_request(format!("Invalid action {other} specified"))),
    }
}

async fn begin(core: &Core, context: &RequestContext, row: stack::Model, action: Action) -> Result<()> {
    let txn = core.database.begin().await?;
    let Some(current) = stack::find(&txn, &row.id).await? else { return Err(super::not_found(&row.name)) };
    let mut current = super::live(current)?;
    if current.status == Status::InProgress {
        return Err(in_progress(&current));
    }
    super::check_root_idle(&txn, &current).await?;
    update::begin(&mut current, action);
    update::start(core, context, txn, current).await
}

async fn cancel(core: &Core, context: &RequestContext, row: stack::Model, with_rollback: bool) -> Result<()> {
    let txn = core.database.begin().await?;
    let Some(current) = stack::find(&txn, &row.id).await? else { return Err(super::not_found(&row.name)) };
    let mut current = super::live(current)?;
    let is_running = current.status == Status::InProgress
        && (current.action == Action::Update || (!with_rollback && current.action == Action::Create));
    if !is_running {
        let state = crate::db::state::joined(current.action, current.status);
        return Err(not_supported(format!("Cancelling update when stack is {state} is not supported.")));
    }
    if with_rollback {
        current.traversal = uuid::Uuid::new_v4().to_string();
        engine::begin_rollback(&mut current, Some("Stack UPDATE cancelled".into()));
        return update::start(core, context, txn, current).await;
    }
    current.status = Status::Failed;
    current.status_reason = format!("Stack {} cancelled", current.action);
    stack::save(&txn, &current).await?;
    let told = engine::stack_event(&current, current.action, current.status, &current.status_reason);
    event::insert(&txn, vec![told]).await?;
    core.queue.cancel(&txn, &current.root_id).await?;
    txn.commit().await?;
    core.queue.nudge_cancel(&current.root_id);
    Ok(())
}
