//! A host, its containers and the plans for them.

use std::{
    fs::File,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::{Command, Output},
    thread,
    time::Duration,
};

use nix::sched::{CloneFlags, setns};
use sahab_contract::network::{
    Dataplane, Direction, GroupPlan, NetworkPlan, PortKind, PortPlan, Remote, RouterLeg, RouterPlan, RulePlan,
    SubnetPlan,
};
use sahab_dataplane::{LinuxDataplane, Settings};
use uuid::Uuid;

/// How long a packet that must not arrive is waited for.
const PATIENCE: Duration = Duration::from_millis(700);
/// How long one that must arrive may take on a busy machine.
const LONG: Duration = Duration::from_secs(10);

pub struct World {
    pub dataplane: LinuxDataplane,
    pub settings: Settings,
    pub host: String,
    namespaces: Vec<String>,
}

pub fn id() -> String {
    Uuid::new_v4().to_string()
}

fn token() -> String {
    Uuid::new_v4().simple().to_string()[..8].to_owned()
}

/// `None`, with a message, where the kernel cannot be tested.
pub async fn world() -> Option<World> {
    world_with(|_| ()).await
}

pub async fn world_with(adjust: impl FnOnce(&mut Settings)) -> Option<World> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: the dataplane's kernel tests need root");
        return None;
    }
    let (host, prefix) = (format!("sdp-h-{}", token()), format!("sdp{}", token()));
    run("ip", &["netns", "add", &host]);
    run("ip", &["-n", &host, "link", "set", "lo", "up"]);
    let mut settings =
        Settings { prefix, host_namespace: Some(format!("/run/netns/{host}").into()), ..Settings::default() };
    adjust(&mut settings);
    let dataplane = LinuxDataplane::new(settings.clone()).await.unwrap();
    Some(World { dataplane, settings, host: host.clone(), namespaces: vec![host] })
}

impl Drop for World {
    fn drop(&mut self) {
        let listing = text("ip", &["netns", "list"]);
        for name in listing.lines().filter_map(|line| line.split_whitespace().next()) {
            if name.starts_with(&self.settings.prefix) || self.namespaces.iter().any(|own| own == name) {
                let _ = Command::new("ip").args(["netns", "del", name]).output();
            }
        }
    }
}

impl World {
    pub fn network_namespace(&self, plan: &NetworkPlan) -> String {
        format!("{}-net-{}", self.settings.prefix, plan.id)
    }
    pub fn router_namespace(&self, plan: &RouterPlan) -> String {
        format!("{}-rtr-{}", self.settings.prefix, plan.id)
    }

    /// Applies, plugs and starts: what the agent and Docker do for one container port. Returns its namespace.
    pub async fn start(&mut self, plan: &NetworkPlan, port: &PortPlan) -> String {
        self.dataplane.apply_network(plan).await.unwrap();
        let end = self.dataplane.plug(plan, port).await.unwrap();
        self.adopt(&end, port)
    }

    /// Moves a container end into a new namespace and sets it up as Docker does.
    pub fn adopt(&mut self, end: &str, port: &PortPlan) -> String {
        let name = self.namespace("c");
        run("ip", &["-n", &self.host, "link", "set", end, "netns", &name, "name", "eth0"]);
        for address in &port.addresses {
            let text = address.to_string();
            let nodad: &[&str] = if address.addr().is_ipv6() { &["nodad"] } else { &[] };
            run("ip", &[&["-n", &name, "addr", "add", &text, "dev", "eth0"], nodad].concat());
        }
        run("ip", &["-n", &name, "link", "set", "lo", "up"]);
        run("ip", &["-n", &name, "link", "set", "eth0", "up"]);
        for gateway in [port.gateway4, port.gateway6].into_iter().flatten() {
            run("ip", &["-n", &name, "route", "add", "default", "via", &gateway.to_string()]);
        }
        name
    }

    /// A namespace that goes with the test.
    pub fn namespace(&mut self, kind: &str) -> String {
        let name = format!("sdp-{kind}-{}", token());
        run("ip", &["netns", "add", &name]);
        self.namespaces.push(name.clone());
        name
    }

    /// What the dataplane may have changed, as the kernel tells it: sorted lines, each with its namespace.
    pub fn snapshot(&self, namespaces: &[&str]) -> Vec<String> {
        let mut lines = Vec::new();
        for name in namespaces.iter().copied().chain([self.host.as_str()]) {
            let mut add = |text: &str| lines.extend(text.lines().map(|line| format!("{name}: {line}")));
            let links: serde_json::Value =
                serde_json::from_str(&text("ip", &["-n", name, "-j", "-details", "link"])).unwrap();
            for mut link in links.as_array().unwrap().clone() {
                // Clocks go on by themselves.
                if let Some(data) = link.pointer_mut("/linkinfo/info_data").and_then(|data| data.as_object_mut()) {
                    data.retain(|key, _| !key.ends_with("_timer"));
                }
                for (key, value) in link.as_object().unwrap() {
                    add(&format!("{} {key} {value}", link["ifname"]));
                }
            }
            let addresses = text("ip", &["-n", name, "-o", "addr"]);
            addresses.lines().for_each(|line| add(line.split("valid_lft").next().unwrap()));
            add(&text("ip", &["-n", name, "route", "show", "table", "all"]));
            add(&text("ip", &["netns", "exec", name, "nft", "--stateless", "list", "ruleset"]));
            if name != self.host {
                // The host keeps forwarding once it was switched on, as with Docker.
                let keys = [
                    "net.bridge.bridge-nf-call-iptables",
                    "net.bridge.bridge-nf-call-ip6tables",
                    "net.ipv4.ip_forward",
                    "net.ipv4.conf.all.rp_filter",
                    "net.ipv6.conf.all.forwarding",
                    "net.ipv6.conf.all.disable_ipv6",
                ];
                add(&text("ip", &[&["netns", "exec", name, "sysctl"], &keys[..]].concat()));
            }
        }
        // The kernel's own link-local addresses come when it has checked them.
        lines.retain(|line| !line.contains("fe80:") && !line.contains("anycast"));
        lines.sort();
        lines
    }

    pub fn ours(&self) -> Vec<String> {
        let listing = text("ip", &["netns", "list"]);
        let names = listing.lines().filter_map(|line| line.split_whitespace().next());
        names.filter(|name| name.starts_with(&self.settings.prefix)).map(str::to_owned).collect()
    }
}

/// Two snapshots are equal; shows only what differs.
#[track_caller]
pub fn assert_same(found: &[String], expected: &[String], what: &str) {
    let more: Vec<_> = found.iter().filter(|line| !expected.contains(line)).collect();
    let less: Vec<_> = expected.iter().filter(|line| !found.contains(line)).collect();
    assert!(more.is_empty() && less.is_empty() && found.len() == expected.len(), "{what}: +{more:#?} -{less:#?}");
}

pub fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
pub fn text(program: &str, arguments: &[&str]) -> String {
    String::from_utf8(run(program, arguments).stdout).unwrap()
}

/// Runs in a namespace, on a thread of its own; sockets made there stay there.
pub fn inside<T: Send + 'static>(namespace: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let path = format!("/run/netns/{namespace}");
    thread::spawn(move || {
        setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
        work()
    })
    .join()
    .unwrap()
}

pub fn ping(from: &str, to: &str) -> bool {
    ping_with(from, to, &[])
}
pub fn ping_with(from: &str, to: &str, more: &[&str]) -> bool {
    let arguments = [&["netns", "exec", from, "ping", "-c", "2", "-i", "0.2", "-W", "1"], more, &[to]].concat();
    Command::new("ip").args(arguments).output().unwrap().status.success()
}

/// As [`ping`], with patience: the kernel tells the other end of a pair up to a second late that it has carrier again.
pub fn ping_soon(from: &str, to: &str) -> bool {
    (0..10).any(|_| ping(from, to))
}

/// Answers every connection with the caller's address, then echoes.
pub fn serve(namespace: &str, address: &str) {
    let address: SocketAddr = address.parse().unwrap();
    inside(namespace, move || {
        let listener = TcpListener::bind(address).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                thread::spawn(move || {
                    let peer = stream.peer_addr().unwrap().ip().to_string();
                    let mut buffer = [0u8; 1024];
                    let _ = stream.write_all(format!("{peer}\n").as_bytes());
                    while let Ok(n @ 1..) = stream.read(&mut buffer) {
                        let _ = stream.write_all(&buffer[..n]);
                    }
                });
            }
        });
    });
}

/// Nobody answers, for as long as a packet that must not arrive is waited for.
pub fn blocked(namespace: &str, address: &str) -> bool {
    connect_within(namespace, address, PATIENCE).is_none()
}
/// An open connection and whom the server takes us for; `None` when nobody answers.
pub fn connect(namespace: &str, address: &str) -> Option<(TcpStream, String)> {
    connect_within(namespace, address, LONG)
}
fn connect_within(namespace: &str, address: &str, time: Duration) -> Option<(TcpStream, String)> {
    let address: SocketAddr = address.parse().unwrap();
    inside(namespace, move || {
        let mut stream = TcpStream::connect_timeout(&address, time).ok()?;
        stream.set_read_timeout(Some(time)).unwrap();
        let mut buffer = [0u8; 100];
        let n = stream.read(&mut buffer).ok()?;
        Some((stream, String::from_utf8_lossy(&buffer[..n]).trim().to_owned()))
    })
}
pub fn reaches(namespace: &str, address: &str) -> bool {
    connect(namespace, address).is_some()
}
/// Whether an open connection still carries data both ways.
pub fn echoes(stream: &mut TcpStream) -> bool {
    echoes_within(stream, LONG)
}
/// Whether an open connection carries nothing any more.
pub fn dead(stream: &mut TcpStream) -> bool {
    !echoes_within(stream, PATIENCE)
}
fn echoes_within(stream: &mut TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    let mut buffer = [0u8; 4];
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut buffer).is_ok() && &buffer == b"ping"
}

/// Receives datagrams at an address.
pub fn udp(namespace: &str, address: &str) -> UdpSocket {
    let address: SocketAddr = address.parse().unwrap();
    let socket = inside(namespace, move || UdpSocket::bind(address).unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}
pub fn receives(socket: &UdpSocket) -> Option<SocketAddr> {
    socket.recv_from(&mut [0u8; 2000]).ok().map(|(_, from)| from)
}

// Plans.

pub fn mac() -> String {
    let bytes = Uuid::new_v4().into_bytes();
    format!("fa:16:3e:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2])
}

/// A network with one subnet for each CIDR; the gateway is the first address.
pub fn network(cidrs: &[&str]) -> NetworkPlan {
    NetworkPlan {
        id: id(),
        mtu: 1400,
        subnets: cidrs
            .iter()
            .map(|cidr| {
                let cidr = cidr.parse().unwrap();
                SubnetPlan {
                    id: id(),
                    cidr,
                    gateway: Some(first_host(cidr)),
                    dns_nameservers: vec![],
                    host_routes: vec![],
                }
            })
            .collect(),
        ..NetworkPlan::default()
    }
}

pub fn first_host(net: ipnet::IpNet) -> IpAddr {
    match net {
        ipnet::IpNet::V4(net) => IpAddr::V4((u32::from(net.network()) + 1).into()),
        ipnet::IpNet::V6(net) => IpAddr::V6((u128::from(net.network()) + 1).into()),
    }
}

pub fn port(plan: &mut NetworkPlan, addresses: &[&str], groups: &[&str]) -> PortPlan {
    let port = PortPlan {
        id: id(),
        kind: PortKind::Container,
        device_id: id(),
        mac: mac(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        admin_up: true,
        port_security: true,
        groups: groups.iter().map(ToString::to_string).collect(),
        allowed_pairs: vec![],
        gateway4: None,
        gateway6: None,
        host_routes: vec![],
        mtu: plan.mtu,
    };
    plan.ports.push(port.clone());
    port
}

pub fn group(plan: &mut NetworkPlan, rules: Vec<RulePlan>) -> String {
    let id = id();
    plan.groups.push(GroupPlan { id: id.clone(), stateful: true, rules });
    id
}

pub fn allow(direction: Direction, ipv6: bool, protocol: Option<u8>, range: Option<(u16, Option<u16>)>) -> RulePlan {
    RulePlan { direction, ipv6, protocol, range, remote: Remote::Any }
}
/// What every default group lets out.
pub fn all_out() -> Vec<RulePlan> {
    vec![allow(Direction::Egress, false, None, None), allow(Direction::Egress, true, None, None)]
}
pub fn tcp_in(port: u16) -> RulePlan {
    allow(Direction::Ingress, false, Some(6), Some((port, None)))
}
pub fn ping_in() -> RulePlan {
    allow(Direction::Ingress, false, Some(1), None)
}
pub fn rules(more: Vec<RulePlan>) -> Vec<RulePlan> {
    let mut rules = all_out();
    rules.extend(more);
    rules
}

/// A router's port in a network and the leg that belongs to it.
pub fn leg(plan: &mut NetworkPlan, router: &str, address: &str, kind: PortKind) -> RouterLeg {
    let port = PortPlan {
        id: id(),
        kind,
        device_id: router.to_owned(),
        mac: mac(),
        addresses: vec![address.parse().unwrap()],
        admin_up: true,
        port_security: false,
        groups: vec![],
        allowed_pairs: vec![],
        gateway4: None,
        gateway6: None,
        host_routes: vec![],
        mtu: plan.mtu,
    };
    plan.ports.push(port.clone());
    RouterLeg {
        port_id: port.id,
        network_id: plan.id.clone(),
        mac: port.mac,
        addresses: port.addresses,
        next_hops: vec![],
        mtu: plan.mtu,
    }
}

pub fn router() -> RouterPlan {
    RouterPlan {
        id: id(),
        admin_up: true,
        gateway: None,
        snat: true,
        interfaces: vec![],
        routes: vec![],
        floating_ips: vec![],
        port_forwardings: vec![],
    }
}
