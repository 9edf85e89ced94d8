//! Makes the namespace of a router agree with its plan. Runs on the namespace's own worker; the legs' other ends are
//! bridge ports of the networks' namespaces and are created from there.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use ipnet::IpNet;
use sahab_contract::Result;

use crate::{
    bridge, conntrack, flows,
    model::{Leg, Router},
    names::{self, group},
    nat,
    netlink::{Change, Link, Route},
    nft::{self, Outcome},
    sysctl,
    worker::Namespace,
};

/// First half: parameters and rules, and the removal of legs that are not planned. Returns the legs that are missing.
pub(crate) async fn prepare(namespace: &mut Namespace, router: Router) -> Result<Vec<Leg>> {
    parameters(namespace, &router)?;
    rules(namespace, &router).await?;
    let links = namespace.links.links().await?;
    let planned: BTreeMap<&str, &Leg> = router.legs().map(|leg| (leg.name.as_str(), leg)).collect();
    let right = |link: &Link| planned.get(link.name.as_str()).is_some_and(|leg| link.mac == Some(leg.mac));
    let doomed: Vec<&Link> = links.iter().filter(|link| is_leg(link) && !right(link)).collect();
    namespace.links.delete_many(&doomed, group::DOOMED).await?;
    let present: BTreeSet<&str> = links.iter().filter(|link| right(link)).map(|link| link.name.as_str()).collect();
    Ok(router.legs().filter(|leg| !present.contains(leg.name.as_str())).cloned().collect())
}

pub(crate) fn is_leg(link: &Link) -> bool {
    link.name.starts_with("qr-") || link.name.starts_with("qg-")
}

fn parameters(namespace: &Namespace, router: &Router) -> Result<()> {
    let forward = if router.admin_up { "1" } else { "0" };
    for scope in ["all", "default"] {
        sysctl::set(namespace, &format!("ipv4/conf/{scope}/rp_filter"), "0")?;
        sysctl::set(namespace, &format!("ipv4/conf/{scope}/send_redirects"), "0")?;
        sysctl::set(namespace, &format!("ipv4/conf/{scope}/arp_notify"), "1")?;
        sysctl::set_if_present(namespace, &format!("ipv6/conf/{scope}/accept_ra"), "0")?;
        sysctl::set_if_present(namespace, &format!("ipv6/conf/{scope}/ndisc_notify"), "1")?;
    }
    sysctl::set_if_present(namespace, "ipv6/conf/all/forwarding", forward)?;
    sysctl::set(namespace, "ipv4/ip_forward", forward)
}

async fn rules(namespace: &mut Namespace, router: &Router) -> Result<()> {
    let outcome = nft::load(namespace, nat::router(router)).await?;
    let fresh = std::mem::take(&mut namespace.fresh);
    if outcome != Outcome::Unchanged && !fresh {
        let pruned = conntrack::prune(namespace, |flow| flows::keep_translated(router, flow)).await;
        if pruned.is_err() {
            // So that the next attempt looks again.
            namespace.loaded = nft::Loaded::default();
        }
        pruned?;
    }
    Ok(())
}

/// Makes a leg, from the namespace of its network.
pub(crate) async fn add_leg(network: &mut Namespace, leg: Leg, router: Arc<OwnedFd>) -> Result<()> {
    let tap = names::tap(&leg.port);
    // The other end of what is here is not in the router's namespace, else the leg would not be missing.
    bridge::delete(network, &tap).await?;
    bridge::add(
        network,
        &bridge::Pair {
            name: tap,
            alias: leg.port.to_string(),
            group: group::ROUTER,
            mtu: leg.mtu,
            up: true,
            peer_name: leg.name.clone(),
            peer_mac: Some(leg.mac),
            peer_namespace: router.as_fd(),
        },
    )
    .await
}

/// Second half, with all legs present: their attributes, addresses and routes.
pub(crate) async fn finish(namespace: &mut Namespace, router: Router) -> Result<()> {
    let links = namespace.links.links().await?;
    if let Some(lo) = links.iter().find(|link| link.name == "lo" && !link.up) {
        namespace.links.change(lo.index, Change { up: Some(true), ..Change::default() }).await?;
    }
    for leg in router.legs() {
        let Some(link) = links.iter().find(|link| link.name == leg.name) else { continue };
        let alias = leg.port.to_string();
        let change = Change {
            up: (!link.up).then_some(true),
            mtu: (link.mtu != leg.mtu).then_some(leg.mtu),
            alias: (link.alias.as_deref() != Some(&alias)).then_some(&alias),
            ..Change::default()
        };
        namespace.links.change(link.index, change).await?;
        let mut wanted: BTreeSet<IpNet> = leg.addresses.iter().copied().collect();
        if router.gateway.as_ref().is_some_and(|gateway| gateway.port == leg.port) {
            wanted.extend(extra_addresses(&router, leg));
        }
        addresses(namespace, link, leg, wanted).await?;
    }
    routes(namespace, &router).await
}

/// Floating addresses, as single addresses of the gateway's interface.
fn extra_addresses(router: &Router, gateway: &Leg) -> Vec<IpNet> {
    let own: Vec<IpAddr> = gateway.addresses.iter().map(IpNet::addr).collect();
    router
        .floating
        .keys()
        .chain(router.forwards.keys().map(|(outer, _, _)| outer))
        .map(|address| IpAddr::V4(*address))
        .filter(|address| !own.contains(address))
        .map(IpNet::from)
        .collect()
}

async fn addresses(namespace: &Namespace, link: &Link, leg: &Leg, wanted: BTreeSet<IpNet>) -> Result<()> {
    let present: BTreeSet<IpNet> = namespace.links.addresses(link.index).await?.into_iter().collect();
    for address in present.difference(&wanted) {
        namespace.links.delete_address(link.index, *address).await?;
    }
    // The leg's own first, in the plan's order: the kernel prefers the first as source.
    let mut added = false;
    let extra = wanted.iter().filter(|address| !leg.addresses.contains(address));
    for address in leg.addresses.iter().chain(extra).filter(|address| !present.contains(address)) {
        namespace.links.add_address(link.index, *address).await?;
        added = true;
    }
    if added {
        // Setting the address that it has makes the kernel announce all of the interface's addresses (arp_notify), so
        // that neighbours turn to this router at once when an address has moved here.
        namespace.links.change(link.index, Change { mac: Some(leg.mac), ..Change::default() }).await?;
    }
    Ok(())
}

async fn routes(namespace: &Namespace, router: &Router) -> Result<()> {
    let mut wanted: BTreeSet<Route> = BTreeSet::new();
    if let Some(gateway) = &router.gateway {
        for v4 in [true, false] {
            // One default route for each family.
            if let Some(hop) = gateway.next_hops.iter().find(|hop| hop.is_ipv4() == v4) {
                wanted.insert(Route { destination: default_net(v4), hop: *hop });
            }
        }
    }
    let mut destinations: BTreeSet<IpNet> = wanted.iter().map(|route| route.destination).collect();
    for (destination, hop) in &router.routes {
        if destinations.insert(*destination) {
            wanted.insert(Route { destination: *destination, hop: *hop });
        }
    }
    let present: BTreeSet<Route> = namespace.links.routes().await?.into_iter().collect();
    for route in present.difference(&wanted) {
        namespace.links.delete_route(route).await?;
    }
    for route in wanted.difference(&present) {
        if !namespace.links.add_route(route).await? {
            // The next apply tries again; one bad route must not keep the rest of the router from working.
            tracing::warn!(router = %router.id, ?route, "the next hop of a route cannot be reached");
        }
    }
    Ok(())
}

fn default_net(v4: bool) -> IpNet {
    if v4 { IpNet::V4(ipnet::Ipv4Net::default()) } else { IpNet::V6(ipnet::Ipv6Net::default()) }
}
