//! Makes the namespace of a network agree with its plan. Runs on the namespace's own worker.

use std::{
    collections::{HashMap, HashSet},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use sahab_contract::{Error, Result};
use uuid::Uuid;

use crate::{
    bridge, compile, conntrack, flows,
    model::{Network, Port},
    names::{self, group},
    netlink::{Change, Link},
    nft::{self, Outcome},
    router, sysctl,
    worker::Namespace,
};

/// Order matters: parameters, rules, then links, so that no interface is ever up without its rules. Returns whether the
/// network has just stopped being external, so that the host must be cleaned too.
pub(crate) async fn apply(namespace: &mut Namespace, network: Network, host: Arc<OwnedFd>) -> Result<bool> {
    parameters(namespace)?;
    rules(namespace, network.clone()).await?;
    let links = links(namespace, network.mtu).await?;
    let by_name: HashMap<&str, &Link> = links.iter().map(|link| (link.name.as_str(), link)).collect();
    let bridge = by_name.get(names::BRIDGE).map(|link| link.index).unwrap_or_default();
    for port in network.ports.values() {
        if let Some(link) = by_name.get(names::tap(&port.id).as_str()) {
            let group = if compile::is_router_port(port.kind) { group::ROUTER } else { group::CONTAINER };
            bridge::adjust(namespace, link, bridge, &port.id.to_string(), port.mtu, port.admin_up, group).await?;
        }
    }
    remove_strangers(namespace, &network, &links).await?;
    host_leg(namespace, &network, by_name.get(names::HOST_LEG_PEER).copied(), bridge, host).await
}

fn parameters(namespace: &Namespace) -> Result<()> {
    for key in ["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"] {
        sysctl::set(namespace, key, "1")?;
    }
    // A connection that was removed must not come back with its next packet.
    sysctl::set_if_present(namespace, "netfilter/nf_conntrack_tcp_loose", "0")?;
    // The namespace only bridges; the kernel's own chatter (router solicitations) has no place on tenants' wires.
    sysctl::set(namespace, "ipv4/ip_forward", "0")?;
    for scope in ["all", "default"] {
        sysctl::set_if_present(namespace, &format!("ipv6/conf/{scope}/disable_ipv6"), "1")?;
    }
    Ok(())
}

async fn rules(namespace: &mut Namespace, network: Network) -> Result<()> {
    let outcome = nft::load(namespace, compile::compile(&network)).await?;
    let fresh = std::mem::take(&mut namespace.fresh);
    let old = namespace.network.take();
    let look = match (&old, outcome) {
        (Some(old), _) => flows::stricter(old, &network),
        (None, Outcome::Replaced) => !fresh,
        (None, _) => false,
    };
    let judge = flows::Judge::new(&network, old.as_ref());
    if look && let Err(error) = conntrack::prune(namespace, |flow| judge.keeps(flow)).await {
        // Remember the old plan: the next attempt must find the same difference.
        namespace.network = old;
        namespace.loaded = nft::Loaded::default();
        return Err(error);
    }
    namespace.network = Some(network);
    Ok(())
}

/// Makes the bridge and lists all links, the bridge among them.
async fn links(namespace: &Namespace, mtu: u32) -> Result<Vec<Link>> {
    let mut links = namespace.links.links().await?;
    let found = links.iter().find(|link| link.name == names::BRIDGE).cloned();
    let bridge = match found {
        Some(link) => link,
        None => {
            namespace.links.add_bridge(names::BRIDGE).await?;
            let link = namespace.links.expect_link(names::BRIDGE).await?;
            links.push(link.clone());
            link
        }
    };
    if !bridge.plain_bridge {
        namespace.links.configure_bridge(&bridge).await?;
    }
    let change =
        Change { up: (!bridge.up).then_some(true), mtu: (bridge.mtu != mtu).then_some(mtu), ..Change::default() };
    namespace.links.change(bridge.index, change).await?;
    Ok(links)
}

/// Removes container ports that the plan does not name. Routers remove their own legs: a router's plan may be ahead of
/// its network's, and no rule knows such a leg, so it is silent until then.
async fn remove_strangers(namespace: &Namespace, network: &Network, links: &[Link]) -> Result<()> {
    let wanted: HashSet<String> = network.ports.keys().map(names::tap).collect();
    let strangers: Vec<&Link> = links
        .iter()
        .filter(|link| link.name.starts_with("tap") && link.group != group::ROUTER && !wanted.contains(&link.name))
        .collect();
    if !strangers.is_empty() {
        let names: Vec<_> = strangers.iter().map(|link| link.name.as_str()).collect();
        tracing::info!(network = %network.id, ?names, "removing ports that the network does not have");
    }
    namespace.links.delete_many(&strangers, group::DOOMED).await
}

/// The bridge's end of an external network's way to the host. The other end is [`crate::host`]'s.
async fn host_leg(
    namespace: &Namespace,
    network: &Network,
    found: Option<&Link>,
    bridge: u32,
    host: Arc<OwnedFd>,
) -> Result<bool> {
    let alias = network.id.to_string();
    match (found, network.external.is_some()) {
        (None, false) => return Ok(false),
        (Some(link), false) => return namespace.links.delete(link.index).await.map(|()| true),
        (Some(link), true) => {
            bridge::adjust(namespace, link, bridge, &alias, network.mtu, true, group::HOST).await?;
        }
        (None, true) => {
            bridge::add(
                namespace,
                &bridge::Pair {
                    name: names::HOST_LEG_PEER.into(),
                    alias,
                    group: group::HOST,
                    mtu: network.mtu,
                    up: true,
                    peer_name: names::host_leg(&network.id),
                    peer_mac: None,
                    peer_namespace: host.as_fd(),
                },
            )
            .await?;
        }
    }
    Ok(false)
}

/// What a worker of dockerd's namespace knows of the other end of a port's pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ContainerEnd {
    pub(crate) right: bool,
    pub(crate) peer: Option<u32>,
}

/// Looks for a port's container end in dockerd's namespace. Runs on the host's worker.
pub(crate) async fn find_container_end(host: &Namespace, port: &Port) -> Result<Option<ContainerEnd>> {
    let link = host.links.link(&names::container_end(&port.id)).await?;
    Ok(link.map(|link| ContainerEnd { right: link.mac == Some(port.mac) && link.mtu == port.mtu, peer: link.peer }))
}

/// Makes the pair of a container's port; `end` is what is now at the place of the container's end.
pub(crate) async fn plug(
    namespace: &mut Namespace,
    port: Port,
    end: Option<ContainerEnd>,
    host: Arc<OwnedFd>,
) -> Result<()> {
    let pair = bridge::container(&port.id, port.mac, port.mtu, port.admin_up, host.as_fd());
    if let Some(link) = namespace.links.link(&pair.name).await? {
        // The other end is where Docker will look for it and belongs to this very port.
        let whole = end.is_some_and(|end| end.right && end.peer == Some(link.index));
        if whole && link.mtu == port.mtu {
            let bridge = namespace.links.expect_link(names::BRIDGE).await?.index;
            return bridge::adjust(namespace, &link, bridge, &pair.alias, port.mtu, port.admin_up, group::CONTAINER)
                .await;
        }
        // Left by an endpoint that is gone: its other end went with the container, or carries other attributes.
        namespace.links.delete(link.index).await?;
    }
    bridge::add(namespace, &pair).await
}

/// Removes a port's pair; `Ok(false)` when it has none here.
pub(crate) async fn unplug(namespace: &mut Namespace, port: Uuid) -> Result<bool> {
    match namespace.links.link(&names::tap(&port)).await? {
        Some(link) => namespace.links.delete(link.index).await.map(|()| true),
        None => Ok(false),
    }
}

/// Ids and carrier of the container ports that are plugged here.
pub(crate) async fn plugged(namespace: &mut Namespace) -> Result<Vec<(String, bool)>> {
    let links = namespace.links.links().await?;
    Ok(links
        .into_iter()
        .filter(|link| link.group == group::CONTAINER && link.name.starts_with("tap"))
        .filter_map(|link| Some((link.alias?, link.carrier)))
        .collect())
}

/// Removes every link before the namespace itself goes, so that their other ends are gone when this returns.
pub(crate) async fn dismantle(namespace: &mut Namespace) -> Result<()> {
    let links = namespace.links.links().await?;
    let ours: Vec<&Link> = links
        .iter()
        .filter(|link| (group::CONTAINER..=group::DOOMED).contains(&link.group) || router::is_leg(link))
        .collect();
    namespace.links.delete_many(&ours, group::DOOMED).await
}

/// An error of this kind means: the network's namespace is not there (yet).
pub(crate) fn not_applied(id: &Uuid) -> Error {
    Error::unavailable("NetworkNotApplied", format!("network {id} is not on this host yet"))
}
