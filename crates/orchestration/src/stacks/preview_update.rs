//! What an update would do, without doing it. A prediction: types may find out more when it comes to it.

use std::{pin::Pin, sync::Arc};

use sahab_contract::{RequestContext, Result};
use serde_json::{Map, Value, json};

use super::{
    events::family,
    preview::Expansion,
    resources::current_rows,
    update::{self, Style},
};
use crate::{
    core::Core,
    db::{Action, Status, resource, stack},
    engine::{self, properties_value, reader::Reader},
    plan::{self, Kind, Plan, Source},
    properties::{PropertyDiff, ResolvedProperties},
    resources::NestedInput,
    template::Template,
    view::{self, resource::Place},
};

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
    show_nested: bool,
    body: &Value,
) -> Result<Value> {
    let rule = if style == Style::Put { "stacks:preview_update" } else { "stacks:preview_update_patch" };
    core.enforce(context, rule, &row.project_id)?;
    let row = super::live(row)?;
    update::check_updatable(&row)?;
    let target = update::prepare(core, context, &row, style, body).await?;
    let context = super::reading_act(core, context, &row).await?.context;
    let mut comparison = Comparison {
        core,
        context,
        show_nested,
        expansion: Expansion::new(core, &row.project_id),
        changes: Vec::new(),
    };
    comparison.stack(&row, &target.prepared.plan, 0).await?;
    let groups = Change::ALL.iter().map(|kind| {
        let items = comparison.changes.iter().filter(|(change, _)| change == kind).map(|(_, item)| item.clone());
        (kind.key().to_owned(), items.collect())
    });
    Ok(json!({"resource_changes": groups.collect::<Map<String, Value>>()}))
}

struct Comparison<'a> {
    core: &'a Core,
    context: RequestContext,
    show_nested: bool,
    expansion: Expansion<'a>,
    changes: Vec<(Change, Value)>,
}

impl Comparison<'_> {
    /// Compares a stack with its plan; nested ones too, when asked for.
    fn stack<'b>(
        &'b mut self,
        stack: &'b stack::Model,
        plan: &'b Plan,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'b>> {
        Box::pin(async move {
            let rows = current_rows(self.core, stack).await?;
            let act = self.core.act(self.context.clone(), stack, plan.bound.files().clone());
            // Present resources answer by the new plan, as far as they are still there.
            let reader = Reader { core: self.core, act: &act, plan, rows: &rows, project_id: &stack.project_id };
            let place = Place::of(stack);
            for (name, kind) in &plan.kinds {
                let Some(present) = rows.get(name) else {
                    self.changes.push((Change::Added, view::resource::change(&place, None, Some((plan, name, kind)))));
                    self.added(stack, plan, name, kind, depth).await?;
                    continue;
                };
                let (change, resolved) = compare(&reader, name, kind, present).await?;
                self.changes.push((change, view::resource::change(&place, Some(present), Some((plan, name, kind)))));
                match (change, resolved) {
                    (Change::Replaced, _) => {
                        self.deleted(stack, present).await?;
                        self.added(stack, plan, name, kind, depth).await?;
                    }
                    (Change::Updated, Some(resolved)) if self.show_nested => {
                        if let Some((child, plan)) = self.child(stack, plan, name, kind, present, &resolved).await? {
                            self.stack(&child, &plan, depth + 1).await?;
                        }
                    }
                    _ => {}
                }
            }
            for (name, present) in &rows {
                if !plan.kinds.contains_key(name) {
                    self.changes.push((Change::Deleted, view::resource::change(&place, Some(present), None)));
                    self.deleted(stack, present).await?;
                }
            }
            Ok(())
        })
    }

    /// What a new nested stack would bring.
    async fn added(&mut self, stack: &stack::Model, plan: &Plan, name: &str, kind: &Kind, depth: usize) -> Result<()> {
        if self.show_nested {
            let mut found = Vec::new();
            self.expansion.added(&stack.name, plan, name, kind, depth, &mut found).await?;
            self.changes.extend(found.into_iter().map(|item| (Change::Added, item)));
        }
        Ok(())
    }

    /// What would go with a nested stack.
    async fn deleted(&mut self, stack: &stack::Model, present: &resource::Model) -> Result<()> {
        if !self.show_nested {
            return Ok(());
        }
        let Some(child) = owned(self.core, stack, present).await? else { return Ok(()) };
        let stacks = family(self.core, &child, u64::MAX).await?;
        let ids: Vec<String> = stacks.iter().map(|stack| stack.id.clone()).collect();
        for row in resource::of_stacks(self.core.database.read(), &ids).await?.iter().filter(|row| !row.obsolete) {
            if let Some(stack) = stacks.iter().find(|stack| stack.id == row.stack_id) {
                let item = view::resource::change(&Place::of(stack), Some(row), None);
                self.changes.push((Change::Deleted, item));
            }
        }
        Ok(())
    }

    /// The present nested stack of a resource, and what it is to become.
    async fn child(
        &self,
        stack: &stack::Model,
        plan: &Plan,
        name: &str,
        kind: &Kind,
        present: &resource::Model,
        resolved: &ResolvedProperties,
    ) -> Result<Option<(stack::Model, Plan)>> {
        let Some(nested) = kind.implementation.nested() else { return Ok(None) };
        let Some(child) = owned(self.core, stack, present).await? else { return Ok(None) };
        let members = engine::members(self.core, &child).await?;
        let mut data = present.data.as_object().cloned().unwrap_or_default();
        let input = NestedInput {
            properties: &resolved.values,
            update_policy: &Map::new(),
            unknown: &resolved.unknown,
            members: &members,
            current: child.template.as_object(),
        };
        let Some(stage) = nested.stages(&input, &mut data)?.pop() else { return Ok(None) };
        let source = Source {
            template: Arc::new(Template::from_map(stage.template)?),
            environment: plan.environment.nested(name, stage.parameters),
            files: plan.bound.files().clone(),
            pseudo: plan::pseudo(&child.project_id, &child.name, Some(&child.id), &self.core.settings.region),
            facade: Some(Default::default()),
            is_lenient: !resolved.unknown.is_empty(),
        };
        match Plan::build(&self.core.types, source) {
            Ok(plan) => Ok(Some((child, plan))),
            // Made of something that does not exist yet.
            Err(_) if !resolved.unknown.is_empty() => Ok(None),
            Err(cause) => Err(cause),
        }
    }
}

/// The nested stack that the resource stands for.
async fn owned(core: &Core, stack: &stack::Model, row: &resource::Model) -> Result<Option<stack::Model>> {
    let Some(id) = row.object_id() else { return Ok(None) };
    let found = stack::find(core.database.read(), id).await?;
    Ok(found.filter(|child| child.owner_id.as_deref() == Some(&stack.id) && !child.is_deleted()))
}

/// What would happen to a present resource, and its new properties when it would stay.
async fn compare(
    reader: &Reader<'_>,
    name: &str,
    kind: &Kind,
    present: &resource::Model,
) -> Result<(Change, Option<ResolvedProperties>)> {
    let is_nested = kind.implementation.nested().is_some();
    let is_lost = if is_nested { present.action == Action::Check } else { true };
    if present.implementation != kind.target || (present.status == Status::Failed && is_lost) {
        return Ok((Change::Replaced, None));
    }
    let plan = reader.plan;
    let fetched = reader.fetch(&plan.bound.resource_references(name)?).await?;
    let mut resolved = plan.resolve(name, &fetched)?;
    let description = kind.implementation.description();
    if description.accepts_anything {
        return Ok((Change::Unchanged, None));
    }
    crate::constraints::translate(reader.act, &description.properties, &mut resolved.values).await?;
    let (Value::Object(wanted), Some(old)) = (properties_value(&resolved.values), present.properties.as_object())
    else {
        return Ok((Change::Updated, None));
    };
    let Ok(diff) = PropertyDiff::between(&description.properties, name, &description.name, old, &wanted) else {
        return Ok((Change::Replaced, None));
    };
    let metadata = plan.bound.resolve_metadata(name, &fetched)?;
    let change = if diff.needs_replacement() {
        Change::Replaced
    } else if is_nested {
        // Always brought to its target again: what changes is seen inside.
        Change::Updated
    } else if diff.is_empty() && metadata == present.metadata {
        Change::Unchanged
    } else {
        Change::Updated
    };
    Ok((change, Some(resolved)))
}
