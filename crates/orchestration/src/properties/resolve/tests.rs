use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{
    parameters::{Parameters, PseudoParameters},
    template::{NoResources, Template, yaml},
};

/// Resolves `properties` of resource `a` against a schema; resource `b` does not exist yet.
fn resolve_text(schema: &PropertySchemas, properties: &str) -> Result<ResolvedProperties, String> {
    let properties = yaml::parse_value(properties).unwrap();
    let source = json!({
        "heat_template_version": "wallaby",
        "resources": {"a": {"type": "T", "properties": properties}, "b": {"type": "T"}}
    });
    let template = Arc::new(Template::from_value(&source).unwrap());
    let parameters = Parameters::new(&template, &Map::new(), &Map::new(), &PseudoParameters::default()).unwrap();
    let bound = template.bind(parameters, Arc::default(), None).unwrap();
    bound.resolve_properties("a", schema, &NoResources).map_err(|error| error.message().to_owned())
}

fn one(schema: PropertySchema, value: &str) -> Result<Value, String> {
    let schemas = PropertySchemas::from([("x".into(), schema)]);
    let resolved = resolve_text(&schemas, &format!("{{x: {value}}}")).map_err(|error| {
        error.strip_prefix("Property error: resources.a.properties.x: ").map(str::to_owned).unwrap_or(error)
    })?;
    Ok(resolved.values.get("x").cloned().unwrap_or_default())
}

#[test]
fn scalars_are_coerced_as_upstream_does() {
    let string = || PropertySchema::string("");
    assert_eq!(one(string(), "3"), Ok(json!("3")));
    assert_eq!(one(string(), "true"), Ok(json!("True")));
    assert_eq!(one(string(), "1.5"), Err("Value must be a string; got 1.5".into()));
    assert_eq!(one(string(), "[a]"), Err("Value must be a string; got ['a']".into()));
    let integer = || PropertySchema::integer("");
    assert_eq!(one(integer(), "'3'"), Ok(json!(3)));
    assert_eq!(one(integer(), "3.0"), Ok(json!(3)));
    assert_eq!(one(integer(), "true"), Ok(json!(1)));
    assert_eq!(one(integer(), "x"), Err("Value 'x' is not an integer".into()));
    assert!(one(integer(), "[1]").unwrap_err().contains("not 'list'"));
    let number = || PropertySchema::number("");
    assert_eq!(one(number(), "'1.5'"), Ok(json!(1.5)));
    assert_eq!(one(number(), "x"), Err("could not convert string to float: 'x'".into()));
    let boolean = || PropertySchema::boolean("");
    assert_eq!(one(boolean(), "'TRUE'"), Ok(json!(true)));
    assert_eq!(one(boolean(), "1"), Err("\"1\" is not a valid boolean".into()));
    assert_eq!(one(boolean(), "'Yes'"), Err("\"yes\" is not a valid boolean".into()));
    assert_eq!(one(PropertySchema::list(""), "'a,b'"), Err("\"'a,b'\" is not a list".into()));
    assert_eq!(one(PropertySchema::map(""), "x"), Err("\"x\" is not a map".into()));
    assert_eq!(one(PropertySchema::any(""), "{k: [1, null]}"), Ok(json!({"k": [1, null]})));
}

#[test]
fn properties_of_nested_templates_convert_more_freely() {
    let free = |mut schema: PropertySchema| {
        schema.converts = true;
        schema
    };
    assert_eq!(one(free(PropertySchema::list("")), "'a,b'"), Ok(json!(["a", "b"])));
    assert_eq!(one(free(PropertySchema::map("")), "'{\"k\": 1}'"), Ok(json!("{\"k\": 1}")));
    assert_eq!(one(free(PropertySchema::map("")), "[{a: 1}]"), Ok(json!("[{\"a\": 1}]")));
}

#[test]
fn defaults_fill_in_and_null_is_absent() {
    let schemas = PropertySchemas::from([
        ("image".into(), PropertySchema::string("").required()),
        ("tty".into(), PropertySchema::boolean("").default_value(false)),
        ("name".into(), PropertySchema::string("")),
    ]);
    let resolved = resolve_text(&schemas, "{image: a, name: null}").unwrap();
    assert_eq!(Value::Object(resolved.values), json!({"image": "a", "tty": false}));
    assert_eq!(resolved.given.into_iter().collect::<Vec<_>>(), ["image"]);
    for missing in ["{}", "{image: null}", "{image: {if: [false, x]}}"] {
        assert_eq!(
            resolve_text(&schemas, missing),
            Err("Property error: resources.a.properties: Property image not assigned".into())
        );
    }
    assert_eq!(
        resolve_text(&schemas, "{image: a, bogus: 1}"),
        Err("Property error: resources.a.properties: Unknown Property bogus".into())
    );
}

fn rules() -> PropertySchemas {
    let rule = PropertySchema::map("").with([
        ("protocol", PropertySchema::string("").required().allowed(["tcp", "udp"])),
        ("direction", PropertySchema::string("").default_value("ingress")),
        ("port", PropertySchema::integer("").range(Some(0), Some(65535))),
        ("network", PropertySchema::string("").custom("neutron.network")),
    ]);
    PropertySchemas::from([("rules".into(), PropertySchema::list("").of(rule))])
}

#[test]
fn nested_schemas_fill_and_name_the_place_of_faults() {
    let resolved = resolve_text(&rules(), "{rules: [{protocol: tcp, port: '80', network: net}]}").unwrap();
    assert_eq!(
        resolved.values["rules"],
        json!([{"protocol": "tcp", "direction": "ingress", "port": 80, "network": "net"}])
    );
    assert_eq!(resolved.custom_checks.len(), 1);
    let check = &resolved.custom_checks[0];
    assert_eq!((check.constraint.as_str(), &check.value), ("neutron.network", &json!("net")));
    assert_eq!(
        check.failure("Error validating value 'net': Unable to find network with name or id 'net'").message(),
        "Property error: resources.a.properties.rules[0].network: Error validating value 'net': Unable to find network \
         with name or id 'net'"
    );
    // Keys without a value are null, as upstream sends them.
    assert_eq!(resolve_text(&rules(), "{rules: [{protocol: udp}]}").unwrap().values["rules"][0]["port"], json!(null));

    let fails = |text: &str| resolve_text(&rules(), text).unwrap_err();
    assert_eq!(
        fails("{rules: [{protocol: tcp}, {}]}"),
        "Property error: resources.a.properties.rules[1]: Property protocol not assigned"
    );
    assert_eq!(
        fails("{rules: [{protocol: tcp, zip: 1}]}"),
        "Property error: resources.a.properties.rules[0]: Unknown Property zip"
    );
    assert_eq!(
        fails("{rules: [{protocol: xtp}]}"),
        "Property error: resources.a.properties.rules[0].protocol: \"xtp\" is not an allowed value [\"tcp\", \"udp\"]"
    );
    assert_eq!(
        fails("{rules: [{protocol: tcp, port: 70000}]}"),
        "Property error: resources.a.properties.rules[0].port: 70000 is out of range (min: 0, max: 65535)"
    );
    assert_eq!(fails("{rules: [x]}"), "Property error: resources.a.properties.rules[0]: \"x\" is not a map");
    assert_eq!(
        fails("{rules: [{protocol: {get_param: nope}}]}"),
        "Property error: resources.a.properties.rules: The Parameter (nope) was not provided."
    );
}

#[test]
fn unknown_parts_are_skipped_and_their_neighbours_checked() {
    let resolved = resolve_text(&rules(), "{rules: [{protocol: {get_attr: [b, p]}, port: 80}]}").unwrap();
    assert_eq!(resolved.unknown.iter().collect::<Vec<_>>(), ["rules"]);
    assert_eq!(resolved.values["rules"][0]["port"], json!(80));
    let error = resolve_text(&rules(), "{rules: [{protocol: {get_attr: [b, p]}, port: x}]}").unwrap_err();
    assert!(error.contains("rules[0].port: Value 'x' is not an integer"), "{error}");
    // Nothing is known, so nothing is missing.
    let whole = resolve_text(&rules(), "{map_merge: [{get_attr: [b, p]}]}").unwrap();
    assert_eq!(whole.unknown.len(), 1);
    let merged = resolve_text(&rules(), "{map_merge: [{rules: []}, null]}").unwrap();
    assert_eq!(merged.values["rules"], json!([]));
}

#[test]
fn legacy_names_stand_for_current_ones() {
    let schemas = PropertySchemas::from([
        ("network".into(), PropertySchema::string("").required()),
        ("network_id".into(), PropertySchema::string("").alias_of("network")),
        ("agents".into(), PropertySchema::list("")),
        ("agent".into(), PropertySchema::string("").alias_of("agents")),
    ]);
    let resolved = resolve_text(&schemas, "{network_id: n, agent: x}").unwrap();
    assert_eq!(Value::Object(resolved.values), json!({"network": "n", "agents": ["x"]}));
    assert_eq!(
        resolve_text(&schemas, "{network_id: n, network: m}"),
        Err("Cannot define the following properties at the same time: network, network_id.".into())
    );
}
