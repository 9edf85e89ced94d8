//! Created once, repaired, removed without a trace.

use std::os::unix::fs::MetadataExt;

use sahab_contract::network::{Dataplane, ExternalPlan, NetworkPlan, PortKind, RouterPlan};
use sahab_dataplane::LinuxDataplane;

use crate::world::*;

/// A network with two containers, an external one, and a router between them with everything on it.
async fn everything(world: &mut World) -> (NetworkPlan, NetworkPlan, RouterPlan, Vec<String>) {
    let mut external = network(&["172.24.4.0/24", "fd00:24::/64"]);
    external.external = Some(ExternalPlan {
        gateways: vec!["172.24.4.1/24".parse().unwrap(), "fd00:24::1/64".parse().unwrap()],
        nat: true,
    });
    let mut tenant = network(&["10.9.0.0/24", "fd00:9::/64"]);
    let web = group(&mut tenant, rules(vec![tcp_in(80), ping_in()]));
    let mut router = router();
    let id = router.id.clone();
    let mut gateway = leg(&mut external, &id, "172.24.4.10/24", PortKind::RouterGateway);
    gateway.addresses.push("fd00:24::10/64".parse().unwrap());
    gateway.next_hops = vec!["172.24.4.1".parse().unwrap(), "fd00:24::1".parse().unwrap()];
    router.gateway = Some(gateway);
    let mut interface = leg(&mut tenant, &id, "10.9.0.1/24", PortKind::RouterInterface);
    interface.addresses.push("fd00:9::1/64".parse().unwrap());
    router.interfaces.push(interface);
    router.routes.push(("192.168.7.0/24".parse().unwrap(), "10.9.0.12".parse().unwrap()));
    router.floating_ips.push(sahab_contract::network::FloatingPlan {
        id: crate::world::id(),
        floating: "172.24.4.20".parse().unwrap(),
        fixed: "10.9.0.11".parse().unwrap(),
    });
    let mut names = Vec::new();
    world.dataplane.apply_network(&external).await.unwrap();
    for n in [11, 12] {
        port(&mut tenant, &[&format!("10.9.0.{n}/24"), &format!("fd00:9::{n}/64")], &[&web]);
        let port = tenant.ports.last_mut().unwrap();
        port.gateway4 = Some("10.9.0.1".parse().unwrap());
        let port = port.clone();
        names.push(world.start(&tenant, &port).await);
        serve(names.last().unwrap(), &format!("10.9.0.{n}:80"));
    }
    world.dataplane.apply_router(&router).await.unwrap();
    (external, tenant, router, names)
}

async fn apply(dataplane: &LinuxDataplane, external: &NetworkPlan, tenant: &NetworkPlan, router: &RouterPlan) {
    dataplane.apply_network(external).await.unwrap();
    dataplane.apply_network(tenant).await.unwrap();
    dataplane.apply_router(router).await.unwrap();
}

#[tokio::test]
async fn applying_twice_changes_nothing_and_a_restart_finds_everything() {
    let Some(mut world) = world().await else { return };
    let (external, tenant, router, containers) = everything(&mut world).await;
    let names = [world.network_namespace(&external), world.network_namespace(&tenant), world.router_namespace(&router)];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    apply(&world.dataplane, &external, &tenant, &router).await;
    let (seen, writes) = (world.snapshot(&names), world.dataplane.writes());
    apply(&world.dataplane, &external, &tenant, &router).await;
    assert_eq!(world.dataplane.writes(), writes);
    assert_same(&world.snapshot(&names), &seen, "applied twice");

    let (mut open, _) = connect(&containers[1], "10.9.0.11:80").unwrap();
    let restarted = LinuxDataplane::new(world.settings.clone()).await.unwrap();
    apply(&restarted, &external, &tenant, &router).await;
    assert_same(&world.snapshot(&names), &seen, "a new process sees it the same");
    assert!(echoes(&mut open), "and connections live through it");
    let first = restarted.writes();
    assert!(first <= 4, "only the rules of the four namespaces are loaded once: {first}");
    apply(&restarted, &external, &tenant, &router).await;
    assert_eq!(restarted.writes(), first);

    let mut observed = restarted.observe().await.unwrap();
    observed.networks.sort();
    let mut expected = vec![external.id.clone(), tenant.id.clone()];
    expected.sort();
    assert_eq!((observed.networks, observed.routers), (expected, vec![router.id.clone()]));
    let mut ports: Vec<_> = tenant
        .ports
        .iter()
        .filter(|port| port.kind == PortKind::Container)
        .map(|port| (tenant.id.clone(), port.id.clone(), true))
        .collect();
    ports.sort();
    observed.ports.sort();
    assert_eq!(observed.ports, ports);
}

#[tokio::test]
async fn everything_goes_without_a_trace() {
    let Some(mut world) = world().await else { return };
    let (before, none) = (world.snapshot(&[]), Vec::<String>::new());
    let (external, tenant, router, _) = everything(&mut world).await;
    // In the order that a reconciler may well choose.
    world.dataplane.remove_network(&tenant.id).await.unwrap();
    world.dataplane.remove_router(&router.id).await.unwrap();
    world.dataplane.remove_network(&external.id).await.unwrap();
    assert_same(&world.snapshot(&[]), &before, "the host");
    assert_eq!(world.ours(), none);
    for id in [&tenant.id, &external.id] {
        world.dataplane.remove_network(id).await.unwrap();
    }
    world.dataplane.remove_router(&router.id).await.unwrap();

    everything(&mut world).await;
    everything(&mut world).await;
    let restarted = LinuxDataplane::new(world.settings.clone()).await.unwrap();
    restarted.purge().await.unwrap();
    assert_same(&world.snapshot(&[]), &before, "purge knows everything without a plan");
    assert_eq!(world.ours(), none);
    assert_eq!(restarted.observe().await.unwrap(), Default::default());
}

#[tokio::test]
async fn damage_is_repaired() {
    let Some(mut world) = world().await else { return };
    let (external, tenant, router, containers) = everything(&mut world).await;
    let (network, routing) = (world.network_namespace(&tenant), world.router_namespace(&router));
    let names = [world.network_namespace(&external), network.clone(), routing.clone()];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let host = world.host.clone();
    let good = world.snapshot(&names);
    let tap = format!("tap{}", &tenant.ports[1].id[..11]);
    let (qg, qr) = (
        format!("qg-{}", &router.gateway.as_ref().unwrap().port_id[..11]),
        format!("qr-{}", &router.interfaces[0].port_id[..11]),
    );
    let nft = |namespace: &str, command: &[&str]| {
        run("ip", &[&["netns", "exec", namespace, "nft"], command].concat());
    };
    let ip = |namespace: &str, command: &[&str]| {
        run("ip", &[&["-n", namespace], command].concat());
    };
    let damages: [(&str, &dyn Fn()); 9] = [
        ("rules flushed", &|| nft(&network, &["flush", "ruleset"])),
        ("an element removed", &|| nft(&network, &["flush", "map", "bridge", "sahab", "own4"])),
        ("a parameter", &|| {
            run("ip", &["netns", "exec", &network, "sysctl", "-w", "net.bridge.bridge-nf-call-iptables=0"]);
        }),
        ("a port out of the bridge", &|| ip(&network, &["link", "set", &tap, "nomaster"])),
        ("a port down with another MTU", &|| {
            ip(&network, &["link", "set", &tap, "down"]);
            ip(&network, &["link", "set", &tap, "mtu", "1280"]);
        }),
        ("the bridge down and learning", &|| {
            ip(&network, &["link", "set", "br0", "down"]);
            ip(&network, &["link", "set", "br0", "type", "bridge", "forward_delay", "1500", "stp_state", "1"]);
        }),
        ("the router's addresses", &|| {
            ip(&routing, &["addr", "flush", "dev", &qg]);
            ip(&routing, &["addr", "add", "10.77.0.1/24", "dev", &qr]);
        }),
        ("the router's routes", &|| {
            ip(&routing, &["route", "del", "default"]);
            ip(&routing, &["route", "add", "10.66.0.0/24", "via", "10.9.0.12", "proto", "static"]);
        }),
        ("the router's rules", &|| nft(&routing, &["delete", "table", "ip", "sahab"])),
    ];
    for (what, damage) in damages {
        damage();
        assert_ne!(world.snapshot(&names), good, "{what} is no damage");
        apply(&world.dataplane, &external, &tenant, &router).await;
        // The kernel tells the state of a link that was down up to a second late.
        for _ in 0..30 {
            if world.snapshot(&names) == good {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_same(&world.snapshot(&names), &good, what);
        assert!(reaches(&containers[1], "10.9.0.11:80"), "{what}");
        assert!(reaches(&host, "172.24.4.20:80"), "{what}");
    }
    // Legs and namespaces: names stay, numbers change.
    ip(&routing, &["link", "del", &qg]);
    ip(&routing, &["link", "del", &qr]);
    apply(&world.dataplane, &external, &tenant, &router).await;
    assert!(reaches(&host, "172.24.4.20:80"), "legs");
    run("ip", &["netns", "del", &routing]);
    apply(&world.dataplane, &external, &tenant, &router).await;
    assert!(reaches(&host, "172.24.4.20:80"), "the router's namespace");
    run("ip", &["netns", "del", &world.network_namespace(&external)]);
    apply(&world.dataplane, &external, &tenant, &router).await;
    assert!(reaches(&host, "172.24.4.20:80"), "the external network's namespace");
}

#[tokio::test]
async fn a_port_that_the_plan_does_not_name_goes() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/24"]);
    let web = group(&mut plan, rules(vec![tcp_in(80)]));
    let a = port(&mut plan, &["10.9.0.11/24"], &[&web]);
    let b = port(&mut plan, &["10.9.0.12/24"], &[&web]);
    let c = port(&mut plan, &["10.9.0.13/24"], &[&web]);
    let d = port(&mut plan, &["10.9.0.14/24"], &[&web]);
    world.start(&plan, &a).await;
    world.start(&plan, &b).await;
    world.dataplane.plug(&plan, &c).await.unwrap();
    world.dataplane.plug(&plan, &d).await.unwrap();
    plan.ports.truncate(1);
    world.dataplane.apply_network(&plan).await.unwrap();
    let observed = world.dataplane.observe().await.unwrap();
    assert_eq!(observed.ports, vec![(plan.id.clone(), a.id.clone(), true)]);
    let host = text("ip", &["-n", &world.host, "-br", "link"]);
    assert!(!host.contains("tc"), "{host}");
    world.dataplane.unplug(&plan.id, &a.id).await.unwrap();
    world.dataplane.unplug(&plan.id, &a.id).await.unwrap();
    world.dataplane.unplug(&id(), &id()).await.unwrap();
    assert_eq!(world.dataplane.observe().await.unwrap().ports, vec![]);
}

#[tokio::test]
async fn plugging_is_idempotent_and_takes_a_dead_endpoint_over() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/24"]);
    let web = group(&mut plan, rules(vec![ping_in()]));
    let a = port(&mut plan, &["10.9.0.11/24"], &[&web]);
    let b = port(&mut plan, &["10.9.0.12/24"], &[&web]);
    assert!(world.dataplane.plug(&plan, &a).await.is_err(), "the network is not there yet");
    let b = world.start(&plan, &b).await;
    let end = world.dataplane.plug(&plan, &a).await.unwrap();
    let index = |world: &World| text("ip", &["-n", &world.host, "-br", "link", "show", &end]);
    let (first, writes) = (index(&world), world.dataplane.writes());
    assert_eq!(world.dataplane.plug(&plan, &a).await.unwrap(), end);
    assert_eq!((index(&world), world.dataplane.writes()), (first, writes));
    let link: serde_json::Value =
        serde_json::from_str(&text("ip", &["-n", &world.host, "-j", "link", "show", &end])).unwrap();
    assert_eq!((link[0]["mtu"].as_u64(), link[0]["address"].as_str()), (Some(1400), Some(a.mac.as_str())));
    let died = world.adopt(&end, &a);
    assert!(ping(&b, "10.9.0.11"));
    // Docker died without a word: the container lives in limbo, its port is plugged again for the next start.
    assert_eq!(world.dataplane.plug(&plan, &a).await.unwrap(), end);
    let next = world.adopt(&end, &a);
    assert!(ping(&b, "10.9.0.11") && ping(&next, "10.9.0.12"));
    assert!(!text("ip", &["-n", &died, "-br", "link"]).contains("eth0"));
    // The end came back to the host under its first name, as Docker leaves it when the plugin is away.
    run("ip", &["-n", &next, "link", "set", "eth0", "down"]);
    run("ip", &["-n", &next, "link", "set", "eth0", "netns", &world.host, "name", &end]);
    let observed = world.dataplane.observe().await.unwrap();
    assert!(observed.ports.contains(&(plan.id.clone(), a.id.clone(), false)), "{observed:?}");
    world.dataplane.plug(&plan, &a).await.unwrap();
    world.adopt(&end, &a);
    assert!(ping(&b, "10.9.0.11"));
}

#[tokio::test]
async fn a_port_before_its_rules_and_a_port_that_is_down_are_silent() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/24"]);
    let web = group(&mut plan, rules(vec![ping_in()]));
    let a = port(&mut plan, &["10.9.0.11/24"], &[&web]);
    let a = world.start(&plan, &a).await;
    let early = plan.clone();
    let b = port(&mut plan, &["10.9.0.12/24"], &[&web]);
    let end = world.dataplane.plug(&early, &b).await.unwrap();
    let b = world.adopt(&end, &b);
    assert!(!ping(&b, "10.9.0.11"), "no rules yet");
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(ping(&b, "10.9.0.11"));
    plan.ports[1].admin_up = false;
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(!ping(&b, "10.9.0.11") && !ping(&a, "10.9.0.12"));
    assert!(world.dataplane.observe().await.unwrap().ports.contains(&(
        plan.id.clone(),
        plan.ports[1].id.clone(),
        false
    )));
    plan.ports[1].admin_up = true;
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(ping_soon(&b, "10.9.0.11"));
}

#[tokio::test]
async fn the_mtu_is_the_same_everywhere() {
    let Some(mut world) = world().await else { return };
    let (external, mut tenant, mut router, containers) = everything(&mut world).await;
    let mtus = |namespace: &str| -> Vec<u64> {
        let links: serde_json::Value = serde_json::from_str(&text("ip", &["-n", namespace, "-j", "link"])).unwrap();
        let links = links.as_array().unwrap().iter().filter(|link| link["ifname"] != "lo" && link["ifname"] != "up0");
        links.map(|link| link["mtu"].as_u64().unwrap()).collect()
    };
    let (network, routing) = (world.network_namespace(&tenant), world.router_namespace(&router));
    for namespace in [&network, &routing, &containers[0], &world.host.clone()] {
        assert!(mtus(namespace).iter().all(|mtu| *mtu == 1400), "{namespace}: {:?}", mtus(namespace));
    }
    assert!(ping_with(&containers[0], "10.9.0.12", &["-M", "do", "-s", "1372"]));
    assert!(!ping_with(&containers[0], "10.9.0.12", &["-M", "do", "-s", "1373"]));
    tenant.mtu = 1300;
    for port in &mut tenant.ports {
        port.mtu = 1300;
    }
    router.interfaces[0].mtu = 1300;
    apply(&world.dataplane, &external, &tenant, &router).await;
    assert!(mtus(&network).iter().all(|mtu| *mtu == 1300), "{:?}", mtus(&network));
    let mut ends = mtus(&routing);
    ends.sort_unstable();
    assert_eq!(ends, [1300, 1400]);
}

#[tokio::test]
async fn bad_plans_are_refused_before_anything_is_done() {
    let Some(world) = world().await else { return };
    let good = network(&["10.9.0.0/24"]);
    for spoil in [
        |plan: &mut NetworkPlan| plan.id = "x; rm -rf /".into(),
        |plan: &mut NetworkPlan| plan.mtu = 1,
        |plan: &mut NetworkPlan| plan.ports[0].mac = "fa:16:3e:00:00:01 }\ndrop".into(),
        |plan: &mut NetworkPlan| plan.ports[0].groups.push("}".into()),
    ] {
        let mut plan = good.clone();
        port(&mut plan, &["10.9.0.11/24"], &[]);
        spoil(&mut plan);
        let error = world.dataplane.apply_network(&plan).await.unwrap_err();
        assert_eq!(error.code(), "InvalidPlan");
    }
    assert!(world.ours().is_empty());
}

#[tokio::test]
async fn the_probe_finds_what_this_machine_has_and_leaves_nothing() {
    if world().await.is_none() {
        return;
    }
    let checks = sahab_dataplane::probe().await;
    let failed: Vec<_> = checks.iter().filter(|check| check.required && !check.ok).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(checks.iter().all(|check| check.ok == check.remedy.is_empty()));
    assert!(!text("ip", &["netns", "list"]).contains("sahabprobe"));
    // So that names of namespaces are really those of a mount that others see.
    assert!(std::fs::metadata("/run/netns").unwrap().ino() > 0);
}

#[tokio::test]
async fn many_networks_at_once() {
    let Some(world) = world().await else { return };
    let plans: Vec<NetworkPlan> = (0..8)
        .map(|_| {
            let mut plan = network(&["10.9.0.0/24"]);
            let web = group(&mut plan, rules(vec![tcp_in(80)]));
            for n in 10..20 {
                port(&mut plan, &[&format!("10.9.0.{n}/24")], &[&web]);
            }
            plan
        })
        .collect();
    let tasks: Vec<_> = plans
        .iter()
        .flat_map(|plan| [plan.clone(), plan.clone()])
        .map(|plan| {
            let dataplane = world.dataplane.clone();
            tokio::spawn(async move {
                dataplane.apply_network(&plan).await?;
                for port in &plan.ports {
                    dataplane.plug(&plan, port).await?;
                }
                dataplane.apply_network(&plan).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(world.dataplane.observe().await.unwrap().ports.len(), 80);
    let removals: Vec<_> = plans
        .iter()
        .map(|plan| {
            let (dataplane, id) = (world.dataplane.clone(), plan.id.clone());
            tokio::spawn(async move { dataplane.remove_network(&id).await })
        })
        .collect();
    for task in removals {
        task.await.unwrap().unwrap();
    }
    assert!(world.ours().is_empty());
}

#[tokio::test]
async fn removed_namespaces_give_their_threads_and_descriptors_back() {
    let Some(world) = world().await else { return };
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let mut before = None;
    for round in 0..6 {
        let mut plan = network(&["10.9.0.0/24"]);
        let web = group(&mut plan, rules(vec![tcp_in(80)]));
        let a = port(&mut plan, &["10.9.0.11/24"], &[&web]);
        world.dataplane.apply_network(&plan).await.unwrap();
        world.dataplane.plug(&plan, &a).await.unwrap();
        world.dataplane.remove_network(&plan.id).await.unwrap();
        // The first round also starts what the process keeps, such as its pool of blocking threads.
        if round == 0 {
            before = Some(count("fd"));
        }
    }
    assert_eq!(Some(count("fd")), before);
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = threads.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    assert_eq!(names.filter(|name| name.trim() == "sahab-netns").count(), 1, "only the host's is left");
}
