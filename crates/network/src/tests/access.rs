use http::Method;
use serde_json::{Value, json};

use super::{cloud::*, routers::Site};

/// A path with every parameter filled by an id that exists where one does.
fn fill(pattern: &str, site: &Site) -> String {
    let id = if pattern.contains("/networks/") {
        &site.network
    } else if pattern.contains("/subnets/") {
        &site.subnet
    } else if pattern.contains("/routers/") {
        &site.router
    } else if pattern.contains("/ports/") {
        &site.leg
    } else {
        &site.external
    };
    let mut path = String::new();
    for part in pattern.split('/').skip(1) {
        path.push('/');
        path.push_str(match part {
            "{project}" => "demo",
            "{alias}" => "router",
            part if part.starts_with('{') => id,
            part => part,
        });
    }
    path
}

#[tokio::test]
async fn every_endpoint_asks_who_is_there() {
    let site = Site::new().await;
    for (_, method, pattern, open) in site.cloud.dispatcher.endpoints() {
        let path = fill(pattern, &site);
        let (status, _) = site.cloud.send("no-token", method.clone(), &path, Some("{}")).await;
        assert_eq!(status, if open { 200 } else { 401 }, "{method} {path}");
    }
}

#[tokio::test]
async fn strangers_and_readers_change_nothing() {
    let site = Site::new().await;
    let before = site.cloud.get(ADMIN, "/v2.0/ports?sort_key=id&sort_dir=asc").await.1;
    for (_, method, pattern, _) in site.cloud.dispatcher.endpoints() {
        if method == Method::GET {
            continue;
        }
        let path = fill(pattern, &site);
        for token in [OTHER, READER] {
            let (status, body) = site.cloud.send(token, method.clone(), &path, Some("{}")).await;
            let harmless = path.contains("/auto-allocated-topology/") && token == READER && status == 403;
            assert!((400..500).contains(&status) || harmless, "{token} {method} {path}: {status} {body}");
        }
    }
    assert_eq!(site.cloud.get(ADMIN, "/v2.0/ports?sort_key=id&sort_dir=asc").await.1, before);
}

#[tokio::test]
async fn no_request_of_anybody_is_an_internal_error() {
    let site = Site::new().await;
    let bodies = [
        "",
        "{",
        "[]",
        "null",
        "{\"network\": 1}",
        "{\"port\": {\"fixed_ips\": {}}}",
        "{\"quota\": {\"network\": {}}}",
        "{\"router\": {\"routes\": 7}}",
        "{\"tags\": 1}",
    ];
    for (_, method, pattern, _) in site.cloud.dispatcher.endpoints() {
        if method == Method::DELETE {
            continue;
        }
        let path = fill(pattern, &site);
        for token in [ADMIN, MEMBER, SERVICE] {
            for body in bodies {
                let (status, answer) = site.cloud.send(token, method.clone(), &path, Some(body)).await;
                assert!(status < 500, "{token} {method} {path} {body}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn reports_for_administrators_are_empty_for_others() {
    let site = Site::new().await;
    assert_eq!(site.cloud.get(MEMBER, "/v2.0/agents").await.1, json!({"agents": []}));
    let (_, list) = site.cloud.get(ADMIN, "/v2.0/agents?agent_type=DHCP%20Agent").await;
    let agent = text(&list["agents"][0]["id"]);
    assert_eq!(site.cloud.get(MEMBER, &format!("/v2.0/agents/{agent}")).await.0, 404);
    let path = format!("/v2.0/networks/{}/dhcp-agents", site.network);
    assert_eq!(site.cloud.get(MEMBER, &path).await.0, 403);
    assert_eq!(ids(&site.cloud.get(ADMIN, &path).await.1["agents"]), std::slice::from_ref(&agent));
    let nets = format!("/v2.0/agents/{agent}/dhcp-networks");
    assert!(ids(&site.cloud.get(ADMIN, &nets).await.1["networks"]).contains(&site.network));
    let body = json!({"network_id": site.network});
    fails(&site.cloud.post(ADMIN, &nets, body.clone()).await, 409, "NetworkHostedByDHCPAgent");
    assert_eq!(site.cloud.delete(ADMIN, &format!("{nets}/{}", site.network)).await.0, 204);
    assert_eq!(site.cloud.post(ADMIN, &nets, body).await, (201, Value::Null));
    let (_, list) = site.cloud.get(ADMIN, "/v2.0/network-ip-availabilities?ip_version=4").await;
    let row = list["network_ip_availabilities"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["network_id"] == json!(site.network));
    assert_eq!((&row.unwrap()["total_ips"], &row.unwrap()["used_ips"]), (&json!(253), &json!(1)));
    assert_eq!(
        site.cloud.get(MEMBER, "/v2.0/network-ip-availabilities").await.1,
        json!({"network_ip_availabilities": []})
    );
    let (_, list) = site.cloud.get(MEMBER, "/v2.0/availability_zones?resource=router").await;
    assert_eq!(list["availability_zones"], json!([{"name": "nova", "resource": "router", "state": "available"}]));
}

#[tokio::test]
async fn extensions_are_listed_as_they_are_shown() {
    let cloud = TestCloud::new().await;
    let (_, list) = cloud.get(READER, "/v2.0/extensions").await;
    for row in list["extensions"].as_array().unwrap() {
        let (status, shown) = cloud.get(READER, &format!("/v2.0/extensions/{}", text(&row["alias"]))).await;
        assert_eq!((status, &shown["extension"]), (200, row));
    }
    assert_eq!(cloud.get(READER, "/v2.0/extensions/dvr").await.0, 404);
    let (_, root) = cloud.get("", "/").await;
    assert_eq!(root["versions"][0]["links"][0]["href"], "http://cloud:5000/network/v2.0/");
}

#[tokio::test]
async fn the_topology_is_made_on_demand() {
    let cloud = TestCloud::new().await;
    let path = "/v2.0/auto-allocated-topology/None";
    fails(&cloud.get(MEMBER, path).await, 409, "AutoAllocationFailure");
    let external = cloud.network(ADMIN, json!({"router:external": true, "is_default": true})).await;
    cloud.subnet(ADMIN, &external, "172.24.4.0/24").await;
    let pool =
        json!({"name": "p", "prefixes": ["10.0.0.0/16"], "default_prefixlen": 26, "is_default": true, "shared": true});
    cloud.make(ADMIN, "subnetpools", "subnetpool", pool).await;
    let (_, dry) = cloud.get(MEMBER, &format!("{path}?fields=dry-run")).await;
    assert_eq!(dry["auto_allocated_topology"]["id"], "dry-run=pass");
    let (status, made) = cloud.get(MEMBER, path).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(cloud.get(MEMBER, path).await.1, made);
    assert_eq!(cloud.get(OTHER, "/v2.0/auto-allocated-topology/demo").await.0, 403);
    assert_eq!(cloud.delete(MEMBER, path).await.0, 204);
    assert_eq!(cloud.delete(MEMBER, path).await.0, 204);
    assert!(cloud.get(MEMBER, "/v2.0/routers").await.1["routers"].as_array().unwrap().is_empty());
    let second = json!({"network": {"router:external": true, "is_default": true}});
    fails(&cloud.post(ADMIN, "/v2.0/networks", second).await, 409, "DefaultExternalNetworkExists");
}

#[tokio::test]
async fn metering_labels_keep_their_rules_apart() {
    let cloud = TestCloud::new().await;
    let body = json!({"metering_label": {"name": "l"}});
    assert_eq!(cloud.post(MEMBER, "/v2.0/metering/metering-labels", body).await.0, 403);
    let label =
        cloud.make(ADMIN, "metering/metering-labels", "metering_label", json!({"name": "l", "shared": true})).await;
    let rule = json!({"metering_label_id": label["id"], "remote_ip_prefix": "10.0.0.0/24", "direction": "ingress"});
    cloud.make(ADMIN, "metering/metering-label-rules", "metering_label_rule", rule.clone()).await;
    let again = cloud.post(ADMIN, "/v2.0/metering/metering-label-rules", json!({"metering_label_rule": rule})).await;
    fails(&again, 409, "MeteringLabelRuleOverlaps");
    assert_eq!(cloud.delete(ADMIN, &format!("/v2.0/metering/metering-labels/{}", text(&label["id"]))).await.0, 204);
    let (_, rules) = cloud.get(ADMIN, "/v2.0/metering/metering-label-rules").await;
    assert!(rules["metering_label_rules"].as_array().unwrap().is_empty());
}
