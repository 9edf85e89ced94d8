//! One host's life, from before Docker is there until nothing is left.

use sahab_contract::container::{ContainerEvent, RunState};

use crate::{
    control::id,
    world::{World, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_from_first_to_last() {
    let mut world = World::new("a").await;
    let (lan, wan) = ("aaaaaaaa-0000-4000-8000-000000000001", "ffffffff-0000-4000-8000-000000000002");
    world.control.add_network(lan, "lan", 71);
    world.control.add_network(wan, "wan", 72);
    // The agent waits for Docker, not the other way round.
    assert!(world.host.info().await.is_err());
    let mut events = world.host.subscribe();
    world.daemon.launch();
    until(&mut events, |event| *event == ContainerEvent::EngineUp).await;
    world.daemon.import_busybox();

    neighbours(&world, lan).await;
    two_networks(&world, lan, wan).await;
    pruned_network(&world, lan).await;
    by_hand(&world, lan).await;
    agent_restarts(&mut world, lan).await;
    engine_restarts(&mut world, lan).await;

    assert_eq!(world.host.list().await.unwrap(), []);
    world.eventually("engine networks are gone", async || world.host.network_list().await.unwrap().is_empty()).await;
    world.control.remove_network(lan);
    world.control.remove_network(wan);
    world.eventually("namespaces are gone", async || world.namespaces().is_empty()).await;
    assert_eq!(world.links(), ["lo"]);
    world.stop_agent().await;
}

/// Two containers of a network find and reach each other, as far as their group allows.
async fn neighbours(world: &World, lan: &str) {
    let a = world.run("a", &[lan]).await;
    let b = world.run("b", &[lan]).await;
    let address = b.networks[0].addresses[0].to_string();
    assert!(world.pings(&a.id, &address).await);
    assert!(world.pings(&a.id, "b").await, "by name");
    let (_, links) = world.exec(&a.id, "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu; ip route").await;
    assert!(links.contains(&a.networks[0].mac) && links.contains("1400"), "{links}");
    assert!(links.contains("default via 10.71.0.1"), "{links}");
    assert!(links.contains("172.31.0.0/16 via 10.71.0.2"), "{links}");
    let port = &b.networks[0].port_id;
    world.control.until_active(port, true).await;

    world.control.allow_ingress(lan, false);
    world.eventually("the rule is gone", async || !world.pings(&a.id, &address).await).await;
    world.control.allow_ingress(lan, true);
    world.eventually("the rule is back", async || world.pings(&a.id, &address).await).await;

    world.host.stop(&b.id, Some(5)).await.unwrap();
    world.control.until_active(port, false).await;
    assert!(!world.plugged().await.contains(port));
    world.host.start(&b.id).await.unwrap();
    world.control.until_active(port, true).await;
    assert!(world.pings(&a.id, &address).await, "the same address after a restart");
    // The process ends without us.
    world.exec(&b.id, "kill 1").await;
    world.control.until_active(port, false).await;
    world.remove(&a).await;
    world.remove(&b).await;
    assert_eq!(world.plugged().await, Vec::<String>::new());
}

/// The primary network carries the default route although its name sorts last; networks come and go while it runs.
async fn two_networks(world: &World, lan: &str, wan: &str) {
    let both = world.run("both", &[wan, lan]).await;
    let (_, routes) = world.exec(&both.id, "ip route").await;
    assert!(routes.contains("default via 10.72.0.1") && !routes.contains("default via 10.71"), "{routes}");
    let neighbour = world.run("neighbour", &[lan]).await;
    assert!(world.pings(&both.id, "neighbour").await);
    world.host.network_detach(&both.id, lan).await.unwrap();
    world.host.network_detach(&both.id, lan).await.unwrap();
    assert!(!world.pings(&both.id, &neighbour.networks[0].addresses[0].to_string()).await);
    assert!(!world.plugged().await.contains(&both.networks[1].port_id));
    world.host.network_attach(&both.id, &both.networks[1]).await.unwrap();
    world.host.network_attach(&both.id, &both.networks[1]).await.unwrap();
    assert!(world.pings(&both.id, "neighbour").await);
    let (_, routes) = world.exec(&both.id, "ip route").await;
    assert!(routes.contains("default via 10.72.0.1") && !routes.contains("default via 10.71"), "{routes}");
    world.remove(&both).await;
    world.remove(&neighbour).await;
}

/// An operator prunes networks while a container is stopped.
async fn pruned_network(world: &World, lan: &str) {
    let spec = world.run("pruned", &[lan]).await;
    world.host.stop(&spec.id, Some(5)).await.unwrap();
    assert!(world.host.network_forget(lan).await.unwrap_err().is_conflict(), "a stopped container needs it");
    world.daemon.run(&["network", "prune", "-f"]);
    assert!(world.host.network_list().await.unwrap().is_empty());
    assert_eq!(world.host.start(&spec.id).await.unwrap().state, RunState::Running);
    let (_, addresses) = world.exec(&spec.id, "ip address").await;
    assert!(addresses.contains(&spec.networks[0].addresses[0].to_string()), "{addresses}");
    world.remove(&spec).await;
}

/// Docker's own command line joins a tenant network.
async fn by_hand(world: &World, lan: &str) {
    let neighbour = world.run("neighbour", &[lan]).await;
    let unknown = world.daemon.docker(&["network", "create", "-d", "sahab", "--ipam-driver", "null", "x"]).status();
    assert!(!unknown.unwrap().success());
    world.daemon.run(&["network", "create", "-d", "sahab", "--ipam-driver", "null", "-o", "sahab.network=lan", "mine"]);
    let address = neighbour.networks[0].addresses[0].to_string();
    world.daemon.run(&["run", "--rm", "--network", "mine", "busybox", "ping", "-c", "1", "-W", "3", &address]);
    world.eventually("the port is released", async || world.control.made_by_hand().is_empty()).await;
    // Not Sahab's container, so Sahab does not list it.
    world.daemon.run(&["run", "-d", "--name", "own", "--network", "mine", "busybox", "sleep", "1000"]);
    let [port] = &world.control.made_by_hand()[..] else { panic!("one port") };
    world.control.until_active(port, true).await;
    assert_eq!(world.host.list().await.unwrap().len(), 1);
    // The control plane is away when it goes.
    world.control.set_away(true);
    world.daemon.run(&["rm", "-f", "own"]);
    assert!(!world.plugged().await.contains(port));
    world.control.set_away(false);
    assert_eq!(world.control.made_by_hand().len(), 1);
    world.daemon.run(&["network", "rm", "mine"]);
    world.remove(&neighbour).await;
}

/// Containers go on without the agent, and the next agent knows them.
async fn agent_restarts(world: &mut World, lan: &str) {
    let a = world.run("a", &[lan]).await;
    let b = world.run("b", &[lan]).await;
    world.stop_agent().await;
    assert!(world.pings(&a.id, "b").await);
    // Without a control plane the new agent serves what exists.
    world.control.set_away(true);
    world.start_agent().await;
    world.host.restart(&b.id, Some(5)).await.unwrap();
    assert!(world.pings(&a.id, "b").await);
    world.control.set_away(false);
    world.agent.as_ref().unwrap().look();
    world.control.until_active(&b.networks[0].port_id, true).await;
    // What was left by a container that was removed by hand while the control plane was away.
    world.eventually("the port is released", async || world.control.made_by_hand().is_empty()).await;
    world.remove(&a).await;
    world.remove(&b).await;
}

async fn engine_restarts(world: &mut World, lan: &str) {
    let a = world.run("a", &[lan]).await;
    let mut always = world.spec("always", &[lan]);
    always.restart_policy =
        Some(sahab_contract::container::RestartPolicy { name: "always".into(), maximum_retry_count: 0 });
    world.host.create(&always).await.unwrap();
    world.host.start(&always.id).await.unwrap();
    for signal in ["TERM", "KILL"] {
        world.restart_daemon(signal).await;
        // Docker brings this one back by itself and asks us for its interface.
        world
            .eventually("it runs again", async || {
                world.host.inspect(&always.id).await.is_ok_and(|seen| seen.state == RunState::Running)
            })
            .await;
        world.host.start(&a.id).await.unwrap();
        assert!(world.pings(&a.id, "always").await, "after {signal}");
        assert_eq!(world.plugged().await.len(), 2, "after {signal}");
    }
    world.remove(&a).await;
    world.remove(&always).await;
    let gone = id();
    world.host.delete(&gone, true).await.unwrap();
}
