//! Where the time of a start goes. Run by hand: `cargo nextest run -p sahab-agent --run-ignored only --no-capture`.

use std::time::{Duration, Instant};

use sahab_contract::container::{ContainerDriver, ContainerEvent, ContainerSpec};

use crate::world::{World, until};

const ROUNDS: usize = 15;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn time_of_a_start() {
    let mut world = World::new("m").await;
    let lan = "aaaaaaaa-0000-4000-8000-000000000003";
    world.control.add_network(lan, "lan", 73);
    let mut events = world.host.subscribe();
    world.daemon.launch();
    until(&mut events, |event| *event == ContainerEvent::EngineUp).await;
    world.daemon.import_busybox();
    world.daemon.run(&["network", "create", "raw"]);
    let raw =
        bollard::Docker::connect_with_unix(&world.daemon.socket().to_string_lossy(), 60, bollard::API_DEFAULT_VERSION)
            .unwrap();
    // One of each stays, as on a host in use.
    let resident = world.run("resident", &[lan]).await;
    world.daemon.run(&["run", "-d", "--name", "resident", "--network", "raw", "busybox", "sleep", "1000"]);

    let mut times: Vec<[Duration; 8]> = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("raw{round}");
        let [raw_create, raw_start] = raw_container(&raw, &name, "raw").await;
        world.daemon.run(&["rm", "-f", &name]);
        let [_, none_start] = raw_container(&raw, &name, "none").await;
        world.daemon.run(&["rm", "-f", &name]);
        let [_, joined_start] = raw_container(&raw, &name, "container:resident").await;
        world.daemon.run(&["rm", "-f", &name]);

        let spec = world.spec("timed", &[lan]);
        let begin = Instant::now();
        world.host.create(&spec).await.unwrap();
        let create = begin.elapsed();
        let begin = Instant::now();
        world.host.start(&spec.id).await.unwrap();
        let start = begin.elapsed();
        world.control.until_active(&spec.networks[0].port_id, true).await;
        let active = begin.elapsed();
        // The engine's part of a creation: everything about the port is known.
        let plain = ContainerSpec { id: crate::control::id(), ..spec.clone() };
        let begin = Instant::now();
        world.driver.create(&plain).await.unwrap();
        let engine_create = begin.elapsed();
        world.driver.delete(&plain.id, true).await.unwrap();
        times.push([raw_create, raw_start, none_start, joined_start, create, engine_create, start, active]);
        world.remove(&spec).await;
    }
    let names = [
        "raw, own bridge: create",
        "raw, own bridge: start",
        "raw, none: start",
        "raw, container:ID: start",
        "ours: create",
        "ours: the engine's part of it",
        "ours: start",
        "ours: start to port ACTIVE",
    ];
    for (index, name) in names.iter().enumerate() {
        let mut column: Vec<Duration> = times.iter().map(|row| row[index]).collect();
        column.sort();
        println!("{name:30} best {:6.1?}  median {:6.1?}", column[0], column[column.len() / 2]);
    }
    world.remove(&resident).await;
    world.control.remove_network(lan);
    world.eventually("namespaces are gone", async || world.namespaces().is_empty()).await;
    world.stop_agent().await;
}

/// What a user of the engine's API would do; the times of creation and start.
async fn raw_container(engine: &bollard::Docker, name: &str, network: &str) -> [Duration; 2] {
    let body = bollard::models::ContainerCreateBody {
        image: Some("busybox:latest".into()),
        cmd: Some(vec!["sleep".into(), "1000".into()]),
        host_config: Some(bollard::models::HostConfig { network_mode: Some(network.into()), ..Default::default() }),
        ..Default::default()
    };
    let options = bollard::query_parameters::CreateContainerOptionsBuilder::default().name(name).build();
    let begin = Instant::now();
    engine.create_container(Some(options), body).await.unwrap();
    let create = begin.elapsed();
    let begin = Instant::now();
    engine.start_container(name, None).await.unwrap();
    [create, begin.elapsed()]
}

/// Many at once, many times: nothing may be left, and the engine is not overwhelmed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn cycles_leave_nothing() {
    const AT_ONCE: usize = 20;
    const CYCLES: usize = 5;
    let mut world = World::new("c").await;
    let lan = "aaaaaaaa-0000-4000-8000-000000000004";
    world.control.add_network(lan, "lan", 74);
    let mut events = world.host.subscribe();
    world.daemon.launch();
    until(&mut events, |event| *event == ContainerEvent::EngineUp).await;
    world.daemon.import_busybox();
    for _ in 0..CYCLES {
        let specs: Vec<ContainerSpec> = (0..AT_ONCE).map(|_| world.spec("one", &[lan])).collect();
        let begin = Instant::now();
        let starts = specs.iter().map(|spec| {
            let (host, spec) = (world.host.clone(), spec.clone());
            tokio::spawn(async move {
                host.create(&spec).await.unwrap();
                host.start(&spec.id).await.unwrap();
            })
        });
        for start in starts.collect::<Vec<_>>() {
            start.await.unwrap();
        }
        let started = begin.elapsed();
        for spec in &specs {
            world.control.until_active(&spec.networks[0].port_id, true).await;
        }
        let begin = Instant::now();
        let removals = specs.iter().map(|spec| {
            let (host, id) = (world.host.clone(), spec.id.clone());
            tokio::spawn(async move { host.delete(&id, true).await.unwrap() })
        });
        for removal in removals.collect::<Vec<_>>() {
            removal.await.unwrap();
        }
        println!("{AT_ONCE} at once: running after {started:.1?}, removed after {:.1?}", begin.elapsed());
        assert_eq!(world.plugged().await, Vec::<String>::new());
        specs.iter().for_each(|spec| world.control.remove_port(&spec.networks[0].port_id));
    }
    world.control.remove_network(lan);
    world.eventually("namespaces are gone", async || world.namespaces().is_empty()).await;
    assert_eq!(world.host.network_list().await.unwrap(), Vec::<String>::new());
    assert_eq!(world.links(), ["lo"]);
    world.stop_agent().await;
}
