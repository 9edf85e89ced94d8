//! External networks: containers on them, the host, and the world beyond its uplink.

use sahab_contract::network::{Dataplane, Direction, ExternalPlan, NetworkPlan};
use sahab_dataplane::{HostPort, HostProtocol};

use crate::world::*;

fn external(cidr: &str) -> NetworkPlan {
    let mut plan = network(&[cidr]);
    plan.external = Some(ExternalPlan { gateways: vec![gateway(&plan)], nat: true });
    plan
}

fn gateway(plan: &NetworkPlan) -> ipnet::IpNet {
    let cidr = plan.subnets[0].cidr;
    ipnet::IpNet::new(first_host(cidr), cidr.prefix_len()).unwrap()
}

#[tokio::test]
async fn a_container_on_an_external_network_reaches_the_world_and_is_guarded() {
    let ports = vec![HostPort { protocol: HostProtocol::Tcp, port: 8081 }];
    let Some(mut world) = world_with(|settings| settings.host_ports = ports).await else { return };
    let host = world.host.clone();
    // The world beyond the uplink.
    let outside = world.namespace("o");
    run("ip", &["-n", &host, "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", &outside]);
    for (name, device, address) in [(&host, "up0", "198.51.100.1/24"), (&outside, "eth0", "198.51.100.2/24")] {
        run("ip", &["-n", name, "addr", "add", address, "dev", device]);
        run("ip", &["-n", name, "link", "set", device, "up"]);
    }
    serve(&outside, "198.51.100.2:80");
    for port in [8080, 8081] {
        serve(&host, &format!("0.0.0.0:{port}"));
    }
    // As a Docker that switched forwarding on itself leaves it.
    for rule in [&["-N", "DOCKER-USER"][..], &["-A", "FORWARD", "-j", "DOCKER-USER"], &["-P", "FORWARD", "DROP"]] {
        run("ip", &[&["netns", "exec", &host, "iptables"], rule].concat());
    }
    let before = world.snapshot(&[]);

    let mut plan = external("172.25.0.0/24");
    let web = group(&mut plan, rules(vec![tcp_in(80)]));
    let mut a = port(&mut plan, &["172.25.0.11/24"], &[&web]);
    a.gateway4 = Some("172.25.0.1".parse().unwrap());
    let a = world.start(&plan, &a).await;
    serve(&a, "172.25.0.11:80");
    serve(&a, "172.25.0.11:81");
    assert!(reaches(&host, "172.25.0.11:80") && blocked(&host, "172.25.0.11:81"), "groups hold against the host too");
    assert_eq!(connect(&a, "198.51.100.2:80").expect("the world").1, "198.51.100.1", "as the host");
    assert!(ping(&a, "172.25.0.1"));
    assert!(reaches(&a, "172.25.0.1:8081") && reaches(&a, "198.51.100.1:8081"), "an allowed port of the host");
    for address in ["172.25.0.1:8080", "198.51.100.1:8080"] {
        assert!(blocked(&a, address), "{address} is the host's own");
    }

    // A second external network is a neighbour.
    let mut other = external("172.26.0.0/24");
    let open = group(&mut other, rules(vec![allow(Direction::Ingress, false, None, None)]));
    let mut b = port(&mut other, &["172.26.0.11/24"], &[&open]);
    b.gateway4 = Some("172.26.0.1".parse().unwrap());
    let b = world.start(&other, &b).await;
    serve(&b, "172.26.0.11:80");
    assert_eq!(connect(&a, "172.26.0.11:80").unwrap().1, "172.25.0.11");

    let quiet = world.dataplane.writes();
    for plan in [&plan, &other, &plan] {
        world.dataplane.apply_network(plan).await.unwrap();
    }
    assert_eq!(world.dataplane.writes(), quiet, "equal plans write nothing, with several tables in one namespace");

    // Not external any more: the host leaves.
    plan.external = None;
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(blocked(&host, "172.25.0.11:80"));
    world.dataplane.remove_network(&other.id).await.unwrap();
    world.dataplane.remove_network(&plan.id).await.unwrap();
    assert_same(&world.snapshot(&[]), &before, "nothing is left on the host");
}

#[tokio::test]
async fn the_hosts_side_is_repaired() {
    let Some(mut world) = world().await else { return };
    let mut plan = external("172.25.0.0/24");
    let web = group(&mut plan, rules(vec![tcp_in(80), ping_in()]));
    let a = port(&mut plan, &["172.25.0.11/24"], &[&web]);
    let container = world.start(&plan, &a).await;
    serve(&container, "172.25.0.11:80");
    let host = world.host.clone();
    let good = world.snapshot(&[]);
    let leg = format!("sx{}", &plan.id[..11]);
    run("ip", &["-n", &host, "addr", "flush", "dev", &leg]);
    run("ip", &["-n", &host, "addr", "add", "10.1.1.1/24", "dev", &leg]);
    run("ip", &["netns", "exec", &host, "nft", "flush", "ruleset"]);
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(reaches(&host, "172.25.0.11:80"));
    assert_same(&world.snapshot(&[]), &good, "repaired");
    // The whole leg.
    run("ip", &["-n", &host, "link", "del", &leg]);
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(reaches(&host, "172.25.0.11:80"));
}

#[tokio::test]
async fn an_external_ipv6_network_works() {
    let Some(mut world) = world().await else { return };
    let mut plan = external("fd00:25::/64");
    let web = group(&mut plan, rules(vec![allow(Direction::Ingress, true, Some(58), None)]));
    let mut a = port(&mut plan, &["fd00:25::11/64"], &[&web]);
    a.gateway6 = Some("fd00:25::1".parse().unwrap());
    let a = world.start(&plan, &a).await;
    let host = world.host.clone();
    // The host checks its own new address for two seconds unless told not to; we tell it.
    assert!(ping(&a, "fd00:25::1") && ping(&host, "fd00:25::11"));
    serve(&host, "[::]:8080");
    assert!(blocked(&a, "[fd00:25::1]:8080"));
}
