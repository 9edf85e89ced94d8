//! Plans, parsed: ids are UUIDs, hardware addresses are bytes, rules carry only combinations that exist.
//!
//! Nothing of a plan's text reaches a rule or a command without having passed here, so no name can carry a command.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv6Net};
use sahab_contract::{
    Error, Result,
    network::{
        Direction, ExternalPlan, GroupPlan, NetworkPlan, PortKind, PortPlan, Remote, RouterLeg, RouterPlan, RulePlan,
    },
};
use uuid::Uuid;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl Mac {
    pub(crate) fn parse(text: &str) -> Result<Mac> {
        let mut bytes = [0u8; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            *byte = parts
                .next()
                .filter(|part| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or_else(|| invalid(format!("'{text}' is not a valid MAC address")))?;
        }
        if parts.next().is_some() {
            return Err(invalid(format!("'{text}' is not a valid MAC address")));
        }
        Ok(Mac(bytes))
    }

    /// The link-local address that a host with this MAC gives itself (RFC 4291, modified EUI-64).
    pub(crate) fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(address: &IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
    pub(crate) fn icmp(self) -> u8 {
        match self {
            Family::V4 => 1,
            Family::V6 => 58,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Network {
    pub(crate) id: Uuid,
    pub(crate) mtu: u32,
    pub(crate) ports: BTreeMap<Uuid, Port>,
    pub(crate) groups: BTreeMap<Uuid, Group>,
    pub(crate) external: Option<ExternalPlan>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Port {
    pub(crate) id: Uuid,
    pub(crate) kind: PortKind,
    pub(crate) mac: Mac,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) admin_up: bool,
    /// Filtered and bound to its addresses. Routers' ports never are.
    pub(crate) guarded: bool,
    pub(crate) groups: BTreeSet<Uuid>,
    pub(crate) pairs: Vec<(Mac, IpNet)>,
    pub(crate) mtu: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) stateful: bool,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rule {
    pub(crate) direction: Direction,
    pub(crate) family: Family,
    pub(crate) service: Service,
    pub(crate) remote: Source,
}

/// What a rule allows, apart from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Any,
    Protocol(u8),
    /// Protocol and inclusive range.
    Ports(u8, u16, u16),
    /// Type and, if it matters, code.
    Icmp(u8, Option<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Any,
    Prefixes(Vec<IpNet>),
    /// Id and the members' addresses, of the rule's family only.
    Group(Uuid, Vec<IpNet>),
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::invalid("InvalidPlan", message)
}

pub(crate) fn parse_id(text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|_| invalid(format!("'{text}' is not a valid id")))
}

/// The kernel takes at most this many members of one bridge; one is kept for the host or a tunnel.
const MAX_PORTS: usize = 1022;

fn check_mtu(mtu: u32) -> Result<u32> {
    // 68 is the least that IPv4 works with; 65535 the most a veth takes.
    if (68..=65535).contains(&mtu) { Ok(mtu) } else { Err(invalid(format!("MTU {mtu} is out of range"))) }
}

impl Network {
    pub(crate) fn parse(plan: &NetworkPlan) -> Result<Network> {
        let mut ports = BTreeMap::new();
        for port in &plan.ports {
            let port = Port::parse(port)?;
            ports.insert(port.id, port);
        }
        if ports.len() > MAX_PORTS {
            return Err(invalid(format!("a network holds at most {MAX_PORTS} ports on one host, not {}", ports.len())));
        }
        let mut groups = BTreeMap::new();
        for group in &plan.groups {
            groups.insert(parse_id(&group.id)?, Group::parse(group)?);
        }
        Ok(Network {
            id: parse_id(&plan.id)?,
            mtu: check_mtu(plan.mtu)?,
            ports,
            groups,
            external: plan.external.clone(),
        })
    }

    /// Whether any of the port's groups is stateless; such a port's answers are not tracked.
    pub(crate) fn stateless(&self, port: &Port) -> bool {
        port.groups.iter().filter_map(|id| self.groups.get(id)).any(|group| !group.stateful)
    }
}

impl Port {
    pub(crate) fn parse(plan: &PortPlan) -> Result<Port> {
        let mac = Mac::parse(&plan.mac)?;
        let mut pairs = Vec::with_capacity(plan.allowed_pairs.len());
        for (net, pair_mac) in &plan.allowed_pairs {
            pairs.push((if pair_mac.is_empty() { mac } else { Mac::parse(pair_mac)? }, net.trunc()));
        }
        Ok(Port {
            id: parse_id(&plan.id)?,
            kind: plan.kind,
            mac,
            addresses: plan.addresses.iter().map(IpNet::addr).collect(),
            admin_up: plan.admin_up,
            guarded: plan.kind == PortKind::Container && plan.port_security,
            groups: plan.groups.iter().map(|id| parse_id(id)).collect::<Result<_>>()?,
            pairs,
            mtu: check_mtu(plan.mtu)?,
        })
    }
}

impl Group {
    fn parse(plan: &GroupPlan) -> Result<Group> {
        let rules = plan.rules.iter().map(Rule::parse).collect::<Result<_>>()?;
        Ok(Group { stateful: plan.stateful, rules })
    }
}

/// Protocols whose header begins with source and destination port: tcp, udp, dccp, sctp, udplite.
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 33 | 132 | 136)
}

impl Rule {
    fn parse(plan: &RulePlan) -> Result<Rule> {
        let family = if plan.ipv6 { Family::V6 } else { Family::V4 };
        // Neutron lets a client write "icmp" for both families.
        let protocol = plan.protocol.map(|p| if p == 1 && family == Family::V6 { 58 } else { p });
        let service = match (protocol, plan.range) {
            (None, None) => Service::Any,
            (Some(protocol), None) => Service::Protocol(protocol),
            (Some(protocol), Some((low, high))) if has_ports(protocol) => {
                let high = high.unwrap_or(low);
                if low > high {
                    return Err(invalid(format!("port range {low}-{high} is upside down")));
                }
                Service::Ports(protocol, low, high)
            }
            (Some(protocol), Some((kind, code))) if protocol == family.icmp() => {
                let byte = |n: u16| u8::try_from(n).map_err(|_| invalid(format!("{n} is no ICMP type or code")));
                Service::Icmp(byte(kind)?, code.map(byte).transpose()?)
            }
            (protocol, Some(_)) => return Err(invalid(format!("protocol {protocol:?} has no ports"))),
        };
        let fits = |net: &IpNet| matches!((net, family), (IpNet::V4(_), Family::V4) | (IpNet::V6(_), Family::V6));
        let remote = match &plan.remote {
            Remote::Any => Source::Any,
            Remote::Prefix(net) if !fits(net) => {
                return Err(invalid(format!("remote prefix {net} is of the other address family")));
            }
            Remote::Prefix(net) if net.prefix_len() == 0 => Source::Any,
            Remote::Prefix(net) => Source::Prefixes(vec![net.trunc()]),
            Remote::Prefixes(nets) if nets.iter().any(|net| fits(net) && net.prefix_len() == 0) => Source::Any,
            // An address group may hold both families; each rule takes its own.
            Remote::Prefixes(nets) => Source::Prefixes(nets.iter().filter(|net| fits(net)).map(IpNet::trunc).collect()),
            Remote::Group { id, members } => Source::Group(
                parse_id(id)?,
                members.iter().filter(|net| fits(net)).map(IpNet::trunc).collect::<BTreeSet<_>>().into_iter().collect(),
            ),
        };
        Ok(Rule { direction: plan.direction, family, service, remote })
    }
}

/// A router, parsed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Router {
    pub(crate) id: Uuid,
    pub(crate) admin_up: bool,
    pub(crate) snat: bool,
    pub(crate) gateway: Option<Leg>,
    pub(crate) interfaces: Vec<Leg>,
    pub(crate) routes: Vec<(IpNet, IpAddr)>,
    pub(crate) floating: BTreeMap<Ipv4Addr, Ipv4Addr>,
    pub(crate) forwards: BTreeMap<(Ipv4Addr, u8, u16), (Ipv4Addr, u16)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leg {
    pub(crate) port: Uuid,
    pub(crate) network: Uuid,
    /// Name of the interface in the router's namespace.
    pub(crate) name: String,
    pub(crate) mac: Mac,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) next_hops: Vec<IpAddr>,
    pub(crate) mtu: u32,
}

impl Leg {
    fn parse(plan: &RouterLeg, name: fn(&Uuid) -> String) -> Result<Leg> {
        let port = parse_id(&plan.port_id)?;
        Ok(Leg {
            port,
            network: parse_id(&plan.network_id)?,
            name: name(&port),
            mac: Mac::parse(&plan.mac)?,
            addresses: plan.addresses.clone(),
            next_hops: plan.next_hops.clone(),
            mtu: check_mtu(plan.mtu)?,
        })
    }

    /// The address that outgoing traffic is translated to.
    pub(crate) fn first_v4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|net| match net.addr() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
    }
}

impl Router {
    pub(crate) fn parse(plan: &RouterPlan) -> Result<Router> {
        let mut forwards = BTreeMap::new();
        for forward in &plan.port_forwardings {
            let protocol = match forward.protocol.to_ascii_lowercase().as_str() {
                "tcp" => 6,
                "udp" => 17,
                "dccp" => 33,
                "sctp" => 132,
                other => return Err(invalid(format!("protocol '{other}' cannot be forwarded"))),
            };
            forwards
                .insert((forward.external, protocol, forward.external_port), (forward.internal, forward.internal_port));
        }
        Ok(Router {
            id: parse_id(&plan.id)?,
            admin_up: plan.admin_up,
            snat: plan.snat,
            gateway: plan.gateway.as_ref().map(|leg| Leg::parse(leg, crate::names::router_gateway)).transpose()?,
            interfaces: plan
                .interfaces
                .iter()
                .map(|leg| Leg::parse(leg, crate::names::router_interface))
                .collect::<Result<_>>()?,
            routes: plan.routes.iter().map(|(net, hop)| (net.trunc(), *hop)).collect(),
            floating: plan.floating_ips.iter().map(|floating| (floating.floating, floating.fixed)).collect(),
            forwards,
        })
    }

    pub(crate) fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.gateway.iter().chain(&self.interfaces)
    }
}

/// First and last address of a prefix, as numbers; both families share the space because a set holds only one.
pub(crate) fn v6_bounds(net: &Ipv6Net) -> (u128, u128) {
    (u128::from(net.network()), u128::from(net.broadcast()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_is_six_bytes_and_nothing_else() {
        assert_eq!(Mac::parse("FA:16:3e:00:0a:ff").unwrap().to_string(), "fa:16:3e:00:0a:ff");
        for bad in [
            "",
            "fa:16:3e:00:0a",
            "fa:16:3e:00:0a:ff:00",
            "fa:16:3e:00:0a:f",
            "fa:16:3e:00:0a:ff }\n drop",
            "+a:16:3e:00:0a:ff",
        ] {
            assert!(Mac::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Mac::parse("fa:16:3e:01:02:03").unwrap().link_local(),
            "fe80::f816:3eff:fe01:203".parse::<Ipv6Addr>().unwrap()
        );
    }

    #[test]
    fn a_rule_must_make_sense() {
        let rule = |ipv6, protocol, range, remote| {
            Rule::parse(&RulePlan { direction: Direction::Ingress, ipv6, protocol, range, remote })
        };
        assert_eq!(rule(false, Some(6), Some((80, None)), Remote::Any).unwrap().service, Service::Ports(6, 80, 80));
        assert_eq!(rule(true, Some(1), Some((128, None)), Remote::Any).unwrap().service, Service::Icmp(128, None));
        assert_eq!(rule(false, None, None, Remote::Prefix("0.0.0.0/0".parse().unwrap())).unwrap().remote, Source::Any);
        assert!(rule(false, Some(6), Some((80, Some(20))), Remote::Any).is_err());
        assert!(rule(false, Some(47), Some((80, None)), Remote::Any).is_err());
        assert!(rule(false, Some(1), Some((256, None)), Remote::Any).is_err());
        assert!(rule(false, None, None, Remote::Prefix("fd00::/8".parse().unwrap())).is_err());
        assert!(rule(false, None, None, Remote::Group { id: "x; drop".into(), members: vec![] }).is_err());
    }
}
