use serde_json::{Value, json};

use super::cloud::*;

/// An external network, a tenant network with a subnet behind a router.
pub struct Site {
    pub cloud: TestCloud,
    pub external: String,
    pub network: String,
    pub subnet: String,
    pub router: String,
    pub leg: String,
}

impl Site {
    pub async fn new() -> Self {
        let cloud = TestCloud::new().await;
        let external = cloud.network(ADMIN, json!({"router:external": true, "name": "ext"})).await;
        cloud.subnet(ADMIN, &external, "172.24.4.0/24").await;
        let network = cloud.network(MEMBER, json!({})).await;
        let subnet = cloud.subnet(MEMBER, &network, "10.0.0.0/24").await;
        let router = cloud.router(MEMBER, json!({"external_gateway_info": {"network_id": external}})).await;
        let path = format!("/v2.0/routers/{router}/add_router_interface");
        let (status, body) = cloud.put(MEMBER, &path, json!({"subnet_id": subnet})).await;
        assert_eq!(status, 200, "{body}");
        let leg = text(&body["port_id"]);
        Site { cloud, external, network, subnet, router, leg }
    }
    pub async fn action(&self, action: &str, body: Value) -> (u16, Value) {
        self.cloud.put(MEMBER, &format!("/v2.0/routers/{}/{action}", self.router), body).await
    }
    pub async fn change(&self, token: &str, body: Value) -> (u16, Value) {
        self.cloud.put(token, &format!("/v2.0/routers/{}", self.router), json!({ "router": body })).await
    }
    pub async fn port(&self) -> String {
        text(&self.cloud.port(MEMBER, json!({"network_id": self.network})).await["id"])
    }
    pub async fn floating(&self, mut body: Value) -> (u16, Value) {
        body["floating_network_id"] = json!(self.external);
        self.cloud.post(MEMBER, "/v2.0/floatingips", json!({ "floatingip": body })).await
    }
}

#[tokio::test]
async fn a_router_and_its_legs() {
    let site = Site::new().await;
    let (_, shown) = site.cloud.get(MEMBER, &format!("/v2.0/routers/{}", site.router)).await;
    let router = &shown["router"];
    assert_eq!(router["status"], "ACTIVE");
    assert_eq!(router["external_gateway_info"]["enable_snat"], true);
    assert_eq!(router["external_gateway_info"]["external_fixed_ips"].as_array().unwrap().len(), 1);
    let (_, leg) = site.cloud.get(MEMBER, &format!("/v2.0/ports/{}", site.leg)).await;
    assert_eq!(leg["port"]["device_owner"], "network:router_interface");
    assert_eq!(leg["port"]["fixed_ips"][0]["ip_address"], "10.0.0.1");
    assert_eq!(leg["port"]["project_id"], "demo");
    let (_, gateways) = site.cloud.get(MEMBER, "/v2.0/ports?device_owner=network:router_gateway").await;
    assert!(gateways["ports"].as_array().unwrap().is_empty(), "gateway ports belong to nobody");
    let (_, gateways) = site.cloud.get(ADMIN, "/v2.0/ports?device_owner=network:router_gateway").await;
    assert_eq!(gateways["ports"].as_array().unwrap().len(), 1);
    fails(&site.cloud.delete(MEMBER, &format!("/v2.0/ports/{}", site.leg)).await, 409, "ServicePortInUse");
    fails(&site.cloud.delete(MEMBER, &format!("/v2.0/routers/{}", site.router)).await, 409, "RouterInUse");
    let (status, body) = site.action("remove_router_interface", json!({"subnet_id": site.subnet})).await;
    assert_eq!((status, &body["port_id"]), (200, &json!(site.leg)));
    assert_eq!(site.cloud.get(MEMBER, &format!("/v2.0/ports/{}", site.leg)).await.0, 404);
    assert_eq!(site.cloud.delete(MEMBER, &format!("/v2.0/routers/{}", site.router)).await.0, 204);
    let (_, left) = site.cloud.get(ADMIN, "/v2.0/ports").await;
    assert!(left["ports"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn interfaces_that_cannot_be() {
    let site = Site::new().await;
    let unknown = uuid::Uuid::new_v4().to_string();
    let port = site.port().await;
    let add = |body| site.action("add_router_interface", body);
    for (body, status, kind) in [
        (json!({}), 400, "BadRequest"),
        (json!({"subnet_id": site.subnet, "port_id": port}), 400, "BadRequest"),
        (json!({"subnet_id": "x"}), 400, "BadRequest"),
        (json!({"subnet_id": unknown}), 404, "SubnetNotFound"),
        (json!({"port_id": unknown}), 404, "PortNotFound"),
        (json!({"subnet_id": site.subnet}), 400, "BadRequest"),
    ] {
        fails(&add(body).await, status, kind);
    }
    let other = site.cloud.network(MEMBER, json!({})).await;
    let overlapping = site.cloud.subnet(MEMBER, &other, "10.0.0.0/25").await;
    fails(&add(json!({"subnet_id": overlapping})).await, 400, "BadRequest");
    let body = json!({"network_id": other, "ip_version": 4, "cidr": "10.7.0.0/24", "gateway_ip": null});
    let bare = site.cloud.make(MEMBER, "subnets", "subnet", body).await;
    fails(&add(json!({"subnet_id": bare["id"]})).await, 400, "BadRequest");
    let good = site.cloud.subnet(MEMBER, &other, "10.8.0.0/24").await;
    let body = json!({"network_id": other, "fixed_ips": [{"subnet_id": good}]});
    let free = text(&site.cloud.port(MEMBER, body).await["id"]);
    let (status, body) = add(json!({"port_id": free})).await;
    assert_eq!((status, &body["subnet_ids"]), (200, &json!([good])), "{body}");
    fails(&add(json!({"port_id": free})).await, 409, "PortInUse");
    let remove = |body| site.action("remove_router_interface", body);
    fails(&remove(json!({"port_id": port})).await, 404, "RouterInterfaceNotFound");
    fails(&remove(json!({"subnet_id": overlapping})).await, 404, "RouterInterfaceNotFoundForSubnet");
    fails(&remove(json!({"subnet_id": site.subnet, "port_id": free})).await, 409, "SubnetMismatchForPort");
    assert_eq!(remove(json!({"port_id": free})).await.0, 200);
    let gateway = json!({"subnet": {"gateway_ip": "10.0.0.254"}});
    fails(
        &site.cloud.put(MEMBER, &format!("/v2.0/subnets/{}", site.subnet), gateway).await,
        409,
        "GatewayConflictWithAllocationPools",
    );
    let gateway = json!({"subnet": {"gateway_ip": null}});
    fails(&site.cloud.put(MEMBER, &format!("/v2.0/subnets/{}", site.subnet), gateway).await, 409, "GatewayIpInUse");
}

#[tokio::test]
async fn gateways() {
    let site = Site::new().await;
    let unknown = uuid::Uuid::new_v4().to_string();
    let info = |body: Value| json!({ "external_gateway_info": body });
    fails(&site.change(MEMBER, info(json!({"network_id": unknown}))).await, 404, "NetworkNotFound");
    fails(&site.change(MEMBER, info(json!({"network_id": site.network}))).await, 400, "BadRequest");
    fails(
        &site.change(MEMBER, info(json!({"network_id": site.external, "enable_snat": false}))).await,
        403,
        "PolicyNotAuthorized",
    );
    let (_, body) = site.change(ADMIN, info(json!({"network_id": site.external, "enable_snat": false}))).await;
    assert_eq!(body["router"]["external_gateway_info"]["enable_snat"], false);
    let address = text(&body["router"]["external_gateway_info"]["external_fixed_ips"][0]["ip_address"]);
    let taken = json!({"router": {"external_gateway_info": {"network_id": site.external, "external_fixed_ips": [{"ip_address": address}]}}});
    fails(&site.cloud.post(ADMIN, "/v2.0/routers", taken).await, 409, "IpAddressAlreadyAllocated");
    let (_, made) = site.floating(json!({"port_id": site.port().await})).await;
    assert_eq!(made["floatingip"]["router_id"], json!(site.router));
    fails(&site.change(MEMBER, info(Value::Null)).await, 409, "RouterExternalGatewayInUseByFloatingIp");
    fails(
        &site.action("remove_router_interface", json!({"subnet_id": site.subnet})).await,
        409,
        "RouterInterfaceInUseByFloatingIP",
    );
    site.cloud.delete(MEMBER, &format!("/v2.0/floatingips/{}", text(&made["floatingip"]["id"]))).await;
    let (status, body) = site.change(MEMBER, info(json!({}))).await;
    assert_eq!((status, &body["router"]["external_gateway_info"]), (200, &Value::Null));
}

#[tokio::test]
async fn routes() {
    let site = Site::new().await;
    let route = |destination: &str, hop: &str| json!({"destination": destination, "nexthop": hop});
    fails(&site.change(MEMBER, json!({"routes": [route("192.168.0.0/16", "9.9.9.9")]})).await, 400, "InvalidRoutes");
    fails(&site.change(MEMBER, json!({"routes": [route("192.168.0.0/16", "10.0.0.1")]})).await, 400, "InvalidRoutes");
    let (status, body) = site.change(MEMBER, json!({"routes": [route("192.168.0.0/16", "10.0.0.5")]})).await;
    assert_eq!(status, 200, "{body}");
    fails(
        &site.action("remove_router_interface", json!({"subnet_id": site.subnet})).await,
        409,
        "RouterInterfaceInUseByRoute",
    );
    let two = json!({"router": {"routes": [route("192.168.0.0/16", "10.0.0.5"), route("192.169.0.0/16", "10.0.0.6")]}});
    let (status, body) = site.action("add_extraroutes", two.clone()).await;
    assert_eq!((status, body["router"]["routes"].as_array().unwrap().len()), (200, 2));
    let (_, body) = site.action("remove_extraroutes", two).await;
    assert_eq!(body["router"]["routes"], json!([]));
    let many: Vec<Value> = (0..31).map(|n| route(&format!("192.168.{n}.0/24"), "10.0.0.5")).collect();
    fails(&site.change(MEMBER, json!({"routes": many})).await, 400, "RoutesExhausted");
}

#[tokio::test]
async fn floating_ips_lead_to_ports() {
    let site = Site::new().await;
    let (status, made) = site.floating(json!({})).await;
    assert_eq!((status, &made["floatingip"]["status"]), (201, &json!("DOWN")));
    let id = text(&made["floatingip"]["id"]);
    let path = format!("/v2.0/floatingips/{id}");
    let put = |body: Value| site.cloud.put(MEMBER, &path, json!({ "floatingip": body }));
    let port = site.port().await;
    let (status, body) = put(json!({"port_id": port})).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["floatingip"]["router_id"], json!(site.router));
    assert_eq!(body["floatingip"]["port_details"]["network_id"], json!(site.network));
    let again = site.floating(json!({"port_id": port})).await;
    fails(&again, 409, "FloatingIPPortAlreadyAssociated");
    assert_eq!(put(json!({"description": "d"})).await.1["floatingip"]["port_id"], json!(port), "kept");
    assert_eq!(put(json!({})).await.1["floatingip"]["port_id"], Value::Null, "an empty change dissociates");
    put(json!({"port_id": port})).await;
    assert_eq!(put(json!({"port_id": null})).await.1["floatingip"]["fixed_ip_address"], Value::Null);
    fails(&put(json!({"fixed_ip_address": "10.0.0.9"})).await, 400, "BadRequest");
    fails(&put(json!({"port_id": port, "fixed_ip_address": "10.0.0.1"})).await, 400, "BadRequest");
    fails(&put(json!({"port_id": uuid::Uuid::new_v4().to_string()})).await, 404, "PortNotFound");
    put(json!({"port_id": port})).await;
    assert_eq!(site.cloud.delete(MEMBER, &format!("/v2.0/ports/{port}")).await.0, 204);
    let (_, body) = site.cloud.get(MEMBER, &path).await;
    assert_eq!((&body["floatingip"]["port_id"], &body["floatingip"]["router_id"]), (&Value::Null, &Value::Null));
    assert_eq!(site.cloud.delete(MEMBER, &path).await.0, 204);
    fails(&site.cloud.get(MEMBER, &path).await, 404, "FloatingIPNotFound");
    let (_, held) = site.cloud.get(ADMIN, "/v2.0/ports?device_owner=network:floatingip").await;
    assert!(held["ports"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn floating_ips_that_cannot_be() {
    let site = Site::new().await;
    let body = |network: &str| json!({"floatingip": {"floating_network_id": network}});
    fails(&site.cloud.post(MEMBER, "/v2.0/floatingips", body(&site.network)).await, 400, "BadRequest");
    let unknown = uuid::Uuid::new_v4().to_string();
    fails(&site.cloud.post(MEMBER, "/v2.0/floatingips", body(&unknown)).await, 404, "NetworkNotFound");
    fails(&site.floating(json!({"floating_ip_address": "172.24.4.50"})).await, 403, "PolicyNotAuthorized");
    let lonely = site.cloud.network(MEMBER, json!({})).await;
    site.cloud.subnet(MEMBER, &lonely, "10.5.0.0/24").await;
    let port = text(&site.cloud.port(MEMBER, json!({"network_id": lonely})).await["id"]);
    fails(&site.floating(json!({"port_id": port})).await, 404, "ExternalGatewayForFloatingIPNotFound");
    let (_, list) = site.cloud.get(MEMBER, "/v2.0/floatingips").await;
    assert!(list["floatingips"].as_array().unwrap().is_empty(), "nothing half made");
}

#[tokio::test]
async fn port_forwardings() {
    let site = Site::new().await;
    let (_, made) = site.floating(json!({})).await;
    let path = format!("/v2.0/floatingips/{}/port_forwardings", text(&made["floatingip"]["id"]));
    let port = site.port().await;
    let post = |mut body: Value| {
        body["internal_port_id"] = json!(port);
        let (path, cloud) = (&path, &site.cloud);
        async move { cloud.post(MEMBER, path, json!({ "port_forwarding": body })).await }
    };
    let (status, body) = post(json!({"internal_port": 80, "external_port": 8080, "protocol": "tcp"})).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(body["port_forwarding"]["external_port_range"], "8080:8080");
    let (_, shown) = site.cloud.get(MEMBER, &path.replace("/port_forwardings", "")).await;
    assert_eq!(shown["floatingip"]["router_id"], json!(site.router));
    assert_eq!(shown["floatingip"]["port_forwardings"][0]["external_port"], 8080);
    fails(&post(json!({"internal_port": 81, "external_port": 8080, "protocol": "tcp"})).await, 400, "BadRequest");
    fails(&post(json!({"external_port": 8081, "protocol": "tcp"})).await, 400, "HTTPBadRequest");
    fails(
        &post(json!({"internal_port_range": "90:95", "external_port_range": "90:93", "protocol": "tcp"})).await,
        400,
        "BadRequest",
    );
    let (status, body) =
        post(json!({"internal_port_range": "90:95", "external_port_range": "190:195", "protocol": "udp"})).await;
    assert_eq!((status, &body["port_forwarding"]["external_port"]), (201, &Value::Null));
    let put = json!({"floatingip": {"port_id": port}});
    let fip = path.replace("/port_forwardings", "");
    fails(&site.cloud.put(MEMBER, &fip, put).await, 409, "FipInUseByPortForwarding");
    let (_, list) = site.cloud.get(MEMBER, &path).await;
    for id in ids(&list["port_forwardings"]) {
        assert_eq!(site.cloud.delete(MEMBER, &format!("{path}/{id}")).await.0, 204);
    }
    let (_, shown) = site.cloud.get(MEMBER, &fip).await;
    assert_eq!(shown["floatingip"]["router_id"], Value::Null);
}
