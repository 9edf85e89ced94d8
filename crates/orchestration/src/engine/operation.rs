//! The state machine of a stack's operation. The row says what is to be done; a repeated run reads it again.

use std::{sync::Arc, time::Duration};

use sahab_contract::{Error, Result, context::now};
use serde_json::{Map, Value, json};

use super::{
    failure::Failure,
    journal::Journal,
    level::{Level, Tree, stack_event},
};
use crate::{
    core::Core,
    db::{Action, Status, event, resource, stack, state},
};

/// Runs the operation to its end, rollback included. An error means: try again later.
pub async fn run(core: &Arc<Core>, stack_id: &str, traversal: &str, request_id: &str) -> Result<()> {
    loop {
        let Some(row) = stack::find(core.database.read(), stack_id).await? else { return Ok(()) };
        if row.traversal != traversal || row.status != Status::InProgress {
            return Ok(());
        }
        let outcome = match core.owner_context(&row, request_id).await {
            Ok(context) => {
                let tree = Arc::new(Tree {
                    core: core.clone(),
                    journal: Journal::new(core.database.clone(), core.events.clone()),
                    context,
                    traversal: traversal.to_owned(),
                });
                perform(&tree, &row).await?
            }
            Err(error) if error.kind().retryable() => return Err(error),
            Err(error) => Outcome::Failed(format!("Stack {} failed: {}", row.action, error.message())),
        };
        conclude(core, &row, outcome).await?;
    }
}

enum Outcome {
    /// The whole reason.
    Done(String),
    Failed(String),
}

async fn perform(tree: &Arc<Tree>, row: &stack::Model) -> Result<Outcome> {
    let limit = row.timeout_mins.and_then(|minutes| u64::try_from(minutes).ok()).filter(|minutes| *minutes > 0);
    let limit = limit.map_or(tree.core.settings.stack_action_timeout, |minutes| Duration::from_secs(minutes * 60));
    // Time that passed before a restart counts.
    let spent = (now() - row.started_at).to_std().unwrap_or_default();
    let left = limit.saturating_sub(spent);
    let outcome = match tokio::time::timeout(left, act(tree, row)).await {
        Ok(Ok(reason)) => {
            tree.journal.flush().await?;
            Outcome::Done(reason)
        }
        Ok(Err(failure)) if failure.is_fault => return Err(Error::internal(failure.text())),
        Ok(Err(failure)) => {
            tree.journal.flush().await?;
            Outcome::Failed(format!("Resource {} failed: {}", row.action, failure.text()))
        }
        Err(_) => {
            tree.journal.flush().await?;
            abort_rows(tree, row, "Timed out").await?;
            Outcome::Failed("Timed out".into())
        }
    };
    Ok(outcome)
}

async fn act(tree: &Arc<Tree>, row: &stack::Model) -> Result<String, Failure> {
    let action = row.action;
    let done = || format!("Stack {action} completed successfully");
    match action {
        Action::Create | Action::Update | Action::Rollback if !is_whole_rollback(row) => {
            let files = tree.core.files(row).await.map_err(Failure::fault)?;
            let plan = tree.core.plan_of(row, files, None).map_err(|error| Failure::plain(error.message()))?;
            let level = Level::load(tree.clone(), row.clone(), Some(plan)).await.map_err(Failure::fault)?;
            level.converge().await?;
            Ok(done())
        }
        Action::Delete | Action::Rollback => {
            let level = Level::load(tree.clone(), row.clone(), None).await.map_err(Failure::fault)?;
            let rows = level.all();
            level.remove_rows(rows).await?;
            Ok(done())
        }
        Action::Suspend | Action::Resume | Action::Check => {
            let level = Level::load(tree.clone(), row.clone(), None).await.map_err(Failure::fault)?;
            let findings = level.sweep(action).await?;
            if !findings.faults.is_empty() {
                return Err(Failure::plain(findings.faults.join("; ")));
            }
            let mut text = done();
            if findings.is_partial {
                text.push_str(". 'CHECK' not fully supported (see resources)");
            }
            Ok(text)
        }
        other => Err(Failure::plain(format!("{other} is not supported"))),
    }
}

/// Rolling back a create: nothing is to stay.
fn is_whole_rollback(row: &stack::Model) -> bool {
    row.action == Action::Rollback && row.previous.is_none()
}

/// Writes the end of the action, or turns to the rollback.
async fn conclude(core: &Core, row: &stack::Model, outcome: Outcome) -> Result<()> {
    let txn = core.database.begin().await?;
    let Some(mut current) = stack::find(&txn, &row.id).await? else { return Ok(()) };
    if current.traversal != row.traversal {
        return Ok(());
    }
    let mut events = Vec::new();
    match outcome {
        Outcome::Done(reason) => {
            current.status = Status::Complete;
            current.status_reason = match (&current.cause, current.action) {
                (Some(cause), Action::Rollback) => format!("{reason} ({cause})"),
                _ => reason,
            };
            current.previous = None;
            current.cause = None;
            current.converge = false;
            events.push(stack_event(&current, current.action, current.status, &current.status_reason));
            if current.action == Action::Delete {
                current.deleted_at = Some(now());
                current.live_name = None;
                current.files = None;
            }
        }
        Outcome::Failed(reason) => {
            current.status = Status::Failed;
            current.status_reason = reason.clone();
            events.push(stack_event(&current, current.action, Status::Failed, &reason));
            let may_go_back = matches!(current.action, Action::Create | Action::Update) && !current.disable_rollback;
            if may_go_back && !current.is_nested() {
                begin_rollback(&mut current, Some(reason));
                events.push(stack_event(&current, Action::Rollback, Status::InProgress, &current.status_reason));
            }
        }
    }
    stack::save(&txn, &current).await?;
    event::insert(&txn, events).await?;
    event::purge(&txn, &current.id).await?;
    if current.is_deleted() {
        stack::purge_deleted(&txn, &current.project_id, core.settings.keep_deleted).await?;
    }
    txn.commit().await?;
    let status = json!({"status": state::joined(current.action, current.status)});
    core.events.publish("stack.status", &current.id, &current.project_id, status);
    Ok(())
}

/// Turns the stack towards what it was before the update (or to nothing, before it was created).
pub fn begin_rollback(row: &mut stack::Model, cause: Option<String>) {
    if let Some(previous) = &row.previous {
        row.template = previous.get("template").cloned().unwrap_or_default();
        row.environment = previous.get("environment").cloned().unwrap_or_default();
        if let Some(files) = previous.get("files") {
            row.files = Some(files.clone());
        }
    }
    row.action = Action::Rollback;
    row.status = Status::InProgress;
    row.status_reason = "Stack ROLLBACK started".into();
    row.cause = cause;
    row.started_at = now();
}

/// What [`begin_rollback`] goes back to.
pub fn snapshot(row: &stack::Model) -> Value {
    let mut map = Map::new();
    map.insert("template".into(), row.template.clone());
    map.insert("environment".into(), row.environment.clone());
    if let Some(files) = &row.files {
        map.insert("files".into(), files.clone());
    }
    Value::Object(map)
}

/// Marks everything in progress below (and in) the stack as failed; nested stacks too, the stack itself not.
pub async fn abort_rows(tree: &Tree, top: &stack::Model, why: &str) -> Result<()> {
    abort(&tree.core, top, why).await
}

/// As [`abort_rows`], outside of an operation.
pub async fn abort(core: &Core, top: &stack::Model, why: &str) -> Result<()> {
    let txn = core.database.begin().await?;
    let live = stack::tree(&txn, &top.root_id).await?;
    // Depth order: an owner comes before what it owns.
    let mut inside: Vec<stack::Model> = Vec::new();
    for row in live {
        let is_inside = row.id == top.id
            || row.owner_id.as_ref().is_some_and(|owner| inside.iter().any(|known| known.id == *owner));
        if is_inside {
            inside.push(row);
        }
    }
    let ids: Vec<String> = inside.iter().map(|row| row.id.clone()).collect();
    let mut changed = Vec::new();
    let mut events = Vec::new();
    for mut row in resource::of_stacks(&txn, &ids).await? {
        if row.status != Status::InProgress {
            continue;
        }
        let name = inside.iter().find(|stack| stack.id == row.stack_id).map_or("", |stack| &stack.name);
        let short = row.type_name.rsplit("::").next().unwrap_or(&row.type_name).to_owned();
        let physical = row.object_id().map(|id| format!(" [{id}]")).unwrap_or_default();
        let reason = format!(
            "{} aborted (Task {} from {short} \"{}\"{physical} Stack \"{name}\" [{}] {why})",
            row.action,
            row.action.as_str().to_lowercase(),
            row.name,
            row.stack_id
        );
        row.status = Status::Failed;
        row.reason = reason.clone();
        row.updated_at = now();
        events.push(event::NewEvent {
            id: uuid::Uuid::new_v4().to_string(),
            stack_id: row.stack_id.clone(),
            resource_name: row.name.clone(),
            resource_type: row.type_name.clone(),
            physical_id: Some(row.physical_id.clone().unwrap_or_else(|| row.physical_name.clone())),
            action: row.action,
            status: Status::Failed,
            reason,
            at: now(),
        });
        changed.push(row);
    }
    resource::upsert(&txn, changed).await?;
    for mut row in inside.into_iter().filter(|row| row.id != top.id && row.status == Status::InProgress) {
        row.status = Status::Failed;
        row.status_reason = why.to_owned();
        events.push(stack_event(&row, row.action, Status::Failed, why));
        stack::save(&txn, &row).await?;
    }
    event::insert(&txn, events).await?;
    txn.commit().await?;
    Ok(())
}

/// After a fault of the program: nothing may stay in progress.
pub async fn fail_unfinished(core: &Core, row: &stack::Model, reason: &str) -> Result<()> {
    abort(core, row, reason).await?;
    let txn = core.database.begin().await?;
    if stack::set_state(&txn, &row.id, &row.traversal, row.action, Status::Failed, reason).await? {
        event::insert(&txn, vec![stack_event(row, row.action, Status::Failed, reason)]).await?;
    }
    txn.commit().await?;
    let status = json!({"status": state::joined(row.action, Status::Failed)});
    core.events.publish("stack.status", &row.id, &row.project_id, status);
    Ok(())
}
