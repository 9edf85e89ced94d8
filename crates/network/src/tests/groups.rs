use serde_json::{Value, json};

use super::cloud::*;

async fn rule(cloud: &TestCloud, group: &str, mut body: Value) -> (u16, Value) {
    body["security_group_id"] = json!(group);
    if body.get("direction").is_none() {
        body["direction"] = json!("ingress");
    }
    cloud.post(MEMBER, "/v2.0/security-group-rules", json!({"security_group_rule": body})).await
}

async fn group(cloud: &TestCloud, name: &str) -> String {
    text(&cloud.make(MEMBER, "security-groups", "security_group", json!({"name": name})).await["id"])
}

#[tokio::test]
async fn the_default_group_appears_when_first_looked_for() {
    let cloud = TestCloud::new().await;
    let (_, list) = cloud.get(MEMBER, "/v2.0/security-groups").await;
    let [default] = list["security_groups"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!(default["name"], "default");
    assert_eq!(default["description"], "Default security group");
    let rules = default["security_group_rules"].as_array().unwrap();
    assert_eq!(rules.len(), 4);
    let own = text(&default["id"]);
    assert_eq!(rules.iter().filter(|rule| rule["remote_group_id"] == json!(own)).count(), 2);
    assert!(rules.iter().all(|rule| rule["belongs_to_default_sg"] == true));
    let path = format!("/v2.0/security-groups/{own}");
    fails(
        &cloud.put(MEMBER, &path, json!({"security_group": {"name": "x"}})).await,
        409,
        "SecurityGroupCannotUpdateDefault",
    );
    assert_eq!(cloud.put(MEMBER, &path, json!({"security_group": {"description": "x"}})).await.0, 200);
    fails(&cloud.delete(MEMBER, &path).await, 409, "SecurityGroupCannotRemoveDefault");
    for name in ["default", "Default"] {
        let body = json!({"security_group": {"name": name}});
        fails(&cloud.post(MEMBER, "/v2.0/security-groups", body).await, 409, "SecurityGroupDefaultAlreadyExists");
    }
    let (_, other) = cloud.get(ADMIN, "/v2.0/security-groups?project_id=fresh").await;
    assert_eq!(other["security_groups"].as_array().unwrap().len(), 1, "an administrator may ask for a project's");
    let (_, none) = cloud.get(OTHER, &path).await;
    assert_eq!(none["NeutronError"]["message"], format!("Security group {own} does not exist"));
}

#[tokio::test]
async fn a_group_starts_with_its_templates() {
    let cloud = TestCloud::new().await;
    let made = cloud.make(MEMBER, "security-groups", "security_group", json!({"name": "web"})).await;
    let rules = made["security_group_rules"].as_array().unwrap();
    assert_eq!(rules.len(), 2);
    assert!(rules.iter().all(|rule| rule["direction"] == "egress" && rule["protocol"] == Value::Null));
    assert_eq!(made["stateful"], true);
    let template = json!({"default_security_group_rule": {"direction": "ingress", "protocol": "icmp", "used_in_default_sg": false, "used_in_non_default_sg": true}});
    assert_eq!(cloud.post(MEMBER, "/v2.0/default-security-group-rules", template.clone()).await.0, 403);
    assert_eq!(cloud.post(ADMIN, "/v2.0/default-security-group-rules", template).await.0, 201);
    let (_, list) = cloud.get(READER, "/v2.0/default-security-group-rules").await;
    assert_eq!(list["default_security_group_rules"].as_array().unwrap().len(), 5);
    let made = cloud.make(MEMBER, "security-groups", "security_group", json!({"name": "web"})).await;
    assert_eq!(made["security_group_rules"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn rules_are_normalised() {
    let cloud = TestCloud::new().await;
    let id = group(&cloud, "g").await;
    let (status, body) = rule(
        &cloud,
        &id,
        json!({"protocol": "TCP", "port_range_min": "80", "port_range_max": 80, "remote_ip_prefix": "10.0.0.5/24"}),
    )
    .await;
    assert_eq!(status, 201, "{body}");
    let made = &body["security_group_rule"];
    assert_eq!(
        (&made["protocol"], &made["port_range_min"], &made["ethertype"]),
        (&json!("tcp"), &json!(80), &json!("IPv4"))
    );
    assert_eq!((&made["remote_ip_prefix"], &made["normalized_cidr"]), (&json!("10.0.0.5/24"), &json!("10.0.0.0/24")));
    let (_, body) = rule(&cloud, &id, json!({"protocol": "icmp", "ethertype": "ipv6"})).await;
    assert_eq!(body["security_group_rule"]["protocol"], "ipv6-icmp");
    let (_, body) = rule(&cloud, &id, json!({"protocol": "any", "remote_ip_prefix": "1.2.3.4"})).await;
    assert_eq!(body["security_group_rule"]["protocol"], Value::Null);
    assert_eq!(body["security_group_rule"]["remote_ip_prefix"], "1.2.3.4/32");
    let (_, body) = rule(&cloud, &id, json!({"protocol": 17})).await;
    assert_eq!(body["security_group_rule"]["protocol"], "17");
    let path = format!("/v2.0/security-group-rules/{}", text(&body["security_group_rule"]["id"]));
    assert_eq!(cloud.put(MEMBER, &path, json!({"security_group_rule": {"description": "d"}})).await.0, 200);
    fails(&cloud.put(MEMBER, &path, json!({"security_group_rule": {"protocol": "tcp"}})).await, 400, "HTTPBadRequest");
    assert_eq!(cloud.delete(MEMBER, &path).await.0, 204);
    fails(&cloud.get(MEMBER, &path).await, 404, "SecurityGroupRuleNotFound");
}

#[tokio::test]
async fn invalid_rules_fail_as_upstreams_do() {
    let cloud = TestCloud::new().await;
    let id = group(&cloud, "g").await;
    let unknown = uuid::Uuid::new_v4().to_string();
    for (body, status, kind) in [
        (json!({"port_range_min": 1, "port_range_max": 2}), 400, "SecurityGroupProtocolRequiredWithPorts"),
        (json!({"protocol": "tcp", "port_range_min": 9, "port_range_max": 2}), 400, "SecurityGroupInvalidPortRange"),
        (json!({"protocol": "tcp", "port_range_min": 9}), 400, "SecurityGroupInvalidPortRange"),
        (json!({"protocol": "tcp", "port_range_min": 0, "port_range_max": 2}), 400, "SecurityGroupInvalidPortValue"),
        (
            json!({"protocol": "tcp", "port_range_min": 1, "port_range_max": 65536}),
            400,
            "SecurityGroupInvalidPortValue",
        ),
        (
            json!({"protocol": "tcp", "port_range_min": -16384, "port_range_max": 2}),
            400,
            "SecurityGroupInvalidPortValue",
        ),
        (json!({"protocol": "icmp", "port_range_min": 256}), 400, "SecurityGroupInvalidIcmpValue"),
        (json!({"protocol": "icmp", "port_range_max": 1}), 400, "SecurityGroupMissingIcmpType"),
        (json!({"protocol": "bad_protocol_name"}), 400, "SecurityGroupRuleInvalidProtocol"),
        (json!({"protocol": "256"}), 400, "SecurityGroupRuleInvalidProtocol"),
        (
            json!({"protocol": "esp", "port_range_min": 1, "port_range_max": 1}),
            400,
            "SecurityGroupInvalidProtocolForPort",
        ),
        (json!({"protocol": "ipv6-icmp"}), 400, "SecurityGroupEthertypeConflictWithProtocol"),
        (json!({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": id}), 400, "SecurityGroupMultipleRemoteEntites"),
        (json!({"remote_ip_prefix": "fd00::/8"}), 400, "SecurityGroupRuleParameterConflict"),
        (json!({"remote_ip_prefix": "10.0.0.0/99"}), 400, "InvalidCIDR"),
        (json!({"ethertype": "bad"}), 400, "SecurityGroupRuleInvalidEtherType"),
        (json!({"direction": "both"}), 400, "HTTPBadRequest"),
        (json!({"remote_group_id": unknown}), 404, "SecurityGroupNotFound"),
        (json!({"remote_group_id": "x"}), 404, "SecurityGroupNotFound"),
    ] {
        fails(&rule(&cloud, &id, body).await, status, kind);
    }
    fails(&rule(&cloud, &unknown, json!({})).await, 404, "SecurityGroupNotFound");
    let body = json!({"security_group_rule": {"security_group_id": id, "direction": "ingress"}});
    fails(&cloud.post(OTHER, "/v2.0/security-group-rules", body.clone()).await, 403, "PolicyNotAuthorized");
    fails(&cloud.post(READER, "/v2.0/security-group-rules", body).await, 403, "PolicyNotAuthorized");
}

#[tokio::test]
async fn the_same_rule_is_not_made_twice() {
    let cloud = TestCloud::new().await;
    let id = group(&cloud, "g").await;
    let tcp = json!({"protocol": "tcp", "port_range_min": 1, "port_range_max": 2});
    let (_, first) = rule(&cloud, &id, tcp.clone()).await;
    let answer = rule(
        &cloud,
        &id,
        json!({"protocol": "6", "port_range_min": 1, "port_range_max": 2, "remote_ip_prefix": "0.0.0.0/0"}),
    )
    .await;
    fails(&answer, 409, "SecurityGroupRuleExists");
    let id_of_first = text(&first["security_group_rule"]["id"]);
    assert_eq!(
        answer.1["NeutronError"]["message"],
        format!("Security group rule already exists. Rule id is {id_of_first}.")
    );
    fails(&rule(&cloud, &id, json!({"direction": "egress"})).await, 409, "SecurityGroupRuleExists");
    assert_eq!(rule(&cloud, &id, json!({"remote_ip_prefix": "10.0.0.5/24"})).await.0, 201);
    assert_eq!(rule(&cloud, &id, json!({"remote_ip_prefix": "10.0.0.0/24"})).await.0, 201);
    let twice = json!({"security_group_id": id, "direction": "ingress", "protocol": "udp"});
    let bulk = json!({"security_group_rules": [twice, twice]});
    fails(&cloud.post(MEMBER, "/v2.0/security-group-rules", bulk).await, 409, "SecurityGroupRuleExists");
    let (_, list) = cloud.get(MEMBER, &format!("/v2.0/security-group-rules?security_group_id={id}&protocol=udp")).await;
    assert!(list["security_group_rules"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn deleting_a_group_takes_rules_that_name_it() {
    let cloud = TestCloud::new().await;
    let (one, two) = (group(&cloud, "one").await, group(&cloud, "two").await);
    assert_eq!(rule(&cloud, &one, json!({"remote_group_id": two})).await.0, 201);
    assert_eq!(cloud.delete(MEMBER, &format!("/v2.0/security-groups/{two}")).await.0, 204);
    let (_, shown) = cloud.get(MEMBER, &format!("/v2.0/security-groups/{one}")).await;
    assert_eq!(shown["security_group"]["security_group_rules"].as_array().unwrap().len(), 2);
    let network = cloud.network(MEMBER, json!({})).await;
    cloud.port(MEMBER, json!({"network_id": network, "security_groups": [one]})).await;
    let path = format!("/v2.0/security-groups/{one}");
    fails(&cloud.delete(MEMBER, &path).await, 409, "SecurityGroupInUse");
    fails(&cloud.put(MEMBER, &path, json!({"security_group": {"stateful": false}})).await, 409, "SecurityGroupInUse");
}

#[tokio::test]
async fn groups_count_with_their_rules() {
    let cloud = TestCloud::new().await;
    cloud.get(MEMBER, "/v2.0/security-groups").await;
    cloud.put(ADMIN, "/v2.0/quotas/demo", json!({"quota": {"security_group_rule": 5}})).await;
    let body = json!({"security_group": {"name": "g"}});
    fails(&cloud.post(MEMBER, "/v2.0/security-groups", body).await, 409, "OverQuota");
    let (_, list) = cloud.get(MEMBER, "/v2.0/security-groups").await;
    assert_eq!(list["security_groups"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn address_groups_hold_prefixes() {
    let cloud = TestCloud::new().await;
    let made =
        cloud.make(MEMBER, "address-groups", "address_group", json!({"name": "a", "addresses": ["10.0.0.0/8"]})).await;
    let id = text(&made["id"]);
    let path = format!("/v2.0/address-groups/{id}");
    let (status, body) = cloud
        .put(MEMBER, &format!("{path}/add_addresses"), json!({"address_group": {"addresses": ["11.0.0.1/32"]}}))
        .await;
    assert_eq!((status, &body["address_group"]["addresses"]), (200, &json!(["10.0.0.0/8", "11.0.0.1/32"])));
    let group = group(&cloud, "g").await;
    assert_eq!(rule(&cloud, &group, json!({"remote_address_group_id": id})).await.0, 201);
    fails(&cloud.delete(MEMBER, &path).await, 409, "AddressGroupInUse");
    let unknown = uuid::Uuid::new_v4().to_string();
    fails(&rule(&cloud, &group, json!({"remote_address_group_id": unknown})).await, 404, "AddressGroupNotFound");
}
