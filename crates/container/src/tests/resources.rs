//! Quotas, services, hosts, zones, images, registries.

use std::time::Duration;

use http::Method;
use sahab_contract::Error;
use serde_json::{Value, json};

use super::bench::Bench;
use crate::{Quotas, Settings};

async fn admin(bench: &Bench, method: Method, path: &str, body: Value) -> super::bench::Answer {
    bench.ask("admin", "1.40", method, path, body).await
}

#[tokio::test]
async fn quotas_count_effective_values() {
    let quotas = Quotas { containers: 2, memory: 1000, cpu: 20, disk: 100 };
    let bench = Bench::with(Settings { quotas, ..Settings::default() }).await;
    // 512 MiB each by default: the second does not fit although it names no memory.
    bench.post("/v1/containers", json!({"image": "nginx"})).await.expect(202);
    let text = bench.post("/v1/containers", json!({"image": "nginx"})).await.refused(403, "over-quota");
    assert_eq!(text, "Quota exceeded for resources: ['memory']");
    bench.post("/v1/containers", json!({"image": "nginx", "memory": 100})).await.expect(202);
    let text = bench.post("/v1/containers", json!({"image": "nginx", "memory": 500, "cpu": 16})).await;
    assert_eq!(text.refused(403, "over-quota"), "Quota exceeded for resources: ['containers', 'memory']");
    bench.idle().await;
    let usage = bench.get("/v1/quotas/p1?usages=True").await.expect(200);
    assert_eq!(usage["memory"], json!({"limit": 1000, "in_use": 612}));
    assert_eq!(usage["containers"]["in_use"], 2);
    bench.get("/v1/quotas/p2").await.refused(403, "policy-not-authorized");
    let set =
        admin(&bench, Method::PUT, "/v1/quotas/p1", json!({"memory": "5000", "containers": -1})).await.expect(200);
    assert_eq!(set, json!({"containers": -1, "cpu": 20, "disk": 100, "memory": 5000}));
    let created = bench.post("/v1/containers", json!({"image": "nginx"})).await.expect(202);
    bench.idle().await;
    admin(&bench, Method::PUT, "/v1/quotas/p1", json!({"cpu": -2})).await.refused(400, "schema-validation-error");
    admin(&bench, Method::PUT, "/v1/quotas/p1", json!({"ram": 1})).await.refused(400, "schema-validation-error");
    // A resize counts the difference.
    let path = format!("/v1/containers/{}", created["uuid"].as_str().unwrap());
    bench.patch(&path, json!({"memory": 8000})).await.refused(403, "over-quota");
    admin(&bench, Method::DELETE, "/v1/quotas/p1", Value::Null).await.expect(200);
    assert_eq!(bench.get("/v1/quotas/p1").await.expect(200)["memory"], 1000);
    let class = admin(&bench, Method::PUT, "/v1/quota_classes/default", json!({"memory": 1234})).await.expect(200);
    assert_eq!(class["memory"], 1234);
    assert_eq!(bench.get("/v1/quotas/p1/defaults").await.expect(200)["memory"], 1234);
}

#[tokio::test]
async fn claims_never_exceed_a_host() {
    let settings = Settings {
        quotas: Quotas { containers: -1, memory: -1, cpu: -1, disk: -1 },
        ratios: crate::Ratios { cpu: 16.0, memory: 1.0, disk: 1.0, reserved_memory: 0 },
        ..Settings::default()
    };
    let bench = Bench::with(settings).await;
    // The fake host has 16 GiB: two of 8000 MiB fit, whatever comes at once.
    let one = || bench.post("/v1/containers", json!({"image": "nginx", "memory": 8000}));
    let (a, b, c) = tokio::join!(one(), one(), one());
    let answers = [a.expect(202), b.expect(202), c.expect(202)];
    let refused: Vec<_> = answers.iter().filter(|answer| answer["status"] == "Error").collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(
        refused[0]["status_reason"],
        "There are not enough hosts available. node1: RamFilter: needs 8000 MiB, 384 MiB free"
    );
    bench.idle().await;
    let host = admin(&bench, Method::GET, "/v1/hosts/node1", Value::Null).await.expect(200);
    assert_eq!((&host["mem_used"], &host["mem_total"]), (&json!(16000), &json!(16384)));
}

#[tokio::test]
async fn services_are_seen_and_switched() {
    let bench = Bench::new().await;
    bench.running(json!({})).await;
    bench.get("/v1/services").await.refused(403, "policy-not-authorized");
    let listed = admin(&bench, Method::GET, "/v1/services", Value::Null).await.expect(200);
    let service = &listed["services"][0];
    assert_eq!(
        (&service["host"], &service["binary"], &service["state"]),
        (&json!("node1"), &json!("zun-compute"), &json!("up"))
    );
    assert!(service["last_seen_up"].is_string() && listed.get("next").is_none());
    let query = "host=node1&binary=zun-compute";
    let path = format!("/v1/services/disable?{query}&disabled_reason=x");
    let disabled = admin(&bench, Method::PUT, &path, Value::Null).await.expect(200);
    assert_eq!(
        disabled["service"],
        json!({"host": "node1", "binary": "zun-compute", "disabled": true, "disabled_reason": "x"})
    );
    let created = bench.post("/v1/containers", json!({"image": "nginx"})).await.expect(202);
    assert!(created["status_reason"].as_str().unwrap().ends_with("ComputeFilter: the service is disabled (x)"));
    let body = json!({"host": "node1", "binary": "zun-compute"});
    admin(&bench, Method::PUT, "/v1/services/enable", body).await.expect(200);
    bench.running(json!({})).await;
    let path = format!("/v1/services/force_down?{query}&forced_down=true");
    let down = admin(&bench, Method::PUT, &path, Value::Null).await.expect(200);
    assert_eq!(down["service"]["forced_down"], true);
    let listed = admin(&bench, Method::GET, "/v1/services", Value::Null).await.expect(200);
    assert_eq!(listed["services"][0]["state"], "down");
    admin(&bench, Method::PUT, "/v1/services/enable", Value::Null).await.refused(400, "schema-validation-error");
    admin(&bench, Method::PUT, "/v1/services/enable?host=x&binary=y", Value::Null)
        .await
        .refused(404, "zun-service-not-found");
    let zones = bench.get("/v1/availability_zones").await.expect(200);
    assert_eq!(zones, json!({"availability_zones": [{"availability_zone": "nova"}], "next": null}));
    admin(&bench, Method::DELETE, "/v1/services", Value::Null).await.refused(400, "schema-validation-error");
    admin(&bench, Method::DELETE, &format!("/v1/services?{query}"), Value::Null).await.expect(200);
    let listed = admin(&bench, Method::GET, "/v1/services", Value::Null).await.expect(200);
    assert_eq!(listed["services"], json!([]));
}

#[tokio::test]
async fn a_host_that_is_not_seen_is_down() {
    let settings = Settings { service_down_time: Duration::ZERO, ..Settings::default() };
    let bench = Bench::with(settings).await;
    let created = bench.post("/v1/containers", json!({"image": "nginx"})).await.expect(202);
    assert!(created["status_reason"].as_str().unwrap().ends_with("ComputeFilter: the service is down"), "{created}");
}

#[tokio::test]
async fn a_host_without_its_engine_is_down() {
    let bench = Bench::new().await;
    bench.running(json!({})).await;
    let until = async |wanted: &str| {
        for _ in 0..1000 {
            let listed = admin(&bench, Method::GET, "/v1/services", Value::Null).await.expect(200);
            if listed["services"][0]["state"] == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the service is never {wanted}");
    };
    bench.host.set_down(true);
    until("down").await;
    bench.host.set_down(false);
    until("up").await;
}

#[tokio::test]
async fn hosts_are_for_administrators() {
    let bench = Bench::new().await;
    bench.running(json!({"memory": 100})).await;
    bench.get("/v1/hosts").await.refused(403, "policy-not-authorized");
    bench.ask("admin", "1.3", Method::GET, "/v1/hosts", Value::Null).await.refused(406, "");
    let listed = admin(&bench, Method::GET, "/v1/hosts/", Value::Null).await.expect(200);
    let host = &listed["hosts"][0];
    assert_eq!((&host["hostname"], &host["mem_used"], &host["cpu_used"]), (&json!("node1"), &json!(100), &json!(1.0)));
    assert_eq!(host["enable_cpu_pinning"], false);
    let path = format!("/v1/hosts/{}", host["uuid"].as_str().unwrap());
    let old = bench.ask("admin", "1.28", Method::GET, &path, Value::Null).await.expect(200);
    assert!(old.get("enable_cpu_pinning").is_none());
    admin(&bench, Method::GET, "/v1/hosts/none", Value::Null).await.refused(404, "compute-node-not-found");
}

#[tokio::test]
async fn images_are_pulled_to_hosts() {
    let bench = Bench::new().await;
    let body = json!({"repo": "library/nginx:1", "host": "node1"});
    bench.post("/v1/images/", body.clone()).await.refused(403, "policy-not-authorized");
    let pulled = admin(&bench, Method::POST, "/v1/images/", body.clone()).await.expect(202);
    assert_eq!(
        (&pulled["repo"], &pulled["tag"], &pulled["image_id"]),
        (&json!("library/nginx"), &json!("1"), &Value::Null)
    );
    bench.idle().await;
    let path = format!("/v1/images/{}", pulled["uuid"].as_str().unwrap());
    let shown = admin(&bench, Method::GET, &path, Value::Null).await.expect(200);
    assert!(shown["image_id"].as_str().unwrap().starts_with("sha256:"));
    admin(&bench, Method::POST, "/v1/images", body).await.refused(409, "image-already-exists");
    let nowhere = json!({"repo": "nginx", "host": "nowhere"});
    admin(&bench, Method::POST, "/v1/images", nowhere).await.refused(400, "invalid-value");
    let found = bench.get("/v1/images/library/nginx/search?exact_match=False").await.expect(200);
    assert_eq!(found[0]["name"], "library/nginx:1");
    assert_eq!(bench.get("/v1/images/library%2Fnginx/search?exact_match=true").await.expect(200), json!([]));
    admin(&bench, Method::GET, "/v1/images/not-a-uuid", Value::Null).await.refused(404, "image-not-found");
    admin(&bench, Method::DELETE, &path, Value::Null).await.expect(200);
    let listed = admin(&bench, Method::GET, "/v1/images", Value::Null).await.expect(200);
    assert_eq!(listed, json!({"images": [], "next": null}));
    // A pull that fails leaves no record that looks like one that goes on.
    bench.host.fail_next("image_pull", Error::not_found("DockerError", "no such image"));
    let failing = json!({"repo": "nope", "host": "node1"});
    admin(&bench, Method::POST, "/v1/images", failing).await.expect(202);
    bench.idle().await;
    let listed = admin(&bench, Method::GET, "/v1/images", Value::Null).await.expect(200);
    assert_eq!(listed["images"], json!([]));
}

#[tokio::test]
async fn registries_keep_their_secret() {
    let key = fernet::Fernet::generate_key();
    let bench = Bench::with(Settings { secret_key: Some(key), ..Settings::default() }).await;
    let fields =
        json!({"registry": {"domain": "reg.example:5000", "name": "mine", "username": "u", "password": "hush"}});
    let created = bench.post("/v1/registries", fields).await.expect(201);
    let registry = &created["registry"];
    assert_eq!((&registry["password"], &registry["domain"]), (&json!("***"), &json!("reg.example:5000")));
    let uuid = registry["uuid"].as_str().unwrap();
    let stored = crate::db::registry::find(bench.database.read(), uuid, None).await.unwrap();
    assert!(!stored[0].password.as_ref().unwrap().contains("hush"));
    let body = json!({"registry": "mine", "image": "team/app:2"});
    let container = bench.running(body).await;
    assert_eq!(bench.show(&container).await["registry_id"], uuid);
    assert!(bench.host.calls().contains(&"image_pull reg.example:5000/team/app:2".to_owned()));
    let (reference, login) = bench.service.pull_source(Some(uuid), "app").await.unwrap();
    assert_eq!((reference.as_str(), login.unwrap().password.as_str()), ("reg.example:5000/app", "hush"));
    let (reference, login) = bench.service.pull_source(Some(uuid), "other.example/app").await.unwrap();
    assert_eq!((reference.as_str(), login), ("other.example/app", None), "the password goes to its registry only");
    bench
        .ask("member@p2", "1.40", Method::GET, "/v1/registries/mine", Value::Null)
        .await
        .refused(404, "registry-not-found");
    let change = json!({"registry": {"username": "v"}});
    let changed = bench.patch("/v1/registries/mine", change).await.expect(200);
    assert_eq!((&changed["registry"]["username"], &changed["registry"]["password"]), (&json!("v"), &json!("***")));
    let listed = bench.get("/v1/registries?domain=reg.example:5000").await.expect(200);
    assert!(listed["registries"][0].get("links").is_none());
    bench.get("/v1/registries?foo=1").await.refused(400, "invalid-value");
    bench.post("/v1/registries", json!({"registry": {"name": "xx"}})).await.refused(400, "schema-validation-error");
    let bad = json!({"registry": {"domain": "a/../b"}});
    bench.post("/v1/registries", bad).await.refused(400, "schema-validation-error");
    bench.delete("/v1/registries/mine").await.expect(204);
}

#[tokio::test]
async fn without_a_key_no_password_is_kept() {
    let bench = Bench::new().await;
    let fields = json!({"registry": {"domain": "reg.example", "password": "hush"}});
    bench.post("/v1/registries", fields).await.refused(400, "invalid-value");
    bench.post("/v1/registries", json!({"registry": {"domain": "reg.example"}})).await.expect(201);
}
