//! What a create or an update would do.

use http::Method;
use serde_json::{Value, json};

use super::support::{World, hot};

/// A template with one resource whose value is its parameter, and perhaps more.
fn inner(more: Value) -> String {
    let mut template =
        hot(json!({"r": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_param": "v"}}}}));
    template["parameters"] = json!({"v": {"type": "string"}});
    for (name, definition) in more.as_object().unwrap() {
        template["resources"][name] = definition.clone();
    }
    template.to_string()
}

fn names(list: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        list.as_array().unwrap().iter().map(|item| item["resource_name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_preview_shows_what_is_inside_of_what_is_not_there_yet() {
    let world = World::new().await;
    let template = hot(json!({
        "one": {"type": "OS::Heat::TestResource"},
        "n": {"type": "inner.yaml", "properties": {"v": {"get_resource": "one"}}},
        "g": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 2, "resource_def": {
            "type": "inner.yaml", "properties": {"v": {"get_resource": "one"}}}}},
        "later": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 1, "resource_def": {
            "type": "inner.yaml", "properties": {"v": {"get_attr": ["one", "output"]}}}}},
    }));
    let files = json!({"inner.yaml": inner(json!({}))});
    let body = json!({"stack_name": "p", "template": template, "files": files});
    let answer = world.member(Method::POST, "/stacks/preview", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let resources = &answer.body["stack"]["resources"];
    assert_eq!(resources[0]["resource_name"], "one");
    let nested = &resources[1][0];
    assert_eq!((&nested["stack_name"], &nested["parent_resource"]), (&json!("p-n"), &json!("n")));
    assert_eq!(nested["properties"]["value"], "one", "what does not exist is called by its name");
    assert_eq!(resources[2].as_array().unwrap().len(), 2);
    assert_eq!(resources[2][1][0]["stack_name"], "p-g-1");
    assert_eq!(resources[3]["resource_name"], "later", "its content depends on what is not known");

    let wrong =
        hot(json!({"r": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_param": "missing"}}}}));
    let answer = world.member(Method::POST, "/stacks/preview", json!({"stack_name": "p", "template": wrong})).await;
    assert_eq!(
        (answer.status, &answer.body["error"]["message"]),
        (400, &json!("Property error: : resources.r.properties.value: : The Parameter (missing) was not provided."))
    );
}

#[tokio::test]
async fn a_preview_of_groups_in_groups_is_bounded() {
    let world = World::new().await;
    let group = |definition: Value| json!({"type": "OS::Heat::ResourceGroup", "properties": {"count": 900, "resource_def": definition}});
    let file = hot(json!({"g": group(json!({"type": "OS::Heat::None"}))}));
    let template = hot(json!({
        "one": {"type": "OS::Heat::TestResource"},
        "g": group(json!({"type": "many.yaml", "metadata": {"get_attr": ["one", "output"]}})),
    }));
    let body = json!({"stack_name": "p", "template": template, "files": {"many.yaml": file.to_string()}});
    let answer = world.member(Method::POST, "/stacks/preview", body).await;
    assert_eq!(
        (answer.status, &answer.body["error"]["type"]),
        (400, &json!("RequestLimitExceeded")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_preview_of_an_update_looks_inside_when_asked() {
    let world = World::new().await;
    let template = |value: &str, kept: &str, group: Value| {
        let mut resources = json!({
            "n": {"type": "inner.yaml", "properties": {"v": value}},
            "g": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 1, "resource_def": {"type": "OS::Heat::None"}}},
        });
        resources[kept] = json!({"type": "inner.yaml", "properties": {"v": "same"}});
        if !group.is_null() {
            resources["g"]["properties"]["count"] = group;
        }
        hot(resources)
    };
    let extra = json!({"extra": {"type": "OS::Heat::None"}});
    let path = world
        .create("up", json!({"template": template("a", "old", Value::Null), "files": {"inner.yaml": inner(extra)}}))
        .await;
    assert_eq!(world.settle(&path).await["stack_status"], "CREATE_COMPLETE");
    let added = json!({"fresh": {"type": "OS::Heat::None"}});
    let body = json!({"template": template("b", "new", json!(2)), "files": {"inner.yaml": inner(added)}});
    let plain = world.member(Method::PUT, &format!("{path}/preview"), body.clone()).await;
    assert_eq!(plain.status, 200, "{}", plain.body);
    let changes = &plain.body["resource_changes"];
    assert_eq!(names(&changes["updated"]), ["g", "n"]);
    assert_eq!((names(&changes["added"]), names(&changes["deleted"])), (vec!["new"], vec!["old"]));

    let deep = world.member(Method::PUT, &format!("{path}/preview?show_nested=true"), body.clone()).await;
    assert_eq!(deep.status, 200, "{}", deep.body);
    let changes = &deep.body["resource_changes"];
    assert_eq!(names(&changes["updated"]), ["g", "n", "r"]);
    assert_eq!(names(&changes["unchanged"]), ["0"]);
    assert_eq!(names(&changes["added"]), ["1", "fresh", "fresh", "new", "r"]);
    assert_eq!(names(&changes["deleted"]), ["extra", "extra", "old", "r"]);
    let inside = changes["updated"].as_array().unwrap().iter().find(|item| item["resource_name"] == "r").unwrap();
    assert_eq!(inside["parent_resource"], "n");
    assert!(inside["stack_name"].as_str().unwrap().starts_with("up-n-"), "{inside}");
    assert_eq!(world.resource(&path, "n").await["resource_status"], "CREATE_COMPLETE", "nothing was done");

    let odd = world.member(Method::PUT, &format!("{path}/preview?show_nested=perhaps"), body).await;
    assert_eq!(odd.status, 400);
}

#[tokio::test]
async fn validation_shows_what_templates_want() {
    let world = World::new().await;
    let template = hot(json!({"n": {"type": "outer.yaml", "properties": {"v": "x"}}}));
    let wrong = json!({"deep": {"type": "inner.yaml", "properties": {"unknown": "x"}}});
    let files = json!({"outer.yaml": inner(wrong), "inner.yaml": inner(json!({}))});
    let body = json!({"template": template, "files": files});
    let answer = world.member(Method::POST, "/validate?show_nested=true", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.body["Environment"],
        json!({
            "parameters": {}, "parameter_defaults": {}, "event_sinks": [],
            "resource_registry": {"resources": {}, "outer.yaml": "outer.yaml"},
        })
    );
    let outer = &answer.body["NestedParameters"]["n"];
    assert_eq!(outer["Parameters"]["v"]["Value"], "x");
    assert_eq!(outer["NestedParameters"]["deep"]["Parameters"]["v"]["Type"], "String");
}
