use serde_json::{Value, json};

use super::cloud::*;

async fn with_network() -> (TestCloud, String) {
    let cloud = TestCloud::new().await;
    let network = cloud.network(MEMBER, json!({})).await;
    (cloud, network)
}

async fn create(cloud: &TestCloud, network: &str, mut body: Value) -> (u16, Value) {
    body["network_id"] = json!(network);
    if body.get("ip_version").is_none() {
        body["ip_version"] = json!(4);
    }
    cloud.post(MEMBER, "/v2.0/subnets", json!({ "subnet": body })).await
}

#[tokio::test]
async fn what_is_not_said_is_computed() {
    let (cloud, network) = with_network().await;
    let (status, body) = create(&cloud, &network, json!({"cidr": "10.1.1.5/24", "ip_version": "4"})).await;
    assert_eq!(status, 201, "{body}");
    let subnet = &body["subnet"];
    assert_eq!(subnet["cidr"], "10.1.1.0/24");
    assert_eq!(subnet["gateway_ip"], "10.1.1.1");
    assert_eq!(subnet["allocation_pools"], json!([{"start": "10.1.1.2", "end": "10.1.1.254"}]));
    assert_eq!(subnet["enable_dhcp"], true);
    assert!(subnet.get("segment_id").is_none());
    let (_, body) = create(&cloud, &network, json!({"cidr": "10.2.0.0/24", "gateway_ip": null})).await;
    assert_eq!(body["subnet"]["gateway_ip"], Value::Null);
    assert_eq!(body["subnet"]["allocation_pools"], json!([{"start": "10.2.0.1", "end": "10.2.0.254"}]));
    let (_, body) = create(&cloud, &network, json!({"cidr": "10.3.0.0/24", "gateway_ip": "10.3.0.100"})).await;
    assert_eq!(
        body["subnet"]["allocation_pools"],
        json!([{"start": "10.3.0.1", "end": "10.3.0.99"}, {"start": "10.3.0.101", "end": "10.3.0.254"}])
    );
    let (_, body) = create(&cloud, &network, json!({"cidr": "fd00:1::/64", "ip_version": 6})).await;
    assert_eq!(body["subnet"]["gateway_ip"], "fd00:1::1");
    assert_eq!(body["subnet"]["allocation_pools"][0]["start"], "fd00:1::2");
    let (_, shown) = cloud.get(MEMBER, &format!("/v2.0/networks/{network}")).await;
    assert_eq!(shown["network"]["subnets"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn invalid_subnets_fail_as_upstreams_do() {
    let (cloud, network) = with_network().await;
    cloud.subnet(MEMBER, &network, "10.0.0.0/24").await;
    for (body, status, kind) in [
        (json!({"cidr": "10.0.0.128/25"}), 400, "InvalidInput"),
        (json!({"cidr": "fd00::/64"}), 400, "InvalidInput"),
        (json!({"cidr": "nope"}), 400, "HTTPBadRequest"),
        (json!({"cidr": "10.1.0.0/24", "ip_version": 5}), 400, "HTTPBadRequest"),
        (json!({"cidr": "10.1.0.0/24", "gateway_ip": "10.1.0.0"}), 400, "InvalidInput"),
        (json!({"cidr": "10.1.0.0/24", "gateway_ip": "10.1.0.255"}), 400, "InvalidInput"),
        (json!({"cidr": "10.1.0.0/32"}), 400, "InvalidInput"),
        (json!({"cidr": "224.0.0.0/24"}), 400, "InvalidInput"),
        (json!({"cidr": "127.0.0.0/24"}), 400, "InvalidInput"),
        (json!({}), 400, "BadRequest"),
        (json!({"cidr": "10.1.0.0/24", "prefixlen": 24}), 400, "BadRequest"),
        (json!({"cidr": "10.1.0.0/24", "use_default_subnetpool": true}), 400, "BadRequest"),
        (
            json!({"cidr": "10.1.0.0/24", "allocation_pools": [{"start": "10.1.0.9", "end": "10.1.0.5"}]}),
            400,
            "InvalidAllocationPool",
        ),
        (
            json!({"cidr": "10.1.0.0/24", "allocation_pools": [{"start": "10.2.0.5", "end": "10.2.0.9"}]}),
            400,
            "OutOfBoundsAllocationPool",
        ),
        (
            json!({"cidr": "10.1.0.0/24", "allocation_pools": [{"start": "10.1.0.5", "end": "10.1.0.9"}, {"start": "10.1.0.9", "end": "10.1.0.12"}]}),
            409,
            "OverlappingAllocationPools",
        ),
        (
            json!({"cidr": "10.1.0.0/24", "gateway_ip": "10.1.0.6", "allocation_pools": [{"start": "10.1.0.5", "end": "10.1.0.9"}]}),
            409,
            "GatewayConflictWithAllocationPools",
        ),
        (json!({"cidr": "10.1.0.0/24", "allocation_pools": [{"start": "10.1.0.5"}]}), 400, "HTTPBadRequest"),
        (json!({"cidr": "10.1.0.0/24", "dns_nameservers": ["1.1.1.1", "1.1.1.1"]}), 400, "HTTPBadRequest"),
        (
            json!({"cidr": "10.1.0.0/24", "dns_nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5", "1.1.1.6"]}),
            400,
            "DNSNameServersExhausted",
        ),
        (
            json!({"cidr": "10.1.0.0/24", "host_routes": [{"destination": "x", "nexthop": "10.1.0.1"}]}),
            400,
            "HTTPBadRequest",
        ),
        (json!({"cidr": "10.1.0.0/24", "ipv6_ra_mode": "slaac"}), 400, "InvalidInput"),
        (
            json!({"cidr": "fd00::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "enable_dhcp": false}),
            400,
            "InvalidInput",
        ),
        (
            json!({"cidr": "fd00::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"}),
            400,
            "InvalidInput",
        ),
        (json!({"cidr": "fd00::/80", "ip_version": 6, "ipv6_address_mode": "slaac"}), 400, "InvalidInput"),
    ] {
        fails(&create(&cloud, &network, body).await, status, kind);
    }
    let unknown = uuid::Uuid::new_v4().to_string();
    fails(&create(&cloud, &unknown, json!({"cidr": "10.1.0.0/24"})).await, 404, "NetworkNotFound");
}

#[tokio::test]
async fn changes_are_checked_against_what_is_in_use() {
    let (cloud, network) = with_network().await;
    let subnet = cloud.subnet(MEMBER, &network, "10.0.0.0/24").await;
    let path = format!("/v2.0/subnets/{subnet}");
    let put = |body: Value| cloud.put(MEMBER, &path, json!({ "subnet": body }));
    fails(&put(json!({"cidr": "10.9.0.0/24"})).await, 400, "HTTPBadRequest");
    fails(&put(json!({"gateway_ip": "10.0.0.50"})).await, 409, "GatewayConflictWithAllocationPools");
    let change = json!({"gateway_ip": "10.0.0.3", "allocation_pools": [{"start": "10.0.0.20", "end": "10.0.0.30"}], "enable_dhcp": false, "dns_nameservers": ["9.9.9.9"]});
    let (status, body) = put(change).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["subnet"]["gateway_ip"], "10.0.0.3");
    assert_eq!(body["subnet"]["dns_nameservers"], json!(["9.9.9.9"]));
    assert_eq!(cloud.put(OTHER, &path, json!({"subnet": {"name": "x"}})).await.0, 404);
    assert_eq!(cloud.delete(MEMBER, &path).await.0, 204);
}

#[tokio::test]
async fn slaac_addresses_come_and_go_with_their_subnet() {
    let (cloud, network) = with_network().await;
    cloud.subnet(MEMBER, &network, "10.0.0.0/24").await;
    let port = cloud.port(MEMBER, json!({"network_id": network})).await;
    let body = json!({"cidr": "fd00:5::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"});
    let (status, subnet) = create(&cloud, &network, body).await;
    assert_eq!(status, 201, "{subnet}");
    let path = format!("/v2.0/ports/{}", text(&port["id"]));
    let (_, shown) = cloud.get(MEMBER, &path).await;
    let addresses = shown["port"]["fixed_ips"].as_array().unwrap();
    assert_eq!(addresses.len(), 2);
    assert!(text(&addresses[1]["ip_address"]).starts_with("fd00:5::f816:3eff:fe"));
    let second = cloud.port(MEMBER, json!({"network_id": network})).await;
    assert_eq!(second["fixed_ips"].as_array().unwrap().len(), 2);
    let (status, _) = cloud.delete(MEMBER, &format!("/v2.0/subnets/{}", text(&subnet["subnet"]["id"]))).await;
    assert_eq!(status, 204, "made addresses do not block");
    let (_, shown) = cloud.get(MEMBER, &path).await;
    assert_eq!(shown["port"]["fixed_ips"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn pools_give_out_prefixes_that_do_not_overlap() {
    let (cloud, network) = with_network().await;
    let pool = |body: Value| cloud.post(MEMBER, "/v2.0/subnetpools", json!({ "subnetpool": body }));
    fails(&pool(json!({"name": "p", "prefixes": []})).await, 400, "EmptySubnetPoolPrefixList");
    fails(&pool(json!({"name": "p", "prefixes": ["10.0.0.0/8", "fd00::/48"]})).await, 400, "PrefixVersionMismatch");
    fails(&pool(json!({"name": "", "prefixes": ["10.0.0.0/8"]})).await, 400, "HTTPBadRequest");
    fails(
        &pool(json!({"name": "p", "prefixes": ["10.0.0.0/8"], "min_prefixlen": 28, "max_prefixlen": 24})).await,
        400,
        "IllegalSubnetPoolPrefixBounds",
    );
    let (status, made) =
        pool(json!({"name": "p", "prefixes": ["10.10.0.0/16", "10.11.0.0/16"], "default_prefixlen": 24})).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["subnetpool"]["prefixes"], json!(["10.10.0.0/15"]));
    let id = text(&made["subnetpool"]["id"]);
    let (_, first) = create(&cloud, &network, json!({"subnetpool_id": id})).await;
    assert_eq!(first["subnet"]["cidr"], "10.10.0.0/24");
    let (_, second) = create(&cloud, &network, json!({"subnetpool_id": id, "prefixlen": 26})).await;
    assert_eq!(second["subnet"]["cidr"], "10.10.1.0/26");
    let (_, third) = create(&cloud, &network, json!({"subnetpool_id": id})).await;
    assert_eq!(third["subnet"]["cidr"], "10.10.2.0/24");
    fails(
        &create(&cloud, &network, json!({"subnetpool_id": id, "prefixlen": 4})).await,
        400,
        "MinPrefixSubnetAllocationError",
    );
    fails(&create(&cloud, &network, json!({"cidr": "192.168.0.0/24"})).await, 400, "NetworkSubnetPoolAffinityError");
    let path = format!("/v2.0/subnetpools/{id}");
    fails(&cloud.delete(MEMBER, &path).await, 400, "SubnetPoolDeleteError");
    fails(
        &cloud.put(MEMBER, &path, json!({"subnetpool": {"prefixes": ["10.10.0.0/16"]}})).await,
        400,
        "IllegalSubnetPoolPrefixUpdate",
    );
    let (status, body) =
        cloud.put(MEMBER, &format!("{path}/add_prefixes"), json!({"prefixes": ["10.12.0.0/16"]})).await;
    assert_eq!((status, body), (200, json!({"prefixes": ["10.10.0.0/15", "10.12.0.0/16"]})));
    let (status, _) =
        cloud.put(MEMBER, &format!("{path}/remove_prefixes"), json!({"prefixes": ["10.10.0.0/16"]})).await;
    assert_eq!(status, 400, "in use");
}

#[tokio::test]
async fn address_scopes_keep_their_pools_apart() {
    let cloud = TestCloud::new().await;
    let scope = cloud.make(MEMBER, "address-scopes", "address_scope", json!({"name": "s", "ip_version": 4})).await;
    let id = text(&scope["id"]);
    let pool = |prefix: &'static str, version6: bool| {
        let body = json!({"subnetpool": {"name": "p", "prefixes": [prefix], "address_scope_id": id}});
        let _ = version6;
        cloud.post(MEMBER, "/v2.0/subnetpools", body)
    };
    let (status, made) = pool("10.0.0.0/16", false).await;
    assert_eq!(status, 201);
    fails(&pool("10.0.4.0/24", false).await, 409, "AddressScopePrefixConflict");
    fails(&pool("fd00::/48", true).await, 400, "IllegalSubnetPoolIpVersionAssociationToAddressScope");
    let path = format!("/v2.0/address-scopes/{id}");
    fails(&cloud.delete(MEMBER, &path).await, 409, "AddressScopeInUse");
    cloud.delete(MEMBER, &format!("/v2.0/subnetpools/{}", text(&made["subnetpool"]["id"]))).await;
    assert_eq!(cloud.delete(MEMBER, &path).await.0, 204);
}
