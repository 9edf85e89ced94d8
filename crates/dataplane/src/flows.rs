//! Which established connections a change of rules must end. Pure.
//!
//! Rules are asked only for the first packet of a connection; a permission that is taken away must therefore also
//! remove the connection from the kernel's table (upstream's agents do the same). Each connection is judged by the new
//! rules, so that what is still allowed lives on. The namespace's `nf_conntrack_tcp_loose` is 0: a connection that was
//! removed is not picked up again in its middle.

use std::{collections::HashMap, net::IpAddr};

use ipnet::IpNet;
use sahab_contract::network::Direction;

use crate::model::{Family, Network, Port, Router, Rule, Service, Source};

/// One entry of the connection table, in the direction of its first packet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flow {
    pub(crate) protocol: u8,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) source_port: Option<u16>,
    pub(crate) destination_port: Option<u16>,
    /// Type, code and identifier.
    pub(crate) icmp: Option<(u8, u8, u16)>,
    /// Where answers come from and go to; differs from the above under translation.
    pub(crate) reply_source: IpAddr,
    pub(crate) reply_source_port: Option<u16>,
    pub(crate) reply_destination: IpAddr,
}

impl Flow {
    /// Parses a line of `conntrack -L -o extended`; `None` for anything else.
    pub(crate) fn parse(line: &str) -> Option<Flow> {
        let mut words = line.split_whitespace();
        let (_family, _number, _name, protocol) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let pairs: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
        let nth = |key: &str, n: usize| pairs.iter().filter(|(k, _)| *k == key).nth(n).map(|(_, value)| *value);
        let port = |key: &str, n| nth(key, n).and_then(|value| value.parse().ok());
        let icmp = match (nth("type", 0), nth("code", 0)) {
            (Some(kind), Some(code)) => Some((
                kind.parse().ok()?,
                code.parse().ok()?,
                nth("id", 0).and_then(|id| id.parse().ok()).unwrap_or_default(),
            )),
            _ => None,
        };
        Some(Flow {
            protocol: protocol.parse().ok()?,
            source: nth("src", 0)?.parse().ok()?,
            destination: nth("dst", 0)?.parse().ok()?,
            source_port: port("sport", 0),
            destination_port: port("dport", 0),
            icmp,
            reply_source: nth("src", 1)?.parse().ok()?,
            reply_source_port: port("sport", 1),
            reply_destination: nth("dst", 1)?.parse().ok()?,
        })
    }

    /// The arguments that delete exactly this entry.
    pub(crate) fn delete_command(&self) -> String {
        let family = if self.source.is_ipv4() { "ipv4" } else { "ipv6" };
        let mut command =
            format!("-D -f {family} -p {} -s {} -d {}", protocol_name(self.protocol), self.source, self.destination);
        if let Some((kind, code, id)) = self.icmp {
            let name = if self.protocol == 58 { "icmpv6" } else { "icmp" };
            command.push_str(&format!(" --{name}-type {kind} --{name}-code {code} --{name}-id {id}"));
        } else if let (Some(source), Some(destination)) = (self.source_port, self.destination_port) {
            command.push_str(&format!(" --sport {source} --dport {destination}"));
        }
        command
    }
}

/// The tool knows the options of a protocol by its name only.
fn protocol_name(protocol: u8) -> String {
    match protocol {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        33 => "dccp".into(),
        58 => "icmpv6".into(),
        132 => "sctp".into(),
        136 => "udplite".into(),
        other => other.to_string(),
    }
}

/// Whether one rule lets the connection's first packet through.
pub(crate) fn allows(rule: &Rule, direction: Direction, remote: &IpAddr, flow: &Flow) -> bool {
    rule.direction == direction
        && rule.family == Family::of(remote)
        && match rule.service {
            Service::Any => true,
            Service::Protocol(protocol) => protocol == flow.protocol,
            Service::Ports(protocol, low, high) => {
                protocol == flow.protocol && flow.destination_port.is_some_and(|port| (low..=high).contains(&port))
            }
            Service::Icmp(kind, code) => {
                flow.protocol == rule.family.icmp()
                    && flow.icmp.is_some_and(|(k, c, _)| k == kind && code.is_none_or(|code| code == c))
            }
        }
        && match &rule.remote {
            Source::Any => true,
            Source::Prefixes(nets) | Source::Group(_, nets) => nets.iter().any(|net: &IpNet| net.contains(remote)),
        }
}

fn always_allowed(flow: &Flow) -> bool {
    let ports = (flow.source_port, flow.destination_port);
    flow.protocol == 17 && (matches!(ports, (Some(67 | 68), Some(67 | 68)) | (Some(546 | 547), Some(546 | 547))))
}

fn permits(network: &Network, port: &Port, direction: Direction, remote: &IpAddr, flow: &Flow) -> bool {
    // An interface that is down lets nothing through; its connections may wait for it.
    !port.guarded
        || always_allowed(flow)
        || port
            .groups
            .iter()
            .filter_map(|id| network.groups.get(id))
            .flat_map(|group| &group.rules)
            .any(|rule| allows(rule, direction, remote, flow))
}

/// Who may use which address.
struct Owners<'a> {
    exact: HashMap<IpAddr, &'a Port>,
    prefixes: Vec<(IpNet, &'a Port)>,
}

impl<'a> Owners<'a> {
    fn of(network: &'a Network) -> Owners<'a> {
        let mut owners = Owners { exact: HashMap::new(), prefixes: Vec::new() };
        for port in network.ports.values() {
            owners.prefixes.extend(port.pairs.iter().map(|(_, net)| (*net, port)));
            owners.exact.insert(IpAddr::V6(port.mac.link_local()), port);
        }
        // A port's own address counts more than another's permission to use it.
        for port in network.ports.values() {
            owners.exact.extend(port.addresses.iter().map(|address| (*address, port)));
        }
        owners
    }

    fn find(&self, address: &IpAddr) -> Option<&'a Port> {
        let exact = self.exact.get(address).copied();
        exact.or_else(|| self.prefixes.iter().find(|(net, _)| net.contains(address)).map(|(_, port)| *port))
    }
}

/// Judges connections by a new plan. `old` is what was applied before, if it is known.
pub(crate) struct Judge<'a> {
    network: &'a Network,
    now: Owners<'a>,
    before: Option<Owners<'a>>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(network: &'a Network, old: Option<&'a Network>) -> Judge<'a> {
        Judge { network, now: Owners::of(network), before: old.map(Owners::of) }
    }

    /// Whether the connection may go on.
    pub(crate) fn keeps(&self, flow: &Flow) -> bool {
        for (address, remote, direction) in
            [(flow.source, flow.destination, Direction::Egress), (flow.destination, flow.source, Direction::Ingress)]
        {
            let port = self.now.find(&address);
            // An address that changed hands takes no connection with it.
            let before = self.before.as_ref().and_then(|owners| owners.find(&address)).map(|port| port.id);
            if before.is_some() && before != port.map(|port| port.id) {
                return false;
            }
            if port.is_some_and(|port| !permits(self.network, port, direction, &remote, flow)) {
                return false;
            }
        }
        true
    }
}

/// Whether anything that `old` allowed may be forbidden by `new`; when not, no connection needs a look.
pub(crate) fn stricter(old: &Network, new: &Network) -> bool {
    old.ports.values().any(|port| {
        let Some(now) = new.ports.get(&port.id) else { return true };
        (now.guarded && !port.guarded)
            || now.mac != port.mac
            || !port.addresses.iter().all(|address| now.addresses.contains(address))
            || !port.pairs.iter().all(|pair| now.pairs.contains(pair))
            || (now.guarded && !port.groups.is_subset(&now.groups))
    }) || old.groups.iter().any(|(id, group)| {
        // A group that is gone was left by every port that stays, which the ports' comparison has seen.
        new.groups.get(id).is_some_and(|now| !group.rules.iter().all(|rule| covered(rule, &now.rules)))
    })
}

fn covered(rule: &Rule, by: &[Rule]) -> bool {
    by.contains(rule)
        || by.iter().any(|other| {
            other.direction == rule.direction
                && other.family == rule.family
                && other.service == rule.service
                && match (&rule.remote, &other.remote) {
                    (_, Source::Any) => true,
                    (Source::Group(_, old), Source::Group(_, new) | Source::Prefixes(new))
                    | (Source::Prefixes(old), Source::Group(_, new) | Source::Prefixes(new)) => {
                        old.iter().all(|net| new.contains(net))
                    }
                    (Source::Any, _) => false,
                }
        })
}

/// Whether a connection through a router is still translated as the plan says.
pub(crate) fn keep_translated(router: &Router, flow: &Flow) -> bool {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (flow.source, flow.destination) else { return true };
    let (IpAddr::V4(reply_source), IpAddr::V4(reply_destination)) = (flow.reply_source, flow.reply_destination) else {
        return true;
    };
    let redirected = reply_source != destination;
    if redirected {
        let floating = router.floating.get(&destination) == Some(&reply_source);
        let forwarded = flow
            .destination_port
            .and_then(|port| router.forwards.get(&(destination, flow.protocol, port)))
            .is_some_and(|target| (target.0, Some(target.1)) == (reply_source, flow.reply_source_port));
        if !floating && !forwarded {
            return false;
        }
    }
    if reply_destination != source {
        let own = router.gateway.as_ref().and_then(|leg| leg.first_v4()) == Some(reply_destination);
        let floating = router.floating.get(&reply_destination) == Some(&source);
        return floating || (own && (router.snat || redirected));
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sahab_contract::network::PortKind;
    use uuid::Uuid;

    use super::*;
    use crate::model::{Group, Mac};

    fn keep(new: &Network, old: Option<&Network>, flow: &Flow) -> bool {
        Judge::new(new, old).keeps(flow)
    }

    const TCP: &str = "ipv4     2 tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=40000 dport=80 \
                       src=10.0.0.2 dst=10.0.0.1 sport=80 dport=40000 [ASSURED] mark=0 use=1";
    const PING: &str = "ipv4     2 icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=7 src=10.0.0.2 \
                        dst=10.0.0.1 type=0 code=0 id=7 mark=0 use=1";

    fn network(rules: Vec<Rule>) -> Network {
        let group = Uuid::from_u128(9);
        let port = |n: u8| Port {
            id: Uuid::from_u128(n.into()),
            kind: PortKind::Container,
            mac: Mac([2, 0, 0, 0, 0, n]),
            addresses: vec![IpAddr::from([10, 0, 0, n])],
            admin_up: true,
            guarded: true,
            groups: BTreeSet::from([group]),
            pairs: vec![],
            mtu: 1500,
        };
        Network {
            id: Uuid::nil(),
            mtu: 1500,
            ports: [port(1), port(2)].into_iter().map(|port| (port.id, port)).collect(),
            groups: BTreeMap::from([(group, Group { stateful: true, rules })]),
            external: None,
        }
    }
    fn rule(direction: Direction, service: Service) -> Rule {
        Rule { direction, family: Family::V4, service, remote: Source::Any }
    }

    #[test]
    fn entries_are_read_and_named_for_deletion() {
        let flow = Flow::parse(TCP).unwrap();
        assert_eq!((flow.protocol, flow.destination_port), (6, Some(80)));
        assert_eq!(flow.delete_command(), "-D -f ipv4 -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 40000 --dport 80");
        let flow = Flow::parse(PING).unwrap();
        assert_eq!(
            flow.delete_command(),
            "-D -f ipv4 -p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 7"
        );
        let six = "ipv6     10 icmpv6   58 29 src=fd00::1 dst=fd00::2 type=128 code=0 id=7 src=fd00::2 dst=fd00::1 \
                   type=129 code=0 id=7 mark=0 use=1";
        assert_eq!(
            Flow::parse(six).unwrap().delete_command(),
            "-D -f ipv6 -p icmpv6 -s fd00::1 -d fd00::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7"
        );
        assert_eq!(Flow::parse("conntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown."), None);
    }

    #[test]
    fn a_flow_lives_while_both_ends_allow_it() {
        let (tcp, ping) = (Flow::parse(TCP).unwrap(), Flow::parse(PING).unwrap());
        let out = rule(Direction::Egress, Service::Any);
        let full = network(vec![
            out.clone(),
            rule(Direction::Ingress, Service::Ports(6, 80, 80)),
            rule(Direction::Ingress, Service::Icmp(8, None)),
        ]);
        let less = network(vec![out, rule(Direction::Ingress, Service::Icmp(8, None))]);
        assert!(keep(&full, Some(&full), &tcp) && keep(&full, None, &ping));
        assert!(!keep(&less, Some(&full), &tcp) && keep(&less, Some(&full), &ping));
        assert!(stricter(&full, &less) && !stricter(&less, &full) && !stricter(&full, &full));
    }

    #[test]
    fn an_address_that_changes_hands_loses_its_flows() {
        let rules = vec![rule(Direction::Egress, Service::Any), rule(Direction::Ingress, Service::Any)];
        let (old, mut new) = (network(rules.clone()), network(rules));
        let mut port = new.ports.remove(&Uuid::from_u128(2)).unwrap();
        assert!(stricter(&old, &new) && !keep(&new, Some(&old), &Flow::parse(TCP).unwrap()));
        port.id = Uuid::from_u128(3);
        new.ports.insert(port.id, port);
        assert!(!keep(&new, Some(&old), &Flow::parse(TCP).unwrap()));
        assert!(keep(&new, Some(&new), &Flow::parse(TCP).unwrap()));
    }

    #[test]
    fn more_members_are_not_stricter() {
        let member = |nets: &[&str]| Rule {
            remote: Source::Group(Uuid::nil(), nets.iter().map(|net| net.parse().unwrap()).collect()),
            ..rule(Direction::Ingress, Service::Any)
        };
        let one = network(vec![member(&["10.0.0.1/32"])]);
        let two = network(vec![member(&["10.0.0.1/32", "10.0.0.7/32"])]);
        assert!(!stricter(&one, &two) && stricter(&two, &one));
    }

    #[test]
    fn translation_follows_the_plan() {
        let flow = Flow::parse(
            "ipv4 2 tcp 6 100 ESTABLISHED src=1.1.1.1 dst=172.24.4.20 sport=9 dport=80 src=10.0.0.2 dst=1.1.1.1 \
             sport=80 dport=9 [ASSURED] use=1",
        )
        .unwrap();
        let mut router = Router {
            id: Uuid::nil(),
            admin_up: true,
            snat: true,
            gateway: None,
            interfaces: vec![],
            routes: vec![],
            floating: BTreeMap::from([("172.24.4.20".parse().unwrap(), "10.0.0.2".parse().unwrap())]),
            forwards: BTreeMap::new(),
        };
        assert!(keep_translated(&router, &flow));
        router.floating.clear();
        assert!(!keep_translated(&router, &flow));
        router.forwards.insert(("172.24.4.20".parse().unwrap(), 6, 80), ("10.0.0.2".parse().unwrap(), 80));
        assert!(keep_translated(&router, &flow));
    }
}
