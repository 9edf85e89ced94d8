//! Everything that can be known to be wrong before a stack is accepted (spec 1.6): a missing network named in a template
//! is a 400 at once, not a failed stack later.

use std::{future::Future, pin::Pin, sync::Arc};

use sahab_contract::{Error, Result};
use serde_json::{Map, Value, json};

use crate::{
    constraints,
    core::Core,
    plan::{Plan, Source},
    resources::{Act, AttributeStyle, NestedInput, type_unavailable},
    template::{DeletionPolicy, NoResources, Template, error},
};

/// Checks a plan with all its nested stacks. Returns how many resources the whole tree has.
pub async fn validate(core: &Core, act: &Act, plan: &Plan, depth: usize) -> Result<usize> {
    plan.order()?;
    let has_attribute = |definition: &crate::template::ResourceDefinition, attribute: &str| {
        plan.kinds.get(&definition.name).is_none_or(|kind| kind.implementation.description().has_attribute(attribute))
    };
    plan.bound.validate(&has_attribute)?;
    let mut checks = plan.bound.parameters().custom_checks();
    let mut count = plan.kinds.len();
    check_count(core, count)?;
    for (name, kind) in &plan.kinds {
        let implementation = kind.implementation.as_ref();
        let description = implementation.description();
        if let Some((service, upstream)) = description.service
            && !act.cloud.serves(service)
        {
            return Err(type_unavailable(upstream, &description.name));
        }
        if description.is_admin_only && !is_type_allowed(core, act, &description.name) {
            return Err(Error::forbidden(
                "Forbidden",
                format!("You are not authorized to use resource_types:{}.", description.name),
            ));
        }
        if plan.bound.deletion_policy(name)? == DeletionPolicy::Snapshot {
            return Err(error::validation("\"Snapshot\" deletion policy not supported"));
        }
        if plan.bound.external_id(name)?.is_some() {
            continue;
        }
        let resolved = plan.resolve(name, &NoResources)?;
        implementation.validate(&resolved)?;
        implementation.validate_live(act, &resolved).await?;
        plan.resolve_update_policy(name, &NoResources)?;
        checks.extend(resolved.custom_checks.iter().cloned());
        if let Some(nested) = implementation.nested() {
            let input = NestedInput {
                properties: &resolved.values,
                update_policy: &Map::new(),
                unknown: &resolved.unknown,
                members: &[],
                current: None,
            };
            // What the members get is not known yet: their types and values are checked when it is.
            if nested.attribute_style() == AttributeStyle::Members && resolved.unknown.contains("resource_def") {
                continue;
            }
            count += validate_nested(core, act, plan, name, &input, nested, depth).await?;
            check_count(core, count)?;
        }
    }
    constraints::check_all(act, checks).await?;
    Ok(count)
}

fn check_count(core: &Core, count: usize) -> Result<()> {
    let limit = core.settings.max_resources_per_stack;
    if count > limit {
        return Err(error::limit(format!(
            "You have reached the maximum resources per stack, {limit}. Please reduce the number of resources."
        )));
    }
    Ok(())
}

pub fn is_type_allowed(core: &Core, act: &Act, type_name: &str) -> bool {
    let rule = format!("resource_types:{type_name}");
    let rule = if core.policy.known(&rule) { rule } else { "resource_types:admin_only".to_owned() };
    core.policy.allows(&act.context, &rule, &json!({"project_id": act.project_id}))
}

fn validate_nested<'a>(
    core: &'a Core,
    act: &'a Act,
    plan: &'a Plan,
    name: &'a str,
    input: &'a NestedInput<'a>,
    nested: &'a dyn crate::resources::Nested,
    depth: usize,
) -> Pin<Box<dyn Future<Output = Result<usize>> + Send + 'a>> {
    Box::pin(async move {
        let limit = core.settings.max_nested_stack_depth;
        if depth >= limit {
            return Err(error::limit(format!("Recursion depth exceeds {limit}.")));
        }
        let mut stages = nested.stages(input, &mut Map::new())?;
        let Some(mut stage) = stages.pop() else { return Ok(0) };
        let total = members_of(&stage.template);
        check_count(core, total)?;
        if nested.attribute_style() == AttributeStyle::Members {
            // Equal members need one look; a group of none is not looked at.
            keep_first_member(&mut stage.template);
        }
        let source = Source {
            template: Arc::new(Template::from_map(stage.template)?),
            environment: plan.environment.nested(name, stage.parameters),
            files: plan.bound.files().clone(),
            pseudo: crate::plan::pseudo(&act.project_id, name, None, &core.settings.region),
            facade: Some(Default::default()),
            is_lenient: !input.unknown.is_empty(),
        };
        let child = Plan::build(&core.types, source)?;
        let counted = validate(core, act, &child, depth + 1).await?;
        Ok(if nested.attribute_style() == AttributeStyle::Members { counted * total } else { counted })
    })
}

fn members_of(template: &Map<String, Value>) -> usize {
    template.get("resources").and_then(Value::as_object).map_or(0, Map::len)
}

fn keep_first_member(template: &mut Map<String, Value>) {
    if let Some(Value::Object(members)) = template.get_mut("resources") {
        let first = members.iter().next().map(|(name, member)| (name.clone(), member.clone()));
        *members = first.into_iter().collect();
    }
}
