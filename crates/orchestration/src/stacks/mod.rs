//! The rules of stacks: finding, listing, creating, changing, deleting and looking into them. Every function enforces
//! its policy rule; only this module and the engine change the stack table.

pub mod actions;
pub mod create;
pub mod events;
pub mod outputs;
pub mod preview;
pub mod preview_update;
pub mod request;
pub mod resources;
pub mod update;
pub mod validate;

use sahab_contract::{Error, RequestContext, Result};
use sahab_task::NewTask;
use sea_orm::ConnectionTrait;

use crate::{
    core::Core,
    db::{self, Status, stack, tag},
    engine,
    resources::Act,
};

pub fn not_found(name: &str) -> Error {
    Error::not_found("EntityNotFound", format!("The Stack ({name}) could not be found."))
}

pub fn not_supported(message: impl Into<String>) -> Error {
    Error::invalid("NotSupported", message)
}

/// What a path or query names a stack by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackArn {
    pub project_id: String,
    pub name: String,
    pub id: String,
}

/// `arn:openstack:heat::PROJECT:stacks/NAME/ID`
pub fn parse_arn(text: &str) -> Option<StackArn> {
    let rest = text.strip_prefix("arn:openstack:heat::")?;
    let (project_id, path) = rest.split_once(':')?;
    let mut parts = path.strip_prefix("stacks/")?.split('/');
    let (name, id) = (parts.next()?, parts.next()?);
    parts.next().is_none().then(|| StackArn { project_id: project_id.into(), name: name.into(), id: id.into() })
}

/// The stack by name, id or ARN: live ones by name, deleted ones too by id.
pub async fn lookup(core: &Core, context: &RequestContext, project_id: &str, text: &str) -> Result<stack::Model> {
    core.enforce(context, "stacks:lookup", project_id)?;
    let read = core.database.read();
    if let Some(arn) = parse_arn(text) {
        return find(core, &arn.project_id, &arn.name, &arn.id).await.and_then(|row| belongs(row, project_id, text));
    }
    if let Some(row) = stack::find_by_name(read, project_id, text).await? {
        return Ok(row);
    }
    match stack::find(read, text).await? {
        Some(row) => belongs(row, project_id, text),
        None => Err(not_found(text)),
    }
}

fn belongs(row: stack::Model, project_id: &str, text: &str) -> Result<stack::Model> {
    if row.project_id == project_id { Ok(row) } else { Err(not_found(text)) }
}

/// The stack by its canonical pair; a pair that does not match is not found.
pub async fn find(core: &Core, project_id: &str, name: &str, id: &str) -> Result<stack::Model> {
    match stack::find(core.database.read(), id).await? {
        Some(row) if row.project_id == project_id && row.name == name => Ok(row),
        _ => Err(not_found(name)),
    }
}

/// As [`find`], after the policy.
pub async fn get(
    core: &Core,
    context: &RequestContext,
    rule: &str,
    project_id: &str,
    name: &str,
    id: &str,
) -> Result<stack::Model> {
    core.enforce(context, rule, project_id)?;
    find(core, project_id, name, id).await
}

/// A stack that still exists.
pub fn live(row: stack::Model) -> Result<stack::Model> {
    if row.is_deleted() { Err(not_found(&row.name)) } else { Ok(row) }
}

/// Puts the operation that the row describes into the queue, in the caller's transaction.
pub async fn enqueue(
    core: &Core,
    connection: &impl ConnectionTrait,
    row: &stack::Model,
    request_id: &str,
) -> Result<()> {
    let task = NewTask {
        kind: engine::KIND,
        key: row.root_id.clone(),
        input: engine::task_input(&row.id, &row.traversal),
        request_id: request_id.to_owned(),
    };
    core.queue.enqueue(connection, task).await
}

/// Refuses an operation on a nested stack while its root is being worked on: the root's operation owns the whole tree.
pub async fn check_root_idle(connection: &impl ConnectionTrait, row: &stack::Model) -> Result<()> {
    if !row.is_nested() {
        return Ok(());
    }
    match stack::find(connection, &row.root_id).await? {
        Some(root) if root.status == Status::InProgress => Err(in_progress(&root)),
        _ => Ok(()),
    }
}

pub fn in_progress(row: &stack::Model) -> Error {
    Error::conflict(
        "ActionInProgress",
        format!("Stack {} already has an action ({}) in progress.", row.name, row.action),
    )
}

/// The context in which live objects of a stack are read: the caller's where it is of the stack's project.
pub async fn reading_act(core: &Core, context: &RequestContext, row: &stack::Model) -> Result<Act> {
    let files = core.files(row).await?;
    let context = if context.project_id() == Some(row.project_id.as_str()) {
        context.clone()
    } else {
        core.owner_context(row, &context.request_id).await?
    };
    Ok(core.act(context, row, files))
}

/// A list of stacks with their tags.
pub struct Listed {
    pub stacks: Vec<(stack::Summary, Vec<String>)>,
    pub count: Option<u64>,
}

pub async fn list(
    core: &Core,
    context: &RequestContext,
    rule: &str,
    mut filter: stack::Filter,
    page: &stack::Page,
    show_hidden: bool,
    with_count: bool,
) -> Result<Listed> {
    let project = filter.project_id.clone().unwrap_or_default();
    core.enforce(context, rule, &project)?;
    if !show_hidden {
        filter.not_tags_any.extend(core.settings.hidden_stack_tags.iter().cloned());
    }
    let read = core.database.read();
    let rows = stack::list(read, &filter, page).await?;
    let count = if with_count { Some(stack::count(read, &filter).await?) } else { None };
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let mut tags = tag::of_stacks(read, &ids).await?;
    let stacks = rows.into_iter().map(|row| {
        let tags = tags.remove(&row.id).unwrap_or_default();
        (row, tags)
    });
    Ok(Listed { stacks: stacks.collect(), count })
}

/// The tags of a stack.
pub async fn tags(core: &Core, row: &stack::Model) -> Result<Vec<String>> {
    db::tag::of_stack(core.database.read(), &row.id).await
}
