//! `POST /validate`: the template's structure and parameters, without asking other services.

use std::{pin::Pin, sync::Arc};

use sahab_contract::{RequestContext, Result};
use serde_json::{Map, Value, json};

use super::request;
use crate::{
    core::Core,
    environment::Environment,
    parameters::validate_parameters,
    plan::{self, Plan, Source},
    properties::ResolvedProperties,
    resources::{AttributeStyle, NestedInput},
    sources,
    template::{Files, NoResources, Template},
};

pub async fn validate(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    body: &Value,
    show_nested: bool,
    ignore_unavailable: bool,
) -> Result<Value> {
    core.enforce(context, "stacks:validate_template", project_id)?;
    let request = request::parse(core, body, None).await?;
    let template = Arc::new(Template::from_map(request::required_template(&request)?)?);
    let mut files = request.files.clone();
    sources::collect(&core.settings, &core.types, &template, &request.environment, &mut files).await?;
    let files = Arc::new(files);
    let built = build(core, project_id, &template, &request.environment, &files);
    let plan = match built {
        Ok(plan) => Some(plan),
        Err(error) if ignore_unavailable && error.code() == "ResourceTypeUnavailable" => None,
        Err(error) => return Err(error),
    };
    let mut out = Map::new();
    out.insert("Description".into(), json!(template.description().unwrap_or("No description")));
    let parameters = match &plan {
        Some(plan) => {
            check(plan)?;
            validate_parameters(plan.bound.parameters())
        }
        None => Map::new(),
    };
    out.insert("Parameters".into(), Value::Object(parameters));
    if !template.parameter_groups().is_empty() {
        let groups = template.parameter_groups().iter().map(
            |group| json!({"label": group.label, "description": group.description, "parameters": group.parameters}),
        );
        out.insert("ParameterGroups".into(), groups.collect());
    }
    if show_nested && let Some(plan) = &plan {
        let nested = nested_parameters(core, project_id, plan, 0).await;
        if !nested.is_empty() {
            out.insert("NestedParameters".into(), Value::Object(nested));
        }
    }
    // What is kept for the engine alone is not part of what users see here.
    let mut environment = request.environment.to_map();
    environment.shift_remove("encrypted_param_names");
    if let (Some(plan), Some(Value::Object(registry))) = (&plan, environment.get_mut("resource_registry")) {
        register_templates(plan, registry);
    }
    out.insert("Environment".into(), Value::Object(environment));
    Ok(Value::Object(out))
}

fn build(
    core: &Core,
    project_id: &str,
    template: &Arc<Template>,
    environment: &Environment,
    files: &Arc<Files>,
) -> Result<Plan> {
    let source = Source {
        template: template.clone(),
        environment: environment.clone(),
        files: files.clone(),
        pseudo: plan::pseudo(project_id, "None", None, &core.settings.region),
        facade: None,
        is_lenient: true,
    };
    Plan::build(&core.types, source)
}

/// Templates used as types without being registered count as registered under their own location.
fn register_templates(plan: &Plan, registry: &mut Map<String, Value>) {
    for definition in plan.bound.resources() {
        let name = &definition.type_name;
        if [".yaml", ".template"].iter().any(|end| name.ends_with(end)) && !registry.contains_key(name) {
            registry.insert(name.clone(), json!(name));
        }
    }
}

/// The structure: references, attributes, cycles.
fn check(plan: &Plan) -> Result<()> {
    plan.order()?;
    plan.bound.validate(&|definition, attribute| {
        plan.kinds.get(&definition.name).is_none_or(|kind| kind.implementation.description().has_attribute(attribute))
    })
}

/// Parameters of nested templates by resource; what cannot be validated is skipped, as upstream does.
fn nested_parameters<'a>(
    core: &'a Core,
    project_id: &'a str,
    plan: &'a Plan,
    depth: usize,
) -> Pin<Box<dyn Future<Output = Map<String, Value>> + Send + 'a>> {
    Box::pin(async move {
        let mut out = Map::new();
        if depth >= core.settings.max_nested_stack_depth {
            return out;
        }
        for (name, kind) in &plan.kinds {
            let Some(nested) = kind.implementation.nested() else { continue };
            // Wrong properties do not hide the parameters: they are what somebody wants to know then.
            let resolved = plan.resolve(name, &NoResources).unwrap_or_else(|_| ResolvedProperties {
                unknown: kind.implementation.description().properties.keys().map(|name| name.to_string()).collect(),
                ..Default::default()
            });
            let input = NestedInput {
                properties: &resolved.values,
                update_policy: &Map::new(),
                unknown: &resolved.unknown,
                members: &[],
                current: None,
            };
            let Ok(mut stages) = nested.stages(&input, &mut Map::new()) else { continue };
            let Some(stage) = stages.pop() else { continue };
            let Ok(template) = Template::from_map(stage.template) else { continue };
            let template = Arc::new(template);
            let environment = plan.environment.nested(name, stage.parameters);
            let Ok(child) = build(core, project_id, &template, &environment, plan.bound.files()) else { continue };
            let type_name =
                plan.bound.resource(name).map_or_else(String::new, |definition| definition.type_name.clone());
            let mut entry = json!({
                "Type": type_name,
                "Description": template.description().unwrap_or_default(),
                "Parameters": validate_parameters(child.bound.parameters()),
            });
            let inner = nested_parameters(core, project_id, &child, depth + 1).await;
            if !inner.is_empty() {
                entry["NestedParameters"] = Value::Object(inner);
            }
            if nested.attribute_style() == AttributeStyle::Members
                && let Some(groups) = entry.as_object_mut()
            {
                groups.insert("Parameters".into(), json!({}));
            }
            out.insert(name.clone(), entry);
        }
        out
    })
}
