//! Update and delete: the row turns to its new target and a new task takes over from whatever runs.

use sahab_contract::{RequestContext, Result, context::now};
use serde_json::Value;

use super::{
    create::{self, Prepared},
    not_supported,
    request::{self, StackRequest},
};
use crate::{
    core::Core,
    db::{Action, Status, event, stack, tag},
    engine,
    environment::Environment,
    plan,
    template::{Files, Template},
};

/// PUT replaces everything, PATCH builds on what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Put,
    Patch,
}

/// The checked target of an update.
pub struct Target {
    pub request: StackRequest,
    pub prepared: Prepared,
}

/// Reads the body against the stored stack and checks it all.
pub async fn prepare(
    core: &Core,
    context: &RequestContext,
    row: &stack::Model,
    style: Style,
    body: &Value,
) -> Result<Target> {
    let stored_files = core.files(row).await?;
    let base: Option<&Files> = (style == Style::Patch).then_some(stored_files.as_ref());
    let mut request = request::parse(core, body, base).await?;
    if style == Style::Patch {
        if request.template.is_none() {
            request.template = row.template.as_object().cloned();
        }
        let mut environment = Environment::from_value(&row.environment)?;
        for name in &request.clear_parameters {
            environment.parameters.shift_remove(name);
        }
        environment.overlay(&request.environment);
        let template = Template::from_map(request::required_template(&request)?)?;
        // Upstream drops what the template does not know instead of refusing it.
        environment.parameters.retain(|name, _| template.parameters().contains_key(name));
        request.environment = environment;
    }
    let prepared = create::prepare(core, context, &row.project_id, &row.name, Some(&row.id), &request).await?;
    let previous = core.plan_of(row, stored_files, None);
    if let Ok(previous) = previous {
        prepared.plan.bound.parameters().check_immutable(previous.bound.parameters())?;
    }
    Ok(Target { request, prepared })
}

/// Whether the stack can be updated now.
pub fn check_updatable(row: &stack::Model) -> Result<()> {
    match (row.action, row.status) {
        (Action::Suspend, _) => Err(not_supported("Updating a stack when it is suspended is not supported.")),
        (Action::Delete, _) => Err(not_supported("Updating a stack when it is deleting is not supported.")),
        _ => Ok(()),
    }
}

pub async fn update(
    core: &Core,
    context: &RequestContext,
    row: stack::Model,
    style: Style,
    body: &Value,
) -> Result<()> {
    let rule = match style {
        Style::Put => "stacks:update",
        Style::Patch if matches!(body, Value::Object(map) if map.is_empty()) => "stacks:update_no_change",
        Style::Patch => "stacks:update_patch",
    };
    core.enforce(context, rule, &row.project_id)?;
    let row = super::live(row)?;
    check_updatable(&row)?;
    let Target { request, prepared } = prepare(core, context, &row, style, body).await?;
    let txn = core.database.begin().await?;
    let Some(current) = stack::find(&txn, &row.id).await? else { return Err(super::not_found(&row.name)) };
    let mut current = super::live(current)?;
    check_updatable(&current)?;
    super::check_root_idle(&txn, &current).await?;
    // The last good state is what a rollback goes back to; an update over a running one keeps its predecessor's.
    if current.status != Status::InProgress || current.previous.is_none() {
        current.previous = Some(engine::snapshot(&current));
    }
    let at = now();
    let template = prepared.plan.bound.template();
    current.template = Value::Object(template.source().clone());
    current.description = template.description().unwrap_or_default().to_owned();
    current.environment = Value::Object(request.environment.to_map());
    if !current.is_nested() {
        current.files = Some(plan::files_to_value(&prepared.files));
    }
    if let Some(timeout) = request.timeout_mins {
        current.timeout_mins = timeout;
    }
    if let Some(disable) = request.disable_rollback {
        current.disable_rollback = disable;
    }
    current.converge = request.converge.unwrap_or(false);
    // Deferred work follows whoever changed the stack last.
    if context.project_id() == Some(current.project_id.as_str()) && !context.user_id().is_empty() {
        current.user_id = context.user_id().to_owned();
    }
    current.updated_at = Some(at);
    begin(&mut current, Action::Update);
    match (style, &request.tags) {
        (_, Some(tags)) => tag::replace(&txn, &current.id, tags).await?,
        (Style::Put, None) => tag::replace(&txn, &current.id, &[]).await?,
        (Style::Patch, None) => {}
    }
    start(core, context, txn, current).await
}

/// A new operation on the row.
pub fn begin(row: &mut stack::Model, action: Action) {
    row.action = action;
    row.status = Status::InProgress;
    row.status_reason = format!("Stack {action} started");
    row.cause = None;
    row.traversal = uuid::Uuid::new_v4().to_string();
    row.started_at = now();
}

/// Writes the row and its event, interrupts what runs and queues the new operation.
pub async fn start(
    core: &Core,
    context: &RequestContext,
    txn: sea_orm::DatabaseTransaction,
    row: stack::Model,
) -> Result<()> {
    stack::save(&txn, &row).await?;
    event::insert(&txn, vec![engine::stack_event(&row, row.action, row.status, &row.status_reason)]).await?;
    core.queue.cancel(&txn, &row.root_id).await?;
    super::enqueue(core, &txn, &row, &context.request_id).await?;
    txn.commit().await?;
    core.queue.nudge_cancel(&row.root_id);
    Ok(())
}

/// Deletes from any state; wins over whatever runs.
pub async fn delete(core: &Core, context: &RequestContext, row: stack::Model) -> Result<()> {
    core.enforce(context, "stacks:delete", &row.project_id)?;
    let txn = core.database.begin().await?;
    let Some(current) = stack::find(&txn, &row.id).await? else { return Err(super::not_found(&row.name)) };
    let mut current = super::live(current)?;
    if (current.action, current.status) == (Action::Delete, Status::InProgress) {
        return Ok(());
    }
    super::check_root_idle(&txn, &current).await?;
    if context.project_id() == Some(current.project_id.as_str()) && !context.user_id().is_empty() {
        current.user_id = context.user_id().to_owned();
    }
    begin(&mut current, Action::Delete);
    start(core, context, txn, current).await
}
