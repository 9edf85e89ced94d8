use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::template::{Files, Template};

fn parse(text: &str) -> Environment {
    Environment::parse(text).unwrap()
}

fn message(text: &str) -> String {
    Environment::parse(text).unwrap_err().message().to_owned()
}

#[test]
fn sections_are_read_and_shown_completely() {
    let environment = parse("parameters: {a: 1}\nresource_registry: {'X': 'OS::Heat::None'}\n");
    assert_eq!(
        Value::Object(environment.to_map()),
        json!({
            "parameters": {"a": 1}, "parameter_defaults": {},
            "resource_registry": {"X": "OS::Heat::None", "resources": {}},
            "event_sinks": [], "encrypted_param_names": []
        })
    );
    assert_eq!(Environment::from_map(environment.to_map()).unwrap(), environment);
    assert_eq!(parse("a: 1\nb: x\n").parameters, json!({"a": 1, "b": "x"}).as_object().cloned().unwrap());
    assert_eq!(parse(""), Environment::default());
}

#[test]
fn malformed_environments_are_refused_with_a_reason() {
    assert!(message("parameters: {}\nbogus: {}").contains("environment has wrong section \"bogus\""));
    assert!(message("parameters:\n").contains("environment has empty section \"parameters\""));
    assert!(message("[1]").contains("not a valid YAML mapping"));
    assert!(message("parameters: [1]").contains("must be a map"));
    assert!(message("a: [").starts_with("Environment not in valid format: "));
    assert!(message("event_sinks: [{type: zaqar-queue, target: q}]").contains("\"zaqar-queue\" is not available"));
    assert!(message("resource_registry: {X: 5}").contains("\"X\" must be mapped to a string"));
    assert_eq!(
        message("resource_registry: {resources: {web: {hooks: [pre-create, pre-bogus]}}}"),
        "Invalid hook type \"['pre-create', 'pre-bogus']\" for resource breakpoint, acceptable hook types are: \
         ('pre-create', 'pre-update', 'pre-delete', 'post-create', 'post-update', 'post-delete')"
    );
    let error = Environment::parse("resource_registry: {resources: {a: {restricted_actions: drop}}}").unwrap_err();
    assert_eq!((error.code(), error.kind().status()), ("InvalidRestrictedAction", 400));
}

fn resolve(registry: &str, resource: &str, type_name: &str) -> Result<TypeTarget, String> {
    let known = ["OS::Heat::None", "OS::Neutron::Net", "OS::Neutron::Port", "OS::Zun::Container"];
    parse(&format!("resource_registry: {registry}"))
        .registry
        .resolve(resource, type_name, &|name| known.contains(&name))
        .map_err(|error| error.message().to_owned())
}

fn registered(name: &str) -> Result<TypeTarget, String> {
    Ok(TypeTarget::Type(name.into()))
}

fn nested(location: &str, facade: Option<&str>) -> Result<TypeTarget, String> {
    Ok(TypeTarget::Template { location: location.into(), facade: facade.map(Into::into) })
}

#[test]
fn types_are_found_through_aliases_wildcards_and_templates() {
    assert_eq!(resolve("{}", "a", "OS::Neutron::Net"), registered("OS::Neutron::Net"));
    assert_eq!(resolve("{}", "a", "OS::Quantum::Net"), registered("OS::Neutron::Net"));
    assert_eq!(resolve("{}", "a", "OS::Foo::Bar"), Err("The Resource Type (OS::Foo::Bar) could not be found.".into()));
    assert_eq!(resolve("{'My::Net': 'OS::Neutron::Net'}", "a", "My::Net"), registered("OS::Neutron::Net"));
    assert_eq!(resolve("{A: B, B: C, C: 'OS::Heat::None'}", "a", "A"), registered("OS::Heat::None"));
    assert_eq!(resolve("{A: B, B: A}", "a", "A"), Err("The Resource Type (A) could not be found.".into()));
    assert_eq!(resolve("{'My::Web': 'file:///web.yaml'}", "a", "My::Web"), nested("file:///web.yaml", None));
    assert_eq!(resolve("{}", "a", "http://x/web.template"), nested("http://x/web.template", None));
    assert_eq!(
        resolve("{'OS::Neutron::Net': 'net.yaml'}", "a", "OS::Neutron::Net"),
        nested("net.yaml", Some("OS::Neutron::Net"))
    );
    let fan = (0..40).map(|n| format!("'{}*': 'AB{n}*'", "A".repeat(n % 9 + 1))).collect::<Vec<_>>().join(", ");
    assert!(resolve(&format!("{{{fan}}}"), "a", "AAAAAAAAAAAAAAAA").is_err());
    // `.yml` is no template suffix, so it is an alias to an unknown type.
    assert!(resolve("{'My::Web': 'web.yml'}", "a", "My::Web").is_err());
    assert_eq!(resolve("{'OS::*': 'OS::Heat::None'}", "a", "OS::Neutron::Net"), registered("OS::Heat::None"));
    assert_eq!(resolve("{'My::*': 'OS::Neutron::*'}", "a", "My::Port"), registered("OS::Neutron::Port"));
    let longest = "{'OS::*': 'OS::Heat::None', 'OS::Zun*': 'OS::Zun*', 'OS::Neutron*': 'OS::Zun::Container'}";
    assert_eq!(resolve(longest, "a", "OS::Neutron::Net"), registered("OS::Zun::Container"));
    let reset = "{'OS::*': 'OS::Heat::None', 'OS::Neutron::Net': 'OS::Neutron::Net'}";
    assert_eq!(resolve(reset, "a", "OS::Neutron::Net"), registered("OS::Neutron::Net"));
    assert_eq!(resolve(reset, "a", "OS::Neutron::Port"), registered("OS::Heat::None"));
}

#[test]
fn a_resource_may_have_its_own_mapping() {
    let registry = "{X: 'OS::Neutron::Net', resources: {web: {X: 'web.yaml'}, 'db*': {X: 'OS::Heat::None'}}}";
    assert_eq!(resolve(registry, "web", "X"), nested("web.yaml", None));
    assert_eq!(resolve(registry, "db1", "X"), registered("OS::Heat::None"));
    assert_eq!(resolve(registry, "other", "X"), registered("OS::Neutron::Net"));
}

#[test]
fn hooks_and_restrictions_follow_the_resource_tree() {
    let registry = parse(
        "resource_registry: {resources: {web: {hooks: pre-create, restricted_actions: [update, replace], \
         db: {hooks: [pre-update, post-create]}}, 'w*': {hooks: pre-delete}}}",
    )
    .registry;
    assert!(registry.has_hook("web", Hook::PreCreate) && registry.has_hook("web", Hook::PreDelete));
    assert!(!registry.has_hook("db", Hook::PreUpdate) && !registry.has_hook("web", Hook::PostUpdate));
    assert_eq!(registry.restricted_actions("web"), [RestrictedAction::Update, RestrictedAction::Replace]);
    let inside = registry.nested("web");
    assert!(inside.has_hook("db", Hook::PreUpdate) && inside.has_hook("db", Hook::PostCreate));
    assert!(!inside.has_hook("web", Hook::PreCreate));
}

#[test]
fn a_patch_wins_key_by_key() {
    let mut stored = parse("parameters: {a: 1, b: 2}\nresource_registry: {A: 'x.yaml', B: 'y.yaml'}\n");
    stored.overlay(&parse("parameters: {b: 3}\nresource_registry: {B: null, C: 'z.yaml'}\n"));
    assert_eq!(stored.parameters, json!({"a": 1, "b": 3}).as_object().cloned().unwrap());
    assert_eq!(Value::Object(stored.registry.to_map()), json!({"A": "x.yaml", "C": "z.yaml", "resources": {}}));
    let inside = stored.nested("web", Map::new());
    assert!(inside.parameters.is_empty());
}

fn merge(files: &[&str]) -> Result<Value, String> {
    let template = Template::parse(
        "heat_template_version: rocky\nparameters:\n  s: {type: string}\n  n: {type: number}\n  \
         l: {type: comma_delimited_list}\n  j: {type: json}\n  b: {type: boolean}\n",
    )
    .unwrap();
    let files: Files = files
        .iter()
        .enumerate()
        .map(|(number, text)| (format!("env{number}"), (*text).to_owned()))
        .collect::<BTreeMap<_, _>>();
    let names: Vec<String> = files.keys().cloned().collect();
    merge_files(&template, &files, &names)
        .map(|merged| Value::Object(merged.parameters))
        .map_err(|error| format!("{}: {}", error.code(), error.message()))
}

#[test]
fn files_are_merged_by_each_parameters_strategy() {
    let first = "parameters: {s: a, n: 1, l: [x], j: {k: {a: 1}, t: x, z: [1]}}\n";
    let second = "parameters: {s: b, n: 2, l: [y], j: {k: {b: 2}, t: y, z: [2], n: null}, unknown: 5}\n";
    assert_eq!(
        merge(&[first, second]),
        Ok(json!({"s": "b", "n": 2, "l": ["y"], "j": {"k": {"b": 2}, "t": "y", "z": [2], "n": null}}))
    );
    let merging = format!("{first}parameter_merge_strategies: {{default: merge, j: deep_merge}}\n");
    assert_eq!(
        merge(&[&merging, second]),
        Ok(json!({"s": "ab", "n": 3, "l": ["x", "y"], "j": {"k": {"a": 1, "b": 2}, "t": "xy", "z": [1, 2]}}))
    );
    // A later default is ignored, a later explicit other strategy is a conflict.
    let later_default = format!("{second}parameter_merge_strategies: {{default: merge}}\n");
    assert_eq!(merge(&[first, &later_default]).unwrap()["s"], json!("b"));
    let conflict = format!("{second}parameter_merge_strategies: {{s: merge}}\n");
    assert_eq!(
        merge(&[first, &conflict]),
        Err("ConflictingMergeStrategyForParam: Conflicting merge strategy 'merge' for parameter 's' in file 'env1'."
            .into())
    );
    let booleans = "parameters: {b: true}\nparameter_merge_strategies: {b: merge}\n";
    assert!(merge(&[booleans, booleans]).unwrap_err().starts_with("InvalidMergeStrategyForParam"));
}
