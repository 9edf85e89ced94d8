//! Every name that Sahab gives to an object of the kernel. Interface names keep the first eleven characters of an id,
//! as Neutron's do, because the kernel allows fifteen bytes; the whole id is the interface's alias.

use uuid::Uuid;

/// The bridge of a network's namespace.
pub(crate) const BRIDGE: &str = "br0";
/// The port of an external network's bridge that leads to the host.
pub(crate) const HOST_LEG_PEER: &str = "host0";
/// Name of our tables inside our own namespaces.
pub(crate) const TABLE: &str = "sahab";

/// Link groups tell our links apart and let the kernel delete many at once.
pub(crate) mod group {
    pub(crate) const CONTAINER: u32 = 0x5a00;
    pub(crate) const ROUTER: u32 = 0x5a01;
    pub(crate) const HOST: u32 = 0x5a02;
    /// About to be deleted.
    pub(crate) const DOOMED: u32 = 0x5aff;
}

fn short(id: &Uuid) -> String {
    let mut text = id.to_string();
    text.truncate(11);
    text
}

/// The end of a port that is a member of the network's bridge.
pub(crate) fn tap(port: &Uuid) -> String {
    format!("tap{}", short(port))
}
/// The end of a port that Docker moves into the container.
pub(crate) fn container_end(port: &Uuid) -> String {
    format!("tc{}", short(port))
}
/// A router's end of a port in a tenant network.
pub(crate) fn router_interface(port: &Uuid) -> String {
    format!("qr-{}", short(port))
}
/// A router's end of a port in an external network.
pub(crate) fn router_gateway(port: &Uuid) -> String {
    format!("qg-{}", short(port))
}
/// The host's end of its leg in an external network.
pub(crate) fn host_leg(network: &Uuid) -> String {
    format!("sx{}", short(network))
}
/// The table in the host's namespace that belongs to one external network.
pub(crate) fn host_table(prefix: &str, network: &Uuid) -> String {
    format!("{prefix}_host_{}", network.simple())
}

pub(crate) fn network_namespace(prefix: &str, network: &Uuid) -> String {
    format!("{prefix}-net-{network}")
}
pub(crate) fn router_namespace(prefix: &str, router: &Uuid) -> String {
    format!("{prefix}-rtr-{router}")
}

/// What a namespace of ours is for, read back from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Network(Uuid),
    Router(Uuid),
}

/// `None` for namespaces that are not ours.
pub(crate) fn owner(prefix: &str, namespace: &str) -> Option<Owner> {
    let rest = namespace.strip_prefix(prefix)?.strip_prefix('-')?;
    let (kind, id) = rest.split_once('-')?;
    let id = Uuid::try_parse(id).ok()?;
    match kind {
        "net" => Some(Owner::Network(id)),
        "rtr" => Some(Owner::Router(id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_kernel_and_lead_back_to_their_owner() {
        let id = Uuid::parse_str("12345678-9abc-def0-1234-56789abcdef0").unwrap();
        assert_eq!(tap(&id), "tap12345678-9a");
        for name in [tap(&id), container_end(&id), router_interface(&id), router_gateway(&id), host_leg(&id)] {
            assert!(name.len() <= 15, "{name}");
        }
        assert_eq!(owner("sahab", &network_namespace("sahab", &id)), Some(Owner::Network(id)));
        assert_eq!(owner("sahab", &router_namespace("sahab", &id)), Some(Owner::Router(id)));
        assert_eq!(owner("sahab", "sahab2-net-12345678-9abc-def0-1234-56789abcdef0"), None);
        assert_eq!(owner("sahab", "sahab-net-mine"), None);
    }
}
