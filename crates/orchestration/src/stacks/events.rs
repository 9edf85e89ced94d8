//! The history of a stack and of those nested in it.

use std::collections::HashMap;

use sahab_contract::{Error, RequestContext, Result};

use crate::{
    core::Core,
    db::{event, stack},
};

/// Events with the stack each belongs to.
pub struct Listed {
    pub events: Vec<event::Model>,
    pub stacks: HashMap<String, stack::Model>,
}

/// The stack itself and its descendants down to `depth` levels below it.
pub async fn family(core: &Core, row: &stack::Model, depth: u64) -> Result<Vec<stack::Model>> {
    if depth == 0 {
        return Ok(vec![row.clone()]);
    }
    let tree = stack::tree(core.database.read(), &row.root_id).await?;
    let deepest = i64::from(row.depth).saturating_add(i64::try_from(depth).unwrap_or(i64::MAX));
    let mut inside = vec![row.clone()];
    for other in tree {
        let is_inside = other.owner_id.as_ref().is_some_and(|owner| inside.iter().any(|known| known.id == *owner));
        if is_inside && i64::from(other.depth) <= deepest {
            inside.push(other);
        }
    }
    Ok(inside)
}

pub async fn list(
    core: &Core,
    context: &RequestContext,
    row: &stack::Model,
    mut filter: event::Filter,
    depth: u64,
    of_resource: Option<&str>,
) -> Result<Listed> {
    core.enforce(context, "events:index", &row.project_id)?;
    let stacks = family(core, row, depth).await?;
    filter.stack_ids = stacks.iter().map(|stack| stack.id.clone()).collect();
    if let Some(name) = of_resource {
        filter.resource_names = vec![name.to_owned()];
    }
    let events = event::list(core.database.read(), &filter).await?;
    if events.is_empty()
        && filter.marker.is_none()
        && let Some(name) = of_resource
    {
        return Err(Error::not_found("HTTPNotFound", format!("No events found for resource {name}")));
    }
    let stacks = stacks.into_iter().map(|stack| (stack.id.clone(), stack)).collect();
    Ok(Listed { events, stacks })
}

pub async fn show(
    core: &Core,
    context: &RequestContext,
    row: &stack::Model,
    resource: &str,
    id: &str,
) -> Result<event::Model> {
    core.enforce(context, "events:show", &row.project_id)?;
    event::find(core.database.read(), &row.id, id)
        .await?
        .filter(|event| event.resource_name == resource)
        .ok_or_else(|| Error::not_found("HTTPNotFound", format!("No event {id} found")))
}
