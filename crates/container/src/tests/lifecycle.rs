//! A container from its creation to its end.

use http::Method;
use sahab_contract::Error;
use serde_json::{Value, json};

use super::bench::Bench;

#[tokio::test]
async fn created_run_stopped_started_deleted() {
    let bench = Bench::new().await;
    let answer = bench.post("/v1/containers", json!({"name": "web", "image": "nginx", "labels": {"a": "b"}})).await;
    assert!(answer.headers["location"].to_str().unwrap().starts_with("http://c/container/v1/containers/"));
    let created = answer.expect(202);
    assert_eq!(created["status"], "Creating");
    assert_eq!(created["task_state"], "container_creating");
    assert_eq!(created["environment"], json!({}));
    bench.idle().await;
    let shown = bench.get("/v1/containers/web").await.expect(200);
    assert_eq!(shown["status"], "Created");
    assert_eq!(shown["task_state"], Value::Null);
    assert!(shown.get("host").is_none(), "members do not see the host");
    let network = bench.network.store().networks[0]["id"].as_str().unwrap().to_owned();
    let port = shown["addresses"][&network][0]["port"].as_str().unwrap().to_owned();
    assert_eq!(shown["addresses"][&network][0]["version"], 4);
    assert_eq!(bench.network.port(&port).unwrap()["binding:host_id"], "node1");
    assert_eq!(bench.network.port(&port).unwrap()["project_id"], "p1");

    bench.post("/v1/containers/web/start", Value::Null).await.expect(202);
    bench.until("web", "status", "Running").await;
    bench.post("/v1/containers/web/start", Value::Null).await.refused(409, "invalid-state-exception");
    bench.post("/v1/containers/web/stop?timeout=10", Value::Null).await.expect(202);
    let stopped = bench.until("web", "status", "Stopped").await;
    assert!(stopped["status_detail"].as_str().unwrap().starts_with("Exited(143)"), "{stopped}");

    let uuid = created["uuid"].as_str().unwrap();
    let answer = bench.delete(&format!("/v1/containers/{uuid}")).await;
    assert_eq!((answer.status, answer.body), (204, Value::Null));
    bench.until_gone(uuid).await;
    bench.assert_clean();
    assert!(bench.host.spec(uuid).is_none());
}

#[tokio::test]
async fn what_the_request_says_reaches_the_host() {
    let bench = Bench::new().await;
    let group = bench.network.add_group("web", "p1");
    let body = json!({
        "name": "Web_1", "image": "nginx", "command": ["sleep", "9"], "entrypoint": ["/bin/sh"], "cpu": 0.5,
        "memory": "256", "environment": {"A": "1"}, "workdir": "/tmp", "hostname": "front", "interactive": true,
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": "2"}, "security_groups": ["web", group],
        "healthcheck": {"cmd": "ls", "interval": 3}, "nets": [{"network": "private", "v4-fixed-ip": "10.0.1.5"}],
        "mounts": [{"type": "bind", "source": "aGk=", "destination": "/etc/x"}],
    });
    let uuid = bench.running(body).await;
    let spec = bench.host.spec(&uuid).unwrap();
    assert_eq!(spec.image, "nginx:latest");
    assert_eq!((spec.cpu, spec.memory, spec.disk), (Some(0.5), Some(256), None));
    assert_eq!((spec.command.len(), spec.entrypoint.len()), (2, 1));
    assert_eq!(spec.environment["A"], "1");
    assert_eq!(spec.files[0].content, b"hi");
    assert_eq!(spec.restart_policy.unwrap().maximum_retry_count, 2);
    let net = &spec.networks[0];
    assert_eq!(net.aliases, ["web-1", "front"]);
    assert_eq!(net.addresses, ["10.0.1.5".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(net.dns, ["10.9.9.9".parse::<std::net::IpAddr>().unwrap()]);
    assert!(net.primary && !net.mac.is_empty());
    assert_eq!(bench.network.port(&net.port_id).unwrap()["security_groups"], json!([group]));
    let shown = bench.show(&uuid).await;
    assert_eq!(shown["restart_policy"], json!({"Name": "on-failure", "MaximumRetryCount": "2"}));
    assert_eq!(shown["healthcheck"], json!({"test": "ls", "interval": 3}));
    assert_eq!(shown["security_groups"], json!([group]));
    assert_eq!((&shown["host"], &shown["memory"]), (&json!("node1"), &json!("256")));
}

#[tokio::test]
async fn the_default_network_is_the_own_oldest_then_the_oldest_shared() {
    let bench = Bench::new().await;
    bench.network.add_network("younger", "p1", false, false);
    let uuid = bench.running(json!({})).await;
    let private = bench.network.store().networks[0]["id"].clone();
    assert_eq!(bench.host.spec(&uuid).unwrap().networks[0].network_id, private);
    // Another project owns none: the shared one, external as it is.
    let body = json!({"image": "nginx"});
    let created = bench.ask("member@p2", "1.40", Method::POST, "/v1/containers", body).await.expect(202);
    bench.idle().await;
    let shared = bench.network.store().networks[1]["id"].clone();
    assert_eq!(bench.host.spec(created["uuid"].as_str().unwrap()).unwrap().networks[0].network_id, shared);
    bench.network.store().networks.retain(|network| network["shared"] != true);
    let answer = bench.ask("member@p2", "1.40", Method::POST, "/v1/containers", json!({"image": "nginx"})).await;
    assert_eq!(answer.refused(409, "conflict"), "There is no neutron network available");
}

#[tokio::test]
async fn the_users_own_port_is_bound_and_given_back() {
    let bench = Bench::new().await;
    let network = bench.network.store().networks[0]["id"].as_str().unwrap().to_owned();
    let port = bench.network.add_port(&network, "p1", "mine");
    let uuid = bench.running(json!({"nets": [{"port": "mine"}]})).await;
    let bound = bench.network.port(&port).unwrap();
    assert_eq!((&bound["device_id"], &bound["device_owner"]), (&json!(uuid), &json!("compute:kuryr")));
    let shown = bench.show(&uuid).await;
    assert_eq!(shown["addresses"][&network][0]["preserve_on_delete"], true);
    let again = bench.post("/v1/containers", json!({"image": "nginx", "nets": [{"port": port}]})).await;
    again.refused(400, "port-in-use");
    bench.delete(&format!("/v1/containers/{uuid}?stop=true")).await.expect(204);
    bench.until_gone(&uuid).await;
    let freed = bench.network.port(&port).unwrap();
    assert_eq!((&freed["device_id"], &freed["device_owner"]), (&json!(""), &json!("")));
    let foreign = bench.network.add_port(&network, "p2", "theirs");
    let answer = bench.ask(
        "admin",
        "1.40",
        Method::POST,
        "/v1/containers",
        json!({"image": "nginx", "nets": [{"port": foreign}]}),
    );
    answer.await.refused(400, "port-not-usable");
}

#[tokio::test]
async fn exposed_ports_make_a_group_that_dies_with_the_container() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({"exposed_ports": {"80/tcp": {}, "53/udp": {}}})).await;
    let (group, rules) = {
        let store = bench.network.store();
        (store.groups[0].clone(), store.rules.clone())
    };
    assert_eq!(group["name"], format!("zun-{uuid}"));
    assert_eq!(rules.len(), 2);
    assert_eq!(rules[0]["project_id"], "p1");
    let spec = bench.host.spec(&uuid).unwrap();
    assert_eq!(bench.network.port(&spec.networks[0].port_id).unwrap()["security_groups"], json!([group["id"]]));
    assert_eq!(bench.show(&uuid).await["security_groups"], json!([group["id"]]));
    bench.delete(&format!("/v1/containers/{uuid}?stop=true")).await.expect(204);
    bench.until_gone(&uuid).await;
    bench.assert_clean();
}

#[tokio::test]
async fn pause_kill_reboot_and_their_record() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({"name": "web"})).await;
    bench.post("/v1/containers/web/pause", Value::Null).await.expect(202);
    bench.until("web", "status", "Paused").await;
    bench.post("/v1/containers/web/stop", Value::Null).await.refused(409, "invalid-state-exception");
    bench.post("/v1/containers/web/unpause", Value::Null).await.expect(202);
    bench.until("web", "status", "Running").await;
    // A signal that does not end it leaves it running.
    bench.post("/v1/containers/web/kill?signal=SIGHUP", Value::Null).await.expect(202);
    bench.idle().await;
    assert_eq!(bench.show("web").await["status"], "Running");
    bench.post("/v1/containers/web/kill?signal=NOPE", Value::Null).await.refused(400, "schema-validation-error");
    bench.post("/v1/containers/web/kill?signal=None", Value::Null).await.expect(202);
    bench.until("web", "status", "Stopped").await;
    let answer = bench.post("/v1/containers/web/reboot?timeout=1", Value::Null).await;
    let request = answer.headers["x-openstack-request-id"].to_str().unwrap().to_owned();
    answer.expect(202);
    bench.idle().await;
    assert_eq!(bench.show("web").await["status"], "Running");
    let actions = bench.get("/v1/containers/web/container_actions").await.expect(200);
    let names: Vec<_> =
        actions["containerActions"].as_array().unwrap().iter().map(|action| action["action"].clone()).collect();
    assert_eq!(names, ["reboot", "kill", "kill", "unpause", "pause", "create"]);
    let action = bench.get(&format!("/v1/containers/web/container_actions/{request}")).await.expect(200);
    assert_eq!((&action["message"], &action["container_uuid"]), (&Value::Null, &json!(uuid)));
    assert!(action["finish_time"].is_string());
    assert_eq!(action["events"][0]["event"], "compute__do_container_reboot");
    assert_eq!(action["events"][0]["result"], "Success");
    bench.get("/v1/containers/web/container_actions/req-1").await.refused(404, "resource-not-found");
}

#[tokio::test]
async fn a_failure_is_told_and_leaves_nothing() {
    let bench = Bench::new().await;
    bench.host.fail_next("image_pull", Error::not_found("DockerError", "pull access denied for nope"));
    let created = bench.post("/v1/containers?run=true", json!({"image": "nope"})).await.expect(202);
    bench.idle().await;
    let uuid = created["uuid"].as_str().unwrap();
    let shown = bench.show(uuid).await;
    assert_eq!((&shown["status"], &shown["host"]), (&json!("Error"), &Value::Null));
    assert_eq!(shown["status_reason"], "pull access denied for nope");
    assert_eq!(shown["addresses"], json!({}));
    bench.assert_clean();
    let actions = bench.get(&format!("/v1/containers/{uuid}/container_actions")).await.expect(200);
    assert_eq!(actions["containerActions"][0]["message"], "Error");
    // Starting it is impossible, rebuilding it is not.
    bench.post(&format!("/v1/containers/{uuid}/start"), Value::Null).await.refused(409, "conflict");
    bench.post(&format!("/v1/containers/{uuid}/rebuild"), Value::Null).await.expect(202);
    bench.until(uuid, "status", "Created").await;
    bench.delete(&format!("/v1/containers/{uuid}")).await.expect(204);
    bench.until_gone(uuid).await;
    bench.assert_clean();
}

#[tokio::test]
async fn a_rebuild_keeps_addresses_and_survives_a_bad_image() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({})).await;
    let before = bench.show(&uuid).await["addresses"].clone();
    bench.post(&format!("/v1/containers/{uuid}/rebuild"), json!({"image": "nginx:2"})).await.expect(202);
    let shown = bench.until(&uuid, "status", "Running").await;
    assert_eq!((&shown["addresses"], &shown["image"]), (&before, &json!("nginx:2")));
    let spec = bench.host.spec(&uuid).unwrap();
    assert_eq!(spec.image, "nginx:2");
    assert!(spec.command.is_empty() && spec.hostname.is_none(), "what the first image filled in is not asked for");
    assert_eq!(shown["command"], json!(["sh"]));
    bench.host.fail_next("image_pull", Error::not_found("DockerError", "no such image"));
    bench.post(&format!("/v1/containers/{uuid}/rebuild?image=none"), Value::Null).await.expect(202);
    let shown = bench.until(&uuid, "status", "Running").await;
    assert_eq!((&shown["status_reason"], &shown["image"]), (&json!("Image none: no such image"), &json!("nginx:2")));
}

#[tokio::test]
async fn statuses_follow_the_hosts_events() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({})).await;
    let mut events = bench.events.subscribe();
    bench.host.exit(&uuid, 3);
    let shown = bench.until(&uuid, "status", "Stopped").await;
    assert!(shown["status_detail"].as_str().unwrap().starts_with("Exited(3)"));
    let event = events.recv().await.unwrap();
    assert_eq!((event.topic, event.resource_id.as_str()), ("container.status", uuid.as_str()));
    assert_eq!(event.payload, json!({"status": "Stopped"}));
    bench.host.vanish(&uuid);
    let shown = bench.until(&uuid, "status", "Error").await;
    assert_eq!(shown["status_reason"], format!("No such container: zun-{uuid} in docker"));
}

#[tokio::test]
async fn what_shall_remove_or_heal_itself_does() {
    let bench = Bench::new().await;
    let brief = bench.running(json!({"auto_remove": true})).await;
    bench.host.exit(&brief, 0);
    bench.until_gone(&brief).await;
    let healed = bench.running(json!({"auto_heal": true})).await;
    bench.host.vanish(&healed);
    for _ in 0..600 {
        if bench.host.spec(&healed).is_some() && bench.show(&healed).await["status"] == "Running" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it was not healed: {}", bench.show(&healed).await);
}

#[tokio::test]
async fn networks_are_joined_and_left() {
    let bench = Bench::new().await;
    let other = bench.network.add_network("other", "p1", false, false);
    let uuid = bench.running(json!({})).await;
    let path = |action: &str| format!("/v1/containers/{uuid}/{action}");
    let answer = bench.post(&path("network_attach?network=other"), Value::Null).await;
    assert_eq!((answer.status, &answer.body), (200, &Value::Null));
    bench.idle().await;
    let shown = bench.show(&uuid).await;
    let port = shown["addresses"][&other][0]["port"].as_str().unwrap().to_owned();
    assert_eq!(bench.host.spec(&uuid).unwrap().networks.len(), 2);
    bench.post(&path("network_attach"), json!({"network": other})).await.refused(400, "invalid-value");
    let listed = bench.get(&path("network_list")).await.expect(200);
    assert_eq!(listed["networks"][1]["port_id"], port);
    let flat = bench.ask("member", "1.13", Method::GET, &path("network_list"), Value::Null).await.expect(200);
    assert!(flat["networks"][1]["ip_address"].is_string());
    bench.post(&path(&format!("network_detach?port={port}")), Value::Null).await.expect(202);
    bench.idle().await;
    assert!(bench.show(&uuid).await["addresses"].get(&other).is_none());
    assert!(bench.network.port(&port).is_none());
    assert_eq!(bench.host.spec(&uuid).unwrap().networks.len(), 1);
    bench.post(&path("network_detach?network=other"), Value::Null).await.refused(400, "invalid-value");

    bench.host.fail_next("network_attach", Error::conflict("DockerError", "cannot connect"));
    bench.post(&path("network_attach?network=other"), Value::Null).await.expect(200);
    bench.idle().await;
    let shown = bench.show(&uuid).await;
    assert_eq!((&shown["status"], &shown["status_reason"]), (&json!("Running"), &json!("cannot connect")));
    assert_eq!(bench.network.store().ports.len(), 1, "the failed port is taken back");
}

#[tokio::test]
async fn security_groups_change_by_the_old_versions_only() {
    let bench = Bench::new().await;
    let group = bench.network.add_group("web", "p1");
    let uuid = bench.running(json!({})).await;
    let port = bench.host.spec(&uuid).unwrap().networks[0].port_id.clone();
    let path = |action: &str| format!("/v1/containers/{uuid}/{action}?name=web");
    let old = |path: String| bench.ask("member", "1.14", Method::POST, Box::leak(path.into_boxed_str()), Value::Null);
    old(path("add_security_group")).await.expect(202);
    bench.idle().await;
    assert_eq!(bench.network.port(&port).unwrap()["security_groups"], json!(["default", group]));
    old(path("add_security_group")).await.refused(400, "invalid-value");
    old(path("remove_security_group")).await.expect(202);
    bench.idle().await;
    assert_eq!(bench.network.port(&port).unwrap()["security_groups"], json!(["default"]));
    let text = bench.post(&path("add_security_group"), Value::Null).await.refused(406, "");
    assert!(text.contains("Use Neutron"), "{text}");
}

#[tokio::test]
async fn limits_change_on_the_host() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({"cpu": 0.1, "memory": 100})).await;
    let path = format!("/v1/containers/{uuid}");
    let changed = bench.patch(&path, json!({"cpu": "0.2", "memory": "200", "name": "new-name"})).await.expect(200);
    assert_eq!((&changed["cpu"], &changed["memory"]), (&json!(0.2), &json!("200")));
    assert_eq!((&changed["name"], &changed["task_state"]), (&json!("new-name"), &Value::Null));
    let spec = bench.host.spec(&uuid).unwrap();
    assert_eq!((spec.cpu, spec.memory), (Some(0.2), Some(200)));
    bench.host.fail_next("update", Error::invalid("DockerError", "too small"));
    bench.patch(&path, json!({"memory": 150})).await.refused(400, "invalid-value");
    assert_eq!(bench.show(&uuid).await["memory"], "200");
    bench.patch(&path, json!({"name": null})).await.refused(400, "schema-validation-error");
    bench.patch(&path, json!({"image": "x"})).await.refused(400, "schema-validation-error");
    bench.patch(&path, json!({})).await.expect(200);
    let resized = bench.post(&format!("{path}/resize_container"), json!({"memory": 300})).await.expect(202);
    assert_eq!(resized["memory"], "300");
}

#[tokio::test]
async fn looking_inside() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({"name": "web", "command": ["sleep", "1000"]})).await;
    bench.host.set_log(&uuid, b"hello\n");
    let log = bench.get("/v1/containers/web/logs?stdout=True&stderr=True&timestamps=False&tail=all&since=None").await;
    assert_eq!(log.expect(200), "hello\n");
    let done = bench.post("/v1/containers/web/execute", json!({"command": "echo 'a b'"})).await.expect(200);
    assert_eq!((&done["output"], &done["exit_code"]), (&json!("echo a b"), &json!(0)));
    let query = "/v1/containers/web/execute?command=%22sh%22+%22-c%22+%22echo+hi%22";
    assert_eq!(bench.post(query, Value::Null).await.expect(200)["output"], "sh -c echo hi");
    bench.post("/v1/containers/web/execute", Value::Null).await.refused(400, "schema-validation-error");
    let later = bench.post("/v1/containers/web/execute?command=sh&run=false&interactive=true", Value::Null).await;
    assert!(later.refused(400, "not-supported").contains("not available in this release"));
    bench.get("/v1/containers/web/attach").await.refused(400, "not-supported");
    bench.post("/v1/containers/web/commit?repository=x", Value::Null).await.refused(400, "not-supported");
    let top = bench.get("/v1/containers/web/top?ps_args=None").await.expect(200);
    assert!(top["Processes"].to_string().contains("sleep 1000"));
    let stats = bench.get("/v1/containers/web/stats").await.expect(200);
    let keys: Vec<_> = stats.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["CONTAINER", "CPU %", "MEM USAGE(MiB)", "MEM LIMIT(MiB)", "MEM %", "BLOCK I/O(B)", "NET I/O(B)"]);
    bench.post("/v1/containers/web/put_archive?path=/x", json!({"data": "aGk="})).await.expect(200);
    let archive = bench.get("/v1/containers/web/get_archive?path=/x").await.expect(200);
    assert_eq!(archive["data"], "aGk=");
    let raw = bench.ask("member", "1.24", Method::GET, "/v1/containers/web/get_archive?path=/x", Value::Null).await;
    assert_eq!(raw.expect(200)["data"], "hi");
    bench.get("/v1/containers/web/get_archive?path=/none").await.refused(400, "invalid-value");
    bench.get("/v1/containers/web/get_archive").await.refused(400, "schema-validation-error");
    bench.post("/v1/containers/web/put_archive?path=/x", json!({"data": "*"})).await.refused(400, "invalid-value");
    bench.post("/v1/containers/web/resize?w=80&h=24", Value::Null).await.expect(200);
}
