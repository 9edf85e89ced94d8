use http::Method;
use serde_json::json;

use super::cloud::*;

#[tokio::test]
async fn a_network_lives_and_dies() {
    let cloud = TestCloud::new().await;
    let made = cloud.make(MEMBER, "networks", "network", json!({"name": "n", "description": "d"})).await;
    assert_eq!(made["status"], "ACTIVE");
    assert_eq!(made["mtu"], 1500);
    assert_eq!(made["project_id"], "demo");
    assert_eq!(made["tenant_id"], "demo");
    assert_eq!(made["router:external"], false);
    assert!(made.get("provider:network_type").is_none(), "a member does not see the provider");
    let path = format!("/v2.0/networks/{}", text(&made["id"]));
    let (status, shown) = cloud.get(MEMBER, &path).await;
    assert_eq!((status, &shown["network"]), (200, &made));
    let (_, shown) = cloud.get(ADMIN, &path).await;
    assert_eq!(shown["network"]["provider:network_type"], "vxlan");
    let (status, changed) = cloud.put(MEMBER, &path, json!({"network": {"name": "m"}})).await;
    assert_eq!((status, &changed["network"]["name"]), (200, &json!("m")));
    assert_eq!(changed["network"]["revision_number"], 2);
    let (_, same) = cloud.put(MEMBER, &path, json!({"network": {}})).await;
    assert_eq!(same["network"]["revision_number"], 2);
    assert_eq!(cloud.delete(MEMBER, &path).await.0, 204);
    fails(&cloud.get(MEMBER, &path).await, 404, "NetworkNotFound");
}

#[tokio::test]
async fn bad_bodies_are_refused_in_upstreams_words() {
    let cloud = TestCloud::new().await;
    let send = |body: &'static str| cloud.send(MEMBER, Method::POST, "/v2.0/networks", Some(body));
    for (body, message) in [
        ("{", "Body contains invalid data"),
        ("[]", "Body contains invalid data"),
        ("{\"x\": {}}", "Unable to find 'network' in request body"),
        ("", "Unable to find 'network' in request body"),
        ("{\"network\": {\"bogus\": 1}}", "Unrecognized attribute(s) 'bogus'"),
        ("{\"network\": {\"id\": \"x\"}}", "Attribute 'id' not allowed in POST"),
        ("{\"network\": {\"name\": 5}}", "Invalid input for name. Reason: '5' is not a valid string."),
        ("{\"networks\": []}", "Resources required"),
        ("{\"network\": {\"tenant_id\": \"a\", \"project_id\": \"b\"}}", "'project_id' and 'tenant_id' do not match"),
    ] {
        let answer = send(body).await;
        fails(&answer, 400, "HTTPBadRequest");
        assert_eq!(answer.1["NeutronError"]["message"], message);
    }
    fails(&send("{\"network\": {\"shared\": \"maybe\"}}").await, 400, "InvalidInput");
    fails(&send("{\"network\": {\"mtu\": 9000}}").await, 400, "InvalidInput");
    fails(&send("{\"network\": {\"shared\": true}}").await, 403, "PolicyNotAuthorized");
    fails(&send("{\"network\": {\"shared\": true, \"name\": 5}}").await, 400, "HTTPBadRequest");
    fails(&send("{\"network\": {\"project_id\": \"other\"}}").await, 400, "HTTPBadRequest");
    fails(&send("{\"network\": {\"name\": \"a\\nb\"}}").await, 400, "HTTPBadRequest");
    assert_eq!(send("{\"network\": {\"shared\": false}}").await.0, 201, "spelling the default out is allowed");
    fails(&cloud.send(MEMBER, Method::PATCH, "/v2.0/networks/x", None).await, 405, "HTTPMethodNotAllowed");
    fails(&cloud.get(MEMBER, "/v2.0/nothing").await, 404, "HTTPNotFound");
    assert_eq!(cloud.get("nobody", "/v2.0/networks").await.0, 401);
    assert_eq!(cloud.get(MEMBER, "/v2.0/networks.json").await.0, 200);
}

#[tokio::test]
async fn provider_attributes_follow_the_hosts_abilities() {
    let cloud = TestCloud::new().await;
    let send = |body| cloud.post(ADMIN, "/v2.0/networks", json!({ "network": body }));
    for body in [
        json!({"provider:network_type": "bogus"}),
        json!({"provider:network_type": "flat"}),
        json!({"provider:network_type": "flat", "provider:physical_network": "p"}),
        json!({"provider:network_type": "vlan", "provider:segmentation_id": 5000}),
        json!({"provider:network_type": "vxlan", "provider:physical_network": "p"}),
        json!({"provider:network_type": "vxlan", "provider:segmentation_id": 99999999}),
        json!({"provider:segmentation_id": 7}),
    ] {
        fails(&send(body).await, 400, "InvalidInput");
    }
    let body = json!({"provider:network_type": "vxlan", "provider:segmentation_id": 77});
    assert_eq!(send(body.clone()).await.0, 201);
    fails(&send(body).await, 409, "TunnelIdInUse");
    fails(&send(json!({"availability_zone_hints": ["mars"]})).await, 404, "AvailabilityZoneNotFound");
}

#[tokio::test]
async fn who_sees_and_who_changes() {
    let cloud = TestCloud::new().await;
    let own = cloud.network(MEMBER, json!({})).await;
    let shared = cloud.network(ADMIN, json!({"shared": true})).await;
    let external = cloud.network(ADMIN, json!({"router:external": true})).await;
    let hidden = cloud.network(ADMIN, json!({})).await;
    let (_, list) = cloud.get(MEMBER, "/v2.0/networks").await;
    let mut seen = ids(&list["networks"]);
    seen.sort();
    let mut expected = vec![own.clone(), shared.clone(), external.clone()];
    expected.sort();
    assert_eq!(seen, expected);
    fails(&cloud.get(OTHER, &format!("/v2.0/networks/{own}")).await, 404, "NetworkNotFound");
    fails(&cloud.delete(OTHER, &format!("/v2.0/networks/{own}")).await, 404, "NetworkNotFound");
    fails(&cloud.delete(MEMBER, &format!("/v2.0/networks/{shared}")).await, 403, "PolicyNotAuthorized");
    fails(&cloud.delete(READER, &format!("/v2.0/networks/{own}")).await, 403, "PolicyNotAuthorized");
    fails(&cloud.delete(MEMBER, &format!("/v2.0/networks/{hidden}")).await, 404, "NetworkNotFound");
    let (_, filtered) = cloud.get(MEMBER, "/v2.0/networks?shared=True").await;
    assert_eq!(ids(&filtered["networks"]), [shared]);
    let (_, filtered) = cloud.get(MEMBER, "/v2.0/networks?router%3Aexternal=true").await;
    assert_eq!(ids(&filtered["networks"]), [external]);
}

#[tokio::test]
async fn bulk_creation_is_all_or_nothing_and_counts_as_a_whole() {
    let cloud = TestCloud::new().await;
    let bad = json!({"networks": [{"name": "a"}, {"name": 1}]});
    assert_eq!(cloud.post(MEMBER, "/v2.0/networks", bad).await.0, 400);
    let (status, _) = cloud.put(ADMIN, "/v2.0/quotas/demo", json!({"quota": {"network": 2}})).await;
    assert_eq!(status, 200);
    let three = json!({"networks": [{}, {}, {}]});
    let answer = cloud.post(MEMBER, "/v2.0/networks", three).await;
    fails(&answer, 409, "OverQuota");
    assert_eq!(answer.1["NeutronError"]["message"], "Quota exceeded for resources: ['network'].");
    assert!(ids(&cloud.get(MEMBER, "/v2.0/networks").await.1["networks"]).is_empty());
    let two = json!({"networks": [{"name": "a"}, {"name": "b"}]});
    let (status, made) = cloud.post(MEMBER, "/v2.0/networks", two).await;
    assert_eq!((status, &made["networks"][1]["name"]), (201, &json!("b")));
    let (status, _) = cloud.put(ADMIN, "/v2.0/quotas/demo", json!({"quota": {"network": 1}})).await;
    assert_eq!(status, 400, "less than used");
    let (_, details) = cloud.get(MEMBER, "/v2.0/quotas/demo/details.json").await;
    assert_eq!(details["quota"]["network"], json!({"limit": 2, "used": 2, "reserved": 0}));
    assert_eq!(cloud.delete(ADMIN, "/v2.0/quotas/demo").await.0, 204);
    fails(&cloud.delete(ADMIN, "/v2.0/quotas/demo").await, 404, "TenantQuotaNotFound");
    assert_eq!(cloud.get(MEMBER, "/v2.0/quotas/other").await.0, 403);
}

#[tokio::test]
async fn a_network_in_use_stays_and_a_free_one_takes_its_subnets_along() {
    let cloud = TestCloud::new().await;
    let network = cloud.network(MEMBER, json!({})).await;
    let subnet = cloud.subnet(MEMBER, &network, "10.0.0.0/24").await;
    let port = text(&cloud.port(MEMBER, json!({"network_id": network})).await["id"]);
    fails(&cloud.delete(MEMBER, &format!("/v2.0/networks/{network}")).await, 409, "NetworkInUse");
    fails(&cloud.delete(MEMBER, &format!("/v2.0/subnets/{subnet}")).await, 409, "SubnetInUse");
    assert_eq!(cloud.delete(MEMBER, &format!("/v2.0/ports/{port}")).await.0, 204);
    assert_eq!(cloud.delete(MEMBER, &format!("/v2.0/networks/{network}")).await.0, 204);
    fails(&cloud.get(MEMBER, &format!("/v2.0/subnets/{subnet}")).await, 404, "SubnetNotFound");
}

#[tokio::test]
async fn sharing_with_one_project_and_with_all() {
    let cloud = TestCloud::new().await;
    let network = cloud.network(MEMBER, json!({})).await;
    let policy =
        json!({"object_type": "network", "object_id": network, "action": "access_as_shared", "target_tenant": "other"});
    let made = cloud.make(MEMBER, "rbac-policies", "rbac_policy", policy.clone()).await;
    fails(&cloud.post(MEMBER, "/v2.0/rbac-policies", json!({"rbac_policy": policy})).await, 409, "DuplicateRbacPolicy");
    let (status, seen) = cloud.get(OTHER, &format!("/v2.0/networks/{network}")).await;
    assert_eq!((status, &seen["network"]["shared"]), (200, &json!(true)));
    let port = cloud.port(OTHER, json!({"network_id": network})).await;
    let path = format!("/v2.0/rbac-policies/{}", text(&made["id"]));
    fails(&cloud.delete(MEMBER, &path).await, 409, "RbacPolicyInUse");
    cloud.delete(OTHER, &format!("/v2.0/ports/{}", text(&port["id"]))).await;
    assert_eq!(cloud.delete(MEMBER, &path).await.0, 204);
    fails(&cloud.get(OTHER, &format!("/v2.0/networks/{network}")).await, 404, "NetworkNotFound");
    let all = json!({"rbac_policy": {"object_type": "network", "object_id": network, "action": "access_as_shared", "target_tenant": "*"}});
    fails(&cloud.post(MEMBER, "/v2.0/rbac-policies", all).await, 403, "PolicyNotAuthorized");
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let cloud = TestCloud::new().await;
    let network = cloud.network(MEMBER, json!({})).await;
    let path = format!("/v2.0/networks/{network}");
    let body = "{\"network\": {\"name\": \"x\"}}";
    let header = |value: &'static str| [("if-match", value)];
    let answer = cloud.send_with(MEMBER, Method::PUT, &path, Some(body), &header("revision_number=7")).await;
    fails(&answer, 412, "RevisionNumberConstraintFailed");
    assert_eq!(answer.1["NeutronError"]["message"], "Constrained to 7, but current revision is 1");
    let answer = cloud.send_with(MEMBER, Method::PUT, &path, Some(body), &header("revision_number=x")).await;
    assert_eq!(answer.0, 400);
    let answer = cloud.send_with(MEMBER, Method::PUT, &path, Some(body), &header("revision_number=1")).await;
    assert_eq!(answer.0, 200);
}
