use serde_json::json;

use super::*;
use crate::{
    parameters::PseudoParameters,
    properties::{PropertyKind, PropertySchema},
    template::{AttributeReference, FetchedResources, Map},
};

/// The thesis's template as spec 7.1 gives it.
const THESIS: &str = "
heat_template_version: rocky
resources:
  secgroup:
    type: OS::Neutron::SecurityGroup
    properties:
      name: SG_WordPress
      description: web and database
      rules:
        - {protocol: icmp}
        - {protocol: tcp, port_range_min: 80, port_range_max: 80}
        - {protocol: tcp, port_range_min: 3306, port_range_max: 3306}
  db:
    type: OS::Zun::Container
    properties:
      image: mysql:5.7
      environment: {MYSQL_ROOT_PASSWORD: rootpass, MYSQL_DATABASE: wordpress}
      security_groups: [{get_resource: secgroup}]
  wordpress:
    type: OS::Zun::Container
    properties:
      image: wordpress:latest
      environment:
        WORDPRESS_DB_HOST: {get_attr: [db, addresses, ext-net, 0, addr]}
        WORDPRESS_DB_USER: root
        WORDPRESS_DB_PASSWORD: rootpass
      security_groups: [{get_resource: secgroup}]
outputs:
  url: {value: {get_attr: [wordpress, addresses, ext-net, 0, addr]}}
";

fn bind_with(text: &str, parameters: Value) -> Result<BoundTemplate> {
    let template = Arc::new(Template::parse(text)?);
    let given = parameters.as_object().cloned().unwrap_or_default();
    let pseudo = PseudoParameters { stack_name: "s".into(), project_id: "p".into(), ..Default::default() };
    let parameters = Parameters::new(&template, &given, &Map::new(), &pseudo)?;
    template.bind(parameters, Arc::default(), None)
}

fn bind(text: &str) -> Result<BoundTemplate> {
    bind_with(text, json!({}))
}

fn validate(text: &str) -> Result<(), String> {
    bind(text)
        .and_then(|bound| bound.validate(&|_, attribute| attribute == "name" || attribute == "addresses"))
        .map_err(|error| format!("{}: {}", error.code(), error.message()))
}

/// Validates a rocky template of these sections.
fn rocky(sections: &str) -> Result<(), String> {
    validate(&format!("heat_template_version: rocky\n{sections}"))
}

#[track_caller]
fn refused(sections: &str, text: &str) {
    assert_eq!(rocky(sections), Err(text.into()));
}

fn container() -> PropertySchemas {
    PropertySchemas::from([
        ("name".into(), PropertySchema::string("").updatable()),
        ("image".into(), PropertySchema::string("").required()),
        ("environment".into(), PropertySchema::map("")),
        ("security_groups".into(), PropertySchema::list("").default_value(json!([]))),
    ])
}

#[test]
fn the_thesis_template_is_ordered_and_resolved() {
    for text in [THESIS, include_str!("../../../../../examples/wordpress.yaml")] {
        let bound = bind(text).unwrap();
        bound.validate(&|_, attribute| attribute == "addresses").unwrap();
        let graph = bound.graph().unwrap();
        assert_eq!(graph.order(&|name| bound.describe(name)).unwrap(), ["secgroup", "db", "wordpress"]);
        assert_eq!(graph.required_by("secgroup").collect::<Vec<_>>(), ["db", "wordpress"]);

        let before = bound.resolve_properties("wordpress", &container(), &NoResources).unwrap();
        assert_eq!(before.unknown.iter().collect::<Vec<_>>(), ["environment", "security_groups"]);
        assert_eq!(before.map("environment").unwrap()["WORDPRESS_DB_USER"], json!("root"));

        let mut fetched = FetchedResources::default();
        fetched.ids.insert("secgroup".into(), json!("sg-id"));
        for resource in ["db", "wordpress"] {
            let key =
                AttributeReference { resource: resource.into(), attribute: Some("addresses".into()), path: vec![] };
            fetched.attributes.insert(key, json!({"ext-net": [{"addr": format!("172.24.4.9/{resource}")}]}));
        }
        let after = bound.resolve_properties("wordpress", &container(), &fetched).unwrap();
        assert!(after.unknown.is_empty());
        assert_eq!(after.map("environment").unwrap()["WORDPRESS_DB_HOST"], json!("172.24.4.9/db"));
        assert_eq!(after.list("security_groups").unwrap(), &[json!("sg-id")]);
        assert_eq!(bound.resolve_output("url", &fetched).unwrap(), json!("172.24.4.9/wordpress"));
        assert_eq!(bound.resolve_output("url", &NoResources).unwrap(), json!(null));
    }
}

#[test]
fn every_version_and_its_alias_is_read() {
    for version in Version::ALL {
        for name in [Some(version.date()), version.alias()].into_iter().flatten() {
            // Unquoted dates stay strings.
            let template = Template::parse(&format!("{}: {name}\n", version.key())).unwrap();
            assert_eq!(template.version(), version);
        }
    }
    let error = |text: &str| {
        let error = Template::parse(text).unwrap_err();
        format!("{}: {}", error.code(), error.message())
    };
    assert_eq!(error("resources: {}"), "HTTPBadRequest: Template format version not found.");
    assert_eq!(
        error("heat_template_version: 2099-01-01"),
        "InvalidTemplateVersion: The template version is invalid: \"heat_template_version: 2099-01-01\". \
         \"heat_template_version\" should be one of: 2013-05-23, 2014-10-16, 2015-04-30, 2015-10-15, 2016-04-08, \
         2016-10-14, 2017-02-24, 2017-09-01, 2018-03-02, 2018-08-31, 2021-04-16, newton, ocata, pike, queens, rocky, wallaby"
    );
    assert!(error("HeatTemplateFormatVersion: x").ends_with("should be: 2012-12-12"));
    assert!(error("heat_template_version: rocky\nAWSTemplateFormatVersion: 2010-09-09").contains("Ambiguous versions"));
}

#[test]
fn sections_and_entries_have_a_shape() {
    refused("bogus: 1", "InvalidTemplateSection: The template section is invalid: bogus");
    assert!(
        validate("heat_template_version: 2015-04-30\nconditions: {}").unwrap_err().contains("InvalidTemplateSection")
    );
    assert_eq!(rocky(""), Ok(()));
    assert_eq!(rocky("resources:\noutputs:\nparameters:\nconditions:\n"), Ok(()));
    assert!(rocky("description:\n  resources: {a: {type: T}}").unwrap_err().contains("must be a string"));
    refused("resources: {a: {properties: {}}}", "StackValidationFailed: Each resource must contain a type key.");
    refused("resources: {a: }", "StackValidationFailed: Each resource must contain a type key.");
    refused("outputs: {a: {description: x}}", "StackValidationFailed: Each output must contain a value key.");
    refused(
        "resources: {a: [1]}",
        "StackValidationFailed: \"resources\" must contain a map of resource maps. Found a [<class 'list'>] instead",
    );
    refused(
        "resources: {a: {type: T, zip: 1}}",
        "StackValidationFailed: \"zip\" is not a valid keyword inside a resource definition",
    );
    assert!(rocky("resources: [a]").unwrap_err().contains("Found a [<class 'list'>]"));
    assert!(
        rocky("resources: {a: {type: T, properties: [1]}}").unwrap_err().contains("properties type must be object")
    );
    assert!(rocky("resources: {a: {type: T, depends_on: [1]}}").unwrap_err().contains("must be a list of strings"));
    assert!(rocky("resources: {a/b: {type: T}}").unwrap_err().contains("Resource name may not contain \"/\""));
    assert!(rocky("resources: {a: {type: ''}}").unwrap_err().contains("has no type"));
    refused(
        "parameters: {b: {type: string, default: x}}\nresources: {b: {type: T}}",
        "StackValidationFailed: Duplicate names {'b'}",
    );
}

#[test]
fn wrong_references_name_their_place() {
    refused(
        "resources: {a: {type: T, depends_on: x}}",
        "InvalidTemplateReference: The specified reference \"x\" (in a) is incorrect.",
    );
    refused(
        "resources: {a: {type: T, properties: {p: {q: {get_resource: zz}}}}}",
        "InvalidTemplateReference: The specified reference \"zz\" (in a.Properties.p.q) is incorrect.",
    );
    refused(
        "resources: {a: {type: T}}\noutputs: {o: {value: {get_attr: [a, zip]}}}",
        "StackValidationFailed: outputs.o.value.get_attr: The Referenced Attribute (a zip) is incorrect.",
    );
    refused(
        "resources: {a: {type: T}, b: {type: T, properties: {l: [{get_attr: [a, zip]}]}}}",
        "StackValidationFailed: resources.b.properties.l[0].get_attr: The Referenced Attribute (a zip) is incorrect.",
    );
    refused(
        "resources: {a: {type: T, properties: {l: {Ref: a}}}}",
        "StackValidationFailed: resources.a.properties.l.Ref: The template version is invalid: The function Ref is not \
         supported in this version of HOT.",
    );
    assert!(rocky("outputs: {o: {value: {get_resource: zz}}}").unwrap_err().contains("\"zz\""));
}

#[test]
fn cycles_are_found_and_shown() {
    refused(
        "resources:\n  a: {type: OS::Heat::TestResource, properties: {v: {get_attr: [b, name]}}}\n  \
         b: {type: OS::Heat::TestResource, depends_on: a}\n",
        "CircularDependencyException: Circular Dependency Found: {TestResource \"a\": {TestResource \"b\"}, \
         TestResource \"b\": {TestResource \"a\"}}",
    );
    assert!(rocky("resources: {a: {type: T, properties: {v: {get_resource: a}}}}").unwrap_err().contains("Circular"));
}

#[test]
fn conditions_switch_resources_and_outputs() {
    let text = "
heat_template_version: rocky
parameters: {env: {type: string, default: test}}
conditions:
  is_prod: {equals: [{get_param: env}, prod]}
  not_prod: {not: is_prod}
resources:
  a: {type: T, condition: is_prod}
  b: {type: T, depends_on: a, properties: {x: {if: [is_prod, {get_resource: a}, none]}}}
  c: {type: T, condition: {and: [not_prod, true]}}
outputs:
  o: {condition: is_prod, value: {get_attr: [a, name]}}
  p: {value: {if: [is_prod, 1, 2]}}
";
    let test = bind(text).unwrap();
    test.validate(&|_, _| true).unwrap();
    assert_eq!(test.resources().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert!(test.resource("a").is_none());
    assert_eq!(test.required_resources("b").unwrap().len(), 0);
    assert_eq!(test.resolve_output("o", &NoResources).unwrap(), json!(null));
    assert_eq!(test.resolve_output("p", &NoResources).unwrap(), json!(2));
    assert_eq!(test.outputs().map(|(_, on)| on).collect::<Vec<_>>(), [false, true]);
    let prod = bind_with(text, json!({"env": "prod"})).unwrap();
    assert_eq!(prod.resources().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(prod.required_resources("b").unwrap().iter().collect::<Vec<_>>(), ["a"]);

    let unguarded = text.replace("{if: [is_prod, {get_resource: a}, none]}", "{get_resource: a}");
    assert_eq!(bind(&unguarded).unwrap().graph().unwrap_err().code(), "InvalidTemplateReference");
}

#[test]
fn conditions_are_checked() {
    refused(
        "conditions: {c2: 'true'}",
        "StackValidationFailed: Condition validation error: The definition of condition \"c2\" is invalid: true",
    );
    refused(
        "conditions: {c1: {not: c2}, c2: {not: c1}}\nresources: {a: {type: T, condition: c1}}",
        "StackValidationFailed: Condition validation error: Circular definition for condition \"c1\"",
    );
    refused(
        "conditions: {c1: {list_join: ['', [a]]}}",
        "StackValidationFailed: conditions.c1.list_join: The function \"list_join\" is invalid in this context",
    );
    refused(
        "resources: {a: {type: T, condition: nope}}",
        "StackValidationFailed: resources.a.condition: Invalid condition \"nope\"",
    );
    refused(
        "resources: {a: {type: T, properties: {x: {if: [nocond, 1, 2]}}}}",
        "StackValidationFailed: resources.a.properties.x.if: Invalid condition \"nocond\"",
    );
    // A broken condition that nobody uses harms nobody.
    assert_eq!(rocky("conditions: {c: {equals: [{get_param: nope}, 1]}}\nresources: {a: {type: T}}"), Ok(()));
    let chain = (1..3000).fold(String::from("conditions:\n  c0: true\n"), |text, number| {
        text + &format!("  c{number}: {{not: c{}}}\n", number - 1)
    });
    let reversed: String = {
        let mut lines: Vec<&str> = chain.lines().skip(1).collect();
        lines.reverse();
        format!("conditions:\n{}\nresources: {{a: {{type: T, condition: c2998}}}}\n", lines.join("\n"))
    };
    assert_eq!(rocky(&reversed), Ok(()));
}

#[test]
fn policies_metadata_and_external_ids_are_resolved() {
    let text = "
heat_template_version: rocky
parameters: {policy: {type: string, default: retain}}
resources:
  a: {type: T, deletion_policy: {get_param: policy}, metadata: {k: {get_param: policy}}}
  b: {type: T, external_id: abc, properties: {x: {get_resource: a}}}
  c: {type: T, deletion_policy: Zip}
  d: {type: T, external_id: abc, depends_on: a}
";
    let bound = bind(text).unwrap();
    assert_eq!(bound.deletion_policy("a").unwrap(), DeletionPolicy::Retain);
    assert_eq!(bound.resolve_metadata("a", &NoResources).unwrap(), json!({"k": "retain"}));
    assert_eq!(bound.resolve_metadata("b", &NoResources).unwrap(), json!({}));
    assert_eq!(bound.external_id("b").unwrap().as_deref(), Some("abc"));
    assert_eq!(bound.required_resources("b").unwrap().len(), 0);
    assert_eq!(bound.deletion_policy("c").unwrap_err().message(), "Invalid deletion policy \"Zip\"");
    assert_eq!(bound.required_resources("d").unwrap_err().code(), "InvalidExternalResourceDependency");
    let old = bind("heat_template_version: 2015-04-30\nresources: {a: {type: T, deletion_policy: delete}}").unwrap();
    assert!(old.deletion_policy("a").is_err());
}

#[test]
fn a_nested_template_sees_its_facade() {
    let text =
        "heat_template_version: rocky\nresources: {a: {type: T, deletion_policy: {resource_facade: deletion_policy}}}";
    let template = Arc::new(Template::parse(text).unwrap());
    let parameters = Parameters::new(&template, &Map::new(), &Map::new(), &PseudoParameters::default()).unwrap();
    let facade = ResourceFacade { deletion_policy: json!("Retain"), ..ResourceFacade::default() };
    let bound = template.bind(parameters, Arc::default(), Some(facade)).unwrap();
    assert_eq!(bound.deletion_policy("a").unwrap(), DeletionPolicy::Retain);
}

#[test]
fn missing_values_are_unknown_while_they_are_tolerated() {
    let text = "
heat_template_version: rocky
parameters: {p: {type: string}}
conditions: {c: {equals: [{get_param: p}, x]}}
resources: {a: {type: T, condition: c}}
";
    let template = Arc::new(Template::parse(text).unwrap());
    let parameters = Parameters::lenient(&template, &Map::new(), &Map::new(), &PseudoParameters::default()).unwrap();
    let bound = template.bind(parameters, Arc::default(), None).unwrap();
    assert_eq!(bound.resources().count(), 1);
    assert_eq!(bind(text).unwrap_err().code(), "UserParameterMissing");
}

#[test]
fn parameter_groups_name_each_parameter_once() {
    let groups = |groups: &str| {
        rocky(&format!("parameters: {{a: {{type: string, default: x}}}}\nparameter_groups: {groups}")).map_err(|e| {
            e.strip_prefix("StackValidationFailed: Parameter Groups error: ").map(str::to_owned).unwrap_or(e)
        })
    };
    assert_eq!(groups("[{label: g, parameters: [a]}]"), Ok(()));
    assert_eq!(groups("{}"), Err("parameter_groups: The parameter_groups should be a list.".into()));
    assert_eq!(
        groups("[{label: g, parameters: [a]}, {label: h, parameters: [a]}]"),
        Err("parameter_groups.h: The a parameter must be assigned to one parameter group only.".into())
    );
    assert_eq!(
        groups("[{label: g, parameters: [zz]}]"),
        Err("parameter_groups.g: The grouped parameter zz does not reference a valid parameter.".into())
    );
    assert!(groups("[{label: g}]").unwrap_err().contains("must be provided"));
}

#[test]
fn cloudformation_templates_are_read_too() {
    let text = "
AWSTemplateFormatVersion: '2010-09-09'
Description: old
Parameters: {Env: {Type: String, Default: test, AllowedValues: [test, prod]}}
Mappings: {Size: {test: {ram: '64'}, prod: {ram: '512'}}}
Conditions: {Prod: {'Fn::Equals': [{Ref: Env}, prod]}, Test: {'Fn::Not': [Prod]}}
Resources:
  A: {Type: T, Properties: {image: {Ref: Env}, name: {'Fn::FindInMap': [Size, {Ref: Env}, ram]}}}
  B: {Type: T, Condition: Prod, Properties: {image: {Ref: A}}}
  C: {Type: T, Condition: Test, DependsOn: A, DeletionPolicy: Retain, Properties: {image: {'Fn::GetAtt': [A, name]}}}
Outputs: {O: {Value: {'Fn::If': [Prod, {Ref: B}, {Ref: A}]}}}
";
    let bound = bind(text).unwrap();
    bound.validate(&|_, _| true).unwrap();
    assert_eq!(bound.graph().unwrap().order(&|name| bound.describe(name)).unwrap(), ["A", "C"]);
    let properties = bound.resolve_properties("A", &container(), &NoResources).unwrap();
    assert_eq!((properties.text("image"), properties.text("name")), (Some("test"), Some("64")));
    assert_eq!(bound.deletion_policy("C").unwrap(), DeletionPolicy::Retain);
    assert_eq!(bound.parameters().get("AWS::Region"), Some(&json!("ap-southeast-1")));
    assert!(bind("HeatTemplateFormatVersion: 2012-12-12\nConditions: {}").is_err());
    let mut wrong = container();
    wrong.insert("image".into(), PropertySchema::new(PropertyKind::Integer, ""));
    assert_eq!(
        bound.resolve_properties("A", &wrong, &NoResources).unwrap_err().message(),
        "Property error: Resources.A.Properties.image: Value 'test' is not an integer"
    );
}

mod fuzz {
    use proptest::prelude::*;

    use super::*;

    /// Values made of the words that mean something in templates.
    fn values() -> impl Strategy<Value = Value> {
        let words = prop::sample::select(vec![
            "a",
            "b",
            "p",
            "c1",
            "OS::Heat::None",
            "",
            ",",
            "%i%",
            "name",
            "yes",
            "rocky",
            "string",
            "Retain",
            "f.txt",
        ]);
        let keys = prop::sample::select(vec![
            "a",
            "b",
            "type",
            "properties",
            "depends_on",
            "value",
            "condition",
            "default",
            "get_attr",
            "get_param",
            "get_resource",
            "get_file",
            "if",
            "list_join",
            "str_replace",
            "template",
            "params",
            "repeat",
            "for_each",
            "map_merge",
            "not",
            "and",
            "equals",
            "digest",
            "make_url",
            "str_split",
            "contains",
            "Ref",
            "%i%",
            "metadata",
        ]);
        let leaf = prop_oneof![
            words.prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            any::<f32>().prop_map(|number| json!(number)),
            Just(Value::Null),
        ];
        leaf.prop_recursive(5, 60, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((keys.clone(), inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
            ]
        })
    }

    fn exercise(source: &Value) -> Result<()> {
        let template = Arc::new(Template::from_value(source)?);
        let parameters = Parameters::lenient(&template, &Map::new(), &Map::new(), &PseudoParameters::default())?;
        crate::parameters::validate_parameters(&parameters);
        let bound = template.bind(parameters, Arc::default(), None)?;
        let _ = bound.validate(&|_, _| true);
        let names: Vec<String> = bound.resources().map(|resource| resource.name.clone()).collect();
        for name in &names {
            let _ = bound.resolve_properties(name, &container(), &NoResources);
            let _ = bound.resolve_properties(name, &container(), &FetchedResources::default());
            let _ = (bound.resolve_metadata(name, &NoResources), bound.deletion_policy(name), bound.external_id(name));
        }
        for name in template.outputs().keys() {
            let _ = bound.resolve_output(name, &NoResources);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn no_template_panics(a in values(), b in values(), output in values(), parameter in values(), condition in values()) {
            let whole = json!({
                "heat_template_version": "wallaby", "parameters": {"p": parameter}, "conditions": {"c1": condition},
                "resources": {"a": a, "b": b}, "outputs": {"o": output}
            });
            let _ = exercise(&whole);
            let valid = json!({
                "heat_template_version": "wallaby",
                "parameters": {"p": {"type": "json", "default": parameter}}, "conditions": {"c1": {"equals": [condition, 1]}},
                "resources": {"a": {"type": "T", "properties": {"image": a, "environment": b}}, "b": {"type": "T"}},
                "outputs": {"o": {"value": output}}
            });
            let _ = exercise(&valid);
        }

        #[test]
        fn no_environment_panics(environment in values(), section in values()) {
            let _ = crate::environment::Environment::from_value(&environment);
            let registry = json!({"resource_registry": section});
            if let Ok(environment) = crate::environment::Environment::from_value(&registry) {
                let _ = environment.registry.resolve("a", "a", &|name| name == "name");
                let _ = environment.nested("a", Map::new()).to_map();
            }
        }
    }
}
