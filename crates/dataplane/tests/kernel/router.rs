//! Routers: translation, floating addresses, forwardings, routes.

use sahab_contract::network::{
    Dataplane, Direction, ExternalPlan, FloatingPlan, ForwardPlan, NetworkPlan, PortKind, RouterPlan,
};

use crate::world::*;

/// An external network 172.24.4.0/24 whose gateway the host holds, a tenant network and a router between them; two
/// containers that let in TCP 80 and ping.
struct Scene {
    world: World,
    external: NetworkPlan,
    tenant: NetworkPlan,
    router: RouterPlan,
    a: String,
    b: String,
}

async fn scene() -> Option<Scene> {
    let mut world = world().await?;
    let mut external = network(&["172.24.4.0/24"]);
    external.external = Some(ExternalPlan { gateways: vec!["172.24.4.1/24".parse().unwrap()], nat: true });
    let mut tenant = network(&["10.9.0.0/24"]);
    let web = group(&mut tenant, rules(vec![tcp_in(80), ping_in()]));
    let mut router = router();
    let id = router.id.clone();
    let mut gateway = leg(&mut external, &id, "172.24.4.10/24", PortKind::RouterGateway);
    gateway.next_hops = vec!["172.24.4.1".parse().unwrap()];
    router.gateway = Some(gateway);
    router.interfaces.push(leg(&mut tenant, &id, "10.9.0.1/24", PortKind::RouterInterface));
    let gateway = Some("10.9.0.1".parse().unwrap());
    let mut names = Vec::new();
    world.dataplane.apply_network(&external).await.unwrap();
    for n in [11, 12] {
        port(&mut tenant, &[&format!("10.9.0.{n}/24")], &[&web]);
        tenant.ports.last_mut().unwrap().gateway4 = gateway;
        let port = tenant.ports.last().unwrap().clone();
        names.push(world.start(&tenant, &port).await);
        serve(names.last().unwrap(), &format!("10.9.0.{n}:80"));
    }
    world.dataplane.apply_router(&router).await.unwrap();
    let [a, b] = names.try_into().unwrap();
    Some(Scene { world, external, tenant, router, a, b })
}

fn floating(address: &str, fixed: &str) -> FloatingPlan {
    FloatingPlan { id: id(), floating: address.parse().unwrap(), fixed: fixed.parse().unwrap() }
}

#[tokio::test]
async fn outgoing_traffic_is_translated_and_nothing_comes_in() {
    let Some(mut scene) = scene().await else { return };
    let host = scene.world.host.clone();
    serve(&host, "172.24.4.1:8080");
    // The host accepts nothing from external networks by default; this is a neighbour, not the host.
    let mut external = scene.external.clone();
    let open = group(&mut external, rules(vec![allow(Direction::Ingress, false, None, None)]));
    let neighbour = port(&mut external, &["172.24.4.50/24"], &[&open]);
    let neighbour = scene.world.start(&external, &neighbour).await;
    serve(&neighbour, "172.24.4.50:80");
    let (_, seen) = connect(&scene.a, "172.24.4.50:80").expect("reaches the external network");
    assert_eq!(seen, "172.24.4.10", "as the router");
    assert!(ping(&scene.a, "172.24.4.1"), "reaches the gateway");
    assert!(blocked(&scene.a, "172.24.4.1:8080"), "but not the host's services");
    run("ip", &["-n", &neighbour, "route", "add", "10.9.0.0/24", "via", "172.24.4.10"]);
    assert!(blocked(&neighbour, "10.9.0.11:80"), "private addresses are not routed to from outside");
    scene.router.snat = false;
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert!(reaches(&neighbour, "10.9.0.11:80"), "without translation they are");
}

#[tokio::test]
async fn a_floating_address_leads_in_and_out() {
    let Some(mut scene) = scene().await else { return };
    let host = scene.world.host.clone();
    assert!(!ping(&host, "172.24.4.20"));
    scene.router.floating_ips.push(floating("172.24.4.20", "10.9.0.11"));
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert!(ping(&host, "172.24.4.20"));
    let (mut open, seen) = connect(&host, "172.24.4.20:80").expect("from the host");
    assert_eq!(seen, "172.24.4.1");
    assert!(reaches(&scene.b, "172.24.4.20:80"), "from a neighbour behind the same router");
    assert!(reaches(&scene.a, "172.24.4.20:80"), "from itself");
    assert!(blocked(&host, "172.24.4.20:81"), "groups still decide");
    let mut external = scene.external.clone();
    let all = group(&mut external, rules(vec![allow(Direction::Ingress, false, None, None)]));
    let neighbour = port(&mut external, &["172.24.4.50/24"], &[&all]);
    let neighbour = scene.world.start(&external, &neighbour).await;
    serve(&neighbour, "172.24.4.50:80");
    assert_eq!(connect(&scene.a, "172.24.4.50:80").unwrap().1, "172.24.4.20", "it leaves as its floating address");
    assert_eq!(connect(&scene.b, "172.24.4.50:80").unwrap().1, "172.24.4.10");
    assert!(echoes(&mut open));

    scene.router.floating_ips.clear();
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert!(dead(&mut open), "its connections end with it");
    assert!(blocked(&host, "172.24.4.20:80") && !ping(&host, "172.24.4.20"));
}

#[tokio::test]
async fn a_floating_address_moves_to_another_router_at_once() {
    let Some(mut scene) = scene().await else { return };
    let host = scene.world.host.clone();
    scene.router.floating_ips.push(floating("172.24.4.20", "10.9.0.11"));
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert!(ping(&host, "172.24.4.20"));
    // The second router in the same networks.
    let mut second = router();
    let id = second.id.clone();
    let mut gateway = leg(&mut scene.external, &id, "172.24.4.11/24", PortKind::RouterGateway);
    gateway.next_hops = vec!["172.24.4.1".parse().unwrap()];
    second.gateway = Some(gateway);
    second.interfaces.push(leg(&mut scene.tenant, &id, "10.9.0.2/24", PortKind::RouterInterface));
    scene.world.dataplane.apply_network(&scene.external).await.unwrap();
    scene.world.dataplane.apply_network(&scene.tenant).await.unwrap();
    scene.world.dataplane.apply_router(&second).await.unwrap();
    run("ip", &["-n", &scene.a, "route", "replace", "default", "via", "10.9.0.2"]);
    second.floating_ips = std::mem::take(&mut scene.router.floating_ips);
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    scene.world.dataplane.apply_router(&second).await.unwrap();
    // Nobody has asked since: the router has told it.
    let entry = || text("ip", &["-n", &host, "neigh", "show", "172.24.4.20"]);
    let new = &second.gateway.as_ref().unwrap().mac;
    for _ in 0..20 {
        if entry().contains(new) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(entry().contains(new), "{} is not {new}", entry());
    assert!(ping(&host, "172.24.4.20"));
}

#[tokio::test]
async fn a_port_is_forwarded() {
    let Some(mut scene) = scene().await else { return };
    let host = scene.world.host.clone();
    let forward = |external: &str, external_port, internal: &str| ForwardPlan {
        id: id(),
        protocol: "tcp".into(),
        external: external.parse().unwrap(),
        external_port,
        internal: internal.parse().unwrap(),
        internal_port: 80,
    };
    scene.router.port_forwardings =
        vec![forward("172.24.4.30", 8080, "10.9.0.11"), forward("172.24.4.10", 8081, "10.9.0.12")];
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    let (mut open, _) = connect(&host, "172.24.4.30:8080").expect("on a floating address");
    assert!(reaches(&host, "172.24.4.10:8081"), "on the router's own");
    assert!(blocked(&host, "172.24.4.30:80"));
    scene.router.port_forwardings.remove(0);
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert!(dead(&mut open) && blocked(&host, "172.24.4.30:8080"));
    assert!(reaches(&host, "172.24.4.10:8081"));
}

#[tokio::test]
async fn networks_meet_at_a_router_and_extra_routes_lead_on() {
    let Some(mut scene) = scene().await else { return };
    let mut second = network(&["10.8.0.0/24", "fd00:8::/64"]);
    let web = group(&mut second, rules(vec![tcp_in(80), ping_in()]));
    let mut interface = leg(&mut second, &scene.router.id, "10.8.0.1/24", PortKind::RouterInterface);
    interface.addresses.push("fd00:8::1/64".parse().unwrap());
    scene.router.interfaces.push(interface);
    let mut third = port(&mut second, &["10.8.0.11/24", "fd00:8::11/64"], &[&web]);
    third.gateway4 = Some("10.8.0.1".parse().unwrap());
    third.gateway6 = Some("fd00:8::1".parse().unwrap());
    let c = scene.world.start(&second, &third).await;
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert_eq!(connect(&c, "10.9.0.11:80").unwrap().1, "10.8.0.11", "between tenant networks nothing is translated");
    assert!(ping(&c, "fd00:8::1"));
    // A container as next hop to a network of its own.
    scene.tenant.ports[1].allowed_pairs.push(("192.168.77.0/24".parse().unwrap(), String::new()));
    scene.world.dataplane.apply_network(&scene.tenant).await.unwrap();
    run("ip", &["-n", &scene.a, "addr", "add", "192.168.77.1/32", "dev", "lo"]);
    let route = ("192.168.77.0/24".parse().unwrap(), "10.9.0.11".parse().unwrap());
    let unreachable = ("192.168.78.0/24".parse().unwrap(), "10.77.0.1".parse().unwrap());
    scene.router.routes = vec![unreachable, route];
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert!(ping(&c, "192.168.77.1"));
    scene.router.routes.clear();
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert!(!ping(&c, "192.168.77.1"));

    scene.router.admin_up = false;
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert!(blocked(&c, "10.9.0.11:80"), "a router that is down forwards nothing");
    scene.router.admin_up = true;
    scene.router.interfaces.remove(0);
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert!(blocked(&c, "10.9.0.11:80"), "its leg is gone");
    let links = text("ip", &["-n", &scene.world.router_namespace(&scene.router), "-br", "link"]);
    assert_eq!(links.matches("qr-").count(), 1, "{links}");
}

#[tokio::test]
async fn tenants_with_the_same_addresses_do_not_meet() {
    let Some(mut scene) = scene().await else { return };
    let mut twin = scene.tenant.clone();
    twin.id = id();
    let mut second = router();
    let router_id = second.id.clone();
    twin.ports.retain(|port| port.kind == PortKind::Container);
    for port in &mut twin.ports {
        port.id = id();
    }
    let mut gateway = leg(&mut scene.external, &router_id, "172.24.4.12/24", PortKind::RouterGateway);
    gateway.next_hops = vec!["172.24.4.1".parse().unwrap()];
    second.gateway = Some(gateway);
    second.interfaces.push(leg(&mut twin, &router_id, "10.9.0.1/24", PortKind::RouterInterface));
    second.floating_ips.push(floating("172.24.4.21", "10.9.0.11"));
    scene.world.dataplane.apply_network(&scene.external).await.unwrap();
    let first = twin.ports[0].clone();
    let other = scene.world.start(&twin, &first).await;
    serve(&other, "10.9.0.11:80");
    scene.world.dataplane.apply_router(&second).await.unwrap();
    scene.router.floating_ips.push(floating("172.24.4.20", "10.9.0.11"));
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    let host = scene.world.host.clone();
    assert!(reaches(&host, "172.24.4.20:80") && reaches(&host, "172.24.4.21:80"));
    assert!(reaches(&scene.a, "10.9.0.12:80"), "the neighbour of the same network");
    assert!(blocked(&other, "10.9.0.12:80"), "exists only in the other one");
    let (_, seen) = connect(&other, "172.24.4.20:80").expect("through the outside");
    assert_eq!(seen, "172.24.4.21");
}

#[tokio::test]
async fn a_leg_whose_network_is_late_does_not_stop_the_router() {
    let Some(mut scene) = scene().await else { return };
    let mut late = network(&["10.8.0.0/24"]);
    scene.router.interfaces.insert(0, leg(&mut late, &scene.router.id, "10.8.0.1/24", PortKind::RouterInterface));
    scene.router.floating_ips.push(floating("172.24.4.20", "10.9.0.11"));
    let error = scene.world.dataplane.apply_router(&scene.router).await.unwrap_err();
    assert_eq!(error.code(), "NetworkNotApplied");
    let host = scene.world.host.clone();
    assert!(reaches(&host, "172.24.4.20:80"), "the rest of the plan is in force");
    scene.world.dataplane.apply_network(&late).await.unwrap();
    scene.world.dataplane.apply_router(&scene.router).await.unwrap();
    assert!(ping(&scene.a, "10.8.0.1"));
}
