//! `OS::Heat::ResourceGroup`: a nested stack of equal members named "0", "1", …
//!
//! The child's template is built here. Names that removal policies took out are remembered in `data.removed` and never
//! used again while the mode is `append`.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use sahab_contract::{Error, Result};
use serde_json::{Map, Value, json};

use crate::{
    properties::{AttributeSchema, PropertyKind, PropertySchema, ResolvedProperties},
    resources::{Act, AttributeStyle, Description, Nested, NestedInput, Object, Progress, ResourceType, Stage},
    template::error,
};

/// Key of `data`: names that are not used (any more).
pub const REMOVED: &str = "removed";
/// More members than any stack may have resources are not even enumerated.
const MAX_COUNT: usize = 10_000;

pub struct ResourceGroup {
    description: Description,
}

impl ResourceGroup {
    pub fn new() -> Self {
        let count = |text: &'static str, default: i64, least: i64| {
            PropertySchema::integer(text).default_value(default).range(Some(least), None)
        };
        let pause = || {
            PropertySchema::number("The number of seconds to wait between batches of updates.")
                .default_value(0)
                .range(Some(0), None)
        };
        let mut description = Description::new(
            "OS::Heat::ResourceGroup",
            "Creates one or more identically configured nested resources.",
        )
        .properties([
            ("count", count("The number of resources to create.", 1, 0).updatable()),
            (
                "index_var",
                PropertySchema::string("A variable that this resource will use to replace with the current index of a given resource in the group.")
                    .default_value("%index%")
                    .length(Some(3), None),
            ),
            (
                "resource_def",
                PropertySchema::map("Resource definition for the resources in the group.").required().updatable().with([
                    ("type", PropertySchema::string("The type of the resources in the group.").required()),
                    ("properties", PropertySchema::map("Property values for the resources in the group.")),
                    ("metadata", PropertySchema::map("Supplied metadata for the resources in the group.")),
                ]),
            ),
            (
                "removal_policies",
                PropertySchema::list("Policies for removal of resources on update.").default_value(json!([])).updatable().of(
                    PropertySchema::map("Policy to be processed when doing an update which requires removal of specific resources.").with([(
                        "resource_list",
                        PropertySchema::list("List of resources to be removed when doing an update which requires removal of specific resources.")
                            .default_value(json!([])),
                    )]),
                ),
            ),
            (
                "removal_policies_mode",
                PropertySchema::string("How to handle changes to removal_policies on update.")
                    .default_value("append")
                    .allowed(["append", "update"])
                    .updatable(),
            ),
        ])
        .update_policy([
            (
                "rolling_update",
                PropertySchema::map("Rolling update policy.").with([
                    ("min_in_service", count("The minimum number of resources in service while rolling updates are being executed.", 0, 0)),
                    ("max_batch_size", count("The maximum number of resources to replace at once.", 1, 1)),
                    ("pause_time", pause()),
                ]),
            ),
            (
                "batch_create",
                PropertySchema::map("Batch create policy.").with([
                    ("max_batch_size", count("The maximum number of resources to create at once.", 1, 1)),
                    ("pause_time", pause()),
                ]),
            ),
        ])
        .attributes([
            ("refs", AttributeSchema::typed(PropertyKind::List, "A list of resource IDs for the resources in the group.")),
            (
                "refs_map",
                AttributeSchema::typed(PropertyKind::Map, "A map of resource names to IDs for the resources in the group."),
            ),
            (
                "attributes",
                AttributeSchema::typed(PropertyKind::Map, "A map of resource names to the specified attribute of each individual resource."),
            ),
            (
                "removed_rsrc_list",
                AttributeSchema::typed(PropertyKind::List, "A list of removed resource names."),
            ),
        ]);
        description.has_dynamic_attributes = true;
        ResourceGroup { description }
    }
}

/// The members' names: the lowest numbers that were not removed.
fn names(count: usize, removed: &BTreeSet<String>) -> Vec<String> {
    (0..).map(|n: usize| n.to_string()).filter(|name| !removed.contains(name)).take(count).collect()
}

/// Replaces the index variable in every string value, never in keys.
fn with_index(value: &Value, variable: &str, index: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace(variable, index)),
        Value::Array(items) => items.iter().map(|item| with_index(item, variable, index)).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, item)| (key.clone(), with_index(item, variable, index))).collect())
        }
        other => other.clone(),
    }
}

fn member(input: &NestedInput<'_>, name: &str) -> Value {
    let definition = input.properties.get("resource_def").and_then(Value::as_object);
    let variable = input.properties.get("index_var").and_then(Value::as_str).unwrap_or("%index%");
    let mut out = Map::new();
    for (key, value) in definition.into_iter().flatten() {
        if value.is_null() {
            continue;
        }
        out.insert(key.clone(), if key == "type" { value.clone() } else { with_index(value, variable, name) });
    }
    Value::Object(out)
}

fn removed_names(input: &NestedInput<'_>, data: &Map<String, Value>) -> BTreeSet<String> {
    let is_append = input.properties.get("removal_policies_mode").and_then(Value::as_str) != Some("update");
    let known = data.get(REMOVED).and_then(Value::as_array).into_iter().flatten();
    let mut removed: BTreeSet<String> =
        known.filter(|_| is_append).filter_map(Value::as_str).map(str::to_owned).collect();
    let policies = input.properties.get("removal_policies").and_then(Value::as_array).into_iter().flatten();
    for wanted in policies.filter_map(|policy| policy.get("resource_list")?.as_array()).flatten() {
        let text = wanted.as_str().map(str::to_owned).unwrap_or_else(|| wanted.to_string());
        for (name, reference) in input.members {
            if *name == text || *reference == text {
                removed.insert(name.clone());
            }
        }
    }
    removed
}

fn template_of(members: Map<String, Value>) -> Map<String, Value> {
    Map::from_iter([
        ("heat_template_version".to_owned(), json!("2015-04-30")),
        ("resources".to_owned(), Value::Object(members)),
    ])
}

fn number(policy: Option<&Value>, key: &str, default: usize) -> usize {
    policy.and_then(|policy| policy.get(key)?.as_u64()).and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
}

fn pause(policy: Option<&Value>) -> Duration {
    let seconds = policy.and_then(|policy| policy.get("pause_time")?.as_f64()).unwrap_or_default();
    Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0))
}

impl Nested for ResourceGroup {
    fn stages(&self, input: &NestedInput<'_>, data: &mut Map<String, Value>) -> Result<Vec<Stage>> {
        let removed = removed_names(input, data);
        data.insert(REMOVED.into(), json!(removed));
        let count = number(Some(&Value::Object(input.properties.clone())), "count", 1);
        if count > MAX_COUNT {
            return Err(error::limit(
                "You have reached the maximum resources per stack, please reduce the group's count.",
            ));
        }
        let wanted = names(count, &removed);
        let target: Map<String, Value> = wanted.iter().map(|name| (name.clone(), member(input, name))).collect();
        let stage = |members: Map<String, Value>, pause: Duration| Stage {
            template: template_of(members),
            parameters: Map::new(),
            pause,
        };
        let present = input.current.and_then(|template| template.get("resources")?.as_object());
        let mut stages = Vec::new();
        match present {
            None => {
                if let policy @ Some(_) = input.update_policy.get("batch_create").filter(|policy| !policy.is_null()) {
                    let size = number(policy, "max_batch_size", 1).max(1);
                    for end in (size..wanted.len()).step_by(size) {
                        let part =
                            wanted[..end].iter().filter_map(|name| Some((name.clone(), target.get(name)?.clone())));
                        stages.push(stage(part.collect(), pause(policy)));
                    }
                }
            }
            Some(present) => {
                if let policy @ Some(_) = input.update_policy.get("rolling_update").filter(|policy| !policy.is_null()) {
                    let in_service = number(policy, "min_in_service", 0);
                    let size =
                        number(policy, "max_batch_size", 1).min(wanted.len().saturating_sub(in_service).max(1)).max(1);
                    let mut state = present.clone();
                    // From the highest index down, members that change or appear.
                    let changing: Vec<&String> =
                        wanted.iter().rev().filter(|name| state.get(*name) != target.get(*name)).collect();
                    for batch in changing.chunks(size) {
                        for name in batch {
                            state.insert((*name).clone(), target.get(*name).cloned().unwrap_or_default());
                        }
                        stages.push(stage(state.clone(), pause(policy)));
                    }
                    stages.pop();
                }
            }
        }
        stages.push(stage(target, Duration::ZERO));
        Ok(stages)
    }

    fn attribute_style(&self) -> AttributeStyle {
        AttributeStyle::Members
    }
}

#[async_trait]
impl ResourceType for ResourceGroup {
    fn description(&self) -> &Description {
        &self.description
    }
    fn nested(&self) -> Option<&dyn Nested> {
        Some(self)
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        if properties.integer("count").is_some_and(|count| count > i64::try_from(MAX_COUNT).unwrap_or(i64::MAX)) {
            return Err(error::limit(
                "You have reached the maximum resources per stack, please reduce the group's count.",
            ));
        }
        Ok(())
    }
    async fn create(&self, _: &Act, _: &mut Object) -> Result<Progress> {
        Err(Error::internal("a group is run by the engine"))
    }
    async fn delete(&self, _: &Act, _: &mut Object) -> Result<Progress> {
        Err(Error::internal("a group is run by the engine"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> ResourceGroup {
        ResourceGroup::new()
    }

    fn resources(stage: &Stage) -> &Map<String, Value> {
        stage.template["resources"].as_object().unwrap()
    }

    fn properties(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_index_is_replaced_in_values_only() {
        let properties = properties(json!({
            "count": 2, "index_var": "%index%",
            "resource_def": {"type": "T%index%", "properties": {"a%index%": ["x-%index%"], "n": 1}}
        }));
        let none = BTreeSet::new();
        let input = NestedInput {
            properties: &properties,
            update_policy: &Map::new(),
            unknown: &none,
            members: &[],
            current: None,
        };
        let stages = group().stages(&input, &mut Map::new()).unwrap();
        assert_eq!(stages.len(), 1);
        assert_eq!(
            resources(&stages[0])["1"],
            json!({"type": "T%index%", "properties": {"a%index%": ["x-1"], "n": 1}})
        );
    }

    #[test]
    fn removed_names_are_never_used_again() {
        let first = properties(
            json!({"count": 2, "resource_def": {"type": "T"}, "removal_policies": [{"resource_list": ["id-1"]}]}),
        );
        let members = [("0".to_owned(), "id-0".to_owned()), ("1".to_owned(), "id-1".to_owned())];
        let none = BTreeSet::new();
        let policy = Map::new();
        let mut data = Map::new();
        let input = NestedInput {
            properties: &first,
            update_policy: &policy,
            unknown: &none,
            members: &members,
            current: None,
        };
        let stages = group().stages(&input, &mut data).unwrap();
        assert_eq!(resources(&stages[0]).keys().collect::<Vec<_>>(), ["0", "2"]);
        let second = properties(json!({"count": 3, "resource_def": {"type": "T"}}));
        let input = NestedInput { properties: &second, members: &[], ..input };
        let stages = group().stages(&input, &mut data).unwrap();
        assert_eq!(resources(&stages[0]).keys().collect::<Vec<_>>(), ["0", "2", "3"]);
        let third = properties(json!({"count": 3, "resource_def": {"type": "T"}, "removal_policies_mode": "update"}));
        let stages = group().stages(&NestedInput { properties: &third, ..input }, &mut data).unwrap();
        assert_eq!(resources(&stages[0]).keys().collect::<Vec<_>>(), ["0", "1", "2"]);
    }

    #[test]
    fn rolling_updates_go_down_in_batches() {
        let new = properties(json!({"count": 3, "resource_def": {"type": "T", "properties": {"v": 2}}}));
        let policy = properties(json!({"rolling_update": {"max_batch_size": 2, "min_in_service": 0, "pause_time": 1}}));
        let old = template_of((0..3).map(|n| (n.to_string(), json!({"type": "T", "properties": {"v": 1}}))).collect());
        let none = BTreeSet::new();
        let input =
            NestedInput { properties: &new, update_policy: &policy, unknown: &none, members: &[], current: Some(&old) };
        let stages = group().stages(&input, &mut Map::new()).unwrap();
        assert_eq!(stages.len(), 2);
        let value = |stage: &Stage, name: &str| resources(stage)[name]["properties"]["v"].clone();
        assert_eq!(
            (value(&stages[0], "0"), value(&stages[0], "1"), value(&stages[0], "2")),
            (json!(1), json!(2), json!(2))
        );
        assert_eq!(value(&stages[1], "0"), json!(2));
        assert_eq!(stages[0].pause, Duration::from_secs(1));
    }
}
