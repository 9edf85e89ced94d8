//! The desired state of a host's network, as the network service gives it to the host's agent.
//!
//! The agent pulls plans when nudged, on a timer and at start, and makes the kernel agree (level-triggered). Plans are
//! complete: what a plan does not name must not exist. All ids are dashed UUIDs.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::error::Result;

/// One network with everything of it that this host must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkPlan {
    pub id: String,
    pub mtu: u32,
    /// VXLAN identifier for when the network spans hosts.
    pub vni: Option<u32>,
    pub subnets: Vec<SubnetPlan>,
    pub ports: Vec<PortPlan>,
    /// Every group that a guarded port of this network is in.
    pub groups: Vec<GroupPlan>,
    /// Present on external networks: the host holds the gateway address and translates to its uplink.
    pub external: Option<ExternalPlan>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubnetPlan {
    pub id: String,
    pub cidr: IpNet,
    pub gateway: Option<IpAddr>,
    pub dns_nameservers: Vec<IpAddr>,
    /// Destination and next hop.
    pub host_routes: Vec<(IpNet, IpAddr)>,
}

/// How an external network meets the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExternalPlan {
    /// Gateway address of each external subnet with its prefix length; the host side holds them.
    pub gateways: Vec<IpNet>,
    /// Masquerade to the host's own uplink.
    pub nat: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PortKind {
    /// Plugged into a container through Docker's network driver.
    Container,
    /// A router's leg in this network; the peer lives in the router's namespace.
    RouterInterface,
    /// A router's leg in an external network.
    RouterGateway,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortPlan {
    pub id: String,
    pub kind: PortKind,
    /// Container or router id.
    pub device_id: String,
    pub mac: String,
    /// Each address with its subnet's prefix length.
    pub addresses: Vec<IpNet>,
    pub admin_up: bool,
    /// False: no filtering and no anti-spoofing.
    pub port_security: bool,
    pub groups: Vec<String>,
    /// Further addresses that may be used as source; the MAC defaults to the port's.
    pub allowed_pairs: Vec<(IpNet, String)>,
    pub gateway4: Option<IpAddr>,
    pub gateway6: Option<IpAddr>,
    pub host_routes: Vec<(IpNet, IpAddr)>,
    pub mtu: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupPlan {
    pub id: String,
    pub stateful: bool,
    pub rules: Vec<RulePlan>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    Ingress,
    Egress,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RulePlan {
    pub direction: Direction,
    /// False: IPv4.
    pub ipv6: bool,
    /// IP protocol number; `None` is any.
    pub protocol: Option<u8>,
    /// For tcp, udp, sctp, dccp, udplite: inclusive port range. For ICMP: type, then code.
    pub range: Option<(u16, Option<u16>)>,
    pub remote: Remote,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Remote {
    Any,
    Prefix(IpNet),
    /// The addresses of all member ports of a group, wherever they are, allowed pairs included. The plan carries them
    /// resolved so that an agent needs no second look-up.
    Group {
        id: String,
        members: Vec<IpNet>,
    },
    /// An address group, resolved.
    Prefixes(Vec<IpNet>),
}

/// One router that this host must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouterPlan {
    pub id: String,
    pub admin_up: bool,
    pub gateway: Option<RouterLeg>,
    pub snat: bool,
    pub interfaces: Vec<RouterLeg>,
    /// Destination and next hop.
    pub routes: Vec<(IpNet, IpAddr)>,
    pub floating_ips: Vec<FloatingPlan>,
    pub port_forwardings: Vec<ForwardPlan>,
}

/// A router's end of a port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouterLeg {
    pub port_id: String,
    pub network_id: String,
    pub mac: String,
    pub addresses: Vec<IpNet>,
    /// Next hops of the default routes; only on the gateway.
    pub next_hops: Vec<IpAddr>,
    pub mtu: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloatingPlan {
    pub id: String,
    pub floating: Ipv4Addr,
    pub fixed: Ipv4Addr,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForwardPlan {
    pub id: String,
    pub protocol: String,
    pub external: Ipv4Addr,
    pub external_port: u16,
    pub internal: Ipv4Addr,
    pub internal_port: u16,
}

/// What changed since the last look. Losing one is harmless: the timer looks at everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dirty {
    Network(String),
    Router(String),
    /// Rules or members of a security group: every network whose plan names it.
    Group(String),
    All,
}

/// What the agent saw; the only source of port and floating address status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkReport {
    pub ports_active: Vec<String>,
    pub ports_down: Vec<String>,
    pub floating_active: Vec<String>,
    pub floating_down: Vec<String>,
}

/// The network service's face towards the agents.
#[async_trait]
pub trait NetworkPlans: Send + Sync {
    /// Ids of all networks and routers that this host must hold: networks with a bound port on the host or a router
    /// that lives on it, and external networks.
    async fn inventory(&self, host: &str) -> Result<(Vec<String>, Vec<String>)>;
    /// `None`: the host must not hold it (any more).
    async fn network(&self, host: &str, id: &str) -> Result<Option<NetworkPlan>>;
    async fn router(&self, host: &str, id: &str) -> Result<Option<RouterPlan>>;
    fn subscribe(&self) -> broadcast::Receiver<Dirty>;
    async fn report(&self, host: &str, report: NetworkReport) -> Result<()>;
}

/// A port that was made because somebody plugged a container into a network by Docker's own means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdHocPort {
    pub port_id: String,
    pub network_id: String,
}

/// Ports for containers that the control plane did not create (`docker run --network`). Implemented by the network
/// service; called by the host's agent.
#[async_trait]
pub trait AdHocPorts: Send + Sync {
    /// Id of the network with this name or id. `NotFound` when there is none, `Conflict` when the name is ambiguous.
    async fn resolve(&self, network: &str) -> Result<String>;
    /// Makes a port bound to the host, in the project that owns the network. Called again with the same endpoint it
    /// answers with the same port.
    async fn create(&self, host: &str, network: &str, endpoint_id: &str) -> Result<AdHocPort>;
    /// Deletes such a port. Unknown is success.
    async fn release(&self, port_id: &str) -> Result<()>;
}

/// The kernel's side, as the rest of the agent and Docker's network driver see it. Implemented by the dataplane.
#[async_trait]
pub trait Dataplane: Send + Sync {
    /// Makes the kernel hold exactly this network: namespace, bridge, rules, router legs' peers. Idempotent. Container
    /// taps are made by [`Dataplane::plug`]; rules for them exist beforehand.
    async fn apply_network(&self, plan: &NetworkPlan) -> Result<()>;
    async fn remove_network(&self, id: &str) -> Result<()>;
    /// Makes the kernel hold exactly this router. Its networks must have been applied.
    async fn apply_router(&self, plan: &RouterPlan) -> Result<()>;
    async fn remove_router(&self, id: &str) -> Result<()>;
    /// Creates the veth pair of a container's port (idempotent) and returns the name of the end that Docker moves.
    async fn plug(&self, network: &NetworkPlan, port: &PortPlan) -> Result<String>;
    /// Removes the pair, wherever its ends are. Unknown is success.
    async fn unplug(&self, network_id: &str, port_id: &str) -> Result<()>;
    /// Ids of networks, of routers and of plugged ports that the kernel holds and that carry our names.
    async fn observe(&self) -> Result<Observed>;
    /// Removes everything of ours from the kernel.
    async fn purge(&self) -> Result<()>;
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    pub networks: Vec<String>,
    pub routers: Vec<String>,
    /// (network id, port id) of container taps, and whether the container end is still present (carrier).
    pub ports: Vec<(String, String, bool)>,
}
