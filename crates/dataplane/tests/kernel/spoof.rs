//! What a hostile container may try on the wire. Each attack is also run from a port without port security, where it
//! must work: so the test shows that the attack is real.

use std::net::{Ipv6Addr, UdpSocket};

use sahab_contract::network::{Dataplane, Direction, NetworkPlan, PortPlan};

use crate::world::*;

/// Attacker, victim and a neighbour, in groups that allow everything.
struct Scene {
    world: World,
    plan: NetworkPlan,
    attacker: String,
    victim: String,
    neighbour: String,
}

impl Scene {
    fn port(&self, n: usize) -> &PortPlan {
        &self.plan.ports[n]
    }
    async fn disarm(&mut self) {
        self.plan.ports[0].port_security = false;
        self.world.dataplane.apply_network(&self.plan).await.unwrap();
    }
}

async fn scene() -> Option<Scene> {
    let mut world = world().await?;
    let mut plan = network(&["10.9.0.0/24", "fd00:9::/64"]);
    let open = group(
        &mut plan,
        rules(vec![allow(Direction::Ingress, false, None, None), allow(Direction::Ingress, true, None, None)]),
    );
    for n in 11..14 {
        port(&mut plan, &[&format!("10.9.0.{n}/24"), &format!("fd00:9::{n}/64")], &[&open]);
    }
    let mut names = Vec::new();
    for port in plan.ports.clone() {
        names.push(world.start(&plan, &port).await);
    }
    let [attacker, victim, neighbour] = names.try_into().unwrap();
    Some(Scene { world, plan, attacker, victim, neighbour })
}

fn bytes(mac: &str) -> Vec<u8> {
    mac.split(':').map(|part| u8::from_str_radix(part, 16).unwrap()).collect()
}

fn send(namespace: &str, frame: &[u8]) {
    let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    let program = "import socket,sys\ns=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)\ns.bind(('eth0',0))\n\
                   s.send(bytes.fromhex(sys.argv[1]))";
    run("ip", &["netns", "exec", namespace, "python3", "-c", program, &hex]);
}

fn frame(to: &str, from: &str, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&bytes(to)[..], &bytes(from), &kind.to_be_bytes(), payload].concat()
}

fn neighbour_of(namespace: &str, address: &str) -> String {
    text("ip", &["-n", namespace, "neigh", "show", address]).to_lowercase()
}

/// An IPv6 packet with an ICMPv6 message, checksum included.
fn icmp6(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let mut sum: u32 = 58 + message.len() as u32;
    let mut message = message.to_vec();
    let words = [&source.octets()[..], &destination.octets(), &message].concat();
    for pair in words.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((message.len() as u16).to_be_bytes());
    packet.extend([58, 255]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(message);
    packet
}

fn link_local(mac: &str) -> Ipv6Addr {
    let m = bytes(mac);
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]])
}

#[tokio::test]
async fn a_foreign_address_does_not_leave_the_port() {
    let Some(mut scene) = scene().await else { return };
    assert!(ping(&scene.attacker, "10.9.0.12"));
    for (address, socket) in [("10.9.0.99", "10.9.0.12:9999"), ("fd00:9::99", "[fd00:9::12]:9999")] {
        let prefix = if address.contains(':') { "/64" } else { "/24" };
        run("ip", &["-n", &scene.attacker, "addr", "add", &format!("{address}{prefix}"), "dev", "eth0"]);
        // The neighbour entry is there already, so that only the address itself is judged.
        ping(&scene.attacker, socket.rsplit_once(':').unwrap().0.trim_matches(['[', ']']));
        let server = udp(&scene.victim, socket);
        let (from, to) = (address.to_owned(), socket.to_owned());
        let shoot = move || {
            let ip: std::net::IpAddr = from.parse().unwrap();
            if let Ok(socket) = UdpSocket::bind((ip, 0)) {
                let _ = socket.send_to(b"x", &to);
            }
        };
        std::thread::sleep(std::time::Duration::from_millis(if prefix == "/64" { 2500 } else { 0 }));
        inside(&scene.attacker, shoot.clone());
        assert_eq!(receives(&server), None, "{address}");
        scene.disarm().await;
        inside(&scene.attacker, shoot);
        assert!(receives(&server).is_some(), "{address} without port security");
        scene.plan.ports[0].port_security = true;
        scene.world.dataplane.apply_network(&scene.plan).await.unwrap();
    }
}

#[tokio::test]
async fn a_foreign_hardware_address_does_not_leave_the_port() {
    let Some(mut scene) = scene().await else { return };
    assert!(ping(&scene.attacker, "10.9.0.12"));
    let own = scene.port(0).mac.clone();
    run("ip", &["-n", &scene.attacker, "link", "set", "eth0", "address", &mac()]);
    assert!(!ping(&scene.attacker, "10.9.0.12"));
    scene.disarm().await;
    run("ip", &["-n", &scene.attacker, "neigh", "flush", "all"]);
    assert!(ping(&scene.attacker, "10.9.0.12"));
    scene.plan.ports[0].port_security = true;
    scene.world.dataplane.apply_network(&scene.plan).await.unwrap();
    run("ip", &["-n", &scene.attacker, "link", "set", "eth0", "address", &own]);
    assert!(ping(&scene.attacker, "10.9.0.12"));
}

#[tokio::test]
async fn nobody_answers_arp_or_nd_for_another() {
    let Some(mut scene) = scene().await else { return };
    let (attacker, victim) = (scene.port(0).mac.clone(), scene.port(1).mac.clone());
    assert!(ping(&scene.victim, "10.9.0.13") && ping(&scene.victim, "fd00:9::13"));
    // "10.9.0.13 is at the attacker's", to the victim.
    let arp =
        [&[0, 1, 8, 0, 6, 4, 0, 2][..], &bytes(&attacker), &[10, 9, 0, 13], &bytes(&victim), &[10, 9, 0, 12]].concat();
    let arp = frame(&victim, &attacker, 0x0806, &arp);
    let target: Ipv6Addr = "fd00:9::13".parse().unwrap();
    let advert = [&[136, 0, 0, 0, 0x20, 0, 0, 0][..], &target.octets(), &[2, 1], &bytes(&attacker)].concat();
    let own: Ipv6Addr = "fd00:9::11".parse().unwrap();
    let nd = frame(&victim, &attacker, 0x86dd, &icmp6(own, "fd00:9::12".parse().unwrap(), &advert));
    for armed in [true, false] {
        if !armed {
            scene.disarm().await;
        }
        send(&scene.attacker, &arp);
        send(&scene.attacker, &nd);
        std::thread::sleep(std::time::Duration::from_millis(100));
        for address in ["10.9.0.13", "fd00:9::13"] {
            let fooled = neighbour_of(&scene.victim, address).contains(&attacker);
            assert_eq!(fooled, !armed, "{address}: {}", neighbour_of(&scene.victim, address));
        }
    }
}

#[tokio::test]
async fn a_port_is_no_router_and_no_dhcp_server() {
    let Some(mut scene) = scene().await else { return };
    let attacker = scene.port(0).mac.clone();
    // Current hop limit 64, lifetime 1800 s, no prefix.
    let advert = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    let everyone: Ipv6Addr = "ff02::1".parse().unwrap();
    let advert = frame("33:33:00:00:00:01", &attacker, 0x86dd, &icmp6(link_local(&attacker), everyone, &advert));
    let dhcp = udp(&scene.victim, "0.0.0.0:68");
    let shoot = || {
        let socket = UdpSocket::bind("10.9.0.11:67").unwrap();
        let _ = socket.send_to(b"offer", "10.9.0.12:68");
    };
    assert!(ping(&scene.attacker, "10.9.0.12"));
    for armed in [true, false] {
        if !armed {
            scene.disarm().await;
        }
        send(&scene.attacker, &advert);
        inside(&scene.attacker, shoot);
        assert_eq!(receives(&dhcp).is_some(), !armed, "DHCP");
        let routes = text("ip", &["-n", &scene.victim, "-6", "route", "show", "default"]);
        assert_eq!(!routes.is_empty(), !armed, "router advertisement: {routes}");
    }
}

#[tokio::test]
async fn odd_frames_neither_pass_nor_teach_the_bridge() {
    let Some(mut scene) = scene().await else { return };
    let (attacker, victim, neighbour) =
        (scene.port(0).mac.clone(), scene.port(1).mac.clone(), scene.port(2).mac.clone());
    let network = scene.world.network_namespace(&scene.plan);
    let listen = "import socket,sys\ns=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3))\n\
                  s.bind(('eth0',3));s.settimeout(1.0);print('ready',flush=True)\ntry:\n  \
                  while b'attack' not in s.recv(2000): pass\n  print('seen')\nexcept TimeoutError: print('quiet')";
    for armed in [true, false] {
        if !armed {
            scene.disarm().await;
        }
        // A VLAN tag hides the packet from the IP rules.
        let mut child = std::process::Command::new("ip")
            .args(["netns", "exec", &scene.victim, "python3", "-c", listen])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        send(&scene.attacker, &frame(&victim, &attacker, 0x8100, b"\x00\x05\x08\x00attack-attack-attack-attack"));
        line.clear();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        child.wait().unwrap();
        // The victim's own rules drop what is no IP on the way in as well.
        assert_eq!(line.trim(), "quiet", "armed: {armed}");
    }
    // A frame to a link-local group is not forwarded, but a bridge would learn its sender.
    assert!(ping(&scene.neighbour, "10.9.0.12"));
    send(&scene.attacker, &frame("01:80:c2:00:00:0e", &neighbour, 0x88cc, &[0; 46]));
    let table = text("bridge", &["-n", &network, "fdb", "show"]);
    let entries: Vec<_> = table.lines().filter(|line| line.starts_with(&neighbour)).map(str::to_owned).collect();
    let tap = format!("tap{}", &scene.port(2).id[..11]);
    assert!(!entries.is_empty() && entries.iter().all(|line| line.contains(&tap)), "{entries:?}");
}

#[tokio::test]
async fn allowed_address_pairs_are_allowed() {
    let Some(mut scene) = scene().await else { return };
    let other = mac();
    scene.plan.ports[0].allowed_pairs = vec![
        ("10.9.0.99/32".parse().unwrap(), String::new()),
        ("10.8.0.0/16".parse().unwrap(), String::new()),
        ("10.8.1.0/24".parse().unwrap(), String::new()),
        ("fd00:9::/64".parse().unwrap(), String::new()),
        ("10.9.0.0/24".parse().unwrap(), other.clone()),
    ];
    scene.world.dataplane.apply_network(&scene.plan).await.unwrap();
    run("ip", &["-n", &scene.attacker, "addr", "add", "10.9.0.99/24", "dev", "eth0"]);
    run("ip", &["-n", &scene.attacker, "addr", "add", "10.8.1.1/16", "dev", "eth0"]);
    run("ip", &["-n", &scene.attacker, "addr", "add", "fd00:9::77/64", "dev", "eth0", "nodad"]);
    run("ip", &["-n", &scene.victim, "route", "add", "10.8.0.0/16", "dev", "eth0"]);
    assert!(ping(&scene.victim, "10.9.0.99"));
    assert!(ping_with(&scene.attacker, "10.9.0.12", &["-I", "10.8.1.1"]));
    assert!(ping(&scene.victim, "fd00:9::77"));
    run("ip", &["-n", &scene.attacker, "link", "set", "eth0", "address", &other]);
    assert!(ping(&scene.attacker, "10.9.0.12"), "the pair's own hardware address");
    scene.plan.ports[0].allowed_pairs.clear();
    scene.world.dataplane.apply_network(&scene.plan).await.unwrap();
    assert!(!ping(&scene.attacker, "10.9.0.12"));
}

#[tokio::test]
async fn frames_for_others_are_not_shown() {
    let Some(mut scene) = scene().await else { return };
    // The bridge does not know where this address is, so it floods.
    let (attacker, stranger) = (scene.port(0).mac.clone(), mac());
    let listen = "import socket\ns=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3))\n\
                  s.bind(('eth0',3));s.settimeout(1.0);print('ready',flush=True)\ntry:\n  \
                  while b'secret' not in s.recv(2000): pass\n  print('seen')\nexcept TimeoutError: print('quiet')";
    let packet: Vec<u8> = {
        let body = b"secret-secret-secret";
        let mut header =
            vec![0x45, 0, 0, 20 + 8 + body.len() as u8, 0, 1, 0, 0, 64, 17, 0, 0, 10, 9, 0, 11, 10, 9, 0, 77];
        let sum = header.chunks(2).map(|p| u32::from(u16::from_be_bytes([p[0], p[1]]))).sum::<u32>();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header.extend([0x10, 0, 0x10, 1, 0, 8 + body.len() as u8, 0, 0]);
        header.extend(body);
        header
    };
    for armed in [true, false] {
        if !armed {
            scene.plan.ports[1].port_security = false;
            scene.world.dataplane.apply_network(&scene.plan).await.unwrap();
        }
        run("ip", &["-n", &scene.victim, "link", "set", "eth0", "promisc", "on"]);
        let mut child = std::process::Command::new("ip")
            .args(["netns", "exec", &scene.victim, "python3", "-c", listen])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        send(&scene.attacker, &frame(&stranger, &attacker, 0x0800, &packet));
        line.clear();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        child.wait().unwrap();
        assert_eq!(line.trim(), if armed { "quiet" } else { "seen" }, "armed: {armed}");
    }
}
