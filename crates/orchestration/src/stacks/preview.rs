//! What a create or an update would do, without doing it.

use std::{pin::Pin, sync::Arc};

use sahab_contract::{RequestContext, Result};
use serde_json::{Map, Value, json};

use super::{
    create, request,
    update::{self, Style},
};
use crate::{
    core::Core,
    db::{Status, resource, stack},
    engine::{properties_value, reader::Reader},
    plan::{Kind, Plan, Source},
    properties::PropertyDiff,
    resources::NestedInput,
    template::{NoResources, Template},
    view,
};

/// `POST /stacks/preview`
pub async fn preview(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    base_url: &str,
    body: &Value,
) -> Result<Value> {
    core.enforce(context, "stacks:preview", project_id)?;
    let parsed = request::parse(core, body, None).await?;
    let name = parsed.name.clone().unwrap_or_default();
    if name.is_empty() {
        return Err(crate::template::error::bad_request("No stack name specified"));
    }
    request::check_name(&name)?;
    if stack::find_by_name(core.database.read(), project_id, &name).await?.is_some() {
        return Err(create::already_exists(&name));
    }
    let prepared = create::prepare(core, context, project_id, &name, None, &parsed).await?;
    let resources = preview_resources(core, project_id, &name, &prepared.plan, 0).await?;
    Ok(view::stack::preview(context, base_url, project_id, &name, &parsed, &prepared.plan, resources))
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// One object per resource; a nested stack is a list.
fn preview_resources<'a>(
    core: &'a Core,
    project_id: &'a str,
    stack: &'a str,
    plan: &'a Plan,
    depth: usize,
) -> Boxed<'a, Value> {
    Box::pin(async move {
        let mut out = Vec::new();
        for (name, kind) in &plan.kinds {
            let resolved = plan.resolve(name, &NoResources)?;
            if let Some(nested) = kind.implementation.nested()
                && depth < core.settings.max_nested_stack_depth
            {
                let input = NestedInput {
                    properties: &resolved.values,
                    update_policy: &Map::new(),
                    unknown: &resolved.unknown,
                    members: &[],
                    current: None,
                };
                let Some(stage) = nested.stages(&input, &mut Map::new())?.pop() else { continue };
                let child_name = format!("{stack}-{name}-{}", "x".repeat(12));
                let source = Source {
                    template: Arc::new(Template::from_map(stage.template)?),
                    environment: plan.environment.nested(name, stage.parameters),
                    files: plan.bound.files().clone(),
                    pseudo: crate::plan::pseudo(project_id, &child_name, None, &core.settings.region),
                    facade: Some(Default::default()),
                    is_lenient: !resolved.unknown.is_empty(),
                };
                let child = Plan::build(&core.types, source)?;
                out.push(preview_resources(core, project_id, &child_name, &child, depth + 1).await?);
                continue;
            }
            let metadata = plan.bound.resolve_metadata(name, &NoResources)?;
            let properties = if kind.implementation.description().accepts_anything {
                raw_properties(plan, name)
            } else {
                Value::Object(resolved.values)
            };
            out.push(view::resource::preview(project_id, stack, plan, name, kind, properties, metadata));
        }
        Ok(Value::Array(out))
    })
}

fn raw_properties(plan: &Plan, name: &str) -> Value {
    let source = plan.bound.template().source();
    source.get("resources").and_then(|all| all.get(name)?.get("properties")).cloned().unwrap_or_else(|| json!({}))
}

/// What would happen to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Unchanged,
    Updated,
    Replaced,
    Added,
    Deleted,
}

impl Change {
    const ALL: [Change; 5] = [Change::Unchanged, Change::Updated, Change::Replaced, Change::Added, Change::Deleted];

    fn key(self) -> &'static str {
        match self {
            Change::Unchanged => "unchanged",
            Change::Updated => "updated",
            Change::Replaced => "replaced",
            Change::Added => "added",
            Change::Deleted => "deleted",
        }
    }
}

/// `PUT|PATCH …/preview`
pub async fn preview_update(
    core: &Core,
    context: &RequestContext,
    row: stack::Model,
    style: Style,
    body: &Value,
) -> Result<Value> {
    let rule = if style == Style::Put { "stacks:preview_update" } else { "stacks:preview_update_patch" };
    core.enforce(context, rule, &row.project_id)?;
    let row = super::live(row)?;
    update::check_updatable(&row)?;
    let target = update::prepare(core, context, &row, style, body).await?;
    let plan = &target.prepared.plan;
    let rows = super::resources::current_rows(core, &row).await?;
    let act = super::reading_act(core, context, &row).await?;
    // Present resources answer by their present plan, as far as they are still there.
    let reader = Reader { core, act: &act, plan, rows: &rows, project_id: &row.project_id };
    let mut changes: Vec<(Change, Value)> = Vec::new();
    for (name, kind) in &plan.kinds {
        match rows.get(name) {
            None => changes.push((Change::Added, view::resource::change(&row, None, Some((plan, name, kind))))),
            Some(present) => {
                let change = compare(&reader, name, kind, present).await?;
                changes.push((change, view::resource::change(&row, Some(present), Some((plan, name, kind)))));
            }
        }
    }
    for (name, present) in &rows {
        if !plan.kinds.contains_key(name) {
            changes.push((Change::Deleted, view::resource::change(&row, Some(present), None)));
        }
    }
    let groups = Change::ALL.iter().map(|kind| {
        let items = changes.iter().filter(|(change, _)| change == kind).map(|(_, item)| item.clone());
        (kind.key().to_owned(), items.collect())
    });
    Ok(json!({"resource_changes": groups.collect::<Map<String, Value>>()}))
}

async fn compare(reader: &Reader<'_>, name: &str, kind: &Kind, present: &resource::Model) -> Result<Change> {
    if present.implementation != kind.target || present.status == Status::Failed {
        return Ok(Change::Replaced);
    }
    let plan = reader.plan;
    let fetched = reader.fetch(&plan.bound.resource_references(name)?).await?;
    let resolved = plan.resolve(name, &fetched)?;
    let description = kind.implementation.description();
    if description.accepts_anything {
        return Ok(Change::Unchanged);
    }
    let mut wanted = resolved.values;
    crate::constraints::translate(reader.act, &description.properties, &mut wanted).await?;
    let (Value::Object(wanted), Some(old)) = (properties_value(&wanted), present.properties.as_object()) else {
        return Ok(Change::Updated);
    };
    let diff = match PropertyDiff::between(&description.properties, name, &description.name, old, &wanted) {
        Ok(diff) => diff,
        Err(_) => return Ok(Change::Replaced),
    };
    let metadata = plan.bound.resolve_metadata(name, &fetched)?;
    Ok(if diff.needs_replacement() {
        Change::Replaced
    } else if diff.is_empty() && metadata == present.metadata {
        Change::Unchanged
    } else {
        Change::Updated
    })
}
