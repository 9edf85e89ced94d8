//! What a create would make, without making it.

use std::{pin::Pin, sync::Arc};

use sahab_contract::{Error, RequestContext, Result};
use serde_json::{Map, Value, json};

use super::{create, request};
use crate::{
    core::Core,
    db::stack,
    plan::{Kind, Plan, Source},
    properties::ResolvedProperties,
    resources::NestedInput,
    template::{FetchedResources, NoResources, Template, error},
    view::{self, resource::Place},
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
        return Err(error::bad_request("No stack name specified"));
    }
    request::check_name(&name)?;
    if stack::find_by_name(core.database.read(), project_id, &name).await?.is_some() {
        return Err(create::already_exists(&name));
    }
    let prepared = create::prepare(core, context, project_id, &name, None, &parsed).await.map_err(written_twice)?;
    let mut expansion = Expansion::new(core, project_id);
    let place = Place { stack: &name, id: "None", project_id, parent: None };
    let resources = expansion.resources(&place, &prepared.plan, 0).await?;
    Ok(view::stack::preview(context, base_url, project_id, &name, &parsed, &prepared.plan, resources))
}

/// Upstream's preview passes a located failure on once more, which writes the separators again: `Property error: : PATH: :
/// TEXT`. Its suite asks for just that.
fn written_twice(cause: Error) -> Error {
    let parts = cause.message().strip_prefix("Property error: ").and_then(|rest| rest.split_once(": "));
    match parts {
        Some((path, text)) if cause.code() == "StackValidationFailed" => {
            error::validation(format!("Property error: : {path}: : {text}"))
        }
        _ => cause,
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Looks into nested stacks that do not exist yet. Bounded: a tree has no more resources than a stack may have.
pub struct Expansion<'a> {
    core: &'a Core,
    project_id: &'a str,
    left: usize,
}

impl<'a> Expansion<'a> {
    pub fn new(core: &'a Core, project_id: &'a str) -> Self {
        Expansion { core, project_id, left: core.settings.max_resources_per_stack }
    }

    fn count(&mut self) -> Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            let limit = self.core.settings.max_resources_per_stack;
            error::limit(format!(
                "You have reached the maximum resources per stack, {limit}. Please reduce the number of resources."
            ))
        })?;
        Ok(())
    }

    /// One object per resource; a nested stack is a list.
    fn resources<'b>(&'b mut self, place: &'b Place<'b>, plan: &'b Plan, depth: usize) -> Boxed<'b, Value> {
        Box::pin(async move {
            let names = by_name(plan);
            let mut out = Vec::new();
            for (name, kind) in &plan.kinds {
                self.count()?;
                let resolved = resolve(plan, name, &names)?;
                if let Some((child_name, child)) = self.child(place.stack, plan, name, kind, &resolved, depth)? {
                    let inner = Place { stack: &child_name, parent: Some(name), ..*place };
                    out.push(self.resources(&inner, &child, depth + 1).await?);
                    continue;
                }
                let metadata = plan.bound.resolve_metadata(name, &names)?;
                let properties = if kind.implementation.description().accepts_anything {
                    raw_properties(plan, name)
                } else {
                    Value::Object(resolved.values)
                };
                out.push(view::resource::preview(place, plan, name, kind, properties, metadata));
            }
            Ok(Value::Array(out))
        })
    }

    /// Everything in the stack that the resource would become, in the form of a changed resource.
    pub fn added<'b>(
        &'b mut self,
        stack: &'b str,
        plan: &'b Plan,
        name: &'b str,
        kind: &'b Kind,
        depth: usize,
        out: &'b mut Vec<Value>,
    ) -> Boxed<'b, ()> {
        Box::pin(async move {
            let resolved = resolve(plan, name, &by_name(plan))?;
            let Some((child_name, child)) = self.child(stack, plan, name, kind, &resolved, depth)? else {
                return Ok(());
            };
            let place = Place { stack: &child_name, id: "None", project_id: self.project_id, parent: Some(name) };
            for (inner, kind) in &child.kinds {
                self.count()?;
                out.push(view::resource::change(&place, None, Some((&child, inner, kind))));
                self.added(&child_name, &child, inner, kind, depth + 1, out).await?;
            }
            Ok(())
        })
    }

    /// Name and plan of the stack that the resource would become; none when it is no stack, or when what it will be made
    /// of is not known yet.
    fn child(
        &self,
        stack: &str,
        plan: &Plan,
        name: &str,
        kind: &Kind,
        resolved: &ResolvedProperties,
        depth: usize,
    ) -> Result<Option<(String, Plan)>> {
        let Some(nested) = kind.implementation.nested() else { return Ok(None) };
        if depth >= self.core.settings.max_nested_stack_depth {
            return Ok(None);
        }
        let input = NestedInput {
            properties: &resolved.values,
            update_policy: &Map::new(),
            unknown: &resolved.unknown,
            members: &[],
            current: None,
        };
        let Some(stage) = nested.stages(&input, &mut Map::new())?.pop() else { return Ok(None) };
        let child_name = format!("{stack}-{name}");
        let source = Source {
            template: Arc::new(Template::from_map(stage.template)?),
            environment: plan.environment.nested(name, stage.parameters),
            files: plan.bound.files().clone(),
            pseudo: crate::plan::pseudo(self.project_id, &child_name, None, &self.core.settings.region),
            facade: Some(Default::default()),
            is_lenient: !resolved.unknown.is_empty(),
        };
        let names = |child: &Plan| {
            let view = by_name(child);
            child.kinds.keys().try_for_each(|inner| resolve(child, inner, &view).map(|_| ()))
        };
        match Plan::build(&self.core.types, source).and_then(|child| names(&child).map(|()| child)) {
            Ok(child) => Ok(Some((child_name, child))),
            Err(_) if !resolved.unknown.is_empty() => Ok(None),
            Err(cause) => Err(cause),
        }
    }
}

/// As upstream, a resource that does not exist is referred to by its name.
fn by_name(plan: &Plan) -> FetchedResources {
    let ids = plan.kinds.keys().map(|name| (name.clone(), Value::String(name.clone())));
    FetchedResources { ids: ids.collect(), ..Default::default() }
}

/// The properties as far as they can be told. A name may not be what a property takes: then it stays unknown.
fn resolve(plan: &Plan, name: &str, names: &FetchedResources) -> Result<ResolvedProperties> {
    plan.resolve(name, names).or_else(|_| plan.resolve(name, &NoResources))
}

fn raw_properties(plan: &Plan, name: &str) -> Value {
    let source = plan.bound.template().source();
    source.get("resources").and_then(|all| all.get(name)?.get("properties")).cloned().unwrap_or_else(|| json!({}))
}
