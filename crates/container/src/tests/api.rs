//! The wire: versions, paths, errors, lists, rights.

use http::Method;
use serde_json::{Value, json};

use super::bench::Bench;

#[tokio::test]
async fn version_documents_need_no_token() {
    let bench = Bench::new().await;
    let root = bench.ask("", "1.1", Method::GET, "/", Value::Null).await.expect(200);
    assert_eq!(root["versions"][0]["status"], "CURRENT");
    assert_eq!(
        (&root["versions"][0]["min_version"], &root["versions"][0]["max_version"]),
        (&json!("1.1"), &json!("1.40"))
    );
    assert_eq!(root["versions"][0]["links"][0]["href"], "http://c/container/v1/");
    let v1 = bench.ask("", "", Method::GET, "/v1/", Value::Null).await.expect(200);
    assert_eq!(v1["containers"][0]["href"], "http://c/container/v1/containers/");
    assert_eq!(bench.ask("", "", Method::GET, "/v1/containers", Value::Null).await.status, 401);
}

#[tokio::test]
async fn every_versioned_answer_names_the_version() {
    let bench = Bench::new().await;
    for (version, token, path, status, shown) in [
        ("", "member", "/v1/containers", 200, "container 1.1"),
        ("latest", "member", "/v1/containers", 200, "container 1.40"),
        ("1.12", "member", "/v1/containers/none", 404, "container 1.12"),
        ("1.12", "", "/v1/containers", 401, "container 1.12"),
        ("1.12", "member", "/v1/nothing", 404, "container 1.12"),
    ] {
        let answer = bench.ask(token, version, Method::GET, path, Value::Null).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.headers["openstack-api-version"], shown);
        assert_eq!(answer.headers["openstack-api-minimum-version"], "container 1.1");
        assert_eq!(answer.headers["openstack-api-maximum-version"], "container 1.40");
        assert_eq!(answer.headers["vary"], "OpenStack-API-Version");
        assert!(answer.headers["x-openstack-request-id"].to_str().unwrap().starts_with("req-"));
    }
    let answer = bench.ask("member", "1.41", Method::GET, "/v1/containers", Value::Null).await;
    assert_eq!((answer.status, &answer.body["errors"][0]["code"]), (406, &json!("zun.microversion-unsupported")));
    assert_eq!(answer.body["errors"][0]["max_version"], "1.40");
}

#[tokio::test]
async fn odd_paths_reach_the_same_handlers() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({"name": "web"})).await;
    for path in [
        format!("/v1/containers//{uuid}"),
        format!("/containers/{uuid}/"),
        "/v1/containers/web?all_projects=False".into(),
        format!("/v1/containers/{}", uuid.replace('-', "")),
    ] {
        assert_eq!(bench.get(&path).await.expect(200)["uuid"], uuid, "{path}");
    }
    for (method, path, status) in [
        (Method::GET, "/v1/containers/web/start", 404),
        (Method::POST, "/v1/containers/web/dance", 404),
        (Method::PUT, "/v1/containers/web", 405),
        (Method::GET, "/v1/networks", 405),
        (Method::GET, "/v1/capsules", 404),
    ] {
        let answer = bench.ask("member", "1.40", method.clone(), path, Value::Null).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    for (version, path) in [("1.14", "rename"), ("1.18", "resize_container"), ("1.7", "network_attach")] {
        let path = format!("/v1/containers/web/{path}");
        bench.ask("member", version, Method::POST, &path, json!({"name": "other"})).await.refused(406, "");
    }
    let renamed = bench.ask("member", "1.13", Method::POST, "/v1/containers/web/rename?name=new", Value::Null).await;
    assert_eq!(renamed.expect(200)["name"], "new");
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let bench = Bench::new().await;
    bench.post("/v1/containers", Value::Null).await.refused(400, "schema-validation-error");
    bench.post("/v1/containers", json!([1])).await.refused(400, "schema-validation-error");
    let refused = bench.post("/v1/containers", json!({"image": "nginx", "privileged": true})).await;
    assert_eq!(
        refused.refused(403, "policy-not-authorized"),
        "Policy doesn't allow container:create:privileged to be performed."
    );
    bench.post("/v1/containers", json!({"image": "nginx", "privileged": false})).await.expect(202);
    bench
        .post("/v1/containers", json!({"image": "nginx", "runtime": "runc"}))
        .await
        .refused(403, "policy-not-authorized");
    bench
        .post("/v1/containers", json!({"image": "nginx", "host": "node1"}))
        .await
        .refused(403, "policy-not-authorized");
    bench.post("/v1/containers", json!({"image": "nginx", "image_pull_policy": "never"})).await.expect(202);
    for (field, value, code, status) in [
        ("nets", json!([{"network": "nowhere"}]), "network-not-found", 404),
        ("nets", json!([{"port": "nowhere"}]), "port-not-found", 404),
        ("nets", json!([{"network": "private"}, {"network": "private"}]), "invalid-value", 400),
        ("security_groups", json!(["nowhere"]), "invalid-value", 400),
        ("registry", json!("nowhere"), "registry-not-found", 404),
    ] {
        bench.post("/v1/containers", json!({"image": "nginx", field: value})).await.refused(status, code);
    }
    let host = json!({"image": "nginx", "host": "nowhere"});
    bench.ask("admin", "1.40", Method::POST, "/v1/containers", host).await.refused(404, "requested-host-not-found");
    bench.idle().await;
    let listed = bench.get("/v1/containers").await.expect(200);
    assert_eq!(listed["containers"].as_array().unwrap().len(), 2, "no refused request left a container");
}

#[tokio::test]
async fn external_networks_need_the_right() {
    let bench = Bench::new().await;
    let external = bench.network.add_network("outside", "p1", false, true);
    let body = json!({"image": "nginx", "nets": [{"network": external}]});
    bench.post("/v1/containers", body.clone()).await.refused(403, "external-network-attach-forbidden");
    bench.ask("admin", "1.40", Method::POST, "/v1/containers", body).await.expect(202);
    bench.idle().await;
}

#[tokio::test]
async fn names_are_unique_only_by_luck() {
    let bench = Bench::new().await;
    for _ in 0..2 {
        bench.post("/v1/containers", json!({"image": "nginx", "name": "twin"})).await.expect(202);
    }
    assert!(bench.get("/v1/containers/twin").await.refused(409, "conflict").contains("uuid"));
    bench.idle().await;
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let bench = Bench::new().await;
    for number in 0..5 {
        let body = json!({"image": "nginx", "name": format!("c{}", 4 - number), "memory": 100 + number});
        bench.post("/v1/containers", body).await.expect(202);
    }
    bench.idle().await;
    let names = |body: &Value| -> Vec<String> {
        let list = body["containers"].as_array().unwrap();
        list.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = bench.get("/v1/containers/").await.expect(200);
    assert_eq!(names(&all), ["c4", "c3", "c2", "c1", "c0"]);
    assert_eq!(all["next"], Value::Null);
    assert!(all["containers"][0].get("links").is_none());
    let page = bench.get("/v1/containers?limit=2&sort_key=name&sort_dir=desc&image=nginx").await.expect(200);
    assert_eq!(names(&page), ["c4", "c3"]);
    let next = page["next"].as_str().unwrap();
    assert!(next.starts_with("http://c/container/v1/containers?") && next.contains("image=nginx"), "{next}");
    // As the client follows it: host cut off, the rest behind the catalogue's URL.
    let path = next.strip_prefix("http://c").unwrap();
    let second = bench.get(path.strip_prefix("/container").unwrap()).await.expect(200);
    assert_eq!(names(&second), ["c2", "c1"]);
    assert_eq!(names(&bench.get(&format!("/v1{path}")).await.expect(200)), ["c2", "c1"]);
    // A column that is null everywhere still pages by creation.
    let nulls = bench.get("/v1/containers?limit=2&sort_key=started_at").await.expect(200);
    let marker = nulls["containers"][1]["uuid"].as_str().unwrap();
    let rest = bench.get(&format!("/v1/containers?sort_key=started_at&marker={marker}")).await.expect(200);
    assert_eq!(names(&rest), ["c2", "c1", "c0"]);
    assert_eq!(names(&bench.get("/v1/containers?name=c2&status=Created").await.expect(200)), ["c2"]);
    assert_eq!(names(&bench.get("/v1/containers?memory=102").await.expect(200)), ["c2"]);
    assert!(names(&bench.get("/v1/containers?status=Nope").await.expect(200)).is_empty());
    for (query, code, status) in [
        ("limit=0", "invalid-value", 400),
        ("limit=-1", "invalid-value", 400),
        ("limit=x", "invalid-value", 400),
        ("sort_dir=up", "invalid-value", 400),
        ("sort_key=nope", "invalid-parameter-value", 400),
        ("foo=1", "invalid-value", 400),
        ("marker=none", "container-not-found", 404),
        ("host=node1", "policy-not-authorized", 403),
        ("all_projects=1", "policy-not-authorized", 403),
        ("all_projects=perhaps", "schema-validation-error", 400),
    ] {
        bench.get(&format!("/v1/containers?{query}")).await.refused(status, code);
    }
    let everybody = bench.ask("admin@p9", "1.40", Method::GET, "/v1/containers?all_projects=1&host=node1", Value::Null);
    assert_eq!(everybody.await.expect(200)["containers"].as_array().unwrap().len(), 5);
    let own = bench.ask("admin@p9", "1.40", Method::GET, "/v1/containers", Value::Null).await.expect(200);
    assert!(names(&own).is_empty());
}

#[tokio::test]
async fn delete_has_its_versions_and_rights() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({})).await;
    let path = format!("/v1/containers/{uuid}");
    bench.delete(&path).await.refused(409, "invalid-state-exception");
    bench.delete(&format!("{path}?force=true")).await.refused(403, "policy-not-authorized");
    bench.delete(&format!("{path}?force=perhaps")).await.refused(400, "schema-validation-error");
    bench.delete(&format!("{path}?foo=1")).await.refused(400, "schema-validation-error");
    let old = |version, query: &str| {
        let path: &'static str = Box::leak(format!("{path}?{query}").into_boxed_str());
        bench.ask("admin", version, Method::DELETE, path, Value::Null)
    };
    old("1.6", "force=true").await.refused(400, "invalid-param-in-version");
    old("1.11", "stop=true").await.refused(400, "invalid-param-in-version");
    bench.delete(&format!("{path}?force=False&stop=True&all_projects=False")).await.expect(204);
    bench.until_gone(&uuid).await;
}

/// Who may reach what: the whole table with no token, another project, a reader, an administrator.
#[tokio::test]
async fn the_endpoint_table_by_role() {
    let bench = Bench::new().await;
    let uuid = bench.running(json!({"name": "web"})).await;
    let mut walked = 0;
    for (service, method, pattern, open) in bench.dispatcher.endpoints() {
        if service != "container" || open {
            continue;
        }
        walked += 1;
        let path = pattern
            .replace("{id}", &uuid)
            .replace("{project}", "p1")
            .replace("{class}", "default")
            .replace("{request}", "req-1")
            .replace("{*name}", "nginx/search");
        let ask = |token| bench.ask(token, "1.13", method.clone(), &path, Value::Null);
        let none = ask("").await;
        assert_eq!(none.status, 401, "{method} {pattern} without a token");
        assert_eq!(ask("forged").await.status, 401, "{method} {pattern} with a forged token");
        let of_container = pattern.starts_with("/v1/containers/{id}");
        let stranger = ask("member@p2").await;
        if of_container {
            let newer = pattern.ends_with("resize_container");
            let expected: &[u16] = if newer { &[404, 406] } else { &[404, 400] };
            assert!(expected.contains(&stranger.status), "{method} {pattern} from another project: {}", stranger.body);
        }
        assert!(stranger.status < 500, "{method} {pattern}: {}", stranger.body);
        if method != Method::GET {
            let reader = ask("reader").await;
            assert!((400..500).contains(&reader.status), "{method} {pattern} by a reader: {}", reader.body);
            assert_ne!(reader.status, 409, "{method} {pattern}: a reader must not even see the state");
        }
    }
    assert!(walked > 55, "{walked}");
    let shown = bench.show(&uuid).await;
    assert_eq!((&shown["status"], &shown["name"]), (&json!("Running"), &json!("web")), "nobody changed anything");
    // A reader reads.
    for path in ["/v1/containers", "/v1/containers/web", "/v1/containers/web/logs", "/v1/quotas/p1"] {
        bench.ask("reader", "1.40", Method::GET, path, Value::Null).await.expect(200);
    }
    // Every write that needs arguments, well formed, is refused for its role.
    for (method, path, body) in [
        (Method::POST, "/v1/containers", json!({"image": "nginx"})),
        (Method::POST, "/v1/containers/web/execute", json!({"command": "ls"})),
        (Method::POST, "/v1/containers/web/put_archive?path=/x", json!({"data": "aGk="})),
        (Method::POST, "/v1/containers/web/network_detach?network=private", Value::Null),
        (Method::POST, "/v1/containers/web/resize?w=1&h=1", Value::Null),
        (Method::PATCH, "/v1/containers/web", json!({"name": "mine"})),
        (Method::POST, "/v1/registries", json!({"registry": {"domain": "a.b"}})),
        (Method::PUT, "/v1/quotas/p1", json!({"cpu": 1})),
        (Method::PUT, "/v1/quota_classes/default", json!({"cpu": 1})),
        (Method::PUT, "/v1/services/disable?host=node1&binary=zun-compute", Value::Null),
        (Method::POST, "/v1/images", json!({"repo": "nginx", "host": "node1"})),
        (Method::POST, "/v1/networks", json!({"name": "net", "neutron_net_id": "private"})),
    ] {
        let text = bench.ask("reader", "1.40", method, path, body).await.refused(403, "policy-not-authorized");
        assert!(text.starts_with("Policy doesn't allow "), "{text}");
    }
}
