//! The wire: errors, redirects, lists, and who may do what.

use http::{Method, header};
use serde_json::{Value, json};

use super::support::{PROJECT, World, hot};

#[tokio::test]
async fn versions_and_unknown_paths() {
    let world = World::new().await;
    let answer = world.ask("", Method::GET, "/orchestration/", Value::Null).await;
    assert_eq!(answer.status, 300);
    assert_eq!(answer.body["versions"][0]["links"][0]["href"], "http://cloud:5000/orchestration/v1/");
    assert_eq!(world.ask("", Method::GET, "/orchestration/v7/x", Value::Null).await.status, 300);
    let answer = world.ask("", Method::GET, "/orchestration/v1", Value::Null).await;
    assert_eq!((answer.status, &answer.body["title"]), (404, &json!("Not Found")));
}

#[tokio::test]
async fn names_ids_and_arns_lead_to_the_canonical_place() {
    let world = World::new().await;
    let path = world.deploy("web", hot(json!({}))).await;
    let id = path.rsplit('/').next().unwrap();
    let target = format!("http://cloud:5000/orchestration/v1/{PROJECT}{path}");
    let arn = format!("arn:openstack:heat::{PROJECT}:stacks/web/{id}");
    for name in ["web", id, &sahab_contract::cloud::escape(&arn), &arn] {
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE, Method::POST] {
            let answer = world.member(method, &format!("/stacks/{name}?a=b"), json!({})).await;
            assert_eq!(answer.status, 302, "{name}: {}", answer.body);
            assert_eq!(answer.headers[header::LOCATION], format!("{target}?a=b"));
        }
    }
    let answer = world.member(Method::GET, "/stacks/web/events", Value::Null).await;
    assert_eq!(answer.headers[header::LOCATION], format!("{target}/events"));
    let answer = world.member(Method::GET, "/stacks/nope", Value::Null).await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.body["error"],
        json!({"type": "EntityNotFound", "traceback": null, "message": "The Stack (nope) could not be found."})
    );
    assert_eq!(answer.body["explanation"], "The resource could not be found.");
    assert_eq!(world.member(Method::GET, &format!("/stacks/other/{id}"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let world = World::new().await;
    world.deploy("taken", hot(json!({}))).await;
    let none = || hot(json!({}));
    for (body, status, kind, text) in [
        (json!({"template": none()}), 400, "HTTPBadRequest", "No stack name specified"),
        (json!({"stack_name": "a"}), 400, "HTTPBadRequest", "No template specified"),
        (json!({"stack_name": "1", "template": none()}), 400, "StackValidationFailed", "Invalid stack name 1 must"),
        (json!({"stack_name": "taken", "template": none()}), 409, "StackExists", "The Stack (taken) already exists."),
        (json!({"stack_name": "a", "template": none(), "converge": true}), 400, "HTTPBadRequest", "converge flag only"),
        (
            json!({"stack_name": "a", "template": none(), "disable_rollback": "maybe"}),
            400,
            "HTTPBadRequest",
            "Unrecognized value \"maybe\"",
        ),
        (
            json!({"stack_name": "a", "template": none(), "timeout_mins": -1}),
            400,
            "HTTPBadRequest",
            "Value '-1' is invalid",
        ),
        (json!({"stack_name": "a", "template": none(), "adopt_stack_data": "{}"}), 400, "NotSupported", "Adopt"),
        (
            json!({"stack_name": "a", "template": none(), "tags": "x".repeat(81)}),
            400,
            "HTTPBadRequest",
            "is longer than 80",
        ),
        (
            json!({"stack_name": "a", "template_url": "file:///etc/passwd"}),
            400,
            "HTTPBadRequest",
            "Could not retrieve template: Invalid URL scheme file",
        ),
        (json!({"stack_name": "a", "template_url": "http://127.0.0.1:1/"}), 400, "HTTPBadRequest", "not a public"),
        (
            json!({"stack_name": "a", "template": hot(json!({"x": {"type": "OS::Foo::Bar"}}))}),
            400,
            "StackValidationFailed",
            "The Resource Type (OS::Foo::Bar) could not be found.",
        ),
        (
            json!({"stack_name": "a", "template": hot(json!({"x": {"type": "OS::Nova::Server"}}))}),
            400,
            "ResourceTypeUnavailable",
            "HEAT-E99001 Service nova is not available",
        ),
        (
            json!({"stack_name": "a", "template": hot(json!({"x": {"type": "OS::Heat::TestResource", "properties": {"bogus": 1}}}))}),
            400,
            "StackValidationFailed",
            "Unknown Property bogus",
        ),
        (
            json!({"stack_name": "a", "template": hot(json!({"x": {"type": "OS::Heat::RandomString", "properties": {"length": 0}}}))}),
            400,
            "StackValidationFailed",
            "out of range",
        ),
        (
            json!({"stack_name": "a", "template": hot(json!({"x": {"type": "OS::Heat::Value", "properties": {"value": {"get_resource": "zz"}}}}))}),
            400,
            "InvalidTemplateReference",
            "The specified reference \"zz\"",
        ),
        (
            json!({"stack_name": "a", "template": hot(json!({
                "x": {"type": "OS::Heat::Value", "properties": {"value": {"get_resource": "y"}}},
                "y": {"type": "OS::Heat::Value", "properties": {"value": {"get_resource": "x"}}},
            }))}),
            400,
            "CircularDependencyException",
            "Circular Dependency Found:",
        ),
        (
            json!({"stack_name": "a", "template": hot(json!({"x": {"type": "nested.yaml"}}))}),
            400,
            "StackValidationFailed",
            "Could not fetch remote template",
        ),
    ] {
        let answer = world.member(Method::POST, "/stacks", body).await;
        let message = answer.body["error"]["message"].as_str().unwrap_or_default();
        assert!(answer.status == status && message.contains(text), "{text}: {} {}", answer.status, answer.body);
        assert_eq!(answer.body["error"]["type"], kind, "{text}");
    }
    assert_eq!(world.get("/stacks").await["stacks"].as_array().unwrap().len(), 1, "nothing half done");
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        let path = world.create(name, json!({"template": hot(json!({})), "tags": format!("all,tag-{name}")})).await;
        world.settle(&path).await;
    }
    let names = async |query: &str| -> Vec<String> {
        let list = world.get(&format!("/stacks{query}")).await;
        list["stacks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|stack| stack["stack_name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("").await, ["c", "b", "a"]);
    assert_eq!(names("?sort_keys=stack_name&sort_dir=asc").await, ["a", "b", "c"]);
    assert_eq!(names("?tags=all,tag-b").await, ["b"]);
    assert_eq!(names("?tags_any=tag-a,tag-b").await, ["b", "a"]);
    assert_eq!(names("?not_tags_any=tag-a,tag-b").await, ["c"]);
    assert_eq!(names("?name=a&name=c").await, ["c", "a"]);
    assert_eq!(names("?status=CREATE_COMPLETE").await.len(), 3);
    assert_eq!(names("?status=FAILED").await.len(), 0);
    let page = world.get("/stacks?limit=2&with_count=true").await;
    assert_eq!((page["count"].as_u64(), page["stacks"].as_array().unwrap().len()), (Some(3), 2));
    let next = page["links"][0]["href"].as_str().unwrap();
    let rest = world.ask("member", Method::GET, next.strip_prefix("http://cloud:5000").unwrap(), Value::Null).await;
    assert_eq!(rest.body["stacks"][0]["stack_name"], "a");
    assert_eq!(page["stacks"][0]["tags"], json!(["all", "tag-c"]));
}

#[tokio::test]
async fn every_endpoint_knows_who_asks() {
    let world = World::new().await;
    let path = world.deploy("mine", hot(json!({"r": {"type": "OS::Heat::TestResource"}}))).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let fill = |pattern: &str, tenant: &str| {
        format!("/orchestration{pattern}")
            .replace("{tenant}", tenant)
            .replace("{name}", "mine")
            .replace("{id}", &id)
            .replace("{resource}", "r")
            .replace("{type}", "OS::Heat::None")
            .replace("{version}", "heat_template_version.rocky")
            .replace("{key}", "o")
            .replace("{event}", "e")
            .replace("{snapshot}", "s")
    };
    let rows = world.dispatcher.endpoints();
    let own: Vec<_> = rows.iter().filter(|(service, ..)| *service == "orchestration").collect();
    assert!(own.len() > 40);
    for (_, method, pattern, open) in own {
        if *open {
            continue;
        }
        let at = format!("{method} {pattern}");
        let nobody = world.ask("", method.clone(), &fill(pattern, PROJECT), json!({})).await;
        assert_eq!(nobody.status, 401, "{at}");
        let stranger = world.ask("member@p2", method.clone(), &fill(pattern, PROJECT), json!({})).await;
        assert_eq!(stranger.status, 403, "{at}: {}", stranger.body);
        // With their own project in the path they find nothing of ours.
        let elsewhere = world.ask("member@p2", method.clone(), &fill(pattern, "p2"), json!({})).await;
        assert!(!elsewhere.body.to_string().contains(&id), "{at}: {}", elsewhere.body);
        if pattern.contains("{name}") {
            assert_eq!(elsewhere.status, 404, "{at}: {}", elsewhere.body);
        }
        let reader = world.ask("reader", method.clone(), &fill(pattern, PROJECT), json!({})).await;
        let is_lookup = reader.status == 302;
        if method != Method::GET
            && !is_lookup
            && !matches!(*pattern, "/v1/{tenant}/validate" | "/v1/{tenant}/stacks/preview")
        {
            assert_eq!(reader.status, 403, "{at}: {}", reader.body);
        } else {
            assert!(reader.status < 500 && reader.status != 401, "{at}: {}", reader.body);
        }
    }
    assert_eq!(world.status(&path).await, "CREATE_COMPLETE", "nobody changed anything");
    assert_eq!(
        world.ask("admin@p9", Method::GET, &fill("/v1/{tenant}/stacks", PROJECT), Value::Null).await.status,
        200
    );
    assert_eq!(
        world.ask("member", Method::GET, &fill("/v1/{tenant}/services", PROJECT), Value::Null).await.status,
        403
    );
}

#[tokio::test]
async fn types_versions_functions() {
    let world = World::new().await;
    let types = world.get("/resource_types").await;
    let types = types["resource_types"].as_array().unwrap();
    assert!(types.contains(&json!("OS::Heat::RandomString")));
    assert!(!types.iter().any(|name| name.as_str().unwrap().starts_with("OS::Keystone")), "not for members");
    assert_eq!(world.get("/resource_types/OS::Heat::RandomString").await["properties"]["length"]["default"], json!(32));
    assert_eq!(world.member(Method::GET, "/resource_types/OS::Nova::Server", Value::Null).await.status, 400);
    assert_eq!(world.member(Method::GET, "/resource_types/OS::No::Such", Value::Null).await.status, 404);
    assert_eq!(world.member(Method::GET, "/resource_types?support_status=X", Value::Null).await.status, 400);
    for kind in types {
        for style in ["cfn", "hot"] {
            world.get(&format!("/resource_types/{}/template?template_type={style}", kind.as_str().unwrap())).await;
        }
        world.get(&format!("/resource_types/{}", kind.as_str().unwrap())).await;
    }
    assert_eq!(world.get("/template_versions").await["template_versions"].as_array().unwrap().len(), 13);
    let functions = world.get("/template_versions/heat_template_version.rocky/functions").await;
    assert_eq!(functions["template_functions"].as_array().unwrap().len(), 20, "all but yaql");
}

#[tokio::test]
async fn validate_and_preview() {
    let world = World::new().await;
    let mut template =
        hot(json!({"r": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_param": "p"}}}}));
    template["parameters"] = json!({"p": {"type": "string"}, "q": {"type": "number", "default": 1, "hidden": true}});
    let answer = world.member(Method::POST, "/validate", json!({"template": template})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["Parameters"]["q"]["NoEcho"], "true");
    let preview = world
        .member(
            Method::POST,
            "/stacks/preview",
            json!({"stack_name": "pre", "template": template, "parameters": {"p": "v"}}),
        )
        .await;
    assert_eq!(preview.status, 200, "{}", preview.body);
    assert_eq!(preview.body["stack"]["resources"][0]["properties"]["value"], "v");
    let missing = world.member(Method::POST, "/stacks", json!({"stack_name": "x", "template": template})).await;
    assert_eq!(missing.body["error"]["message"], "The Parameter (p) was not provided.");
    let path = world.create("x", json!({"template": template, "parameters": {"p": "v"}})).await;
    world.settle(&path).await;
    let stack = world.get(&path).await["stack"].take();
    assert_eq!((&stack["parameters"]["p"], &stack["parameters"]["q"]), (&json!("v"), &json!("******")));
    let changes = world.member(Method::PATCH, &format!("{path}/preview"), json!({"parameters": {"p": "w"}})).await;
    assert_eq!(changes.body["resource_changes"]["updated"][0]["resource_name"], "r", "{}", changes.body);
    let same = world.member(Method::PATCH, &path, json!({})).await;
    assert_eq!(same.status, 202);
    world.settle(&path).await;
    assert_eq!(world.get(&path).await["stack"]["parameters"]["p"], "v", "PATCH keeps what is stored");
    for body in [json!([]), json!([{"parameters": {"p": "w"}}]), json!("text"), json!(7)] {
        assert_eq!(world.member(Method::PATCH, &path, body.clone()).await.status, 400, "{body} is no update");
    }
}

/// Each output may be large, all of them together not without end: what does not fit says so and is there by its name.
#[tokio::test]
async fn outputs_are_bounded_together() {
    let world = World::new().await;
    let text = json!({"list_join": ["", vec!["x".repeat(1000); 100]]});
    let mut template = hot(json!({"v": {"type": "OS::Heat::Value", "properties": {"value": text}}}));
    for number in 0..200 {
        template["outputs"][format!("o{number}")] = json!({"value": {"get_attr": ["v", "value"]}});
    }
    let path = world.deploy("big", template).await;
    let stack = world.get(&path).await["stack"].take();
    assert!(stack.to_string().len() < 17 << 20);
    let errors =
        stack["outputs"].as_array().unwrap().iter().filter(|output| output["output_error"].is_string()).count();
    assert!((30..50).contains(&errors), "{errors} of 200");
    let alone = world.get(&format!("{path}/outputs/o199")).await;
    assert_eq!(alone["output"]["output_value"].as_str().unwrap().len(), 100_000);
}

#[tokio::test]
async fn nonsense_is_never_a_fault_of_ours() {
    let world = World::new().await;
    let path = world.deploy("mine", hot(json!({"r": {"type": "OS::Heat::TestResource"}}))).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let deep = (0..100).fold(json!("x"), |inner, _| json!([inner]));
    let bomb = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\n\
                g: [*f,*f,*f,*f,*f,*f,*f,*f]\n";
    let odd = [json!(null), json!(7), json!("\u{0}\n;'\"$(x)"), json!([]), json!({"a": {"b": []}}), deep];
    let mut bodies =
        vec![json!([]), json!({"template": bomb, "stack_name": "b"}), json!({"stack_name": "b", "template": "- a"})];
    for value in &odd {
        for key in [
            "template",
            "stack_name",
            "environment",
            "files",
            "parameters",
            "tags",
            "timeout_mins",
            "disable_rollback",
            "environment_files",
            "template_url",
            "clear_parameters",
            "converge",
            "mark_unhealthy",
            "unset_hook",
            "suspend",
        ] {
            let mut body = json!({"stack_name": "x", "template": hot(json!({}))});
            body[key] = value.clone();
            bodies.push(body);
        }
        bodies.push(json!({"stack_name": "x", "template": {"heat_template_version": "rocky", "resources": value}}));
        bodies.push(json!({"stack_name": "x", "template": hot(json!({"a": {"type": "OS::Zun::Container", "properties": value}}))}));
        bodies.push(json!({"stack_name": "x", "template": hot(json!({"a": {"type": "OS::Heat::ResourceGroup",
            "properties": {"count": value, "resource_def": value}}}))}));
    }
    for (service, method, pattern, _) in world.dispatcher.endpoints() {
        if service != "orchestration" || method == Method::DELETE {
            continue;
        }
        let fill = |text: &str| {
            let filled = pattern.replace("{tenant}", PROJECT).replace("{name}", "mine").replace("{id}", &id);
            let mut out = String::new();
            for part in filled.split('/').skip(1) {
                out.push('/');
                out.push_str(if part.starts_with('{') { text } else { part });
            }
            format!("/orchestration{out}")
        };
        for text in ["r", "%00", "..%2f..", "%F0%9F%98%80", "a%0Ab", "'%3B--"] {
            let query =
                "?limit=99999999999&marker=%00&sort_keys=%27&nested_depth=4&name=%5B&with_attr=%00,show&status=x";
            let answer = world.ask("member", method.clone(), &format!("{}{query}", fill(text)), json!({})).await;
            assert!(answer.status < 500, "{method} {pattern} {text}: {} {}", answer.status, answer.body);
        }
        if method == Method::GET {
            continue;
        }
        for body in &bodies {
            let answer = world.ask("member", method.clone(), &fill("r"), body.clone()).await;
            assert!(answer.status < 500, "{method} {pattern} {body}: {} {}", answer.status, answer.body);
        }
    }
}

#[tokio::test]
async fn software_configs_and_deployments_are_kept() {
    let world = World::new().await;
    let body = json!({
        "name": "c", "group": "script", "config": "#!/bin/sh", "inputs": [{"name": "i", "default": 1}], "options": {"o": 1},
    });
    let made = world.member(Method::POST, "/software_configs", body).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let config = made.body["software_config"].clone();
    assert_eq!(config["inputs"], json!([{"name": "i", "default": 1, "type": "String"}]));
    assert_eq!((&config["outputs"], &config["options"]), (&json!([]), &json!({"o": 1})));
    let id = config["id"].as_str().unwrap();
    let one = format!("/software_configs/{id}");
    assert_eq!(world.get(&one).await["software_config"], config);
    let listed = world.get("/software_configs").await["software_configs"][0].take();
    assert_eq!((&listed["id"], listed.get("config")), (&json!(id), None));

    let new = json!({"config_id": id, "server_id": "s1", "action": "CREATE", "input_values": {"i": 2}});
    let made = world.member(Method::POST, "/software_deployments", new).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let deployment = made.body["software_deployment"].clone();
    assert_eq!((&deployment["output_values"], deployment.get("updated_time")), (&Value::Null, None));
    let path = format!("/software_deployments/{}", deployment["id"].as_str().unwrap());
    let change =
        json!({"status": "FAILED", "status_reason": "no", "output_values": {"deploy_status_code": 1}, "action": null});
    let changed = world.member(Method::PUT, &path, change).await.body["software_deployment"].take();
    assert_eq!((&changed["status"], &changed["action"]), (&json!("FAILED"), &json!("CREATE")));
    assert_eq!(world.get("/software_deployments?server_id=s1").await["software_deployments"], json!([changed]));
    assert_eq!(world.get("/software_deployments?server_id=s2").await["software_deployments"], json!([]));
    assert_eq!(world.get("/software_deployments/metadata/s1").await["metadata"], json!([config]));

    let stranger = |path: String| {
        let world = &world;
        async move { world.ask("member@p2", Method::GET, &format!("/orchestration/v1/p2{path}"), Value::Null).await }
    };
    assert_eq!((stranger(one.clone()).await.status, stranger(path.clone()).await.status), (404, 404));
    assert_eq!(stranger("/software_configs".into()).await.body["software_configs"], json!([]));
    assert_eq!(world.member(Method::GET, "/software_configs?global_tenant=true", Value::Null).await.status, 403);
    for wrong in [json!({"inputs": 1}), json!({"inputs": [{}]}), json!({"name": 1}), json!({"options": []})] {
        assert_eq!(world.member(Method::POST, "/software_configs", wrong.clone()).await.status, 400, "{wrong}");
    }
    for wrong in [json!({"config_id": id}), json!({"config_id": id, "server_id": "s", "status": "ODD"})] {
        assert_eq!(world.member(Method::POST, "/software_deployments", wrong.clone()).await.status, 400, "{wrong}");
    }
    let orphan = json!({"config_id": "none", "server_id": "s"});
    assert_eq!(world.member(Method::POST, "/software_deployments", orphan).await.status, 404);

    assert_eq!(world.member(Method::DELETE, &one, Value::Null).await.status, 409, "in use");
    assert_eq!(world.member(Method::DELETE, &path, Value::Null).await.status, 204);
    assert_eq!(world.member(Method::DELETE, &one, Value::Null).await.status, 204);
    assert_eq!(world.member(Method::DELETE, &one, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_software_config_is_a_resource() {
    let world = World::new().await;
    let mut template = hot(json!({"c": {"type": "OS::Heat::SoftwareConfig", "properties": {
        "config": "#!/bin/sh", "inputs": [{"name": "i"}], "outputs": [{"name": "o"}],
    }}}));
    template["outputs"] = json!({"script": {"value": {"get_attr": ["c", "config"]}}});
    let path = world.deploy("soft", template).await;
    let stack = world.get(&path).await["stack"].take();
    assert_eq!(
        (&stack["stack_status"], &stack["outputs"][0]["output_value"]),
        (&json!("CREATE_COMPLETE"), &json!("#!/bin/sh"))
    );
    let id = world.resource(&path, "c").await["physical_resource_id"].as_str().unwrap().to_owned();
    let config = world.get(&format!("/software_configs/{id}")).await["software_config"].take();
    assert_eq!((&config["group"], &config["options"]), (&json!("Heat::Ungrouped"), &json!({})));
    assert_eq!(config["inputs"], json!([{"name": "i", "type": "String"}]));
    assert_eq!(config["outputs"], json!([{"name": "o", "type": "String", "error_output": false}]));
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
    assert_eq!(world.get("/software_configs").await["software_configs"], json!([]));
}
