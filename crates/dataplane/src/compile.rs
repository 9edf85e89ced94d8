//! Security groups and anti-spoofing of one network, as nftables tables. Pure.
//!
//! Two tables work together through the packet mark (proven in the dataplane notes, B3.2): bridge chains look at the
//! frame, bind it to its port's addresses and mark it with the port's *profile*; br_netfilter then shows the packet to
//! the inet chains, where connection tracking and the groups' rules decide. A profile is one combination of groups, so
//! ports of equal groups share chains and a new port is only a few set elements.
//!
//! Order of hooks: bridge prerouting −300 (mark of the sender), inet prerouting 0 (egress rules), bridge forward −200
//! (mark of the receiver), inet forward 0 (ingress rules). An interface that is in neither map is dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

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

const NO_DHCP_SERVER: &str = "udp sport 67 udp dport 68 counter drop";

/// The groups of a port; ports of equal profile share a mark and four chains.
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
    let mut bindings = Bindings::default();
    if network.external.is_some() {
        bindings.open(quoted(names::HOST_LEG_PEER));
    }
    for port in network.ports.values().filter(|port| port.admin_up) {
        match profiles.get(&profile(network, port)).filter(|_| port.guarded) {
            Some(mark) => bindings.guard(port, *mark, &mut table),
            None => bindings.open(quoted(&names::tap(&port.id))),
        }
    }
    for mark in profiles.values() {
        table.add_chain(format!("from-{mark}"), vec!["jump spoof".into(), format!("meta mark set {mark:#x}")]);
        table.add_chain(format!("to-{mark}"), vec!["jump addressed".into(), format!("meta mark set {mark:#x}")]);
        table.add_chain(format!("own-{mark}"), vec![NO_DHCP_SERVER.into(), format!("meta mark set {mark:#x}")]);
        table.add_chain(format!("mark-{mark}"), vec![format!("meta mark set {mark:#x}")]);
    }
    bindings.add_to(&mut table);
    // Nearly every frame is IPv4 from a port's own address, or to its hardware address: then the first look-up binds it
    // and tells the profile at once. The others are judged step by step; an interface that is in no map is dropped.
    table.add_base(
        "pre",
        BRIDGE_PRE,
        lines(
            "ether type ip iifname . ether saddr . ip saddr vmap @own4
             meta mark set 0
             iifname vmap @from
             drop",
        ),
    );
    table.add_base(
        "forward",
        BRIDGE_FORWARD,
        lines(
            "ether type { arp, ip, ip6 } oifname . ether daddr vmap @unicast
             meta mark set 0
             oifname vmap @to
             drop",
        ),
    );
    // Frames for others that the bridge floods are none of this port's business.
    table.add_chain(
        "addressed",
        lines(
            "ether type != { arp, ip, ip6 } drop
             ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00 drop",
        ),
    );
    // Anything but ARP and IP (VLAN tags above all) would pass the inet rules by. The addresses' sets hold the hardware
    // address too, so only what they do not judge needs a look at it of its own.
    table.add_chain(
        "spoof",
        lines(
            "ether type vmap { arp : goto spoof-arp, ip : goto spoof-ip4, ip6 : goto spoof-ip6 }
             counter drop",
        ),
    );
    table.add_chain(
        "spoof-arp",
        lines(
            "iifname . ether saddr != @mac counter drop
             iifname . arp saddr ether . arp saddr ip vmap @own4
             iifname . arp saddr ether . arp saddr ip @pairs4 return
             counter drop",
        ),
    );
    // A port is neither a DHCP server nor an IPv6 router, whatever its groups say.
    let mut others = vec![NO_DHCP_SERVER.into()];
    others.extend(lines(
        "iifname . ether saddr . ip saddr @pairs4 return
         ip saddr 0.0.0.0 udp sport 68 udp dport 67 iifname . ether saddr @mac return
         counter drop",
    ));
    table.add_chain("spoof-ip4", others);
    table.add_chain(
        "spoof-ip6",
        lines(
            "udp sport 547 udp dport 546 counter drop
             icmpv6 type { 134, 137 } counter drop
             icmpv6 type 136 iifname vmap @advertises
             iifname . ether saddr . ip6 saddr @own6 return
             iifname . ether saddr . ip6 saddr @pairs6 return
             ip6 saddr :: icmpv6 type { 131, 132, 133, 135, 143 } iifname . ether saddr @mac return
             counter drop",
        ),
    );
    table
}

/// Which interface may say what, as set elements.
#[derive(Default)]
struct Bindings {
    from: Vec<String>,
    to: Vec<String>,
    macs: Vec<String>,
    /// Hardware addresses again, with what to do for frames to them.
    unicast: Vec<String>,
    own4: Vec<String>,
    own6: Vec<String>,
    /// Interface and hardware address → prefixes.
    pairs4: BTreeMap<String, Vec<IpNet>>,
    pairs6: BTreeMap<String, Vec<IpNet>>,
    advertises: Vec<String>,
}

impl Bindings {
    /// Nothing of this interface is looked at.
    fn open(&mut self, interface: String) {
        self.from.push(format!("{interface} : accept"));
        self.to.push(format!("{interface} : accept"));
    }

    fn guard(&mut self, port: &Port, mark: u32, table: &mut Table) {
        let name = names::tap(&port.id);
        let interface = quoted(&name);
        self.from.push(format!("{interface} : goto from-{mark}"));
        self.to.push(format!("{interface} : goto to-{mark}"));
        let mut macs = BTreeSet::from([port.mac]);
        let own = port.addresses.iter().map(|address| (port.mac, IpNet::from(*address)));
        let link_local = (port.mac, IpNet::from(IpAddr::V6(port.mac.link_local())));
        let mut targets = Vec::new();
        for (mac, net) in own.chain([link_local]).chain(port.pairs.iter().copied()) {
            let who = format!("{interface} . {mac}");
            macs.insert(mac);
            if let IpNet::V6(net) = net {
                targets.push(v6_bounds(&net));
            }
            match (net, net.prefix_len() == net.max_prefix_len()) {
                (IpNet::V4(net), true) => self.own4.push(format!("{who} . {} : goto own-{mark}", net.addr())),
                (IpNet::V6(net), true) => self.own6.push(format!("{who} . {}", net.addr())),
                (IpNet::V4(_), false) => self.pairs4.entry(who).or_default().push(net),
                (IpNet::V6(_), false) => self.pairs6.entry(who).or_default().push(net),
            }
        }
        for mac in macs {
            self.macs.push(format!("{interface} . {mac}"));
            self.unicast.push(format!("{interface} . {mac} : goto mark-{mark}"));
        }
        let chain = format!("nd-{name}");
        self.advertises.push(format!("{interface} : jump {chain}"));
        table.add_chain(chain, advertised(targets).into_iter().collect());
    }

    fn add_to(self, table: &mut Table) {
        // Elements of a concatenation with intervals may not overlap; one pair may lie inside another.
        let intervals = |pairs: &BTreeMap<String, Vec<IpNet>>| -> Vec<String> {
            pairs
                .iter()
                .flat_map(|(who, nets)| IpNet::aggregate(nets).into_iter().map(move |net| format!("{who} . {net}")))
                .collect()
        };
        table.add_set("pairs4", Set::intervals("ifname . ether_addr . ipv4_addr", intervals(&self.pairs4)));
        table.add_set("pairs6", Set::intervals("ifname . ether_addr . ipv6_addr", intervals(&self.pairs6)));
        table.add_set("from", Set::map("ifname : verdict", self.from));
        table.add_set("to", Set::map("ifname : verdict", self.to));
        table.add_set("mac", Set::plain("ifname . ether_addr", self.macs));
        table.add_set("unicast", Set::map("ifname . ether_addr : verdict", self.unicast));
        table.add_set("own4", Set::map("ifname . ether_addr . ipv4_addr : verdict", self.own4));
        table.add_set("own6", Set::plain("ifname . ether_addr . ipv6_addr", self.own6));
        table.add_set("advertises", Set::map("ifname : verdict", self.advertises));
    }
}

/// The rule against advertising foreign neighbours; none when every address is allowed. nft before 1.0.7 knows the field
/// only by its place.
fn advertised(mut targets: Vec<(u128, u128)>) -> Option<String> {
    targets.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::new();
    for (low, high) in targets {
        match merged.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    if merged == [(0, u128::MAX)] {
        return None;
    }
    let text = |(low, high): &(u128, u128)| {
        if low == high { format!("{low:#034x}") } else { format!("{low:#034x}-{high:#034x}") }
    };
    let elements = merged.iter().map(text).collect::<Vec<_>>().join(", ");
    Some(format!("@th,64,128 != {{ {elements} }} counter drop"))
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
        // What nearly every packet is comes first; nobody's rules say otherwise but a stateless group's.
        let mut rules = lines("ct state established accept\nmeta mark 0 accept");
        if any_stateless {
            rules.swap(0, 1);
            rules.insert(1, format!("meta mark @stateless jump always-{map}"));
            rules.insert(2, format!("meta mark vmap @{map}-stateless"));
        }
        rules.push("ct state vmap { related : accept, invalid : drop }".into());
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
    table.add_set("stateless", Set::plain("mark", marks));
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
        Set::plain(key, nets.iter().map(|net| net.addr().to_string()))
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

#[cfg(test)]
mod tests {
    use sahab_contract::network::{ExternalPlan, GroupPlan, NetworkPlan, PortPlan, Remote, RulePlan};

    use super::*;

    fn id(n: u8) -> String {
        Uuid::from_u128(u128::from(n)).to_string()
    }

    fn port(n: u8, groups: &[u8]) -> PortPlan {
        PortPlan {
            id: format!("{n:02x}000000-{n:02x}00-4000-8000-000000000000"),
            kind: PortKind::Container,
            device_id: id(n),
            mac: format!("fa:16:3e:00:00:{n:02x}"),
            addresses: vec![format!("10.0.0.{n}/24").parse().unwrap()],
            admin_up: true,
            port_security: true,
            groups: groups.iter().map(|n| id(*n)).collect(),
            allowed_pairs: vec![],
            gateway4: None,
            gateway6: None,
            host_routes: vec![],
            mtu: 1400,
        }
    }

    fn plan() -> NetworkPlan {
        let rule = |direction, ipv6, protocol, range, remote| RulePlan { direction, ipv6, protocol, range, remote };
        let members =
            |nets: &[&str]| Remote::Group { id: id(9), members: nets.iter().map(|net| net.parse().unwrap()).collect() };
        NetworkPlan {
            id: id(1),
            mtu: 1400,
            ports: vec![port(1, &[9]), port(2, &[9]), port(3, &[])],
            groups: vec![GroupPlan {
                id: id(9),
                stateful: true,
                rules: vec![
                    rule(Direction::Egress, false, None, None, Remote::Any),
                    rule(Direction::Ingress, false, Some(6), Some((80, None)), Remote::Any),
                    rule(Direction::Ingress, false, None, None, members(&["10.0.0.1/32", "10.0.0.2/32"])),
                ],
            }],
            ..NetworkPlan::default()
        }
    }

    fn compiled(plan: &NetworkPlan) -> Ruleset {
        compile(&Network::parse(plan).unwrap())
    }

    #[test]
    fn the_whole_of_a_small_network() {
        let mut plan = plan();
        plan.ports[1].addresses.push("fd00::2/64".parse().unwrap());
        plan.ports[1].allowed_pairs.push(("10.1.0.0/16".parse().unwrap(), String::new()));
        plan.external = Some(ExternalPlan { gateways: vec![], nat: true });
        insta::assert_snapshot!(compiled(&plan).replacement());
    }

    #[test]
    fn one_more_port_of_known_groups_is_only_elements() {
        let mut plan = plan();
        let before = compiled(&plan);
        plan.ports.push(port(4, &[9]));
        let Remote::Group { members, .. } = &mut plan.groups[0].rules[2].remote else { unreachable!() };
        members.push("10.0.0.4/32".parse().unwrap());
        let update = compiled(&plan).update(&before);
        assert!(!update.contains("delete"), "{update}");
        assert!(
            update.contains("add element inet sahab rg4-00000000000000000000000000000009 { 10.0.0.4 }"),
            "{update}"
        );
        assert!(update.contains("add element bridge sahab from { \"tap04000000-04\" : goto from-2 }"), "{update}");
        assert!(update.lines().count() <= 10, "{update}");
        let back = before.update(&compiled(&plan));
        assert!(back.contains("delete element bridge sahab own4") && !back.contains("delete table"), "{back}");
    }

    #[test]
    fn ports_of_equal_groups_share_their_chains() {
        let mut plan = plan();
        for n in 10..200 {
            plan.ports.push(port(n, &[9]));
        }
        let text = compiled(&plan).replacement();
        assert_eq!(text.matches("chain from-").count(), 2);
        assert_eq!(text.matches("chain g-").count(), 2);
    }

    #[test]
    fn a_port_that_is_down_is_in_no_map_and_a_free_one_in_no_binding() {
        let mut plan = plan();
        plan.ports[0].admin_up = false;
        plan.ports[1].port_security = false;
        let text = compiled(&plan).replacement();
        assert!(!text.contains("tap01000000-01"), "{text}");
        assert!(text.contains("\"tap02000000-02\" : accept") && !text.contains("\"tap02000000-02\" . "), "{text}");
    }

    #[test]
    fn stateless_rules_appear_only_with_a_stateless_group() {
        let mut plan = plan();
        assert!(!compiled(&plan).replacement().contains("notrack"));
        plan.groups[0].stateful = false;
        let text = compiled(&plan).replacement();
        assert!(text.contains("notrack") && text.contains("@ingress-stateless"), "{text}");
    }
}
