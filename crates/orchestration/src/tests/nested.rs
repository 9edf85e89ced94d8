//! Stacks in stacks: template resources, groups, whole stacks, identity types.

use http::Method;
use serde_json::{Value, json};

use super::support::{PROJECT, World, hot};

fn inner(value_type: &str) -> String {
    json!({
        "heat_template_version": "rocky",
        "parameters": {"size": {"type": value_type}, "flag": {"type": "string", "default": "no"}},
        "resources": {"r": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_param": "size"}}}},
        "outputs": {"o": {"value": {"get_attr": ["r", "output"]}}},
    })
    .to_string()
}

fn outer(size: &str) -> Value {
    let mut template = hot(json!({
        "n": {"type": "inner.yaml", "properties": {"size": size}},
        "after": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_attr": ["n", "o"]}}},
    }));
    template["outputs"] = json!({
        "o": {"value": {"get_attr": ["n", "o"]}},
        "deep": {"value": {"get_attr": ["n", "resource.r", "output"]}},
        "id": {"value": {"get_resource": "n"}},
    });
    template
}

#[tokio::test]
async fn a_template_is_a_type() {
    let world = World::new().await;
    let files = json!({"inner.yaml": inner("string")});
    let path = world.create("out", json!({"template": outer("big"), "files": files})).await;
    let stack = world.settle(&path).await;
    assert_eq!(stack["stack_status"], "CREATE_COMPLETE", "{stack}");
    let output = |stack: &Value, n: usize| stack["outputs"][n]["output_value"].clone();
    assert_eq!((output(&stack, 0), output(&stack, 1)), (json!("big"), json!("big")));
    assert!(
        output(&stack, 2).as_str().unwrap().starts_with(&format!("arn:openstack:heat::{PROJECT}:stacks/out-n-")),
        "{stack}"
    );
    assert_eq!(world.resource(&path, "after").await["attributes"]["output"], "big");
    let resource = world.resource(&path, "n").await;
    let links: Vec<&str> =
        resource["links"].as_array().unwrap().iter().map(|link| link["rel"].as_str().unwrap()).collect();
    assert_eq!(links, ["self", "stack", "nested"]);
    assert_eq!(world.get("/stacks").await["stacks"].as_array().unwrap().len(), 1);
    assert_eq!(world.get("/stacks?show_nested=true").await["stacks"].as_array().unwrap().len(), 2);
    let all = world.get(&format!("{path}/resources?nested_depth=2")).await;
    let names: Vec<(Value, Value)> = all["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["resource_name"].clone(), r["parent_resource"].clone()))
        .collect();
    assert!(names.contains(&(json!("r"), json!("n"))), "{names:?}");
    let child = resource["physical_resource_id"].as_str().unwrap().to_owned();

    let stack = world.update(&path, json!({"template": outer("huge"), "files": files})).await;
    assert_eq!((&stack["stack_status"], output(&stack, 0)), (&json!("UPDATE_COMPLETE"), json!("huge")));
    assert_eq!(world.resource(&path, "n").await["physical_resource_id"], json!(child), "updated in place");
    assert_eq!(world.resource(&path, "after").await["attributes"]["output"], "huge");

    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
    assert_eq!(world.get("/stacks?show_nested=true").await["stacks"], json!([]));
}

#[tokio::test]
async fn an_inner_failure_is_told_with_its_path() {
    let world = World::new().await;
    let bad = json!({"heat_template_version": "rocky", "resources": {"r": {"type": "OS::Heat::TestResource", "properties": {"fail": true}}}}).to_string();
    let template = hot(json!({"web": {"type": "bad.yaml"}}));
    let path = world.create("f", json!({"template": template, "files": {"bad.yaml": bad}})).await;
    let stack = world.settle(&path).await;
    assert_eq!(stack["stack_status"], "CREATE_FAILED");
    assert_eq!(
        stack["stack_status_reason"],
        "Resource CREATE failed: ValueError: resources.web.resources.r: Test Resource failed r"
    );
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
}

#[tokio::test]
async fn an_output_without_value_is_told_with_the_resource_it_belongs_to() {
    let world = World::new().await;
    let bad = json!({
        "heat_template_version": "rocky",
        "resources": {"r": {"type": "OS::Heat::TestResource"}},
        "outputs": {"o": {"value": {"get_param": "foo"}}},
    });
    let mut template = hot(json!({"parent": {"type": "bad.yaml"}}));
    template["outputs"] = json!({"o": {"value": {"get_attr": ["parent", "o"]}}});
    let path = world.create("f", json!({"template": template, "files": {"bad.yaml": bad.to_string()}})).await;
    let output = world.settle(&path).await["outputs"][0].take();
    assert_eq!(output["output_value"], Value::Null);
    assert_eq!(output["output_error"], "Error in parent output o: The Parameter (foo) was not provided.");
}

#[tokio::test]
async fn endless_nesting_is_refused() {
    let world = World::new().await;
    let own = json!({"heat_template_version": "rocky", "resources": {"r": {"type": "self.yaml"}}});
    let answer = world
        .member(
            Method::POST,
            "/stacks",
            json!({"stack_name": "s", "template": own, "files": {"self.yaml": own.to_string()}}),
        )
        .await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body["error"]["message"].as_str().unwrap().contains("Recursion depth exceeds 5."));
    let explosion = hot(json!({"g": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 100, "resource_def": {
        "type": "OS::Heat::ResourceGroup", "properties": {"count": 100, "resource_def": {"type": "OS::Heat::None"}}}}}}));
    let answer = world.member(Method::POST, "/stacks", json!({"stack_name": "s", "template": explosion})).await;
    assert_eq!(
        (answer.status, &answer.body["error"]["type"]),
        (400, &json!("RequestLimitExceeded")),
        "{}",
        answer.body
    );
}

fn group(count: u64, value: &str, removal: Value) -> Value {
    let mut template = hot(json!({"g": {"type": "OS::Heat::ResourceGroup", "properties": {
        "count": count, "removal_policies": removal,
        "resource_def": {"type": "OS::Heat::TestResource", "properties": {"value": format!("{value}-%index%")}},
    }}}));
    template["outputs"] = json!({
        "all": {"value": {"get_attr": ["g", "output"]}},
        "refs": {"value": {"get_attr": ["g", "refs"]}},
        "map": {"value": {"get_attr": ["g", "attributes", "output"]}},
        "one": {"value": {"get_attr": ["g", "resource.0.output"]}},
        "none": {"value": {"get_attr": ["g", "resource.9.output"]}},
    });
    template
}

#[tokio::test]
async fn groups_grow_shrink_and_remember() {
    let world = World::new().await;
    let path = world.deploy("grp", group(3, "a", json!([]))).await;
    let stack = world.get(&path).await["stack"].take();
    assert_eq!(stack["stack_status"], "CREATE_COMPLETE", "{stack}");
    let value = |stack: &Value, n: usize| stack["outputs"][n]["output_value"].clone();
    assert_eq!(value(&stack, 0), json!(["a-0", "a-1", "a-2"]));
    assert_eq!(value(&stack, 1).as_array().unwrap().len(), 3);
    assert_eq!(value(&stack, 2), json!({"0": "a-0", "1": "a-1", "2": "a-2"}));
    assert_eq!(value(&stack, 3), "a-0");
    assert_eq!(stack["outputs"][4]["output_error"], "Member '9' not found in group resource 'g'.");
    let stack = world.update(&path, json!({"template": group(2, "a", json!([{"resource_list": ["1"]}]))})).await;
    assert_eq!(value(&stack, 2), json!({"0": "a-0", "2": "a-2"}), "{stack}");
    let stack = world.update(&path, json!({"template": group(3, "b", json!([]))})).await;
    assert_eq!(value(&stack, 2), json!({"0": "b-0", "2": "b-2", "3": "b-3"}));
    let stack = world.update(&path, json!({"template": group(0, "b", json!([]))})).await;
    assert_eq!((&stack["stack_status"], value(&stack, 0)), (&json!("UPDATE_COMPLETE"), json!([])));
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
}

#[tokio::test]
async fn a_stack_is_a_resource() {
    let world = World::new().await;
    let inner = json!({"heat_template_version": "rocky", "parameters": {"p": {"type": "string"}},
        "resources": {"r": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_param": "p"}}}},
        "outputs": {"o": {"value": {"get_attr": ["r", "output"]}}}});
    let template = |p: &str, region: &str| {
        let mut template = hot(json!({"s": {"type": "OS::Heat::Stack", "properties": {
            "template": inner.to_string(), "parameters": {"p": p}, "context": {"region_name": region}}}}));
        template["outputs"] = json!({"o": {"value": {"get_attr": ["s", "outputs", "o"]}}});
        template
    };
    let answer =
        world.member(Method::POST, "/stacks", json!({"stack_name": "r", "template": template("x", "DARK")})).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("Cannot establish connection to Heat endpoint at region \"DARK\"")
    );
    let path = world.deploy("r", template("x", "RegionOne")).await;
    assert_eq!(world.get(&path).await["stack"]["outputs"][0]["output_value"], "x", "{}", world.get(&path).await);
    let stack = world.update(&path, json!({"template": template("y", "RegionOne")})).await;
    assert_eq!(
        (&stack["stack_status"], &stack["outputs"][0]["output_value"]),
        (&json!("UPDATE_COMPLETE"), &json!("y"))
    );
    assert_eq!(world.get("/stacks").await["stacks"].as_array().unwrap().len(), 2);
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
    assert_eq!(world.get("/stacks").await["stacks"], json!([]));
}

#[tokio::test]
async fn administrators_make_users() {
    let world = World::new().await;
    for (kind, id) in [("domains", "default"), ("roles", "member-role")] {
        world.fakes.add(kind, json!({"id": id, "name": id}));
    }
    let template = hot(json!({
        "p": {"type": "OS::Keystone::Project", "properties": {"name": "team"}},
        "u": {"type": "OS::Keystone::User", "properties": {"password": "x", "default_project": {"get_resource": "p"},
            "roles": [{"role": "member-role", "project": {"get_resource": "p"}}]}},
    }));
    let answer = world
        .ask(
            "admin",
            Method::POST,
            &format!("/orchestration/v1/{PROJECT}/stacks"),
            json!({"stack_name": "k", "template": template}),
        )
        .await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let path = format!("/stacks/k/{}", answer.body["stack"]["id"].as_str().unwrap());
    let stack = world.settle(&path).await;
    assert_eq!(stack["stack_status"], "CREATE_COMPLETE", "{stack}");
    let user = &world.fakes.all("users")[0];
    let project = &world.fakes.all("projects")[0];
    assert_eq!(user["default_project_id"], project["id"]);
    assert_eq!(project["id"].as_str().unwrap().len(), 32);
    assert_eq!(world.fakes.calls("PUT assignment"), 1);
    let answer = world.ask("admin", Method::DELETE, &format!("/orchestration/v1/{PROJECT}{path}"), Value::Null).await;
    assert_eq!(answer.status, 204);
    assert_eq!(world.settle(&path).await["stack_status"], "DELETE_COMPLETE");
    assert!(world.fakes.all("users").is_empty());
}

#[tokio::test]
async fn nested_work_goes_on_after_crashes() {
    for pause in [1, 5, 12, 25, 40] {
        let mut world = World::new().await;
        let inner = json!({"heat_template_version": "rocky", "parameters": {"n": {"type": "string"}},
            "resources": {"c": {"type": "OS::Zun::Container", "properties": {"image": "i", "name": {"get_param": "n"}}}}});
        let template =
            hot(json!({"g": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 3, "resource_def": {
            "type": "inner.yaml", "properties": {"n": "c%index%"}}}}}));
        let files = json!({"inner.yaml": inner.to_string()});
        let path = world.create("deep", json!({"template": template, "files": files})).await;
        for _ in 0..2 {
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            world = world.crash().await;
        }
        let stack = world.settle(&path).await;
        assert_eq!(stack["stack_status"], "CREATE_COMPLETE", "after {pause} ms: {stack}");
        assert_eq!(world.fakes.all("containers").len(), 3, "after {pause} ms");
        assert_eq!(world.get("/stacks?show_nested=true").await["stacks"].as_array().unwrap().len(), 5);
        world.member(Method::DELETE, &path, Value::Null).await;
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        world = world.crash().await;
        assert_eq!(world.settle(&path).await["stack_status"], "DELETE_COMPLETE");
        assert!(world.fakes.all("containers").is_empty());
        assert_eq!(world.get("/stacks?show_nested=true").await["stacks"], json!([]));
    }
}
