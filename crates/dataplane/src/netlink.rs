//! Links, addresses, routes and neighbours of one namespace, in our own terms. The only file that knows rtnetlink.
//!
//! Every write succeeds when the kernel already holds (or already lacks) what was asked; callers compare attributes.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::{
    AddressFamily,
    address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope},
    link::{
        BridgeBooleanOptionFlags, BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute,
        LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
    },
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType},
};
use nix::errno::Errno;
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use sahab_contract::{Error, Kind, Result};

use crate::model::Mac;

pub(crate) struct Netlink {
    handle: Handle,
    writes: Arc<AtomicU64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) alias: Option<String>,
    pub(crate) mac: Option<Mac>,
    pub(crate) mtu: u32,
    /// Index of the bridge that the link is a port of.
    pub(crate) master: Option<u32>,
    pub(crate) up: bool,
    /// The other end is up too.
    pub(crate) carrier: bool,
    pub(crate) group: u32,
    /// Index of the other end, in its own namespace.
    pub(crate) peer: Option<u32>,
    /// A bridge with the options that [`Netlink::configure_bridge`] sets.
    pub(crate) plain_bridge: bool,
}

/// A pair of virtual interfaces: one end here, the other in another namespace.
pub(crate) struct Veth<'a> {
    pub(crate) name: &'a str,
    pub(crate) alias: &'a str,
    pub(crate) mtu: u32,
    pub(crate) master: Option<u32>,
    pub(crate) group: u32,
    pub(crate) up: bool,
    pub(crate) peer_name: &'a str,
    pub(crate) peer_mac: Option<Mac>,
    pub(crate) peer_namespace: BorrowedFd<'a>,
}

/// Attributes to change on an existing link; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Change<'a> {
    pub(crate) up: Option<bool>,
    pub(crate) mtu: Option<u32>,
    pub(crate) alias: Option<&'a str>,
    pub(crate) master: Option<u32>,
    pub(crate) group: Option<u32>,
    pub(crate) mac: Option<Mac>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) destination: IpNet,
    pub(crate) hop: IpAddr,
}

/// The kernel's reason, if it gave one.
fn errno(error: &rtnetlink::Error) -> Option<Errno> {
    match error {
        rtnetlink::Error::NetlinkError(message) => Some(Errno::from_raw(message.raw_code().abs())),
        _ => None,
    }
}

fn failed(what: impl std::fmt::Display, error: rtnetlink::Error) -> Error {
    let reason = errno(&error).map_or_else(|| error.to_string(), |errno| errno.to_string());
    match errno(&error) {
        Some(Errno::EEXIST) => Error::conflict("LinkExists", format!("cannot {what}: {reason}")),
        Some(Errno::EPERM) => Error::unavailable("NotPermitted", format!("cannot {what}: {reason}")),
        _ => Error::internal(format!("cannot {what}: {reason}")).with_source(error),
    }
}

fn gone_is_fine(what: &str, result: Result<(), rtnetlink::Error>) -> Result<()> {
    match result {
        Err(error)
            if matches!(
                errno(&error),
                Some(Errno::ENODEV | Errno::ESRCH | Errno::ENOENT | Errno::EADDRNOTAVAIL | Errno::ENXIO)
            ) =>
        {
            Ok(())
        }
        other => other.map_err(|error| failed(what, error)),
    }
}

impl Netlink {
    /// Opens a socket in the calling thread's namespace; needs a tokio runtime to drive it.
    pub(crate) fn open(writes: Arc<AtomicU64>) -> Result<Netlink> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Netlink { handle, writes })
    }

    fn count(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) async fn links(&self) -> Result<Vec<Link>> {
        // Counters are most of a link's description, and nobody here reads them.
        let request = self.handle.link().get().set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats]);
        let messages: Vec<LinkMessage> =
            request.execute().try_collect().await.map_err(|error| failed("list links", error))?;
        Ok(messages.into_iter().map(parse_link).collect())
    }

    pub(crate) async fn link(&self, name: &str) -> Result<Option<Link>> {
        let mut stream = std::pin::pin!(self.handle.link().get().match_name(name).execute());
        match stream.try_next().await {
            Ok(message) => Ok(message.map(parse_link)),
            Err(error) if errno(&error) == Some(Errno::ENODEV) => Ok(None),
            Err(error) => Err(failed(format_args!("look up link {name}"), error)),
        }
    }

    /// [`Netlink::link`], but absence is a failure.
    pub(crate) async fn expect_link(&self, name: &str) -> Result<Link> {
        self.link(name).await?.ok_or_else(|| Error::unavailable("LinkMissing", format!("link {name} does not exist")))
    }

    pub(crate) async fn add_bridge(&self, name: &str) -> Result<()> {
        self.count();
        let message = bridge_options(LinkBridge::new(name)).build();
        self.handle.link().add(message).execute().await.map_err(|e| failed(format_args!("add bridge {name}"), e))
    }

    pub(crate) async fn configure_bridge(&self, link: &Link) -> Result<()> {
        let this = || LinkMessageBuilder::<LinkBridge>::new(&link.name).index(link.index);
        // The kernel reads the delay before the protocol's state and refuses a short one while the protocol is on.
        for message in [this().stp_state(BridgeStpState::Disabled).build(), bridge_options(this()).build()] {
            self.count();
            let result = self.handle.link().change(message).execute().await;
            result.map_err(|error| failed("configure the bridge", error))?;
        }
        Ok(())
    }

    /// Creates the pair with one message, then names its port (the kernel takes an alias only of an existing link).
    pub(crate) async fn add_veth(&self, veth: &Veth<'_>) -> Result<()> {
        let mut peer = LinkMessageBuilder::<LinkUnspec>::new().name(veth.peer_name).mtu(veth.mtu);
        if let Some(mac) = veth.peer_mac {
            peer = peer.address(mac.0.to_vec());
        }
        let peer = peer.setns_by_fd(veth.peer_namespace.as_raw_fd()).build();
        let mut builder = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
            .name(veth.name)
            .mtu(veth.mtu)
            .link_group(veth.group)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)));
        if let Some(master) = veth.master {
            builder = builder.controller(master);
        }
        if veth.up {
            builder = builder.up();
        }
        self.count();
        self.handle
            .link()
            .add(builder.build())
            .execute()
            .await
            .map_err(|error| failed(format_args!("add the pair {} and {}", veth.name, veth.peer_name), error))?;
        let link = self.expect_link(veth.name).await?;
        self.change(link.index, Change { alias: Some(veth.alias), ..Change::default() }).await
    }

    pub(crate) async fn change(&self, index: u32, change: Change<'_>) -> Result<()> {
        if change == Change::default() {
            return Ok(());
        }
        let mut builder = LinkMessageBuilder::<LinkUnspec>::new().index(index);
        if let Some(mac) = change.mac {
            builder = builder.address(mac.0.to_vec());
        }
        if let Some(mtu) = change.mtu {
            builder = builder.mtu(mtu);
        }
        if let Some(alias) = change.alias {
            builder = builder.alias(alias);
        }
        if let Some(master) = change.master {
            builder = builder.controller(master);
        }
        if let Some(group) = change.group {
            builder = builder.link_group(group);
        }
        builder = match change.up {
            Some(true) => builder.up(),
            Some(false) => builder.down(),
            None => builder,
        };
        self.count();
        self.handle
            .link()
            .change(builder.build())
            .execute()
            .await
            .map_err(|error| failed(format_args!("change link {index} ({change:?})"), error))
    }

    pub(crate) async fn delete(&self, index: u32) -> Result<()> {
        self.count();
        gone_is_fine("delete a link", self.handle.link().del(index).execute().await)
    }

    /// Deletes links (and their other ends) at the cost of one: the kernel waits only once for a whole group.
    pub(crate) async fn delete_many(&self, links: &[&Link], group: u32) -> Result<()> {
        match links {
            [] => return Ok(()),
            [link] => return self.delete(link.index).await,
            _ => {}
        }
        for link in links.iter().filter(|link| link.group != group) {
            match self.change(link.index, Change { group: Some(group), ..Change::default() }).await {
                Err(error) if error.kind() != Kind::Internal => return Err(error),
                // Gone by itself, with its other end's namespace.
                _ => {}
            }
        }
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(group));
        self.count();
        gone_is_fine("delete a group of links", self.handle.link().del_with_message(message).execute().await)
    }

    /// Addresses that somebody gave to the link; link-local ones that the kernel made are left out.
    pub(crate) async fn addresses(&self, index: u32) -> Result<Vec<IpNet>> {
        let messages: Vec<AddressMessage> = self
            .handle
            .address()
            .get()
            .set_link_index_filter(index)
            .execute()
            .try_collect()
            .await
            .map_err(|error| failed("list addresses", error))?;
        Ok(messages.iter().filter_map(parse_address).collect())
    }

    pub(crate) async fn add_address(&self, index: u32, address: IpNet) -> Result<()> {
        let mut request = self.handle.address().add(index, address.addr(), address.prefix_len());
        if address.addr().is_ipv6() {
            // The service has checked uniqueness; waiting for the kernel to do it again costs two seconds.
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
            request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        self.count();
        match request.execute().await {
            Err(error) if errno(&error) == Some(Errno::EEXIST) => Ok(()),
            other => other.map_err(|error| failed(format_args!("add address {address}"), error)),
        }
    }

    pub(crate) async fn delete_address(&self, index: u32, address: IpNet) -> Result<()> {
        let mut request = self.handle.address().add(index, address.addr(), address.prefix_len());
        let message = request.message_mut().clone();
        self.count();
        gone_is_fine("delete an address", self.handle.address().del(message).execute().await)
    }

    /// Routes with a next hop that were configured, not learned or implied by an address.
    pub(crate) async fn routes(&self) -> Result<Vec<Route>> {
        let mut found = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut filter = RouteMessage::default();
            filter.header.address_family = family;
            let messages: Vec<RouteMessage> = self
                .handle
                .route()
                .get(filter)
                .execute()
                .try_collect()
                .await
                .map_err(|error| failed("list routes", error))?;
            found.extend(messages.iter().filter_map(parse_route));
        }
        Ok(found)
    }

    /// `Ok(false)`: the next hop cannot be reached.
    pub(crate) async fn add_route(&self, route: &Route) -> Result<bool> {
        let Some(message) = route_message(route) else { return Ok(false) };
        self.count();
        match self.handle.route().add(message).execute().await {
            Ok(()) => Ok(true),
            Err(error) => match errno(&error) {
                Some(Errno::EEXIST) => Ok(true),
                Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EINVAL) => Ok(false),
                _ => Err(failed(format_args!("add route {route:?}"), error)),
            },
        }
    }

    pub(crate) async fn delete_route(&self, route: &Route) -> Result<()> {
        let Some(message) = route_message(route) else { return Ok(()) };
        self.count();
        gone_is_fine("delete a route", self.handle.route().del(message).execute().await)
    }
}

fn bridge_options(builder: LinkMessageBuilder<LinkBridge>) -> LinkMessageBuilder<LinkBridge> {
    builder
        .stp_state(BridgeStpState::Disabled)
        .forward_delay(0)
        .mcast_snooping(false)
        // A frame to a link-local group bypasses the filters; it must not teach the bridge a forged address.
        .no_linklocal_learn(true)
}

fn parse_link(message: LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        alias: None,
        mac: None,
        mtu: 0,
        master: None,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        group: 0,
        peer: None,
        plain_bridge: false,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            LinkAttribute::Address(bytes) => link.mac = bytes.try_into().ok().map(Mac),
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Controller(master) => link.master = Some(master),
            LinkAttribute::Group(group) => link.group = group,
            LinkAttribute::Link(peer) => link.peer = Some(peer),
            LinkAttribute::LinkInfo(infos) => link.plain_bridge = infos.iter().any(is_plain_bridge),
            _ => {}
        }
    }
    link
}

fn is_plain_bridge(info: &LinkInfo) -> bool {
    let LinkInfo::Data(InfoData::Bridge(options)) = info else { return false };
    options.iter().all(|option| match option {
        InfoBridge::ForwardDelay(delay) => *delay == 0,
        InfoBridge::StpState(state) => *state == BridgeStpState::Disabled,
        InfoBridge::MulticastSnooping(on) => !on,
        InfoBridge::MultiBoolOpt(options) => options.value.contains(BridgeBooleanOptionFlags::NoLinkLocalLearn),
        _ => true,
    })
}

fn parse_address(message: &AddressMessage) -> Option<IpNet> {
    // IPv4 tells the own address as Local, IPv6 as Address.
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })?;
    if address.is_ipv6() && message.header.scope == AddressScope::Link {
        return None;
    }
    IpNet::new(address, message.header.prefix_len).ok()
}

fn parse_route(message: &RouteMessage) -> Option<Route> {
    if message.header.table != RouteHeader::RT_TABLE_MAIN
        || message.header.protocol != RouteProtocol::Static
        || message.header.kind != RouteType::Unicast
    {
        return None;
    }
    let mut destination: IpAddr = match message.header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let mut hop = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => destination = plain(address)?,
            RouteAttribute::Gateway(address) => hop = plain(address),
            _ => {}
        }
    }
    Some(Route { destination: IpNet::new(destination, message.header.destination_prefix_length).ok()?, hop: hop? })
}

fn plain(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

fn route_message(route: &Route) -> Option<RouteMessage> {
    Some(match (route.destination, route.hop) {
        (IpNet::V4(net), IpAddr::V4(hop)) => RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(net.network(), net.prefix_len())
            .gateway(hop)
            .build(),
        (IpNet::V6(net), IpAddr::V6(hop)) => RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(net.network(), net.prefix_len())
            .gateway(hop)
            .build(),
        _ => return None,
    })
}
