//! A stack's resources as users see them: list, show, metadata, signals, marks.

use std::{collections::HashMap, sync::Arc};

use sahab_contract::{Error, RequestContext, Result, context::now};
use serde_json::{Map, Value, json};

use super::{events::family, not_supported};
use crate::{
    core::Core,
    db::{Action, Status, event, resource, stack},
    engine::{
        self,
        reader::{self, Reader},
    },
    environment::Environment,
    plan::Plan,
    template::error,
};

/// A resource with what its view needs.
pub struct Shown {
    pub row: resource::Model,
    pub stack: Arc<stack::Model>,
    pub required_by: Vec<String>,
    /// The stack it owns.
    pub nested: Option<stack::Model>,
    /// Details, when asked for.
    pub attributes: Option<Map<String, Value>>,
    pub description: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub types: Vec<String>,
    pub statuses: Vec<String>,
    pub names: Vec<String>,
    pub actions: Vec<String>,
    pub ids: Vec<String>,
    pub physical_ids: Vec<String>,
}

impl Filter {
    fn matches(&self, row: &resource::Model) -> bool {
        let any = |values: &[String], matches: &dyn Fn(&str) -> bool| {
            values.is_empty() || values.iter().any(|value| matches(value))
        };
        any(&self.types, &|text| row.type_name.contains(text))
            && any(&self.statuses, &|text| {
                row.status.as_str() == text || crate::db::state::joined(row.action, row.status) == text
            })
            && any(&self.names, &|text| row.name == text)
            && any(&self.actions, &|text| row.action.as_str() == text)
            && any(&self.ids, &|text| row.id == text)
            && any(&self.physical_ids, &|text| row.physical_id.as_deref() == Some(text))
    }
}

fn required_by(rows: &[resource::Model]) -> HashMap<(String, String), Vec<String>> {
    let mut out: HashMap<(String, String), Vec<String>> = HashMap::new();
    for row in rows.iter().filter(|row| !row.obsolete) {
        for name in row.required_names() {
            out.entry((row.stack_id.clone(), name.to_owned())).or_default().push(row.name.clone());
        }
    }
    out
}

pub async fn list(
    core: &Core,
    context: &RequestContext,
    top: &stack::Model,
    depth: u64,
    filter: &Filter,
    with_detail: bool,
) -> Result<Vec<Shown>> {
    core.enforce(context, "resource:index", &top.project_id)?;
    let stacks: HashMap<String, Arc<stack::Model>> =
        family(core, top, depth).await?.into_iter().map(|stack| (stack.id.clone(), Arc::new(stack))).collect();
    let ids: Vec<String> = stacks.keys().cloned().collect();
    let rows = resource::of_stacks(core.database.read(), &ids).await?;
    let required = required_by(&rows);
    let possible: Vec<String> = rows.iter().filter_map(|row| row.physical_id.clone()).collect();
    let mut owned: HashMap<String, stack::Model> = HashMap::new();
    for chunk in possible.chunks(5000) {
        for row in stack::find_owned(core.database.read(), chunk).await?.into_iter().filter(stack::Model::is_nested) {
            owned.insert(row.id.clone(), row);
        }
    }
    let mut plans: HashMap<String, Option<Plan>> = HashMap::new();
    let mut out = Vec::new();
    for row in rows.iter().filter(|row| !row.obsolete && filter.matches(row)) {
        let Some(stack) = stacks.get(&row.stack_id) else { continue };
        let mut shown = Shown {
            row: row.clone(),
            stack: stack.clone(),
            required_by: required.get(&(row.stack_id.clone(), row.name.clone())).cloned().unwrap_or_default(),
            nested: row
                .physical_id
                .as_ref()
                .and_then(|id| owned.get(id))
                .filter(|child| child.owner_id.as_deref() == Some(&row.stack_id))
                .cloned(),
            attributes: None,
            description: None,
        };
        if with_detail {
            if !plans.contains_key(&stack.id) {
                let plan = core.plan_of(stack, core.files(stack).await?, None).ok();
                plans.insert(stack.id.clone(), plan);
            }
            if let Some(Some(plan)) = plans.get(&stack.id) {
                detail(core, context, &mut shown, plan, &[]).await?;
            }
        }
        out.push(shown);
    }
    Ok(out)
}

/// Adds attributes and description.
async fn detail(core: &Core, context: &RequestContext, shown: &mut Shown, plan: &Plan, extra: &[String]) -> Result<()> {
    let act = super::reading_act(core, context, &shown.stack).await?;
    let rows = HashMap::from([(shown.row.name.clone(), shown.row.clone())]);
    let reader = Reader { core, act: &act, plan, rows: &rows, project_id: &shown.stack.project_id };
    let mut attributes = match plan.kind(&shown.row.name) {
        Ok(_) => reader.shown_attributes(&shown.row).await.unwrap_or_default(),
        Err(_) => Map::new(),
    };
    for name in extra {
        let value = reader.attribute(&shown.row, name, &[]).await.unwrap_or_default();
        attributes.insert(name.clone(), value);
    }
    attributes.shift_remove("metadata");
    shown.attributes = Some(attributes);
    let definition = plan.bound.resource(&shown.row.name);
    shown.description = Some(definition.and_then(|definition| definition.description.clone()).unwrap_or_default());
    Ok(())
}

fn not_there(name: &str, stack: &stack::Model) -> Error {
    Error::not_found("ResourceNotFound", format!("The Resource ({name}) could not be found in Stack {}.", stack.name))
}

/// By name, or by physical id.
async fn find(core: &Core, stack: &stack::Model, name: &str) -> Result<(resource::Model, Vec<resource::Model>)> {
    let rows = resource::of_stack(core.database.read(), &stack.id).await?;
    let by_name = rows.iter().find(|row| !row.obsolete && row.name == name);
    if let Some(row) = by_name {
        return Ok((row.clone(), rows));
    }
    let mut by_id = rows.iter().filter(|row| row.physical_id.as_deref() == Some(name));
    match (by_id.next().cloned(), by_id.next()) {
        (Some(row), None) => Ok((row, rows)),
        (Some(_), Some(_)) => Err(error::bad_request(format!(
            "Multiple resources were found with the physical ID \"{name}\". Please use the resource name instead."
        ))),
        (None, _) => Err(not_there(name, stack)),
    }
}

pub async fn show(
    core: &Core,
    context: &RequestContext,
    stack: &stack::Model,
    name: &str,
    extra: &[String],
) -> Result<Shown> {
    core.enforce(context, "resource:show", &stack.project_id)?;
    let (row, rows) = find(core, stack, name).await?;
    let required = required_by(&rows);
    let nested = match &row.physical_id {
        Some(id) => {
            stack::find(core.database.read(), id).await?.filter(|child| child.owner_id.as_deref() == Some(&stack.id))
        }
        None => None,
    };
    let mut shown = Shown {
        required_by: required.get(&(row.stack_id.clone(), row.name.clone())).cloned().unwrap_or_default(),
        row,
        stack: Arc::new(stack.clone()),
        nested,
        attributes: Some(Map::new()),
        description: Some(String::new()),
    };
    if let Ok(plan) = core.plan_of(stack, core.files(stack).await?, None) {
        detail(core, context, &mut shown, &plan, extra).await?;
    }
    Ok(shown)
}

pub async fn metadata(core: &Core, context: &RequestContext, stack: &stack::Model, name: &str) -> Result<Value> {
    core.enforce(context, "resource:metadata", &stack.project_id)?;
    Ok(find(core, stack, name).await?.0.metadata)
}

/// Signals: only hooks can be cleared, no implemented type takes any other.
pub async fn signal(
    core: &Core,
    context: &RequestContext,
    stack: &stack::Model,
    name: &str,
    body: &Value,
) -> Result<()> {
    core.enforce(context, "resource:signal", &stack.project_id)?;
    let stack = super::live(stack.clone())?;
    let (row, _) = find(core, &stack, name).await?;
    if let Some(hook) = body.get("unset_hook") {
        return unset_hook(core, &stack, row, hook).await;
    }
    if matches!(row.action, Action::Suspend | Action::Delete) {
        return Err(not_supported(format!("Signal resource during {} is not supported.", row.action)));
    }
    Err(Error::invalid("ResourceActionNotSupported", "signal is not supported for resource."))
}

async fn unset_hook(core: &Core, stack: &stack::Model, row: resource::Model, hook: &Value) -> Result<()> {
    let hook = hook.as_str().unwrap_or_default();
    let known = ["pre-create", "pre-update", "pre-delete", "post-create", "post-update", "post-delete"];
    if !known.contains(&hook) {
        return Err(Error::invalid(
            "InvalidBreakPointHook",
            format!("Invalid hook type \"{hook}\" for {} \"{}\"", short(&row), row.name),
        ));
    }
    if row.hook.as_deref() != Some(hook) {
        return Err(Error::invalid(
            "InvalidBreakPointHook",
            format!("The \"{hook}\" hook is not defined on {} \"{}\"", short(&row), row.name),
        ));
    }
    let txn = core.database.begin().await?;
    resource::set_hook(&txn, &row.id, None).await?;
    event::insert(&txn, vec![told(stack, &row, row.action, row.status, format!("Hook {hook} is cleared"))]).await?;
    txn.commit().await?;
    core.waiters.wake(&row.id);
    Ok(())
}

fn short(row: &resource::Model) -> &str {
    row.type_name.rsplit("::").next().unwrap_or(&row.type_name)
}

fn told(
    stack: &stack::Model,
    row: &resource::Model,
    action: Action,
    status: Status,
    reason: String,
) -> event::NewEvent {
    event::NewEvent {
        id: uuid::Uuid::new_v4().to_string(),
        stack_id: stack.id.clone(),
        resource_name: row.name.clone(),
        resource_type: row.type_name.clone(),
        physical_id: Some(row.physical_id.clone().unwrap_or_else(|| row.physical_name.clone())),
        action,
        status,
        reason,
        at: now(),
    }
}

/// `true` makes the next update replace it, `false` takes the mark away.
pub async fn mark_unhealthy(
    core: &Core,
    context: &RequestContext,
    stack: &stack::Model,
    name: &str,
    body: &Value,
) -> Result<()> {
    core.enforce(context, "resource:mark_unhealthy", &stack.project_id)?;
    let stack = super::live(stack.clone())?;
    let Some(mark) = body.get("mark_unhealthy") else {
        return Err(error::bad_request("Missing mandatory (mark_unhealthy) key from mark unhealthy request"));
    };
    let mark = super::request::boolean("mark_unhealthy", mark)?;
    let reason = body.get("resource_status_reason").and_then(Value::as_str).map(str::to_owned);
    let reason = reason.unwrap_or_else(|| "state changed by resource_mark_unhealthy api".into());
    let (row, _) = find(core, &stack, name).await?;
    let txn = core.database.begin().await?;
    let root = stack::find(&txn, &stack.root_id).await?;
    let is_busy = |row: &stack::Model| row.status == Status::InProgress;
    if let Some(busy) = root.as_ref().filter(|root| is_busy(root)).or(Some(&stack).filter(|stack| is_busy(stack))) {
        return Err(super::in_progress(busy));
    }
    let Some(mut row) = resource::find(&txn, &row.id).await? else { return Err(not_there(name, &stack)) };
    let status = if mark { Status::Failed } else { Status::Complete };
    if !mark && row.state() != (Action::Check, Status::Failed) {
        return Ok(());
    }
    row.action = Action::Check;
    row.status = status;
    row.reason = reason.clone();
    row.updated_at = now();
    event::insert(&txn, vec![told(&stack, &row, Action::Check, status, reason)]).await?;
    resource::upsert(&txn, vec![row]).await?;
    txn.commit().await?;
    Ok(())
}

/// The stored environment, secrets of hidden parameters masked.
pub async fn environment(core: &Core, context: &RequestContext, stack: &stack::Model) -> Result<Map<String, Value>> {
    core.enforce(context, "stacks:environment", &stack.project_id)?;
    let environment = Environment::from_value(&stack.environment)?;
    let mut map = environment.to_map();
    if let Ok(plan) = core.plan_of(stack, core.files(stack).await?, None) {
        for section in ["parameters", "parameter_defaults"] {
            if let Some(Value::Object(values)) = map.get_mut(section) {
                for name in plan.bound.parameters().hidden_names() {
                    if let Some(value) = values.get_mut(name) {
                        *value = json!("******");
                    }
                }
            }
        }
    }
    Ok(map)
}

/// The rows of a stack that stand for their names.
pub async fn current_rows(core: &Core, stack: &stack::Model) -> Result<engine::reader::Rows> {
    Ok(reader::current(resource::of_stack(core.database.read(), &stack.id).await?))
}
