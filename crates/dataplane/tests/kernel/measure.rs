//! Numbers for `docs/performance.md`: `cargo nextest run -p sahab-dataplane --run-ignored only measure --no-capture`.

use std::time::Instant;

use sahab_contract::network::Dataplane;

use crate::world::*;

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

#[tokio::test]
#[ignore = "prints times, asserts none"]
async fn measure() {
    let Some(world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/16"]);
    let web = group(&mut plan, rules(vec![tcp_in(80), ping_in()]));
    let start = Instant::now();
    world.dataplane.apply_network(&plan).await.unwrap();
    println!("first apply of an empty network       {:8.2} ms", ms(start));
    let (mut apply, mut plug) = (Vec::new(), Vec::new());
    for n in 0..100 {
        let port = port(&mut plan, &[&format!("10.9.1.{n}/16")], &[&web]);
        let start = Instant::now();
        world.dataplane.apply_network(&plan).await.unwrap();
        apply.push(ms(start));
        let start = Instant::now();
        world.dataplane.plug(&plan, &port).await.unwrap();
        plug.push(ms(start));
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        (values[0], values[values.len() / 2], values[values.len() - 1])
    };
    println!("apply with one more port, 1..100      {:8.2?} ms (least, median, most)", median(&mut apply));
    println!("plug, 1..100                          {:8.2?} ms", median(&mut plug));
    let start = Instant::now();
    world.dataplane.apply_network(&plan).await.unwrap();
    println!("apply of an equal plan, 100 ports     {:8.2} ms", ms(start));
    plan.groups[0].rules.push(tcp_in(443));
    let start = Instant::now();
    world.dataplane.apply_network(&plan).await.unwrap();
    println!("apply with one more rule, 100 ports   {:8.2} ms", ms(start));
    plan.groups[0].rules.pop();
    let start = Instant::now();
    world.dataplane.apply_network(&plan).await.unwrap();
    println!("apply with one rule less, 100 ports   {:8.2} ms", ms(start));
    for n in 100..200 {
        port(&mut plan, &[&format!("10.9.1.{n}/16")], &[&web]);
    }
    let start = Instant::now();
    world.dataplane.apply_network(&plan).await.unwrap();
    println!("apply with 100 more ports             {:8.2} ms", ms(start));
    let start = Instant::now();
    for port in &plan.ports[100..] {
        world.dataplane.plug(&plan, port).await.unwrap();
    }
    println!("plug of 100 ports                     {:8.2} ms", ms(start));
    let gone = plan.ports.split_off(100);
    let start = Instant::now();
    world.dataplane.unplug(&plan.id, &gone[0].id).await.unwrap();
    println!("unplug                                {:8.2} ms", ms(start));
    let start = Instant::now();
    world.dataplane.apply_network(&plan).await.unwrap();
    println!("apply without 100 ports               {:8.2} ms", ms(start));
    let start = Instant::now();
    world.dataplane.remove_network(&plan.id).await.unwrap();
    println!("remove a network with 100 ports       {:8.2} ms", ms(start));
}

/// Bytes per second of one connection for two seconds.
fn throughput(from: &str, to: &str, address: &str) -> f64 {
    use std::io::{Read, Write};
    let address: std::net::SocketAddr = address.parse().unwrap();
    let listener = inside(to, move || std::net::TcpListener::bind(address).unwrap());
    let sender = inside(from, move || std::net::TcpStream::connect(address).unwrap());
    let (mut receiver, _) = listener.accept().unwrap();
    let writer = std::thread::spawn(move || {
        let (mut sender, block) = (sender, vec![0u8; 1 << 18]);
        let start = Instant::now();
        while start.elapsed().as_secs() < 2 && sender.write_all(&block).is_ok() {}
    });
    let (start, mut total, mut buffer) = (Instant::now(), 0usize, vec![0u8; 1 << 18]);
    while let Ok(n @ 1..) = receiver.read(&mut buffer) {
        total += n;
    }
    writer.join().unwrap();
    total as f64 / start.elapsed().as_secs_f64()
}

/// Microseconds of one small datagram that opens a connection of its own.
fn new_packet(from: &str, address: &str) -> f64 {
    let (text, count) = (address.to_owned(), 20_000u32);
    inside(from, move || {
        let best = (0..5).map(|round| {
            let sockets: Vec<_> =
                (0..200).map(|n| std::net::UdpSocket::bind(("0.0.0.0", 10_000 + round * 200 + n)).unwrap()).collect();
            let base: std::net::SocketAddr = text.parse().unwrap();
            let start = Instant::now();
            for n in 0..count {
                let mut to = base;
                to.set_port(base.port() + (n / 200) as u16);
                let _ = sockets[n as usize % 200].send_to(b"x", to);
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
        });
        best.fold(f64::MAX, f64::min)
    })
}

#[tokio::test]
#[ignore = "prints rates, asserts none"]
async fn measure_packets() {
    let Some(mut world) = world().await else { return };
    let mut plan = network(&["10.9.0.0/16"]);
    let udp = |low, high| allow(sahab_contract::network::Direction::Ingress, false, Some(17), Some((low, Some(high))));
    let few = group(&mut plan, rules(vec![tcp_in(5001), udp(20_000, 20_200)]));
    let mut many = rules(vec![tcp_in(5001), udp(20_000, 20_200)]);
    many.extend((0..1000).map(|n| tcp_in(30_000 + 2 * n)));
    let many = group(&mut plan, many);
    let a = port(&mut plan, &["10.9.0.11/16"], &[&few]);
    let b = port(&mut plan, &["10.9.0.12/16"], &[&few]);
    let c = port(&mut plan, &["10.9.0.13/16"], &[&many]);
    let (a, b, c) = (world.start(&plan, &a).await, world.start(&plan, &b).await, world.start(&plan, &c).await);
    let _ = &c;
    for round in 0..3 {
        println!(
            "throughput with groups, round {round}         {:6.1} Gbit/s",
            throughput(&a, &b, "10.9.0.12:5001") * 8e-9
        );
        for port in &mut plan.ports {
            port.port_security = false;
        }
        world.dataplane.apply_network(&plan).await.unwrap();
        println!(
            "throughput without port security, {round}     {:6.1} Gbit/s",
            throughput(&a, &b, "10.9.0.12:5001") * 8e-9
        );
        for port in &mut plan.ports {
            port.port_security = true;
        }
        world.dataplane.apply_network(&plan).await.unwrap();
        println!("new packet, few rules, round {round}          {:6.2} us", new_packet(&a, "10.9.0.12:20000"));
        println!("new packet, 1,000 rules, round {round}        {:6.2} us", new_packet(&a, "10.9.0.13:20000"));
    }
}
