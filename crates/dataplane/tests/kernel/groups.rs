//! Security groups: who reaches whom, and what happens to open connections.

use sahab_contract::network::{Dataplane, Direction, Remote, RulePlan};

use crate::world::*;

#[tokio::test]
async fn two_ports_talk_by_rule_and_a_third_does_not() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/24"]);
    let web = group(&mut plan, rules(vec![tcp_in(80), ping_in()]));
    let closed = group(&mut plan, all_out());
    let a = port(&mut plan, &["10.9.0.11/24"], &[&web]);
    let b = port(&mut plan, &["10.9.0.12/24"], &[&closed]);
    let c = port(&mut plan, &["10.9.0.13/24"], &[]);
    let (a, b, c) = (world.start(&plan, &a).await, world.start(&plan, &b).await, world.start(&plan, &c).await);
    for (namespace, address) in [(&a, "10.9.0.11"), (&b, "10.9.0.12"), (&c, "10.9.0.13")] {
        serve(namespace, &format!("{address}:80"));
        serve(namespace, &format!("{address}:81"));
    }
    assert!(reaches(&b, "10.9.0.11:80"), "allowed by rule");
    assert!(blocked(&b, "10.9.0.11:81"), "another port");
    assert!(ping(&b, "10.9.0.11"));
    assert!(blocked(&a, "10.9.0.12:80") && !ping(&a, "10.9.0.12"), "default deny in");
    assert!(blocked(&c, "10.9.0.11:80") && !ping(&c, "10.9.0.11"), "a port without groups may not even send");
}

#[tokio::test]
async fn a_remote_group_is_its_members() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/24"]);
    let clients = group(&mut plan, all_out());
    let from = |members: &[&str]| RulePlan {
        direction: Direction::Ingress,
        ipv6: false,
        protocol: Some(6),
        range: Some((5000, Some(5002))),
        remote: Remote::Group { id: clients.clone(), members: members.iter().map(|m| m.parse().unwrap()).collect() },
    };
    let server = group(&mut plan, rules(vec![from(&["10.9.0.12/32"])]));
    let a = port(&mut plan, &["10.9.0.11/24"], &[&server]);
    let b = port(&mut plan, &["10.9.0.12/24"], &[&clients]);
    let c = port(&mut plan, &["10.9.0.13/24"], &[&server]);
    let (a, b, c) = (world.start(&plan, &a).await, world.start(&plan, &b).await, world.start(&plan, &c).await);
    serve(&a, "10.9.0.11:5001");
    assert!(blocked(&c, "10.9.0.11:5001"), "not a member");
    let (mut open, _) = connect(&b, "10.9.0.11:5001").expect("a member reaches it");

    plan.groups[1].rules.pop();
    plan.groups[1].rules.push(from(&["10.9.0.12/32", "10.9.0.13/32"]));
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(reaches(&c, "10.9.0.11:5001"), "a new member");
    assert!(echoes(&mut open));

    plan.groups[1].rules.pop();
    plan.groups[1].rules.push(from(&["10.9.0.13/32"]));
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(dead(&mut open), "a member that left loses its connections");
    assert!(blocked(&b, "10.9.0.11:5001"));
}

#[tokio::test]
async fn taking_a_permission_away_ends_its_connections_and_no_others() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/24"]);
    let web = group(&mut plan, rules(vec![tcp_in(80)]));
    let more = group(&mut plan, vec![tcp_in(443)]);
    let client = group(&mut plan, all_out());
    let a = port(&mut plan, &["10.9.0.11/24"], &[&web, &more]);
    let b = port(&mut plan, &["10.9.0.12/24"], &[&client]);
    let (server, b) = (world.start(&plan, &a).await, world.start(&plan, &b).await);
    for port in [80, 81, 443] {
        serve(&server, &format!("10.9.0.11:{port}"));
    }
    let (mut http, _) = connect(&b, "10.9.0.11:80").unwrap();
    let (mut https, _) = connect(&b, "10.9.0.11:443").unwrap();
    assert!(echoes(&mut http) && echoes(&mut https));

    // A rule goes, another comes.
    plan.groups[0].rules.pop();
    plan.groups[0].rules.push(tcp_in(81));
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(dead(&mut http), "its rule is gone");
    assert!(echoes(&mut https), "its rule is there");
    assert!(reaches(&b, "10.9.0.11:81") && blocked(&b, "10.9.0.11:80"));

    // A group is taken from the port, by a process that does not know the former plan.
    plan.ports[0].groups.pop();
    let other = sahab_dataplane::LinuxDataplane::new(world.settings.clone()).await.unwrap();
    other.apply_network(&plan).await.unwrap();
    assert!(dead(&mut https), "the group is gone");
    assert!(reaches(&b, "10.9.0.11:81"));
}

#[tokio::test]
async fn ipv6_is_filtered_like_ipv4() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["fd00:9::/64"]);
    let v6 = |protocol, range| allow(Direction::Ingress, true, Some(protocol), range);
    let web = group(&mut plan, rules(vec![v6(6, Some((80, None))), v6(58, Some((128, None)))]));
    let closed = group(&mut plan, all_out());
    let a = port(&mut plan, &["fd00:9::11/64"], &[&web]);
    let b = port(&mut plan, &["fd00:9::12/64"], &[&closed]);
    let (a, b) = (world.start(&plan, &a).await, world.start(&plan, &b).await);
    for port in [80, 81] {
        serve(&a, &format!("[fd00:9::11]:{port}"));
    }
    serve(&b, "[fd00:9::12]:80");
    assert!(reaches(&b, "[fd00:9::11]:80") && ping(&b, "fd00:9::11"));
    assert!(blocked(&b, "[fd00:9::11]:81"));
    let (mut open, _) = connect(&b, "[fd00:9::11]:80").unwrap();
    let network = world.network_namespace(&plan);
    let table = || text("ip", &["netns", "exec", &network, "conntrack", "-L", "-f", "ipv6"]);
    assert!(table().contains("tcp") && table().contains("icmpv6"), "{}", table());
    plan.groups[0].rules = all_out();
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(dead(&mut open));
    assert!(!table().contains("ESTABLISHED") && !table().contains("icmpv6"), "{}", table());
    assert!(blocked(&a, "[fd00:9::12]:80") && !ping(&a, "fd00:9::12"));
}

#[tokio::test]
async fn a_stateless_group_has_no_memory() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/24"]);
    let stateless = group(&mut plan, rules(vec![tcp_in(80)]));
    plan.groups[0].stateful = false;
    let open = group(&mut plan, rules(vec![allow(Direction::Ingress, false, None, None)]));
    plan.groups[1].stateful = false;
    let stateful = group(&mut plan, all_out());
    let a = port(&mut plan, &["10.9.0.11/24"], &[&stateless]);
    let b = port(&mut plan, &["10.9.0.12/24"], &[&open]);
    let c = port(&mut plan, &["10.9.0.13/24"], &[&stateful]);
    let network = world.network_namespace(&plan);
    let (a, b, c) = (world.start(&plan, &a).await, world.start(&plan, &b).await, world.start(&plan, &c).await);
    serve(&a, "10.9.0.11:80");
    serve(&b, "10.9.0.12:80");
    assert!(reaches(&b, "10.9.0.11:80"), "both directions are allowed by rule");
    let table = || text("ip", &["netns", "exec", &network, "conntrack", "-L"]);
    assert_eq!(table().lines().count(), 0, "nothing is tracked between stateless ports");
    assert!(blocked(&a, "10.9.0.12:80"), "the answer is not let in, for no rule allows it");
    assert!(reaches(&c, "10.9.0.11:80"), "a stateful port hears the answer to what it asked");
}

#[tokio::test]
async fn many_rules_of_every_shape_load_and_work() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/24"]);
    let mut many = all_out();
    for n in 0..300u16 {
        many.push(tcp_in(1000 + 2 * n));
        many.push(RulePlan {
            direction: Direction::Ingress,
            ipv6: false,
            protocol: Some(17),
            range: Some((n * 3, Some(n * 3 + 1))),
            remote: Remote::Prefix(format!("10.{}.0.0/16", n % 12).parse().unwrap()),
        });
        many.push(RulePlan {
            direction: Direction::Ingress,
            ipv6: false,
            protocol: Some(6),
            range: Some((n * 7, Some(n * 7 + 90))),
            remote: Remote::Prefix(format!("10.{}.{}.0/24", n % 12, n % 50).parse().unwrap()),
        });
    }
    let prefix = |text: &str, protocol, range| RulePlan {
        direction: Direction::Ingress,
        ipv6: false,
        protocol,
        range,
        remote: Remote::Prefix(text.parse().unwrap()),
    };
    many.push(prefix("10.0.0.0/8", Some(6), Some((9000, Some(9100)))));
    many.push(prefix("10.9.0.0/24", Some(6), Some((9050, Some(9150)))));
    many.push(prefix("172.16.0.0/12", None, None));
    many.push(prefix("172.16.1.0/24", None, None));
    many.push(prefix("172.16.0.0/12", Some(47), None));
    many.push(prefix("10.9.0.0/16", Some(1), Some((8, None))));
    many.push(prefix("10.9.0.12/32", Some(1), Some((8, Some(0)))));
    many.push(allow(Direction::Ingress, false, Some(1), Some((3, Some(4)))));
    many.push(allow(Direction::Ingress, false, Some(112), None));
    many.push(allow(Direction::Ingress, true, Some(58), Some((128, None))));
    many.push(RulePlan {
        direction: Direction::Ingress,
        ipv6: true,
        protocol: Some(6),
        range: Some((1, Some(65535))),
        remote: Remote::Prefixes(vec!["fd00::/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]),
    });
    let many = group(&mut plan, many);
    let closed = group(&mut plan, all_out());
    let a = port(&mut plan, &["10.9.0.11/24"], &[&many]);
    let b = port(&mut plan, &["10.9.0.12/24"], &[&closed]);
    let (a, b) = (world.start(&plan, &a).await, world.start(&plan, &b).await);
    for port in [1598, 9120, 9201] {
        serve(&a, &format!("10.9.0.11:{port}"));
    }
    assert!(reaches(&b, "10.9.0.11:1598") && reaches(&b, "10.9.0.11:9120"));
    assert!(blocked(&b, "10.9.0.11:9201"));
    assert!(ping(&b, "10.9.0.11"));
}

#[tokio::test]
async fn a_port_without_port_security_is_not_filtered() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/24"]);
    let closed = group(&mut plan, all_out());
    let a = port(&mut plan, &["10.9.0.11/24"], &[]);
    plan.ports[0].port_security = false;
    let b = port(&mut plan, &["10.9.0.12/24"], &[&closed]);
    let (a, b) = (world.start(&plan, &a).await, world.start(&plan, &b).await);
    serve(&a, "10.9.0.11:80");
    assert!(reaches(&b, "10.9.0.11:80"));
    run("ip", &["-n", &a, "addr", "add", "10.9.0.99/24", "dev", "eth0"]);
    assert!(ping(&b, "10.9.0.99"), "it may use any address");
    let mut open = connect(&b, "10.9.0.11:80").unwrap().0;
    plan.ports[0].port_security = true;
    world.dataplane.apply_network(&plan).await.unwrap();
    assert!(dead(&mut open) && blocked(&b, "10.9.0.11:80") && !ping(&b, "10.9.0.99"));
}

/// Random rules, members and pairs, nested and overlapping: the kernel must take every rule set, also as a change of the
/// one before.
#[tokio::test]
async fn whatever_the_rules_are_they_load() {
    use rand::{Rng, SeedableRng};
    let Some(world) = world().await else { return };
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut plan = network(&["10.9.0.0/24", "fd00:9::/64"]);
    let ids = [id(), id(), id()];
    for round in 0..40 {
        let prefix = |random: &mut rand::rngs::StdRng, ipv6: bool| -> ipnet::IpNet {
            let (a, b) = (random.random_range(0..3), random.random_range(0..4));
            let net = if ipv6 {
                format!("fd00:{a}::{b}/{}", [0, 16, 32, 126, 127, 128][random.random_range(0..6)])
            } else {
                format!("10.{a}.0.{b}/{}", [0, 8, 16, 30, 31, 32][random.random_range(0..6)])
            };
            net.parse().unwrap()
        };
        plan.groups.clear();
        for group in &ids {
            let mut list = Vec::new();
            for _ in 0..random.random_range(0..25) {
                let ipv6 = random.random();
                let low = random.random_range(0..20);
                let (protocol, range) = match random.random_range(0..6) {
                    0 => (None, None),
                    1 => (Some([6, 17, 47, 132][random.random_range(0..4)]), None),
                    2 => (Some(if ipv6 { 58 } else { 1 }), Some((low, random.random::<bool>().then_some(low % 3)))),
                    _ => (Some([6, 17][random.random_range(0..2)]), Some((low, Some(low + random.random_range(0..9))))),
                };
                let some = |random: &mut rand::rngs::StdRng| -> Vec<ipnet::IpNet> {
                    (0..random.random_range(0..4)).map(|_| prefix(random, ipv6)).collect()
                };
                let remote = match random.random_range(0..4) {
                    0 => Remote::Any,
                    1 => Remote::Prefix(prefix(&mut random, ipv6)),
                    2 => Remote::Prefixes(some(&mut random)),
                    _ => Remote::Group { id: ids[random.random_range(0..3)].clone(), members: some(&mut random) },
                };
                let direction = if random.random() { Direction::Ingress } else { Direction::Egress };
                list.push(RulePlan { direction, ipv6, protocol, range, remote });
            }
            let stateful = random.random_range(0..5) > 0;
            plan.groups.push(sahab_contract::network::GroupPlan { id: group.clone(), stateful, rules: list });
        }
        if random.random() || plan.ports.is_empty() {
            let n = 2 + round;
            let groups: Vec<&str> = ids.iter().filter(|_| random.random()).map(String::as_str).collect();
            port(&mut plan, &[&format!("10.9.0.{n}/24"), &format!("fd00:9::{n}/64")], &groups);
            let pairs = (0..random.random_range(0..4)).map(|_| {
                let ipv6 = random.random();
                (prefix(&mut random, ipv6), if random.random() { String::new() } else { "fa:16:3e:00:00:01".into() })
            });
            plan.ports.last_mut().unwrap().allowed_pairs = pairs.collect();
        } else {
            let n = random.random_range(0..plan.ports.len());
            plan.ports.remove(n);
        }
        world.dataplane.apply_network(&plan).await.unwrap_or_else(|error| panic!("seed {seed}: {}", error.report()));
        // A new process writes everything; what came about by changes must be the same, chain by chain.
        let namespace = world.network_namespace(&plan);
        let blocks = || -> std::collections::BTreeSet<String> {
            let listing = text("ip", &["netns", "exec", &namespace, "nft", "--stateless", "list", "ruleset"]);
            let inner: Vec<&str> = listing.lines().filter(|line| line.is_empty() || line.starts_with('\t')).collect();
            inner.join("\n").replace("\n\t}\n\t", "\n\t}\n\n\t").split("\n\n").map(str::to_owned).collect()
        };
        if round % 4 == 3 {
            let changed = blocks();
            let restarted = sahab_dataplane::LinuxDataplane::new(world.settings.clone()).await.unwrap();
            restarted.apply_network(&plan).await.unwrap();
            let whole = blocks();
            let more: Vec<_> = changed.difference(&whole).collect();
            let less: Vec<_> = whole.difference(&changed).collect();
            assert!(more.is_empty() && less.is_empty(), "seed {seed} round {round}: +{more:#?} -{less:#?}");
            // The first process sees that somebody else wrote, and starts from scratch.
        }
    }
}
