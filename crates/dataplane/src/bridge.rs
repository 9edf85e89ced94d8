//! The bridge ports of a network's namespace: its two kinds of pairs, and how each is brought to its plan.

use std::os::fd::BorrowedFd;

use sahab_contract::{Error, Kind, Result};
use uuid::Uuid;

use crate::{
    model::Mac,
    names::{self, group},
    netlink::{Change, Link, Veth},
    worker::Namespace,
};

/// A member of the bridge and the end that somebody else gets.
pub(crate) struct Pair<'a> {
    pub(crate) name: String,
    pub(crate) alias: String,
    pub(crate) group: u32,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    pub(crate) peer_name: String,
    pub(crate) peer_mac: Option<Mac>,
    pub(crate) peer_namespace: BorrowedFd<'a>,
}

/// Creates the pair in the calling worker's namespace. `Conflict` when one of the names is taken, here or there.
pub(crate) async fn add(namespace: &Namespace, pair: &Pair<'_>) -> Result<()> {
    let bridge = namespace.links.link(names::BRIDGE).await?.ok_or_else(|| {
        Error::unavailable("NetworkNotApplied", format!("namespace {} has no bridge yet", namespace.name))
    })?;
    namespace
        .links
        .add_veth(&Veth {
            name: &pair.name,
            alias: &pair.alias,
            mtu: pair.mtu,
            master: Some(bridge.index),
            group: pair.group,
            up: pair.up,
            peer_name: &pair.peer_name,
            peer_mac: pair.peer_mac,
            peer_namespace: pair.peer_namespace,
        })
        .await
}

/// Brings the attributes of an existing bridge port to what they must be.
pub(crate) async fn adjust(
    namespace: &Namespace,
    link: &Link,
    bridge: u32,
    alias: &str,
    mtu: u32,
    up: bool,
    group: u32,
) -> Result<()> {
    let change = Change {
        up: (link.up != up).then_some(up),
        mtu: (link.mtu != mtu).then_some(mtu),
        alias: (link.alias.as_deref() != Some(alias)).then_some(alias),
        master: (link.master != Some(bridge)).then_some(bridge),
        group: (link.group != group).then_some(group),
        mac: None,
    };
    namespace.links.change(link.index, change).await
}

/// Deletes a link of this name if there is one.
pub(crate) async fn delete(namespace: &Namespace, name: &str) -> Result<()> {
    match namespace.links.link(name).await? {
        Some(link) => namespace.links.delete(link.index).await,
        None => Ok(()),
    }
}

pub(crate) fn is_conflict(error: &Error) -> bool {
    error.kind() == Kind::Conflict
}

/// The pair of a container's port.
pub(crate) fn container<'a>(port: &Uuid, mac: Mac, mtu: u32, up: bool, host: BorrowedFd<'a>) -> Pair<'a> {
    Pair {
        name: names::tap(port),
        alias: port.to_string(),
        group: group::CONTAINER,
        mtu,
        up,
        peer_name: names::container_end(port),
        peer_mac: Some(mac),
        peer_namespace: host,
    }
}
