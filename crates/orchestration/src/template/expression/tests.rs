//! The table of spec 2.6, expression by expression.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;

use super::*;
use crate::{
    parameters::PseudoParameters,
    template::{BoundTemplate, FetchedResources, NoResources, yaml},
};

const PARAMETERS: &str = "
parameters:
  s: {type: string, default: hello}
  n: {type: number, default: 3}
  f: {type: number, default: 1.5}
  l: {type: comma_delimited_list, default: 'a,b,c'}
  e: {type: comma_delimited_list, default: ''}
  b: {type: boolean, default: false}
  j: {type: json, default: {k: [{x: 1}], z: null}}
  big: {type: string, default: 'BIG'}
";

const CONDITIONS: &str = "
conditions:
  c1: {equals: [{get_param: s}, hello]}
  c2: {not: c1}
";

fn bind(version: &str) -> BoundTemplate {
    let conditions =
        if version >= "2016-10-14" && version.starts_with('2') || version == "rocky" { CONDITIONS } else { "" };
    let text = format!(
        "heat_template_version: {version}\n{PARAMETERS}{conditions}\nresources:\n  r: {{type: T}}\n  q: {{type: T}}\n"
    );
    let template = Arc::new(Template::parse(&text).unwrap());
    let mut parameters = serde_json::Map::new();
    parameters.insert("big".into(), "x".repeat(100_000).into());
    let pseudo = PseudoParameters { stack_name: "st".into(), project_id: "p".into(), ..Default::default() };
    let parameters = Parameters::new(&template, &parameters, &serde_json::Map::new(), &pseudo).unwrap();
    let files = BTreeMap::from([
        ("f.txt".to_owned(), "text".to_owned()),
        ("file:///home/u/sub/g.txt".to_owned(), "deep".to_owned()),
    ]);
    template.bind(parameters, Arc::new(files), None).unwrap()
}

fn resources() -> FetchedResources {
    let mut fetched = FetchedResources::default();
    fetched.ids.insert("r".into(), json!("id-r"));
    let addresses = json!({"net": [{"addr": "10.0.0.5"}, {"addr": "10.0.0.6"}], "name": "word"});
    let mut put = |attribute: Option<&str>, value: Value| {
        let key = crate::template::AttributeReference {
            resource: "r".into(),
            attribute: attribute.map(Into::into),
            path: Vec::new(),
        };
        fetched.attributes.insert(key, value);
    };
    put(Some("addresses"), addresses.clone());
    put(None, json!({"addresses": addresses}));
    fetched
}

fn evaluate_in(version: &str, expression: &str) -> Result<Resolved, String> {
    let bound = bind(version);
    let value = yaml::parse_value(expression).unwrap();
    let text = |error: sahab_contract::Error| error.message().to_owned();
    let expression = Expression::parse(bound.template().version(), &value, "resources.a.properties.x").map_err(text)?;
    expression.resolve(&Scope { inputs: bound.inputs(), resources: &resources() }).map_err(text)
}

fn evaluate(expression: &str) -> Result<Resolved, String> {
    evaluate_in("rocky", expression)
}

#[track_caller]
fn gives(expression: &str, expected: Value) {
    assert_eq!(evaluate(expression), Ok(Resolved::Value(expected)), "{expression}");
}

#[track_caller]
fn fails(expression: &str, part: &str) {
    let error = evaluate(expression).expect_err(expression);
    assert!(error.contains(part), "{expression}: {error}");
}

#[test]
fn parameters_are_read_with_paths() {
    gives("{get_param: l}", json!(["a", "b", "c"]));
    gives("{get_param: [l, 1]}", json!("b"));
    gives("{get_param: [l, '1']}", json!("b"));
    gives("{get_param: [l, 9]}", json!(""));
    gives("{get_param: [l, x]}", json!(""));
    gives("{get_param: [j, nope]}", json!(""));
    gives("{get_param: [j, k, 0, x]}", json!(1));
    gives("{get_param: [j, k, '0', x]}", json!(1));
    gives("{get_param: [j, z]}", json!(null));
    gives("{get_param: [j, z, y]}", json!(""));
    gives("{get_param: [s, 0]}", json!("h"));
    gives("{get_param: e}", json!([]));
    gives("{get_param: f}", json!(1.5));
    gives("{get_param: 'OS::stack_name'}", json!("st"));
    gives("{get_param: 'OS::stack_id'}", json!("None"));
    fails("{get_param: nope}", "The Parameter (nope) was not provided.");
    fails("{get_param: []}", "must have arguments");
    fails("{get_param: {a: b}}", "must be string or list");
}

#[test]
fn files_are_included() {
    gives("{get_file: f.txt}", json!("text"));
    gives("{get_file: {list_join: ['.', [f, txt]]}}", json!("text"));
    gives("{get_file: sub/g.txt}", json!("deep"));
    gives("{get_file: ./f.txt}", json!("text"));
    fails("{get_file: no.txt}", "No content found in the \"files\" section for get_file path: no.txt");
    gives("{get_file: ../g.txt}", json!("deep"));
    fails("{get_file: [f.txt]}", "must be a string");
}

#[test]
fn lists_are_joined() {
    gives("{list_join: [',', [a, b]]}", json!("a,b"));
    gives("{list_join: [',', [a, null, b]]}", json!("a,,b"));
    gives("{list_join: [',', [a, {k: v}, [1, 2]]]}", json!("a,{\"k\": \"v\"},[1, 2]"));
    gives("{list_join: [',', [a], [b], null, [c]]}", json!("a,b,c"));
    gives("{list_join: [',', []]}", json!(""));
    fails("{list_join: [',', [a, 1]]}", "Items to join must be string, map or list not 1");
    fails("{list_join: [',']}", "resources.a.properties.x.list_join: Incorrect arguments to \"list_join\"");
    fails("{list_join: [1, [a]]}", "delimiter must be a string");
    fails("{list_join: [',', abc]}", "must operate on a list");
    assert_eq!(
        evaluate_in("2015-04-30", "{list_join: [',', [a, {k: v}]]}"),
        Err("Items to join must be strings not {'k': 'v'}".into())
    );
}

#[test]
fn placeholders_are_replaced_in_one_pass() {
    gives("{str_replace: {template: 'a $x b', params: {$x: 1}}}", json!("a 1 b"));
    gives("{str_replace: {template: 'a $x b', params: {$x: null}}}", json!("a  b"));
    gives("{str_replace: {template: 'a $x b', params: {$x: true}}}", json!("a True b"));
    gives("{str_replace: {template: 'a $x b', params: {$x: {z: 1, k: [1]}}}}", json!("a {\"k\": [1], \"z\": 1} b"));
    gives("{str_replace: {template: '$xx $x', params: {$x: A, $xx: B}}}", json!("B A"));
    gives("{str_replace: {template: ab, params: {a: b, b: a}}}", json!("ba"));
    gives("{str_replace: {template: ab, params: {}}}", json!("ab"));
    fails("{str_replace: {template: 1, params: {}}}", "template must be a string");
    fails("{str_replace: {template: a, params: []}}", "parameters must be a mapping");
    fails("{str_replace: {template: a}}", "syntax should be");
    fails("{str_replace: [a]}", "must be a map");
    gives("{str_replace_strict: {template: x, params: {x: null}}}", json!(""));
    fails(
        "{str_replace_strict: {template: x, params: {y: a}}}",
        "The following params were not found in the template: y",
    );
    // Strictness: 2017-02-24 and 2017-09-01.
    for empty in ["null", "''", "[]", "{}"] {
        fails(&format!("{{str_replace_vstrict: {{template: x, params: {{x: {empty}}}}}}}"), "undefined or empty value");
    }
    assert!(
        evaluate_in("2014-10-16", "{str_replace: {template: x, params: {x: [1]}}}")
            .unwrap_err()
            .contains("strings or numbers")
    );
}

#[test]
fn strings_are_split() {
    gives("{str_split: [',', 'a,b,c']}", json!(["a", "b", "c"]));
    gives("{str_split: [',', 'a,b,c', 1]}", json!("b"));
    gives("{str_split: [',', 'a,b,c', '2']}", json!("c"));
    gives("{str_split: [',', 'a,b,c', -1]}", json!("c"));
    gives("{str_split: [',', null]}", json!(null));
    fails("{str_split: [',', 'a,b,c', 9]}", "Incorrect index to \"str_split\" should be between 0 and 2");
    fails("{str_split: [',', 'a,b,c', x]}", "Incorrect index");
    fails("{str_split: ['', 'a']}", "empty separator");
    fails("{str_split: abc}", "Incorrect arguments");
}

#[test]
fn templates_are_repeated() {
    gives("{repeat: {template: v-%i%, for_each: {'%i%': [a, b]}}}", json!(["v-a", "v-b"]));
    gives(
        "{repeat: {template: {'%i%': 'x%j%'}, for_each: {'%i%': [a, b], '%j%': ['1', '2']}}}",
        json!([{"a": "x1"}, {"a": "x2"}, {"b": "x1"}, {"b": "x2"}]),
    );
    gives(
        "{repeat: {template: '%i%%j%', for_each: {'%i%': [a, b], '%j%': ['1', '2']}, permutations: false}}",
        json!(["a1", "b2"]),
    );
    gives("{repeat: {template: '%i%', for_each: {'%i%': {k1: 1, k2: 2}}}}", json!(["k1", "k2"]));
    gives("{repeat: {template: '%i%', for_each: {'%i%': null}}}", json!([]));
    gives("{repeat: {template: '%i%', for_each: {'%i%': []}}}", json!([]));
    gives(
        "{repeat: {template: {repeat: {template: '%i%%j%', for_each: {'%j%': [x, y]}}}, for_each: {'%i%': [a, b]}}}",
        json!([["ax", "ay"], ["bx", "by"]]),
    );
    fails("{repeat: {template: '%i%', for_each: {'%i%': [1]}}}", "must be str, not int");
    fails("{repeat: {template: '%i%', for_each: {'%i%': [{a: b}]}}}", "must be str, not dict");
    fails("{repeat: {template: '%i%', for_each: {'%i%': abc}}}", "must be lists or maps");
    fails("{repeat: {template: '%i%', for_each: [a]}}", "must contain a map");
    fails(
        "{repeat: {template: '%i%%j%', for_each: {'%i%': [a], '%j%': [b, c]}, permutations: false}}",
        "should be equal",
    );
    fails("{repeat: {template: a, for_each: {a: [b]}, permutations: 'no'}}", "should be boolean");
    assert!(
        evaluate_in("2016-04-08", "{repeat: {template: i, for_each: {i: {a: 1}}}}")
            .unwrap_err()
            .contains("must be lists")
    );
}

#[test]
fn maps_are_merged_and_rewritten() {
    gives("{map_merge: [{a: 1}, {b: 2}, null, {a: 3}]}", json!({"a": 3, "b": 2}));
    fails("{map_merge: [{a: 1}, x]}", "Items to merge must be maps. 'x' is type <class 'str'>");
    gives("{map_replace: [{k1: v1, k2: v2}, {keys: {k1: K1}, values: {v2: V2}}]}", json!({"K1": "v1", "k2": "V2"}));
    gives("{map_replace: [{k1: [v1]}, {values: {v1: V1}}]}", json!({"k1": ["v1"]}));
    fails("{map_replace: [{a: 1, b: 2}, {keys: {a: b}}]}", "collides with a key in the input map");
    fails("{map_replace: [{a: 1, b: 2}, {keys: {a: c, b: c}}]}", "collides with a key in the output map");
    fails("{map_replace: [{a: 1}]}", "Incorrect arguments");
    fails("{map_replace: [{a: 1}, {bogus: {}}]}", "Incorrect arguments");
}

#[test]
fn lists_are_concatenated_filtered_and_searched() {
    gives("{list_concat: [[a], [b], null]}", json!(["a", "b"]));
    fails("{list_concat: [[a], b]}", "contains an item that is not a list: \"b\"");
    gives("{list_concat_unique: [[a, b], [b, c], [1, '1']]}", json!(["a", "b", "c", 1, "1"]));
    gives("{filter: [[a, null], [a, b, null, c]]}", json!(["b", "c"]));
    gives("{filter: [[a], null]}", json!(null));
    fails("{filter: [a, [a, b]]}", "filters a list of values");
    fails("{filter: [[a]]}", "expected 2 arguments");
    gives("{contains: [a, [a, b]]}", json!(true));
    gives("{contains: [a, abc]}", json!(true));
    gives("{contains: [x, [a]]}", json!(false));
    fails("{contains: [a, {a: 1}]}", "should be a sequence");
    fails("{contains: [1, abc]}", "requires string as left operand, not int");
}

#[test]
fn digests_and_urls() {
    gives("{digest: [md5, abc]}", json!("900150983cd24fb0d6963f7d28e17f72"));
    gives("{digest: [SHA1, abc]}", json!("a9993e364706816aba3e25717850c26c9cd0d89d"));
    // latin-1, and UTF-8 where that ends.
    gives("{digest: [md5, 'é']}", json!("3406877694691ddd1dfb0aca54681407"));
    gives("{digest: [md5, '€']}", json!("bca53fde466a76b7bee3e18997e94a7a"));
    fails("{digest: [md4x, abc]}", "Algorithm must be one of");
    fails("{digest: [md5, 1]}", "must be a list of strings");
    gives("{make_url: {}}", json!(""));
    gives("{make_url: {host: '::1', port: 80}}", json!("//[::1]:80"));
    gives(
        "{make_url: {scheme: http, username: 'u@', password: 'p:w', host: example.com, port: 8080, path: 'a b/c', \
         query: {k: 'v/+w', a: 1}, fragment: 'f g'}}",
        json!("http://u%40:p%3Aw@example.com:8080/a%20b/c?k=v/%2Bw&a=1#f%20g"),
    );
    fails("{make_url: {port: 70000}}", "Invalid URL port 70000, must be in range 1-65535");
    fails("{make_url: {hots: a}}", "Invalid arguments to \"make_url\": hots");
    fails("{make_url: {scheme: 'a:b'}}", "should not contain ':'");
    fails("{make_url: {query: x}}", "must be a map");
}

#[test]
fn attributes_are_fetched_and_walked() {
    gives("{get_resource: r}", json!("id-r"));
    gives("{get_attr: [r, addresses, net, 0, addr]}", json!("10.0.0.5"));
    gives("{get_attr: [r, addresses, net, -1, addr]}", json!("10.0.0.6"));
    gives("{get_attr: [r, addresses, net, '0', addr]}", json!(null));
    gives("{get_attr: [r, addresses, net, 7]}", json!(null));
    gives("{get_attr: [r, addresses, nope, x]}", json!(null));
    gives("{get_attr: [r, addresses, name, 0]}", json!("w"));
    gives("{get_attr: [r, addresses, {list_join: ['', [ne, t]]}, 1, addr]}", json!("10.0.0.6"));
    gives(
        "{get_attr: [r]}",
        json!({"addresses": {"net": [{"addr": "10.0.0.5"}, {"addr": "10.0.0.6"}], "name": "word"}}),
    );
    assert_eq!(
        evaluate_in("2013-05-23", "{get_attr: [r, addresses, net, 0, addr]}"),
        Ok(Resolved::Value(json!("10.0.0.5")))
    );
    fails("{get_attr: []}", "Arguments to \"get_attr\" can be of the next forms");
    assert!(evaluate_in("2014-10-16", "{get_attr: [r]}").unwrap_err().contains("must be of the form"));
    fails("{get_attr: r}", "must be a list");
    fails("{get_resource: zz}", "The specified reference \"zz\"");
}

#[test]
fn what_depends_on_resources_to_come_is_unknown() {
    for expression in [
        "{get_resource: q}",
        "{get_attr: [q, addresses]}",
        "{get_attr: [q]}",
        "{list_join: [',', [{get_attr: [q, name]}]]}",
        "{str_replace: {template: x, params: {x: {get_resource: q}}}}",
        "{k: [{get_resource: q}]}",
    ] {
        assert_eq!(evaluate(expression), Ok(Resolved::Unknown), "{expression}");
    }
}

#[test]
fn branches_are_chosen_by_conditions() {
    gives("{if: [c1, yes, no]}", json!(true));
    gives("{if: [c2, a, b]}", json!("b"));
    gives("{if: [false, a, b]}", json!("b"));
    gives("{if: [{not: c1}, a, b]}", json!("b"));
    gives("{if: [{and: [c1, {not: c2}, {equals: [{get_param: n}, 3.0]}]}, a, b]}", json!("a"));
    gives("{if: [{or: [c2, false]}, a, b]}", json!("b"));
    gives("{if: [{contains: [a, {get_param: l}]}, a, b]}", json!("a"));
    // The branch not taken is not resolved.
    gives("{if: [c1, a, {get_param: nope}]}", json!("a"));
    gives("{if: [c1, a, {list_join: ['']}]}", json!("a"));
    fails("{if: [c2, a, {list_join: ['']}]}", "resources.a.properties.x.if.list_join: Incorrect arguments");
    fails("{if: [nocond, a, b]}", "Invalid condition \"nocond\"");
    fails("{if: ['true', a, b]}", "Invalid condition \"true\"");
    fails("{if: [c1, a]}", "must be of the form: [condition_name, value_if_true, value_if_false]");
    fails("{if: [{list_join: ['', [c, '1']]}, a, b]}", "The function \"list_join\" is invalid in this context");
    fails("{if: [{and: [c1]}, a, b]}", "The minimum number of condition arguments to \"and\" is 2.");
    fails("{if: [{equals: [a]}, a, b]}", "[value_1, value_2]");
    fails("{if: [{not: null}, a, b]}", "must be a condition");
}

#[test]
fn an_omitted_branch_takes_its_item_or_key_away() {
    let wallaby = |expression: &str| {
        let bound = bind("wallaby");
        let value = yaml::parse_value(expression).unwrap();
        let expression = Expression::parse(Version::Wallaby, &value, "x").unwrap();
        expression.resolve(&Scope { inputs: bound.inputs(), resources: &NoResources }).unwrap()
    };
    assert_eq!(wallaby("[a, {if: [false, b]}, c]"), Resolved::Value(json!(["a", "c"])));
    assert_eq!(wallaby("{a: 1, b: {if: [false, x]}}"), Resolved::Value(json!({"a": 1})));
    assert_eq!(wallaby("{if: [false, x]}"), Resolved::Omitted);
    assert_eq!(wallaby("{if: [true, x]}"), Resolved::Value(json!("x")));
}

#[test]
fn only_a_map_with_one_known_name_is_a_call() {
    gives("{unknown_fn: 1}", json!({"unknown_fn": 1}));
    gives("{get_param: s, other: 1}", json!({"get_param": "s", "other": 1}));
    gives("{equals: [a, a]}", json!({"equals": ["a", "a"]}));
    assert_eq!(evaluate_in("2016-04-08", "{if: [a, b, c]}"), Ok(Resolved::Value(json!({"if": ["a", "b", "c"]}))));
    fails("{yaql: {expression: '$.data', data: []}}", "is not supported by this service");
    fails("{resource_facade: bogus}", "should be one of: metadata, deletion_policy, update_policy");
    fails("{resource_facade: metadata}", "nested templates only");
}

#[test]
fn cloudformation_functions_work_in_the_first_version() {
    let old = |expression: &str| evaluate_in("2013-05-23", expression);
    let value = |value: Value| Ok(Resolved::Value(value));
    assert_eq!(old("{Ref: s}"), value(json!("hello")));
    assert_eq!(old("{Ref: r}"), value(json!("id-r")));
    assert!(old("{Ref: zz}").unwrap_err().contains("\"zz\""));
    assert_eq!(old("{'Fn::Select': [1, [a, b]]}"), value(json!("b")));
    assert_eq!(old("{'Fn::Select': ['1', [a, b]]}"), value(json!("b")));
    assert_eq!(old("{'Fn::Select': [k, {k: v}]}"), value(json!("v")));
    assert_eq!(old("{'Fn::Select': [9, [a, b]]}"), value(json!("")));
    assert_eq!(old("{'Fn::Select': [1, '[\"a\", \"b\"]']}"), value(json!("b")));
    assert_eq!(old("{'Fn::Join': ['-', [a, b]]}"), value(json!("a-b")));
    assert_eq!(old("{'Fn::Split': [',', 'a,b']}"), value(json!(["a", "b"])));
    assert_eq!(old("{'Fn::Replace': [{a: b}, aa]}"), value(json!("bb")));
    assert_eq!(old("{'Fn::Base64': x}"), value(json!("x")));
    assert_eq!(old("{'Fn::GetAZs': ''}"), value(json!(["nova"])));
    assert_eq!(
        old("{'Fn::MemberListToMap': [Name, Value, ['.member.0.Name=a', '.member.0.Value=b', '.member.1.Name=c']]}"),
        value(json!({"a": "b"}))
    );
}

#[test]
fn explosions_are_stopped() {
    let lists = ["a", "b", "c", "d", "e"].map(|key| format!("'%{key}%': [{}]", vec!["x"; 100].join(", "))).join(", ");
    fails(&format!("{{repeat: {{template: '%a%%b%%c%%d%%e%', for_each: {{{lists}}}}}}}"), "more than the maximum");
    let hundred = format!("[{}]", vec!["x"; 100].join(", "));
    let nested = (0..6).fold(String::from("'%i%'"), |inner, _| {
        format!("{{repeat: {{template: {inner}, for_each: {{'%i%': {hundred}}}}}}}")
    });
    fails(&nested, "exceeds the maximum allowed size");
    let many = format!("[{}]", vec!["{get_param: big}"; 1000].join(", "));
    fails(&many, "exceeds the maximum allowed size");
    let replace = format!("{{str_replace: {{template: '{}', params: {{x: {{get_param: big}}}}}}}}", "x".repeat(10_000));
    fails(&replace, "exceeds the maximum allowed size");
}

#[test]
fn references_name_resources_attributes_and_known_paths() {
    let bound = bind("rocky");
    let value = yaml::parse_value(
        "{a: {get_resource: r}, b: {get_attr: [q, addresses, {get_param: s}, {get_attr: [r, name]}, 0]}, \
         c: {if: [c2, {get_resource: nope}, {get_attr: [r]}]}}",
    )
    .unwrap();
    let expression = Expression::parse(Version::Rocky, &value, "resources.a.properties").unwrap();
    let references = expression.references(bound.inputs()).unwrap();
    assert_eq!(references.ids.iter().collect::<Vec<_>>(), ["r"]);
    let attributes: Vec<_> =
        references.attributes.iter().map(|a| (a.resource.as_str(), a.attribute.as_deref(), a.path.clone())).collect();
    assert_eq!(
        attributes,
        [("r", Some("name"), vec![]), ("q", Some("addresses"), vec![json!("hello")]), ("r", None, vec![])]
    );
    assert_eq!(references.resources().into_iter().collect::<Vec<_>>(), ["r", "q"]);
    let wrong =
        Expression::parse(Version::Rocky, &json!({"x": [{"get_resource": "zz"}]}), "resources.a.properties").unwrap();
    let error = wrong.references(bound.inputs()).unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        ("InvalidTemplateReference", "The specified reference \"zz\" (in a.Properties.x[0]) is incorrect.")
    );
}
