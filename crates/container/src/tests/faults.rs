//! Whatever fails, whenever: every step twice, every step failing once, a kill in the middle, a cancel in the middle.

use std::time::Duration;

use http::Method;
use sahab_contract::Error;
use sahab_docker::FakeDriver;
use sahab_task::Chaos;
use serde_json::{Value, json};

use super::bench::Bench;

fn chaos(fail_after: Option<&str>) -> Chaos {
    Chaos { twice: true, fail_after: fail_after.map(str::to_owned) }
}

fn full() -> Value {
    json!({"image": "nginx", "exposed_ports": {"80": {}}, "nets": [{"network": "private"}, {"network": "ext-net"}]})
}

#[tokio::test]
async fn every_step_may_run_twice() {
    let bench = Bench::new().await;
    bench.queue.set_chaos(chaos(None));
    let other = bench.network.add_network("other", "p1", false, false);
    let uuid = bench.running(full()).await;
    let path = |action: &str| format!("/v1/containers/{uuid}/{action}");
    assert_eq!(bench.network.store().ports.len(), 2);
    assert_eq!(bench.network.store().rules.len(), 1);
    for (action, status) in [("stop", "Stopped"), ("start", "Running"), ("reboot", "Running"), ("rebuild", "Running")] {
        bench.post(&path(action), Value::Null).await.expect(202);
        bench.idle().await;
        assert_eq!(bench.show(&uuid).await["status"], status, "{action}");
    }
    bench.post(&path(&format!("network_attach?network={other}")), Value::Null).await.expect(200);
    bench.idle().await;
    assert_eq!(bench.network.store().ports.len(), 3);
    bench.post(&path(&format!("network_detach?network={other}")), Value::Null).await.expect(202);
    bench.idle().await;
    bench.delete(&format!("/v1/containers/{uuid}?stop=true")).await.expect(204);
    bench.until_gone(&uuid).await;
    bench.assert_clean();
}

#[tokio::test]
async fn every_failing_step_of_a_create_is_taken_back() {
    for step in ["prepare", "run"] {
        let bench = Bench::new().await;
        bench.queue.set_chaos(chaos(Some(step)));
        let created = bench.post("/v1/containers?run=true", full()).await.expect(202);
        bench.idle().await;
        let uuid = created["uuid"].as_str().unwrap();
        let shown = bench.show(uuid).await;
        assert_eq!(
            (&shown["status"], &shown["host"], &shown["task_state"]),
            (&json!("Error"), &Value::Null, &Value::Null)
        );
        assert!(shown["status_reason"].as_str().unwrap().contains(step));
        assert!(bench.host.spec(uuid).is_none(), "{step}: the engine still has it");
        bench.assert_clean();
    }
}

#[tokio::test]
async fn every_failing_step_of_another_action_leaves_a_usable_container() {
    for (action, steps) in [
        ("network_attach?network=other", &["port", "connect"][..]),
        ("network_detach?network=private", &["disconnect", "port"]),
        ("rebuild", &["prepare", "remove", "run"]),
        ("stop", &["act"]),
    ] {
        for step in steps {
            let bench = Bench::new().await;
            bench.network.add_network("other", "p1", false, false);
            let uuid = bench.running(full()).await;
            bench.queue.set_chaos(chaos(Some(step)));
            let answer = bench.post(&format!("/v1/containers/{uuid}/{action}"), Value::Null).await;
            assert!(answer.status < 300, "{}", answer.body);
            bench.idle().await;
            let shown = bench.show(&uuid).await;
            assert_eq!(shown["task_state"], Value::Null, "{action} {step}");
            assert!(
                !["Rebuilding", "Restarting"].contains(&shown["status"].as_str().unwrap()),
                "{action} {step}: {shown}"
            );
            bench.queue.set_chaos(Chaos::default());
            bench.delete(&format!("/v1/containers/{uuid}?stop=true")).await.expect(204);
            bench.until_gone(&uuid).await;
            bench.assert_clean();
        }
    }
}

/// A host whose next pulls never end.
async fn hanging(bench: &Bench) {
    bench.host.set_down(true);
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn a_delete_cancels_the_creation() {
    let bench = Bench::new().await;
    // The pull is retried for seconds: the delete must not wait for it.
    for _ in 0..20 {
        bench.host.fail_next("image_pull", Error::unavailable("DockerError", "not now"));
    }
    let created = bench.post("/v1/containers?run=true", full()).await.expect(202);
    let uuid = created["uuid"].as_str().unwrap().to_owned();
    let path = format!("/v1/containers/{uuid}");
    while !bench.host.calls().iter().any(|call| call.starts_with("image_pull")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.delete(&path).await.refused(409, "invalid-state-exception");
    bench.delete(&format!("{path}?stop=true")).await.expect(204);
    bench.until_gone(&uuid).await;
    bench.assert_clean();
    bench.idle().await;
    assert_eq!(bench.queue.pending().await.unwrap(), 0);
}

#[tokio::test]
async fn deletes_may_come_twice() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({})).await;
    let path = format!("/v1/containers/{uuid}?force=true");
    let admin = || bench.ask("admin", "1.40", Method::DELETE, &path, Value::Null);
    let (one, two) = tokio::join!(admin(), admin());
    assert!([204, 404].contains(&one.status) && [204, 404].contains(&two.status));
    bench.until_gone(&uuid).await;
    bench.idle().await;
    bench.assert_clean();
}

#[tokio::test]
async fn work_goes_on_after_a_restart() {
    let bench = Bench::new().await;
    // Once learnt, then away: the create is accepted and waits.
    bench.running(json!({})).await;
    for _ in 0..3 {
        bench.host.fail_next("create", Error::unavailable("DockerError", "not now"));
    }
    let created = bench.post("/v1/containers?run=true", full()).await.expect(202);
    let uuid = created["uuid"].as_str().unwrap().to_owned();
    while bench.host.calls().iter().filter(|call| call.starts_with("create")).count() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let bench = bench.restarted().await;
    bench.until(&uuid, "status", "Running").await;
    let ours = bench.network.store().ports.iter().filter(|port| port["device_id"] == uuid.as_str()).count();
    assert_eq!(ours, 2, "no port is doubled");
    bench.delete(&format!("/v1/containers/{uuid}?stop=true")).await.expect(204);
    let bench = bench.restarted().await;
    bench.until_gone(&uuid).await;
}

#[tokio::test]
async fn an_outcome_told_twice_does_not_undo_what_came_after() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({})).await;
    let handler = bench.service.handlers().into_iter().find(|handler| handler.kind() == "container.create").unwrap();
    let seen = sahab_contract::container::ContainerDriver::inspect(&*bench.host, &uuid).await.unwrap();
    let seen = crate::container::observed::Seen::from(seen);
    bench.host.exit(&uuid, 0);
    bench.until(&uuid, "status", "Stopped").await;
    // The program was killed after the outcome was written and before the task was: it ends again at the next start.
    let task = sahab_task::Task {
        id: 1,
        key: uuid.clone(),
        input: json!({"action": 1, "run": true}),
        state: json!({"nets": [], "image": "nginx:latest", "seen": seen}),
        request_id: "req-1".into(),
        attempts: 0,
    };
    handler.finished(&task, Ok(())).await.unwrap();
    let shown = bench.show(&uuid).await;
    assert_eq!(shown["status"], "Stopped");
    assert_ne!(shown["addresses"], json!({}));
}

#[tokio::test]
async fn one_port_goes_to_one_container() {
    let bench = Bench::new().await;
    let network = bench.network.store().networks[0]["id"].as_str().unwrap().to_owned();
    let port = bench.network.add_port(&network, "p1", "mine");
    let one = || bench.post("/v1/containers", json!({"image": "nginx", "nets": [{"port": port}]}));
    let (a, b) = tokio::join!(one(), one());
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 400]);
    bench.idle().await;
}

#[tokio::test]
async fn a_delete_waits_for_its_host() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({})).await;
    hanging(&bench).await;
    bench.delete(&format!("/v1/containers/{uuid}?stop=true")).await.expect(204);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.show(&uuid).await["status"], "Deleting");
    bench.host.set_down(false);
    bench.until_gone(&uuid).await;
    bench.assert_clean();
}

#[tokio::test]
async fn an_engine_that_is_down_takes_no_new_containers() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({})).await;
    hanging(&bench).await;
    let created = bench.post("/v1/containers", json!({"image": "nginx"})).await.expect(202);
    assert_eq!(created["status"], "Error");
    let reason = created["status_reason"].as_str().unwrap();
    assert_eq!(
        reason,
        "There are not enough hosts available. node1: ComputeFilter: the container engine does not answer"
    );
    bench.get(&format!("/v1/containers/{uuid}/logs")).await.refused(503, "compute-host-not-up");
    assert_eq!(bench.get(&format!("/v1/containers/{uuid}")).await.expect(200)["status"], "Running");
    // What was accepted before waits for it.
    bench.post(&format!("/v1/containers/{uuid}/stop"), Value::Null).await.expect(202);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.show(&uuid).await["task_state"], "container_stopping");
    // It comes back; what happened meanwhile is seen at once.
    bench.host.set_down(false);
    let later = bench.post("/v1/containers", json!({"image": "nginx"})).await.expect(202);
    bench.until(later["uuid"].as_str().unwrap(), "status", "Created").await;
    bench.until(&uuid, "status", "Stopped").await;
}

#[tokio::test]
async fn a_container_that_no_record_stands_for_is_removed() {
    use sahab_contract::container::{ContainerDriver, ContainerSpec};
    let bench = Bench::new().await;
    let kept = bench.running(json!({})).await;
    let stray = uuid::Uuid::new_v4().to_string();
    let spec = ContainerSpec { id: stray.clone(), image: "x".into(), ..Default::default() };
    bench.host.create(&spec).await.unwrap();
    let host: &FakeDriver = &bench.host;
    // The engine's return makes the service look at everything.
    host.set_down(false);
    for _ in 0..600 {
        if host.spec(&stray).is_none() {
            assert!(host.spec(&kept).is_some());
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the stray container stays");
}

#[tokio::test]
async fn a_deleted_networks_object_is_forgotten() {
    use sahab_contract::container::ContainerDriver;
    let bench = Bench::new().await;
    let uuid = bench.running(json!({})).await;
    let network = bench.host.spec(&uuid).unwrap().networks[0].network_id.clone();
    let path = format!("/v1/networks//{network}");
    let admin = |version| bench.ask("admin", version, Method::DELETE, &path, Value::Null);
    admin("1.40").await.refused(409, "conflict");
    bench.delete(&path).await.refused(403, "policy-not-authorized");
    bench.delete(&format!("/v1/containers/{uuid}?stop=true")).await.expect(204);
    bench.until_gone(&uuid).await;
    assert!(!bench.host.network_list().await.unwrap().is_empty());
    admin("1.26").await.refused(406, "");
    assert_eq!(admin("1.40").await.status, 204);
    admin("1.40").await.refused(404, "network-not-found");

    let uuid = bench.running(json!({})).await;
    bench.delete(&format!("/v1/containers/{uuid}?stop=true")).await.expect(204);
    bench.until_gone(&uuid).await;
    bench.events.publish("network.deleted", &network, "p1", json!({}));
    for _ in 0..600 {
        if bench.host.network_list().await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the network stays known to the host");
}
