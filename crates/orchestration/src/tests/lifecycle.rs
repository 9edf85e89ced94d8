//! Stacks from create to delete.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::support::{World, hot, quick_settings};
use crate::Settings;

fn test_resource(properties: Value) -> Value {
    json!({"type": "OS::Heat::TestResource", "properties": properties})
}

#[tokio::test]
async fn a_stack_lives_and_dies() {
    let world = World::new().await;
    let mut template = hot(json!({
        "a": test_resource(json!({"value": "x"})),
        "b": test_resource(json!({"value": {"get_attr": ["a", "output"]}})),
        "s": {"type": "OS::Heat::RandomString", "properties": {"length": 12}},
    }));
    template["outputs"] = json!({
        "o": {"value": {"get_attr": ["b", "output"]}},
        "s": {"value": {"get_resource": "s"}},
    });
    let path = world.deploy("one", template).await;
    let stack = world.get(&path).await["stack"].take();
    assert_eq!(stack["stack_status"], "CREATE_COMPLETE");
    assert_eq!(stack["stack_status_reason"], "Stack CREATE completed successfully");
    assert_eq!(
        stack["outputs"][0],
        json!({"output_key": "o", "description": "No description given", "output_value": "x"})
    );
    assert_eq!(stack["outputs"][1]["output_value"].as_str().unwrap().len(), 12);
    assert_eq!(stack["tags"], json!([]));
    let resources = world.get(&format!("{path}/resources")).await;
    assert_eq!(resources["resources"].as_array().unwrap().len(), 3);
    assert_eq!(world.resource(&path, "a").await["required_by"], json!(["b"]));
    let history = world.history(&path).await;
    assert_eq!(history[0], "one: CREATE_IN_PROGRESS Stack CREATE started");
    assert_eq!(history.last().unwrap(), "one: CREATE_COMPLETE Stack CREATE completed successfully");
    let position =
        |line: &str| history.iter().position(|other| other == line).unwrap_or_else(|| panic!("{line} in {history:?}"));
    assert!(position("a: CREATE_COMPLETE state changed") < position("b: CREATE_IN_PROGRESS state changed"));

    let gone = world.delete(&path).await;
    assert_eq!(gone["stack_status"], "DELETE_COMPLETE");
    assert!(gone["deletion_time"].is_string());
    assert_eq!(world.get("/stacks").await["stacks"], json!([]));
    assert_eq!(world.get("/stacks?show_deleted=true").await["stacks"].as_array().unwrap().len(), 1);
    assert_eq!(world.member(Method::DELETE, &path, Value::Null).await.status, 404);
    world.deploy("one", hot(json!({}))).await;
}

#[tokio::test]
async fn a_failure_is_told_with_its_place_and_nothing_new_is_begun() {
    let world = World::new().await;
    let path = world
        .deploy("bad", hot(json!({"a": test_resource(json!({"fail": true})), "b": test_resource(json!({"value": {"get_attr": ["a", "output"]}}))})))
        .await;
    let stack = world.get(&path).await["stack"].take();
    assert_eq!(stack["stack_status"], "CREATE_FAILED");
    assert_eq!(stack["stack_status_reason"], "Resource CREATE failed: ValueError: resources.a: Test Resource failed a");
    assert_eq!(
        world.resource(&path, "a").await["resource_status_reason"],
        "ValueError: resources.a: Test Resource failed a"
    );
    assert_eq!(world.resource(&path, "b").await["resource_status"], "INIT_COMPLETE");
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
}

#[tokio::test]
async fn a_failed_create_rolls_back_when_asked() {
    let world = World::new().await;
    let template = hot(
        json!({"a": test_resource(json!({})), "b": {"type": "OS::Heat::TestResource", "depends_on": "a", "properties": {"fail": true}}}),
    );
    let path = world.create("back", json!({"template": template, "disable_rollback": false})).await;
    let stack = world.settle(&path).await;
    assert_eq!(stack["stack_status"], "ROLLBACK_COMPLETE");
    assert!(stack["stack_status_reason"].as_str().unwrap().contains("Test Resource failed b"), "{stack}");
    assert_eq!(world.get(&format!("{path}/resources")).await["resources"], json!([]));
}

#[tokio::test]
async fn an_update_changes_only_what_differs() {
    let world = World::new().await;
    let template = |a: &str, b: &str| {
        hot(json!({
            "a": test_resource(json!({"value": a})),
            "b": test_resource(json!({"value": b})),
            "c": test_resource(json!({"value": {"get_resource": "a"}})),
        }))
    };
    let path = world.deploy("up", template("1", "1")).await;
    let before = world.resource(&path, "a").await["physical_resource_id"].clone();
    let stack = world.update(&path, json!({"template": template("2", "1")})).await;
    assert_eq!(stack["stack_status"], "UPDATE_COMPLETE");
    assert!(stack["updated_time"].is_string());
    let state = async |name: &str| world.resource(&path, name).await["resource_status"].clone();
    assert_eq!(
        (state("a").await, state("b").await, state("c").await),
        (json!("UPDATE_COMPLETE"), json!("CREATE_COMPLETE"), json!("CREATE_COMPLETE"))
    );
    assert_eq!(world.resource(&path, "a").await["physical_resource_id"], before);
    // Resources come and go with the template.
    let stack = world
        .update(
            &path,
            json!({"template": hot(json!({"b": test_resource(json!({"value": "1"})), "d": test_resource(json!({}))}))}),
        )
        .await;
    assert_eq!(stack["stack_status"], "UPDATE_COMPLETE");
    let names: Vec<Value> = world.get(&format!("{path}/resources")).await["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["resource_name"].clone())
        .collect();
    assert_eq!(names, [json!("b"), json!("d")]);
}

#[tokio::test]
async fn replacement_creates_before_it_deletes_and_dependants_follow() {
    let world = World::new().await;
    let template = |salt: &str| {
        hot(json!({
            "a": test_resource(json!({"update_replace_value": salt})),
            "b": test_resource(json!({"value": {"get_resource": "a"}})),
        }))
    };
    let path = world.deploy("re", template("1")).await;
    let old = world.resource(&path, "a").await["physical_resource_id"].clone();
    let stack = world.update(&path, json!({"template": template("2")})).await;
    assert_eq!(stack["stack_status"], "UPDATE_COMPLETE", "{stack}");
    let new = world.resource(&path, "a").await;
    assert_ne!(new["physical_resource_id"], old);
    assert_eq!(new["resource_status"], "CREATE_COMPLETE");
    assert_eq!(world.resource(&path, "b").await["resource_status"], "UPDATE_COMPLETE");
    let history = world.history(&path).await;
    let tail: Vec<&str> =
        history.iter().map(String::as_str).skip_while(|line| !line.contains("UPDATE_IN_PROGRESS Stack")).collect();
    assert_eq!(
        tail,
        [
            "re: UPDATE_IN_PROGRESS Stack UPDATE started",
            "a: UPDATE_COMPLETE The Resource a requires replacement.",
            "a: CREATE_IN_PROGRESS state changed",
            "a: CREATE_COMPLETE state changed",
            "b: UPDATE_IN_PROGRESS state changed",
            "b: UPDATE_COMPLETE state changed",
            "a: DELETE_IN_PROGRESS state changed",
            "a: DELETE_COMPLETE state changed",
            "re: UPDATE_COMPLETE Stack UPDATE completed successfully",
        ]
    );
}

#[tokio::test]
async fn a_failed_update_goes_back_to_the_old_objects() {
    let world = World::new().await;
    let template = |value: &str, salt: &str, fail: bool| {
        hot(json!({
            "a": test_resource(json!({"value": value})),
            "r": test_resource(json!({"update_replace_value": salt})),
            "z": {"type": "OS::Heat::TestResource", "depends_on": ["a", "r"], "properties": {"fail": fail}},
        }))
    };
    let path = world.create("rb", json!({"template": template("1", "1", false), "disable_rollback": false})).await;
    world.settle(&path).await;
    let old = world.resource(&path, "r").await["physical_resource_id"].clone();
    let stack = world.update(&path, json!({"template": template("2", "2", true)})).await;
    assert_eq!(stack["stack_status"], "ROLLBACK_COMPLETE", "{stack}");
    assert_eq!(world.resource(&path, "r").await["physical_resource_id"], old, "the replaced object is taken back");
    assert_eq!(world.resource(&path, "a").await["attributes"]["output"], "1");
    assert_eq!(world.get(&format!("{path}/resources")).await["resources"].as_array().unwrap().len(), 3);
    assert_eq!(world.get(&format!("{path}/template")).await, template("1", "1", false));
}

#[tokio::test]
async fn a_newer_update_takes_over() {
    let world = World::new().await;
    let template = |value: &str, wait: i64| {
        hot(json!({"a": test_resource(json!({"value": value, "action_wait_secs": {"update": wait}}))}))
    };
    let path = world.deploy("over", template("1", 0)).await;
    let answer = world.member(Method::PUT, &path, json!({"template": template("2", -1)})).await;
    assert_eq!(answer.status, 202);
    for _ in 0..100 {
        if world.resource(&path, "a").await["resource_status"] == "UPDATE_IN_PROGRESS" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stack = world.update(&path, json!({"template": template("3", 0)})).await;
    assert_eq!(stack["stack_status"], "UPDATE_COMPLETE");
    assert_eq!(world.resource(&path, "a").await["attributes"]["output"], "3");
}

#[tokio::test]
async fn delete_wins_over_everything_and_cancel_goes_back() {
    let world = World::new().await;
    let slow = hot(json!({"a": test_resource(json!({"action_wait_secs": {"create": -1}}))}));
    let path = world.create("stuck", json!({"template": slow})).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.status(&path).await, "CREATE_IN_PROGRESS");
    assert_eq!(world.member(Method::POST, &format!("{path}/actions"), json!({"suspend": null})).await.status, 409);
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");

    let template = |value: &str, wait: i64| {
        hot(json!({"a": test_resource(json!({"value": value, "action_wait_secs": {"update": wait}}))}))
    };
    let path = world.deploy("c", template("1", 0)).await;
    world.member(Method::PUT, &path, json!({"template": template("2", -1)})).await;
    let answer = world.member(Method::POST, &format!("{path}/actions"), json!({"cancel_update": null})).await;
    assert_eq!((answer.status, answer.body), (200, Value::Null));
    assert_eq!(world.settle(&path).await["stack_status"], "ROLLBACK_COMPLETE");
    assert_eq!(world.resource(&path, "a").await["attributes"]["output"], "1");
}

#[tokio::test]
async fn suspend_resume_check() {
    let world = World::new().await;
    let path = world.deploy("sr", hot(json!({"a": test_resource(json!({})), "n": {"type": "OS::Heat::None"}}))).await;
    for (action, status) in
        [("suspend", "SUSPEND_COMPLETE"), ("resume", "RESUME_COMPLETE"), ("check", "CHECK_COMPLETE")]
    {
        let answer = world.member(Method::POST, &format!("{path}/actions"), json!({action: null})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let stack = world.settle(&path).await;
        assert_eq!(stack["stack_status"], status);
        if action == "suspend" {
            let answer = world.member(Method::PUT, &path, json!({"template": hot(json!({}))})).await;
            assert_eq!(answer.body["error"]["message"], "Updating a stack when it is suspended is not supported.");
        }
    }
    assert!(
        world.get(&path).await["stack"]["stack_status_reason"]
            .as_str()
            .unwrap()
            .ends_with("'CHECK' not fully supported (see resources)")
    );
    assert_eq!(world.resource(&path, "n").await["resource_status_reason"], "CHECK not supported for OS::Heat::None");
}

#[tokio::test]
async fn a_timeout_fails_the_stack_and_its_resources() {
    let settings = Settings { stack_action_timeout: Duration::from_millis(300), ..quick_settings() };
    let world = World::with(settings).await;
    let path = world.deploy("late", hot(json!({"a": test_resource(json!({"wait_secs": -1}))}))).await;
    let stack = world.get(&path).await["stack"].take();
    assert_eq!((&stack["stack_status"], &stack["stack_status_reason"]), (&json!("CREATE_FAILED"), &json!("Timed out")));
    let reason = world.resource(&path, "a").await["resource_status_reason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("CREATE aborted (Task create from TestResource \"a\"") && reason.ends_with("Timed out)"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_unhealthy_mark_replaces_at_the_next_update() {
    let world = World::new().await;
    let template = hot(json!({"a": test_resource(json!({}))}));
    let path = world.deploy("u", template.clone()).await;
    let old = world.resource(&path, "a").await["physical_resource_id"].clone();
    let mark = json!({"mark_unhealthy": true, "resource_status_reason": "sick"});
    let answer = world.member(Method::PATCH, &format!("{path}/resources/a"), mark).await;
    assert_eq!((answer.status, answer.body), (200, Value::Null));
    let resource = world.resource(&path, "a").await;
    assert_eq!(
        (&resource["resource_status"], &resource["resource_status_reason"]),
        (&json!("CHECK_FAILED"), &json!("sick"))
    );
    world.update(&path, json!({"template": template})).await;
    assert_ne!(world.resource(&path, "a").await["physical_resource_id"], old);
}

#[tokio::test]
async fn a_thousand_resources() {
    let world = World::new().await;
    let mut resources = serde_json::Map::new();
    for n in 0..1000 {
        let kind = if n % 2 == 0 { "OS::Heat::None" } else { "OS::Heat::RandomString" };
        resources.insert(format!("r{n}"), json!({"type": kind}));
    }
    let started = std::time::Instant::now();
    let path = world.deploy("many", hot(Value::Object(resources.clone()))).await;
    println!("1000 resources: {:?}", started.elapsed());
    assert_eq!(world.status(&path).await, "CREATE_COMPLETE");
    assert_eq!(world.get(&format!("{path}/resources")).await["resources"].as_array().unwrap().len(), 1000);
    assert_eq!(
        world.get(&format!("{path}/events")).await["events"].as_array().unwrap().len(),
        1000,
        "old events are purged"
    );
    resources.insert("one-too-many".into(), json!({"type": "OS::Heat::None"}));
    let answer = world
        .member(Method::POST, "/stacks", json!({"stack_name": "more", "template": hot(Value::Object(resources))}))
        .await;
    assert_eq!((answer.status, &answer.body["error"]["type"]), (400, &json!("RequestLimitExceeded")));
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
}

#[tokio::test]
async fn work_goes_on_after_a_crash() {
    let world = World::new().await;
    let template = hot(json!({
        "a": {"type": "OS::Heat::RandomString"},
        "w": {"type": "OS::Heat::TestResource", "depends_on": "a", "properties": {"wait_secs": 0.4}},
        "z": test_resource(json!({"value": {"get_attr": ["w", "output"]}})),
    }));
    let path = world.create("crash", json!({"template": template})).await;
    let mut secret = Value::Null;
    for _ in 0..100 {
        let answer = world.member(Method::GET, &format!("{path}/resources/a"), Value::Null).await;
        secret = answer.body["resource"]["attributes"]["value"].clone();
        if secret.is_string() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let world = world.crash().await;
    assert_eq!(world.settle(&path).await["stack_status"], "CREATE_COMPLETE");
    assert_eq!(world.resource(&path, "a").await["attributes"]["value"], secret, "what was made is not made again");
    let world = world.crash().await;
    world.member(Method::DELETE, &path, Value::Null).await;
    let world = world.crash().await;
    assert_eq!(world.settle(&path).await["stack_status"], "DELETE_COMPLETE");
}

#[tokio::test]
async fn a_hook_waits_until_it_is_cleared() {
    let world = World::new().await;
    let environment = json!({"resource_registry": {"resources": {"a": {"hooks": "pre-create"}}}});
    let template = hot(json!({"a": test_resource(json!({}))}));
    let path = world.create("hook", json!({"template": template, "environment": environment})).await;
    for _ in 0..200 {
        if world.history(&path).await.iter().any(|line| line.contains("paused until Hook pre-create is cleared")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.resource(&path, "a").await["resource_status"], "INIT_COMPLETE");
    let signal = format!("{path}/resources/a/signal");
    assert_eq!(world.member(Method::POST, &signal, json!({"unset_hook": "pre-update"})).await.status, 400);
    assert_eq!(world.member(Method::POST, &signal, json!({"unset_hook": "pre-create"})).await.status, 200);
    assert_eq!(world.settle(&path).await["stack_status"], "CREATE_COMPLETE");
    assert!(world.history(&path).await.contains(&"a: INIT_COMPLETE Hook pre-create is cleared".to_owned()));
    assert_eq!(
        world.member(Method::POST, &signal, json!({})).await.body["error"]["type"],
        "ResourceActionNotSupported"
    );
}

#[tokio::test]
async fn a_hook_stops_every_update_once_even_one_that_changes_nothing() {
    let world = World::new().await;
    let environment = json!({"resource_registry": {"resources": {"a": {"hooks": "pre-update"}}}});
    let template =
        |length: i64| hot(json!({"a": {"type": "OS::Heat::RandomString", "properties": {"length": length}}}));
    let body = |length: i64| json!({"template": template(length), "environment": environment});
    let path = world.create("hook", body(8)).await;
    assert_eq!(world.settle(&path).await["stack_status"], "CREATE_COMPLETE");
    let paused = "a: CREATE_COMPLETE UPDATE paused until Hook pre-update is cleared";
    let mut id = world.resource(&path, "a").await["attributes"]["value"].clone();
    for (round, length, is_replaced) in [(1, 8, false), (2, 9, true), (3, 9, false)] {
        assert_eq!(world.member(Method::PUT, &path, body(length)).await.status, 202);
        for _ in 0..200 {
            if world.history(&path).await.iter().filter(|line| *line == paused).count() == round {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let signal = format!("{path}/resources/a/signal");
        let answer = world.member(Method::POST, &signal, json!({"unset_hook": "pre-update"})).await;
        assert_eq!(answer.status, 200, "round {round}: {}", answer.body);
        assert_eq!(world.settle(&path).await["stack_status"], "UPDATE_COMPLETE");
        assert_eq!(world.history(&path).await.iter().filter(|line| *line == paused).count(), round);
        let now = world.resource(&path, "a").await["attributes"]["value"].clone();
        assert_eq!(now != id, is_replaced, "round {round}");
        id = now;
    }
}

#[tokio::test]
async fn a_cancel_without_rollback_leaves_nothing_busy() {
    let world = World::new().await;
    let template = |value: &str, wait: i64| {
        hot(json!({"a": test_resource(json!({"value": value, "action_wait_secs": {"update": wait}}))}))
    };
    let path = world.deploy("c", template("1", 0)).await;
    let actions = format!("{path}/actions");
    let idle = world.member(Method::POST, &actions, json!({"cancel_update": null})).await;
    assert_eq!(idle.body["error"]["message"], "Cancelling update when stack is CREATE_COMPLETE is not supported.");
    world.member(Method::PUT, &path, json!({"template": template("2", -1)})).await;
    for _ in 0..200 {
        if world.resource(&path, "a").await["resource_status"] == "UPDATE_IN_PROGRESS" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.member(Method::POST, &actions, json!({"cancel_without_rollback": null})).await.status, 200);
    let stack = world.settle(&path).await;
    assert_eq!(
        (&stack["stack_status"], &stack["stack_status_reason"]),
        (&json!("UPDATE_FAILED"), &json!("Stack UPDATE cancelled"))
    );
    for _ in 0..200 {
        if world.resource(&path, "a").await["resource_status"] == "UPDATE_FAILED" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.resource(&path, "a").await["resource_status"], "UPDATE_FAILED");
    let stack = world.update(&path, json!({"template": template("3", 0)})).await;
    assert_eq!(stack["stack_status"], "UPDATE_COMPLETE");
}

#[tokio::test]
async fn restricted_actions_and_external_objects_are_left_alone() {
    let world = World::new().await;
    let environment = json!({"resource_registry": {"resources": {"a": {"restricted_actions": "update"}}}});
    let template = |value: &str| hot(json!({"a": test_resource(json!({"value": value}))}));
    let path = world.create("r", json!({"template": template("1"), "environment": environment})).await;
    world.settle(&path).await;
    let stack = world.update(&path, json!({"template": template("2"), "environment": environment})).await;
    assert_eq!(stack["stack_status"], "UPDATE_FAILED");
    assert!(stack["stack_status_reason"].as_str().unwrap().contains("update is restricted for resource."));
    assert_eq!(world.resource(&path, "a").await["resource_status"], "CREATE_COMPLETE");

    let external = |id: Option<&str>| {
        let mut resource = json!({"type": "OS::Heat::TestResource"});
        if let Some(id) = id {
            resource["external_id"] = json!(id);
        }
        hot(json!({"e": resource}))
    };
    let path = world.deploy("e", external(Some("there"))).await;
    assert_eq!(world.resource(&path, "e").await["physical_resource_id"], "there");
    let stack = world.update(&path, json!({"template": external(Some("elsewhere"))})).await;
    assert_eq!(stack["stack_status"], "UPDATE_FAILED", "{stack}");
    let path = world.deploy("n", external(None)).await;
    let stack = world.update(&path, json!({"template": external(Some("there"))})).await;
    assert_eq!(stack["stack_status"], "UPDATE_FAILED", "{stack}");
}

#[tokio::test]
async fn deleted_stacks_are_kept_for_a_while() {
    let world = World::with(Settings { keep_deleted: 2, ..quick_settings() }).await;
    let mut paths = Vec::new();
    for _ in 0..4 {
        let path = world.deploy("again", hot(json!({"a": test_resource(json!({}))}))).await;
        assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
        paths.push(path);
    }
    let statuses = async |path: &str| world.member(Method::GET, path, Value::Null).await.status;
    assert_eq!((statuses(&paths[0]).await, statuses(&paths[1]).await, statuses(&paths[2]).await), (404, 404, 200));
    assert_eq!(world.get("/stacks?show_deleted=true").await["stacks"].as_array().unwrap().len(), 2);
}
