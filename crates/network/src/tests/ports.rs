use std::{collections::HashSet, net::IpAddr};

use sahab_contract::cloud::Call;
use serde_json::{Value, json};

use super::cloud::*;

struct Lan {
    cloud: TestCloud,
    network: String,
    subnet: String,
}

impl Lan {
    async fn new(cidr: &str) -> Self {
        let cloud = TestCloud::new().await;
        let network = cloud.network(MEMBER, json!({})).await;
        let subnet = cloud.subnet(MEMBER, &network, cidr).await;
        Lan { cloud, network, subnet }
    }
    async fn create(&self, mut body: Value) -> (u16, Value) {
        body["network_id"] = json!(self.network);
        self.cloud.post(MEMBER, "/v2.0/ports", json!({ "port": body })).await
    }
    async fn made(&self, body: Value) -> Value {
        let (status, answer) = self.create(body).await;
        assert_eq!(status, 201, "{answer}");
        answer["port"].clone()
    }
    async fn change(&self, port: &Value, body: Value) -> (u16, Value) {
        self.cloud.put(MEMBER, &format!("/v2.0/ports/{}", text(&port["id"])), json!({ "port": body })).await
    }
}

#[tokio::test]
async fn a_port_gets_address_mac_and_group() {
    let lan = Lan::new("10.0.0.0/24").await;
    let port = lan.made(json!({"name": "p"})).await;
    assert!(text(&port["mac_address"]).starts_with("fa:16:3e:"));
    assert_eq!(port["status"], "DOWN");
    assert_eq!(port["fixed_ips"][0]["subnet_id"], json!(lan.subnet));
    let ip: IpAddr = text(&port["fixed_ips"][0]["ip_address"]).parse().unwrap();
    assert!(ip >= "10.0.0.2".parse::<IpAddr>().unwrap());
    assert_eq!(port["security_groups"].as_array().unwrap().len(), 1);
    assert_eq!(port["port_security_enabled"], true);
    assert!(port.get("binding:host_id").is_none());
    assert_eq!(port["binding:vnic_type"], "normal");
    let name = format!("host-{}", ip.to_string().replace('.', "-"));
    assert_eq!(port["dns_assignment"][0]["hostname"], json!(name));
    assert_eq!(port["dns_assignment"][0]["fqdn"], json!(format!("{name}.openstacklocal.")));
    let (_, shown) = lan.cloud.get(ADMIN, &format!("/v2.0/ports/{}", text(&port["id"]))).await;
    assert_eq!(shown["port"]["binding:vif_type"], "unbound");
}

#[tokio::test]
async fn addresses_are_given_once_until_none_is_left() {
    let lan = Lan::new("10.0.0.0/28").await;
    let mut seen = HashSet::new();
    for _ in 0..13 {
        assert!(seen.insert(text(&lan.made(json!({})).await["fixed_ips"][0]["ip_address"])));
    }
    let answer = lan.create(json!({})).await;
    fails(&answer, 409, "IpAddressGenerationFailure");
    assert_eq!(
        answer.1["NeutronError"]["message"],
        format!("No more IP addresses available on network {}.", lan.network)
    );
    assert_eq!(lan.create(json!({"fixed_ips": []})).await.0, 201, "a port without address needs none");
}

#[tokio::test]
async fn concurrent_creations_never_share_an_address() {
    let lan = Lan::new("10.0.0.0/26").await;
    let body = || json!({});
    let made = futures_util::future::join_all((0..30).map(|_| lan.made(body()))).await;
    let distinct: HashSet<_> = made.iter().map(|port| text(&port["fixed_ips"][0]["ip_address"])).collect();
    assert_eq!(distinct.len(), 30);
}

#[tokio::test]
async fn wishes_for_addresses() {
    let lan = Lan::new("10.0.0.0/24").await;
    let port = lan.made(json!({"fixed_ips": [{"ip_address": "10.0.0.77"}, {"subnet_id": lan.subnet}]})).await;
    assert_eq!(port["fixed_ips"][0]["ip_address"], "10.0.0.77");
    assert_eq!(port["fixed_ips"].as_array().unwrap().len(), 2);
    for (body, status, kind) in [
        (json!([{"ip_address": "10.0.0.77"}]), 409, "IpAddressAlreadyAllocated"),
        (json!([{"ip_address": "10.9.0.7"}]), 400, "InvalidIpForNetwork"),
        (json!([{"ip_address": "10.9.0.7", "subnet_id": lan.subnet}]), 400, "InvalidIpForSubnet"),
        (json!([{"ip_address": "10.0.0.255", "subnet_id": lan.subnet}]), 400, "InvalidIpForSubnet"),
        (json!([{}]), 400, "InvalidInput"),
        (json!([{"ip_address": "10.0.0.8"}, {"ip_address": "10.0.0.8"}]), 400, "HTTPBadRequest"),
        (json!(null), 400, "HTTPBadRequest"),
        (json!([{"ip_address": "10.0.0.08"}]), 400, "HTTPBadRequest"),
        (json!([{"subnet_id": uuid::Uuid::new_v4().to_string()}]), 400, "InvalidInput"),
    ] {
        fails(&lan.create(json!({"fixed_ips": body})).await, status, kind);
    }
    let (status, changed) =
        lan.change(&port, json!({"fixed_ips": [{"ip_address": "10.0.0.77"}, {"ip_address": "10.0.0.78"}]})).await;
    assert_eq!(status, 200, "{changed}");
    let addresses: Vec<_> =
        changed["port"]["fixed_ips"].as_array().unwrap().iter().map(|row| text(&row["ip_address"])).collect();
    assert_eq!(addresses, ["10.0.0.77", "10.0.0.78"]);
    let (_, same) = lan.change(&port, json!({"fixed_ips": [{"subnet_id": lan.subnet}]})).await;
    assert_eq!(same["port"]["fixed_ips"][0]["ip_address"], "10.0.0.77", "an address of the subnet stays");
    let query = |text: &str| format!("/v2.0/ports?fixed_ips={}", text.replace('=', "%3D"));
    let (_, list) = lan.cloud.get(MEMBER, &query("ip_address=10.0.0.77")).await;
    assert_eq!(ids(&list["ports"]), [text(&port["id"])]);
    let (_, list) = lan.cloud.get(MEMBER, &query("ip_address_substr=0.77")).await;
    assert_eq!(list["ports"].as_array().unwrap().len(), 1);
    fails(&lan.cloud.get(MEMBER, "/v2.0/ports?fixed_ips=10.0.0.77").await, 400, "InvalidInput");
}

#[tokio::test]
async fn macs_are_unique_per_network() {
    let lan = Lan::new("10.0.0.0/24").await;
    let port = lan.made(json!({"mac_address": "FA-16-3E-00-00-01"})).await;
    assert_eq!(port["mac_address"], "fa:16:3e:00:00:01");
    fails(&lan.create(json!({"mac_address": "fa:16:3e:00:00:01"})).await, 409, "MacAddressInUse");
    fails(&lan.create(json!({"mac_address": "00:00:00:00:00:00"})).await, 400, "HTTPBadRequest");
    let (_, list) = lan.cloud.get(MEMBER, "/v2.0/ports?mac_address=FA:16:3E:00:00:01").await;
    assert_eq!(list["ports"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn port_security_and_what_needs_it() {
    let lan = Lan::new("10.0.0.0/24").await;
    let (_, list) = lan.cloud.get(MEMBER, "/v2.0/security-groups").await;
    let group = ids(&list["security_groups"]).remove(0);
    let pair = json!([{"ip_address": "10.0.0.0/24"}]);
    for (body, status, kind) in [
        (
            json!({"port_security_enabled": false, "security_groups": [group]}),
            400,
            "PortSecurityAndIPRequiredForSecurityGroups",
        ),
        (
            json!({"port_security_enabled": false, "allowed_address_pairs": pair}),
            409,
            "AddressPairAndPortSecurityRequired",
        ),
        (json!({"security_groups": [uuid::Uuid::new_v4().to_string()]}), 404, "SecurityGroupNotFound"),
        (json!({"allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:09"}]}), 400, "AllowedAddressPairsMissingIP"),
        (
            json!({"allowed_address_pairs": [{"ip_address": "1.1.1.1"}, {"ip_address": "1.1.1.1"}]}),
            400,
            "DuplicateAddressPairInRequest",
        ),
        (json!({"allowed_address_pairs": [{"ip_address": "x"}]}), 400, "HTTPBadRequest"),
    ] {
        fails(&lan.create(body).await, status, kind);
    }
    let many: Vec<Value> = (0..11).map(|n| json!({"ip_address": format!("10.1.0.{n}")})).collect();
    fails(&lan.create(json!({"allowed_address_pairs": many})).await, 400, "AllowedAddressPairExhausted");
    let port = lan.made(json!({"allowed_address_pairs": pair})).await;
    assert_eq!(port["allowed_address_pairs"][0]["mac_address"], port["mac_address"]);
    fails(&lan.change(&port, json!({"port_security_enabled": false})).await, 409, "PortSecurityPortHasSecurityGroup");
    let off = json!({"port_security_enabled": false, "security_groups": [], "allowed_address_pairs": []});
    assert_eq!(lan.change(&port, off).await.0, 200);
    let none = lan.made(json!({"security_groups": null})).await;
    assert_eq!(none["security_groups"], json!([]));
}

#[tokio::test]
async fn dhcp_options_are_replaced_by_name() {
    let lan = Lan::new("10.0.0.0/24").await;
    let option = |value: Value| json!({"extra_dhcp_opts": [{"opt_name": "tftp-server", "opt_value": value}]});
    let port = lan.made(option(json!("10.0.0.1"))).await;
    assert_eq!(port["extra_dhcp_opts"], json!([{"opt_name": "tftp-server", "opt_value": "10.0.0.1", "ip_version": 4}]));
    let (_, changed) = lan.change(&port, option(json!("10.0.0.2"))).await;
    assert_eq!(changed["port"]["extra_dhcp_opts"][0]["opt_value"], "10.0.0.2");
    let (_, changed) = lan.change(&port, option(Value::Null)).await;
    assert_eq!(changed["port"]["extra_dhcp_opts"], json!([]));
    fails(&lan.create(option(json!("a\nb"))).await, 400, "HTTPBadRequest");
}

#[tokio::test]
async fn a_guest_on_a_shared_network_may_plug_but_not_choose() {
    let cloud = TestCloud::new().await;
    let network = cloud.network(ADMIN, json!({"shared": true, "router:external": true})).await;
    let subnet = cloud.subnet(ADMIN, &network, "10.0.0.0/24").await;
    let create = |token: &'static str, mut body: Value| {
        body["network_id"] = json!(network);
        let cloud = &cloud;
        async move { cloud.post(token, "/v2.0/ports", json!({ "port": body })).await }
    };
    assert_eq!(create(MEMBER, json!({})).await.0, 201);
    assert_eq!(create(MEMBER, json!({"fixed_ips": [{"subnet_id": subnet}]})).await.0, 201);
    for body in [
        json!({"fixed_ips": [{"ip_address": "10.0.0.9"}]}),
        json!({"mac_address": "fa:16:3e:00:00:09"}),
        json!({"port_security_enabled": false}),
        json!({"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}),
        json!({"device_owner": "network:dhcp"}),
        json!({"binding:host_id": "h"}),
        json!({"binding:profile": {"a": 1}}),
    ] {
        fails(&create(MEMBER, body).await, 403, "PolicyNotAuthorized");
    }
    fails(&create(READER, json!({})).await, 403, "PolicyNotAuthorized");
    let external = cloud.network(ADMIN, json!({"router:external": true})).await;
    fails(
        &cloud.post(MEMBER, "/v2.0/ports", json!({"port": {"network_id": external}})).await,
        403,
        "PolicyNotAuthorized",
    );
    let hidden = cloud.network(ADMIN, json!({})).await;
    fails(&cloud.post(MEMBER, "/v2.0/ports", json!({"port": {"network_id": hidden}})).await, 404, "NetworkNotFound");
}

#[tokio::test]
async fn the_program_makes_ports_for_a_project() {
    let lan = Lan::new("10.0.0.0/24").await;
    let id = uuid::Uuid::new_v4().to_string();
    let body = json!({"port": {"network_id": lan.network, "project_id": "demo", "device_id": "c1", "device_owner": "compute:kuryr", "binding:host_id": HOST}});
    let context = sahab_contract::RequestContext::new(Some(std::sync::Arc::new(auth("demo", "member"))))
        .elevated()
        .with_preset_id(&id);
    use sahab_contract::cloud::Cloud;
    let call = || Call::post("network", "/v2.0/ports", body.clone());
    let made = lan.cloud.dispatcher.call(&context, call()).await.unwrap().body;
    assert_eq!((&made["port"]["id"], &made["port"]["project_id"]), (&json!(id), &json!("demo")));
    assert_eq!(made["port"]["binding:vif_type"], "bridge");
    assert!(lan.cloud.dispatcher.call(&context, call()).await.unwrap_err().is_conflict(), "made once");
    assert_eq!(lan.cloud.delete(MEMBER, &format!("/v2.0/ports/{id}")).await.0, 204, "its owner may delete it");
}

#[tokio::test]
async fn a_port_created_with_tags_and_filtered_by_group() {
    let lan = Lan::new("10.0.0.0/24").await;
    let port = lan.made(json!({"tags": ["a", "b"]})).await;
    assert_eq!(port["tags"], json!(["a", "b"]));
    let group = text(&port["security_groups"][0]);
    let (_, list) = lan.cloud.get(MEMBER, &format!("/v2.0/ports?security_groups={group}&tags=a")).await;
    assert_eq!(list["ports"].as_array().unwrap().len(), 1);
}
