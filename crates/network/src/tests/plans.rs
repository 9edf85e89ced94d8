use ipnet::IpNet;
use sahab_contract::network::{
    AdHocPorts, Direction, Dirty, FloatingPlan, ForwardPlan, NetworkPlans, NetworkReport, PortKind, Remote,
};
use serde_json::{Value, json};

use super::{cloud::*, routers::Site};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

async fn bound(site: &Site, mut body: Value) -> Value {
    body["network_id"] = json!(site.network);
    body["binding:host_id"] = json!(HOST);
    body["project_id"] = json!("demo");
    body["device_owner"] = json!("compute:kuryr");
    body["device_id"] = json!("container-1");
    site.cloud.port(ADMIN, body).await
}

#[tokio::test]
async fn the_inventory_holds_what_the_host_needs() {
    let site = Site::new().await;
    let idle = site.cloud.network(MEMBER, json!({})).await;
    let (networks, routers) = site.cloud.service.inventory(HOST).await.unwrap();
    assert!(networks.contains(&site.external) && networks.contains(&site.network) && !networks.contains(&idle));
    assert_eq!(routers, std::slice::from_ref(&site.router));
    assert_eq!(site.cloud.service.network(HOST, &idle).await.unwrap(), None);
    assert_eq!(site.cloud.service.network(HOST, "gone").await.unwrap(), None);
    assert_eq!(site.cloud.service.network("elsewhere", &site.network).await.unwrap(), None);
    assert_eq!(site.cloud.service.router("elsewhere", &site.router).await.unwrap(), None);
}

#[tokio::test]
async fn a_networks_plan_names_its_ports_and_their_rules() {
    let site = Site::new().await;
    let port = bound(
        &site,
        json!({"fixed_ips": [{"ip_address": "10.0.0.7"}], "allowed_address_pairs": [{"ip_address": "10.0.0.99"}]}),
    )
    .await;
    let group = text(&port["security_groups"][0]);
    let rule = json!({"security_group_rule": {"security_group_id": group, "direction": "ingress", "protocol": "tcp", "port_range_min": 80, "port_range_max": 81, "remote_ip_prefix": "192.168.0.9/24"}});
    assert_eq!(site.cloud.post(MEMBER, "/v2.0/security-group-rules", rule).await.0, 201);
    let plan = site.cloud.service.network(HOST, &site.network).await.unwrap().unwrap();
    assert_eq!(plan.mtu, 1500);
    assert_eq!(plan.subnets[0].cidr, net("10.0.0.0/24"));
    assert!(plan.external.is_none());
    let container = plan.ports.iter().find(|row| row.kind == PortKind::Container).unwrap();
    assert_eq!(container.id, text(&port["id"]));
    assert_eq!(container.device_id, "container-1");
    assert_eq!(container.addresses, [net("10.0.0.7/24")]);
    assert_eq!(container.gateway4, Some("10.0.0.1".parse().unwrap()));
    assert_eq!(container.allowed_pairs, [(net("10.0.0.99/32"), container.mac.clone())]);
    assert_eq!(container.groups, std::slice::from_ref(&group));
    let leg = plan.ports.iter().find(|row| row.kind == PortKind::RouterInterface).unwrap();
    assert_eq!((&leg.device_id, leg.port_security), (&site.router, false));
    let [planned] = plan.groups.as_slice() else { panic!("{:?}", plan.groups) };
    assert_eq!((&planned.id, planned.stateful, planned.rules.len()), (&group, true, 5));
    let web = planned.rules.iter().find(|rule| rule.protocol == Some(6)).unwrap();
    assert_eq!(
        (web.direction, web.range, &web.remote),
        (Direction::Ingress, Some((80, Some(81))), &Remote::Prefix(net("192.168.0.0/24")))
    );
    let own =
        planned.rules.iter().find(|rule| rule.direction == Direction::Ingress && !rule.ipv6 && rule.protocol.is_none());
    assert_eq!(
        own.unwrap().remote,
        Remote::Group { id: group, members: vec![net("10.0.0.7/32"), net("10.0.0.99/32")] }
    );
}

#[tokio::test]
async fn the_external_network_carries_its_gateways() {
    let site = Site::new().await;
    let plan = site.cloud.service.network(HOST, &site.external).await.unwrap().unwrap();
    let external = plan.external.unwrap();
    assert_eq!((external.gateways, external.nat), (vec![net("172.24.4.1/24")], true));
    assert_eq!(plan.ports.len(), 1);
    assert_eq!(plan.ports[0].kind, PortKind::RouterGateway);
    site.floating(json!({})).await;
    let plan = site.cloud.service.network(HOST, &site.external).await.unwrap().unwrap();
    assert_eq!(plan.ports.len(), 1, "the port that holds a floating address is no device");
}

#[tokio::test]
async fn a_routers_plan_names_legs_and_translations() {
    let site = Site::new().await;
    let port = bound(&site, json!({"fixed_ips": [{"ip_address": "10.0.0.7"}]})).await;
    let (_, made) = site.floating(json!({"port_id": port["id"]})).await;
    let (_, second) = site.floating(json!({})).await;
    let other = bound(&site, json!({"fixed_ips": [{"ip_address": "10.0.0.8"}]})).await;
    let path = format!("/v2.0/floatingips/{}/port_forwardings", text(&second["floatingip"]["id"]));
    let body = json!({"port_forwarding": {"internal_port_id": other["id"], "internal_port": 80, "external_port": 8080, "protocol": "tcp"}});
    let (_, forwarding) = site.cloud.post(MEMBER, &path, body).await;
    let plan = site.cloud.service.router(HOST, &site.router).await.unwrap().unwrap();
    assert!(plan.admin_up && plan.snat);
    let gateway = plan.gateway.unwrap();
    assert_eq!(gateway.network_id, site.external);
    assert_eq!(gateway.next_hops, ["172.24.4.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(plan.interfaces[0].addresses, [net("10.0.0.1/24")]);
    assert_eq!(plan.interfaces[0].port_id, site.leg);
    let address = |answer: &Value| text(&answer["floatingip"]["floating_ip_address"]).parse().unwrap();
    assert_eq!(
        plan.floating_ips,
        [FloatingPlan {
            id: text(&made["floatingip"]["id"]),
            floating: address(&made),
            fixed: "10.0.0.7".parse().unwrap()
        }]
    );
    assert_eq!(
        plan.port_forwardings,
        [ForwardPlan {
            id: text(&forwarding["port_forwarding"]["id"]),
            protocol: "tcp".into(),
            external: address(&second),
            external_port: 8080,
            internal: "10.0.0.8".parse().unwrap(),
            internal_port: 80,
        }]
    );
}

#[tokio::test]
async fn changes_tell_exactly_what_they_touch() {
    let site = Site::new().await;
    let lonely = site.cloud.network(MEMBER, json!({})).await;
    let port = bound(&site, json!({})).await;
    let group = text(&port["security_groups"][0]);
    let mut dirty = site.cloud.service.subscribe();
    let mut drain = move || {
        let mut out = Vec::new();
        while let Ok(change) = dirty.try_recv() {
            out.push(change);
        }
        out
    };
    let rule = json!({"security_group_rule": {"security_group_id": group, "direction": "ingress", "protocol": "udp"}});
    site.cloud.post(MEMBER, "/v2.0/security-group-rules", rule).await;
    assert_eq!(drain(), [Dirty::Group(group.clone())]);
    // A new member of a group that ports of other networks trust, too.
    site.cloud.port(MEMBER, json!({"network_id": lonely})).await;
    let changed = drain();
    assert_eq!(changed, [Dirty::Network(lonely), Dirty::Group(group)]);
    site.floating(json!({"port_id": port["id"]})).await;
    assert!(drain().contains(&Dirty::Router(site.router.clone())));
    site.cloud.get(MEMBER, "/v2.0/ports").await;
    let answer = site.cloud.post(MEMBER, "/v2.0/networks", json!({"network": {"name": 1}})).await;
    assert_eq!((answer.0, drain()), (400, vec![]), "reads and refusals tell nothing");
}

#[tokio::test]
async fn reports_become_status_and_news() {
    let site = Site::new().await;
    let port = text(&bound(&site, json!({})).await["id"]);
    let (_, made) = site.floating(json!({"port_id": port})).await;
    let floating = text(&made["floatingip"]["id"]);
    let mut news = site.cloud.events.subscribe();
    let report = NetworkReport {
        ports_active: vec![port.clone(), site.leg.clone()],
        floating_active: vec![floating.clone()],
        ..NetworkReport::default()
    };
    site.cloud.service.report("elsewhere", NetworkReport { floating_active: vec![], ..report.clone() }).await.unwrap();
    assert!(news.try_recv().is_err(), "another host says nothing about these ports");
    site.cloud.service.report(HOST, report.clone()).await.unwrap();
    let mut topics: Vec<_> =
        std::iter::from_fn(|| news.try_recv().ok()).map(|event| (event.topic, event.resource_id)).collect();
    topics.sort();
    let mut expected =
        vec![("floatingip.status", floating.clone()), ("port.status", port.clone()), ("port.status", site.leg.clone())];
    expected.sort();
    assert_eq!(topics, expected);
    let (_, shown) = site.cloud.get(MEMBER, &format!("/v2.0/ports/{port}")).await;
    assert_eq!(shown["port"]["status"], "ACTIVE");
    let (_, shown) = site.cloud.get(MEMBER, &format!("/v2.0/floatingips/{floating}")).await;
    assert_eq!(shown["floatingip"]["status"], "ACTIVE");
    site.cloud.service.report(HOST, report.clone()).await.unwrap();
    assert!(news.try_recv().is_err(), "nothing new, no news");
    let (_, body) = site
        .cloud
        .put(MEMBER, &format!("/v2.0/floatingips/{floating}"), json!({"floatingip": {"port_id": null}}))
        .await;
    assert_eq!(body["floatingip"]["status"], "DOWN");
    site.cloud.service.report(HOST, report).await.unwrap();
    let (_, shown) = site.cloud.get(MEMBER, &format!("/v2.0/floatingips/{floating}")).await;
    assert_eq!(shown["floatingip"]["status"], "DOWN", "a late report about an earlier association");
}

#[tokio::test]
async fn deleting_an_external_network_takes_unused_floating_ips() {
    let cloud = TestCloud::new().await;
    let external = cloud.network(ADMIN, json!({"router:external": true})).await;
    cloud.subnet(ADMIN, &external, "172.24.4.0/24").await;
    let body = json!({"floating_network_id": external});
    let floating = cloud.make(MEMBER, "floatingips", "floatingip", body).await;
    assert_eq!(cloud.delete(ADMIN, &format!("/v2.0/networks/{external}")).await.0, 204);
    assert_eq!(cloud.get(MEMBER, &format!("/v2.0/floatingips/{}", text(&floating["id"]))).await.0, 404);
}

#[tokio::test]
async fn a_container_plugged_by_hand_gets_a_port() {
    let site = Site::new().await;
    let service = &site.cloud.service;
    assert_eq!(service.resolve("ext").await.unwrap(), site.external);
    assert!(service.resolve("nowhere").await.unwrap_err().is_not_found());
    site.cloud.network(ADMIN, json!({"name": "ext"})).await;
    assert!(service.resolve("ext").await.unwrap_err().is_conflict());
    let made = AdHocPorts::create(service.as_ref(), HOST, &site.network, "endpoint-1").await.unwrap();
    assert_eq!(AdHocPorts::create(service.as_ref(), HOST, &site.network, "endpoint-1").await.unwrap(), made);
    let (_, shown) = site.cloud.get(MEMBER, &format!("/v2.0/ports/{}", made.port_id)).await;
    assert_eq!(shown["port"]["project_id"], "demo");
    let plan = service.network(HOST, &site.network).await.unwrap().unwrap();
    assert!(plan.ports.iter().any(|port| port.id == made.port_id));
    service.release(&made.port_id).await.unwrap();
    service.release(&made.port_id).await.unwrap();
    assert_eq!(site.cloud.get(MEMBER, &format!("/v2.0/ports/{}", made.port_id)).await.0, 404);
    let kept = site.port().await;
    service.release(&kept).await.unwrap();
    assert_eq!(site.cloud.get(MEMBER, &format!("/v2.0/ports/{kept}")).await.0, 200, "only what was plugged by hand");
}
