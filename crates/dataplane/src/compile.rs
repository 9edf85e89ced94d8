//! Security groups and anti-spoofing of one network, as nftables tables. Pure.
//!
//! Two tables work together through the packet mark (proven in the dataplane notes, B3.2): bridge chains look at the
//! frame, bind it to its port's addresses and mark it with the port's *profile*; br_netfilter then shows the packet to
//! the inet chains, where connection tracking and the groups' rules decide. A profile is one combination of groups, so
//! ports of equal groups share chains and a new port is only a few set elements.
//!
//! Order of hooks: bridge prerouting −300 (mark of the sender), inet prerouting 0 (egress rules), bridge forward −200
//! (mark of the receiver), inet forward 0 (ingress rules). Interfaces in neither `open` nor `guarded` are dropped.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use sahab_contract::network::{Direction, PortKind};
use uuid::Uuid;

use crate::{
    fold::{fold, member_set},
    model::{Family, Network, Port, Source, v6_bounds},
    names::{self, TABLE},
    ruleset::{Ruleset, Set, Table},
};

const BRIDGE_PRE: &str = "type filter hook prerouting priority -300; policy accept;";
const BRIDGE_FORWARD: &str = "type filter hook forward priority -200; policy accept;";
const INET_RAW: &str = "type filter hook prerouting priority -300; policy accept;";
const INET_PRE: &str = "type filter hook prerouting priority 0; policy accept;";
const INET_FORWARD: &str = "type filter hook forward priority 0; policy accept;";

/// The groups of a port; ports of equal profile share a mark and two chains.
type Profile = (bool, BTreeSet<Uuid>);

/// Marks start at 1: a packet without a mark belongs to an interface that is not filtered.
fn profiles(network: &Network) -> BTreeMap<Profile, u32> {
    let all: BTreeSet<Profile> =
        network.ports.values().filter(|port| filtered(port)).map(|port| profile(network, port)).collect();
    all.into_iter().zip(1..).collect()
}

fn profile(network: &Network, port: &Port) -> Profile {
    (network.stateless(port), port.groups.clone())
}

/// Ports that are administratively down are in no set at all, which silences them.
fn filtered(port: &Port) -> bool {
    port.guarded && port.admin_up
}

pub(crate) fn compile(network: &Network) -> Ruleset {
    let profiles = profiles(network);
    Ruleset { tables: vec![bridge_table(network, &profiles), inet_table(network, &profiles)] }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn bridge_table(network: &Network, profiles: &BTreeMap<Profile, u32>) -> Table {
    let mut table = Table::new("bridge", TABLE);
    let (mut open, mut guarded, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    let (mut macs, mut exact4, mut exact6) = (Vec::new(), Vec::new(), Vec::new());
    let mut pairs: BTreeMap<(String, Family), Vec<IpNet>> = BTreeMap::new();
    let mut neighbours = Vec::new();
    if network.external.is_some() {
        open.push(quoted(names::HOST_LEG_PEER));
    }
    for port in network.ports.values().filter(|port| port.admin_up) {
        let name = names::tap(&port.id);
        let interface = quoted(&name);
        if !port.guarded {
            open.push(interface);
            continue;
        }
        guarded.push(interface.clone());
        if let Some(mark) = profiles.get(&profile(network, port)) {
            marks.push(format!("{interface} : {mark:#x}"));
        }
        let own = port.addresses.iter().map(|address| (port.mac, IpNet::from(*address)));
        let link_local = (port.mac, IpNet::from(std::net::IpAddr::V6(port.mac.link_local())));
        macs.push(format!("{interface} . {}", port.mac));
        let mut targets = Vec::new();
        for (mac, net) in own.chain([link_local]).chain(port.pairs.iter().copied()) {
            if mac != port.mac {
                macs.push(format!("{interface} . {mac}"));
            }
            let family = Family::of(&net.addr());
            if let IpNet::V6(net) = net {
                targets.push(v6_bounds(&net));
            }
            if net.prefix_len() < net.max_prefix_len() {
                pairs.entry((format!("{interface} . {mac}"), family)).or_default().push(net);
            } else {
                let element = format!("{interface} . {mac} . {}", net.addr());
                match family {
                    Family::V4 => exact4.push(element),
                    Family::V6 => exact6.push(element),
                }
            }
        }
        let chain = format!("nd-{name}");
        neighbours.push(format!("{interface} : jump {chain}"));
        table.add_chain(chain, vec![format!("@th,64,128 != {{ {} }} counter drop", advertised(targets))]);
    }
    // Elements of a concatenation may not overlap; one pair may lie inside another.
    let intervals = |family: Family| {
        pairs
            .iter()
            .filter(move |((_, of), _)| *of == family)
            .flat_map(|((who, _), nets)| IpNet::aggregate(nets).into_iter().map(move |net| format!("{who} . {net}")))
            .collect::<Vec<_>>()
    };
    table.add_set("open", Set::set("ifname", open));
    table.add_set("guarded", Set::set("ifname", guarded));
    table.add_set("profile", Set::map("ifname : mark", marks));
    table.add_set("mac", Set::set("ifname . ether_addr", macs));
    table.add_set("own4", Set::set("ifname . ether_addr . ipv4_addr", exact4));
    table.add_set("own6", Set::set("ifname . ether_addr . ipv6_addr", exact6));
    table.add_set("pairs4", Set::intervals("ifname . ether_addr . ipv4_addr", intervals(Family::V4)));
    table.add_set("pairs6", Set::intervals("ifname . ether_addr . ipv6_addr", intervals(Family::V6)));
    table.add_set("advertises", Set::map("ifname : verdict", neighbours));
    table.add_base(
        "pre",
        BRIDGE_PRE,
        lines(
            "meta mark set 0
             iifname @open accept
             iifname != @guarded drop
             jump spoof
             meta mark set iifname map @profile",
        ),
    );
    table.add_base(
        "forward",
        BRIDGE_FORWARD,
        lines(
            "meta mark set 0
             oifname @open accept
             oifname != @guarded drop
             ether type != { arp, ip, ip6 } drop
             ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00 oifname . ether daddr != @mac drop
             meta mark set oifname map @profile",
        ),
    );
    // Anything but ARP and IP (VLAN tags above all) would pass the inet rules by.
    table.add_chain(
        "spoof",
        lines(
            "iifname . ether saddr != @mac counter drop
             ether type vmap { arp : goto spoof-arp, ip : goto spoof-ip4, ip6 : goto spoof-ip6 }
             counter drop",
        ),
    );
    table.add_chain(
        "spoof-arp",
        lines(
            "iifname . arp saddr ether . arp saddr ip @own4 return
             iifname . arp saddr ether . arp saddr ip @pairs4 return
             counter drop",
        ),
    );
    // A port is neither a DHCP server nor an IPv6 router, whatever its groups say.
    table.add_chain(
        "spoof-ip4",
        lines(
            "udp sport 67 udp dport 68 counter drop
             ip saddr 0.0.0.0 udp sport 68 udp dport 67 return
             iifname . ether saddr . ip saddr @own4 return
             iifname . ether saddr . ip saddr @pairs4 return
             counter drop",
        ),
    );
    table.add_chain(
        "spoof-ip6",
        lines(
            "udp sport 547 udp dport 546 counter drop
             icmpv6 type { 134, 137 } counter drop
             icmpv6 type 136 iifname vmap @advertises
             ip6 saddr :: icmpv6 type { 131, 132, 133, 135, 143 } return
             iifname . ether saddr . ip6 saddr @own6 return
             iifname . ether saddr . ip6 saddr @pairs6 return
             counter drop",
        ),
    );
    table
}

/// The neighbour addresses that a port may advertise. nft before 1.0.7 knows the field only by its place.
fn advertised(mut targets: Vec<(u128, u128)>) -> String {
    targets.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::new();
    for (low, high) in targets {
        match merged.last_mut() {
            Some(last) if low <= last.1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    let text = |(low, high): &(u128, u128)| {
        if low == high { format!("{low:#034x}") } else { format!("{low:#034x}-{high:#034x}") }
    };
    merged.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn inet_table(network: &Network, profiles: &BTreeMap<Profile, u32>) -> Table {
    let mut table = Table::new("inet", TABLE);
    member_sets(network, &mut table);
    for (id, group) in &network.groups {
        for direction in [Direction::Ingress, Direction::Egress] {
            for family in [Family::V4, Family::V6] {
                let rules = fold(&group.rules, direction, family);
                if !rules.is_empty() {
                    table.add_chain(group_chain(id, direction, family), rules);
                }
            }
        }
    }
    let mut verdicts: BTreeMap<(&str, bool), Vec<String>> = BTreeMap::new();
    for (name, stateless) in [("egress", false), ("egress", true), ("ingress", false), ("ingress", true)] {
        verdicts.insert((name, stateless), Vec::new());
    }
    for ((stateless, groups), mark) in profiles {
        for (map, prefix, direction) in [("egress", "o", Direction::Egress), ("ingress", "i", Direction::Ingress)] {
            let mut rules = Vec::new();
            for family in [Family::V4, Family::V6] {
                let protocol = if family == Family::V4 { "ipv4" } else { "ipv6" };
                let jumps = groups
                    .iter()
                    .map(|id| group_chain(id, direction, family))
                    .filter(|chain| table.chains.contains_key(chain))
                    .map(|chain| format!("meta nfproto {protocol} jump {chain}"));
                rules.extend(jumps);
            }
            rules.push("counter drop".into());
            let chain = format!("{prefix}{mark}");
            verdicts.entry((map, *stateless)).or_default().push(format!("{mark:#x} : goto {chain}"));
            table.add_chain(chain, rules);
        }
    }
    let any_stateless = profiles.keys().any(|(stateless, _)| *stateless);
    for ((name, stateless), elements) in verdicts {
        if !stateless {
            table.add_set(name, Set::map("mark : verdict", elements));
        } else if any_stateless {
            table.add_set(format!("{name}-stateless"), Set::map("mark : verdict", elements));
        }
    }
    if any_stateless {
        stateless_rules(network, profiles, &mut table);
    }
    for (chain, hook, map) in [("pre", INET_PRE, "egress"), ("forward", INET_FORWARD, "ingress")] {
        let mut rules = vec!["meta mark 0 accept".to_string()];
        if any_stateless {
            rules.push(format!("meta mark @stateless jump always-{map}"));
            rules.push(format!("meta mark vmap @{map}-stateless"));
        }
        rules.push("ct state vmap { established : accept, related : accept, invalid : drop }".into());
        rules.push(format!("jump always-{map}"));
        rules.push(format!("meta mark vmap @{map}"));
        rules.push("counter drop".into());
        table.add_base(chain, hook, rules);
    }
    // Without these a port cannot even learn its neighbours; upstream allows them before any rule.
    table.add_chain(
        "always-egress",
        lines(
            "icmpv6 type { 131, 132, 133, 135, 136, 143 } accept
             udp sport 68 udp dport 67 accept
             udp sport 546 udp dport 547 accept",
        ),
    );
    table.add_chain(
        "always-ingress",
        lines(
            "icmpv6 type { 130, 131, 132, 134, 135, 136, 143 } accept
             udp sport 67 udp dport 68 accept
             udp sport 547 udp dport 546 accept",
        ),
    );
    table
}

/// Untracks what a stateless port says and hears, except in talk with a stateful port, which needs the tracking.
fn stateless_rules(network: &Network, profiles: &BTreeMap<Profile, u32>, table: &mut Table) {
    let marks = profiles.iter().filter(|((stateless, _), _)| *stateless).map(|(_, mark)| format!("{mark:#x}"));
    table.add_set("stateless", Set::set("mark", marks));
    let mut rules = Vec::new();
    for (family, key, address) in [(Family::V4, "ipv4_addr", "ip daddr"), (Family::V6, "ipv6_addr", "ip6 daddr")] {
        let suffix = if family == Family::V4 { 4 } else { 6 };
        for (name, stateless) in [("tracked", false), ("untracked", true)] {
            let nets: Vec<IpNet> = network
                .ports
                .values()
                .filter(|port| filtered(port) && network.stateless(port) == stateless)
                .flat_map(|port| {
                    port.addresses.iter().map(|address| IpNet::from(*address)).chain(port.pairs.iter().map(|p| p.1))
                })
                .filter(|net| Family::of(&net.addr()) == family)
                .collect();
            table.add_set(format!("{name}{suffix}"), address_set(key, &nets));
        }
        rules.push(format!("meta mark @stateless {address} != @tracked{suffix} notrack"));
        rules.push(format!("meta mark 0 {address} @untracked{suffix} notrack"));
    }
    table.add_base("raw", INET_RAW, rules);
}

fn group_chain(id: &Uuid, direction: Direction, family: Family) -> String {
    let direction = match direction {
        Direction::Ingress => "in",
        Direction::Egress => "out",
    };
    let family = if family == Family::V4 { 4 } else { 6 };
    format!("g-{}-{direction}{family}", id.simple())
}

/// Whole addresses make a hash; as soon as a prefix is among them it must be an interval set, without overlaps.
fn address_set(key: &'static str, nets: &[IpNet]) -> Set {
    if nets.iter().all(|net| net.prefix_len() == net.max_prefix_len()) {
        Set::set(key, nets.iter().map(|net| net.addr().to_string()))
    } else {
        Set::intervals(key, IpNet::aggregate(&nets.to_vec()).iter().map(IpNet::to_string))
    }
}

fn member_sets(network: &Network, table: &mut Table) {
    let mut members: BTreeMap<(Uuid, Family), BTreeSet<IpNet>> = BTreeMap::new();
    for rule in network.groups.values().flat_map(|group| &group.rules) {
        if let Source::Group(id, nets) = &rule.remote {
            members.entry((*id, rule.family)).or_default().extend(nets);
        }
    }
    for ((id, family), nets) in members {
        let key = if family == Family::V4 { "ipv4_addr" } else { "ipv6_addr" };
        table.add_set(member_set(&id, family), address_set(key, &nets.into_iter().collect::<Vec<_>>()));
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_string()).collect()
}

/// Kinds whose bridge end exists without a container.
pub(crate) fn is_router_port(kind: PortKind) -> bool {
    matches!(kind, PortKind::RouterInterface | PortKind::RouterGateway)
}
