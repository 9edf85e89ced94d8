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

    let mut times: Vec<[Duration; 6]> = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("raw{round}");
        let body = bollard::models::ContainerCreateBody {
            image: Some("busybox:latest".into()),
            cmd: Some(vec!["sleep".into(), "1000".into()]),
            host_config: Some(bollard::models::HostConfig { network_mode: Some("raw".into()), ..Default::default() }),
            ..Default::default()
        };
        let options = bollard::query_parameters::CreateContainerOptionsBuilder::default().name(&name).build();
        let begin = Instant::now();
        raw.create_container(Some(options), body).await.unwrap();
        let raw_create = begin.elapsed();
        let begin = Instant::now();
        raw.start_container(&name, None).await.unwrap();
        let raw_start = begin.elapsed();

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
        times.push([raw_create, raw_start, create, engine_create, start, active]);
        world.daemon.run(&["rm", "-f", &name]);
        world.remove(&spec).await;
    }
    let names = [
        "raw bridge create",
        "raw bridge start",
        "ours create",
        "  of it the engine",
        "ours start",
        "ours start to ACTIVE",
    ];
    for (index, name) in names.iter().enumerate() {
        let mut column: Vec<Duration> = times.iter().map(|row| row[index]).collect();
        column.sort();
        println!("{name:22} best {:6.1?}  median {:6.1?}", column[0], column[column.len() / 2]);
    }
    world.remove(&resident).await;
    world.control.remove_network(lan);
    world.eventually("namespaces are gone", async || world.namespaces().is_empty()).await;
    world.stop_agent().await;
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
    world.eventually("engine networks are gone", async || world.host.network_list().await.unwrap().is_empty()).await;
    assert_eq!(world.links(), ["lo"]);
    world.stop_agent().await;
}
