use serde_json::json;

use super::*;
use crate::parameters::validate_parameters;

fn pseudo() -> PseudoParameters {
    PseudoParameters {
        stack_name: "n".into(),
        stack_id: Some("id".into()),
        project_id: "p".into(),
        ..PseudoParameters::default()
    }
}

fn template(parameters: &str) -> Result<Template, String> {
    Template::parse(&format!("heat_template_version: rocky\nparameters:\n  {parameters}\n"))
        .map_err(|error| format!("{}: {}", error.code(), error.message()))
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn with(parameters: &str, given: Value) -> Result<Parameters, String> {
    Parameters::new(&template(parameters)?, &map(given), &Map::new(), &pseudo())
        .map_err(|error| format!("{}: {}", error.code(), error.message()))
}

fn typed_value(kind: &str, given: Value) -> Result<Value, String> {
    with(&format!("p: {{type: {kind}}}"), json!({"p": given})).map(|parameters| parameters.get("p").cloned().unwrap())
}

#[test]
fn values_take_their_declared_type() {
    for (kind, given, value) in [
        ("string", json!("x"), json!("x")),
        ("string", json!(5), json!("5")),
        ("string", json!(true), json!("True")),
        ("number", json!("5"), json!(5)),
        ("number", json!("5.5"), json!(5.5)),
        ("boolean", json!("Yes"), json!(true)),
        ("boolean", json!(0), json!(false)),
        ("comma_delimited_list", json!("a, b"), json!(["a", "b"])),
        ("comma_delimited_list", json!(""), json!([])),
        ("comma_delimited_list", json!(["a", 1]), json!(["a", "1"])),
        ("json", json!("{\"a\": [1]}"), json!({"a": [1]})),
        ("json", json!({"a": 1}), json!({"a": 1})),
        ("json", json!([1]), json!([1])),
    ] {
        assert_eq!(typed_value(kind, given), Ok(value), "{kind}");
    }
    for (kind, given, text) in [
        ("number", json!("x"), "could not convert string to float: 'x'"),
        ("boolean", json!("maybe"), "Unrecognized value 'maybe', acceptable values are: '0', '1', 'f',"),
        ("comma_delimited_list", json!(5), "Value must be a comma-delimited list string"),
        ("json", json!("{"), "Value must be valid JSON"),
    ] {
        let error = typed_value(kind, given).unwrap_err();
        assert!(error.starts_with("StackValidationFailed: Parameter 'p' is invalid: "), "{error}");
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn the_users_value_comes_before_environment_and_template_defaults() {
    let template = template("p: {type: string, default: t}\n  q: {type: string}").unwrap();
    let build = |given: Value, defaults: Value| {
        Parameters::new(&template, &map(given), &map(defaults), &pseudo())
            .map(|parameters| (parameters.get("p").cloned(), parameters.get("q").cloned()))
            .map_err(|error| format!("{}: {}", error.code(), error.message()))
    };
    assert_eq!(build(json!({"q": "u"}), json!({"p": "e"})), Ok((Some(json!("e")), Some(json!("u")))));
    assert_eq!(
        build(json!({"p": "u", "q": null}), json!({"q": "e", "zz": 1})),
        Ok((Some(json!("u")), Some(json!("e"))))
    );
    assert_eq!(build(json!({}), json!({})), Err("UserParameterMissing: The Parameter (q) was not provided.".into()));
    assert_eq!(
        build(json!({"q": "x", "zz": 1}), json!({})),
        Err("UnknownUserParameter: The Parameter (zz) was not defined in template.".into())
    );
}

#[test]
fn constraints_are_enforced_with_upstreams_texts() {
    let range = "p: {type: number, constraints: [{range: {min: 1, max: 5}}]}";
    assert_eq!(
        with(range, json!({"p": 9})).unwrap_err(),
        "StackValidationFailed: Parameter 'p' is invalid: 9 is out of range (min: 1, max: 5)"
    );
    let described = "p: {type: number, constraints: [{range: {min: 1}, description: be positive}]}";
    assert_eq!(
        with(described, json!({"p": 0})).unwrap_err(),
        "StackValidationFailed: Parameter 'p' is invalid: be positive"
    );
    let list = "p: {type: comma_delimited_list, constraints: [{allowed_values: [a, b]}, {length: {max: 2}}]}";
    assert!(with(list, json!({"p": "a,b"})).is_ok());
    assert!(with(list, json!({"p": "a,c"})).unwrap_err().contains("is not an allowed value [\"a\", \"b\"]"));
    assert!(with(list, json!({"p": "a,a,a"})).unwrap_err().contains("length (3) is out of range (min: None, max: 2)"));
    let pattern = "p: {type: string, constraints: [{allowed_pattern: '[a-z]+'}]}";
    assert_eq!(
        with(pattern, json!({"p": "ab1"})).unwrap_err(),
        "StackValidationFailed: Parameter 'p' is invalid: \"ab1\" does not match pattern \"[a-z]+\""
    );
    let custom = "p: {type: string, constraints: [{custom_constraint: neutron.network}]}";
    let checks = with(custom, json!({"p": "net"})).unwrap().custom_checks();
    assert_eq!(
        checks[0].failure("Error validating value 'net': no").message(),
        "Parameter 'p' is invalid: Error validating value 'net': no"
    );
}

#[test]
fn a_default_of_the_wrong_type_harms_only_when_it_is_used() {
    let declaration = "p: {type: number, default: x}";
    assert!(with(declaration, json!({"p": 1})).is_ok());
    assert_eq!(
        with(declaration, json!({})).unwrap_err(),
        "StackValidationFailed: Parameter 'p' is invalid: could not convert string to float: 'x'"
    );
    let constrained = "p: {type: number, default: x, constraints: [{range: {min: 1}}]}";
    assert_eq!(
        with(constrained, json!({"p": 1})).unwrap_err(),
        "InvalidSchemaError: Parameter 'p' is invalid: Invalid default x (could not convert string to float: 'x')"
    );
}

#[test]
fn declarations_are_checked() {
    for (declaration, text) in [
        ("p: {}", "InvalidSchemaError: Missing parameter type for parameter: p"),
        ("p: string", "InvalidSchemaError: Invalid parameter (p), expected a mapping"),
        ("p: {type: text}", "InvalidSchemaError: Invalid type (text)"),
        ("p: {type: string, zip: 1}", "InvalidSchemaError: Invalid key 'zip' for parameter (p)"),
        (
            "p: {type: string, constraints: {}}",
            "InvalidSchemaError: Invalid parameter constraints for parameter p, expected a list",
        ),
        ("p: {type: string, constraints: [{}]}", "InvalidSchemaError: No constraint expressed"),
        (
            "p: {type: number, constraints: [{range: {mni: 1}}]}",
            "InvalidSchemaError: Invalid key 'mni' for range constraint",
        ),
        (
            "p: {type: number, constraints: [{modulo: {step: 2, offset: 5}}]}",
            "InvalidSchemaError: offset must be smaller (by absolute value) than step.",
        ),
        ("p: {type: number, constraints: [{modulo: {step: 0, offset: 0}}]}", "InvalidSchemaError: step cannot be 0."),
        (
            "p: {type: number, constraints: [{modulo: {step: -2, offset: 1}}]}",
            "InvalidSchemaError: step and offset must be both positive or both negative.",
        ),
        (
            "p: {type: json, constraints: [{allowed_values: [1]}]}",
            "InvalidSchemaError: Parameter 'p' is invalid: AllowedValues constraint invalid for json",
        ),
        (
            "p: {type: number, default: 7, constraints: [{range: {max: 5}}]}",
            "InvalidSchemaError: Parameter 'p' is invalid: Invalid default 7 (7 is out of range (min: None, max: 5))",
        ),
    ] {
        assert_eq!(template(declaration).map(|_| ()), Err(text.into()));
    }
    assert!(
        template("p: {type: string, constraints: [{allowed_pattern: '('}]}")
            .unwrap_err()
            .contains("regular expression")
    );
    let old = |text: &str| Template::parse(&format!("heat_template_version: {text}")).is_ok();
    assert!(!old("pike\nparameters: {p: {type: string, tags: [a]}}"));
    assert!(old("queens\nparameters: {p: {type: string, tags: [a]}}"));
    assert!(!old("newton\nparameters: {p: {type: number, constraints: [{modulo: {step: 2, offset: 0}}]}}"));
}

#[test]
fn stacks_show_parameters_as_strings_and_mask_hidden_ones() {
    let parameters = with(
        "l: {type: comma_delimited_list}\n  j: {type: json}\n  b: {type: boolean}\n  n: {type: number}\n  \
         h: {type: string, hidden: true}",
        json!({"l": ["a", "b"], "j": {"k": [1]}, "b": "true", "n": 1, "h": "secret"}),
    )
    .unwrap();
    assert_eq!(
        Value::Object(parameters.to_strings()),
        json!({
            "OS::stack_id": "id", "OS::project_id": "p", "OS::stack_name": "n",
            "l": "a,b", "j": "{\"k\": [1]}", "b": "True", "n": "1", "h": "******"
        })
    );
    assert_eq!(parameters.hidden_names(), ["h"]);
    assert_eq!(parameters.get("h"), Some(&json!("secret")));
}

#[test]
fn immutable_parameters_keep_their_value() {
    let declaration = "im: {type: string, immutable: true, default: a}\n  x: {type: string, default: b}";
    let old = with(declaration, json!({})).unwrap();
    assert!(with(declaration, json!({"x": "c"})).unwrap().check_immutable(&old).is_ok());
    let error = with(declaration, json!({"im": "c"})).unwrap().check_immutable(&old).unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        ("ImmutableParameterModified", "The following parameters are immutable and may not be updated: im")
    );
    // New in this update: nothing to compare with.
    assert!(with("new: {type: string, immutable: true, default: a}", json!({})).unwrap().check_immutable(&old).is_ok());
}

#[test]
fn validation_shows_every_facet() {
    let template = template(
        "p: {type: number, description: d, label: L, default: 2, hidden: true, tags: [x], constraints: \
         [{range: {min: 1, max: 9}, description: one}, {modulo: {step: 2, offset: 0}}, {allowed_values: [2, 4]}]}\n  \
         q: {type: string, constraints: [{length: {min: 1}}, {allowed_pattern: a}, {custom_constraint: nova.keypair}]}",
    )
    .unwrap();
    let parameters =
        Parameters::lenient(&template, &map(json!({"p": 4})), &Map::new(), &PseudoParameters::default()).unwrap();
    assert_eq!(
        Value::Object(validate_parameters(&parameters)),
        json!({
            "p": {
                "Type": "Number", "Description": "d", "NoEcho": "true", "Label": "L", "Default": 2, "Value": 4,
                "Tags": ["x"], "MinValue": 1, "MaxValue": 9, "Step": 2, "Offset": 0, "AllowedValues": [2, 4],
                "ConstraintDescription": "one"
            },
            "q": {
                "Type": "String", "Description": "", "NoEcho": "false", "Label": "q", "MinLength": 1,
                "AllowedPattern": "a", "CustomConstraint": "nova.keypair"
            }
        })
    );
}
