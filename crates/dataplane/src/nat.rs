//! Address translation and forwarding rules: of a router's namespace, and of the host's side of an external network. Pure.
//!
//! Floating addresses and port forwardings are map elements, so their number costs a packet nothing.

use ipnet::IpNet;
use sahab_contract::network::ExternalPlan;

use crate::{
    model::Router,
    names::TABLE,
    ruleset::{Ruleset, Set, Table},
    settings::{HostPort, HostProtocol},
};

const FORWARD: &str = "type filter hook forward priority 0; policy accept;";
const FORWARD_CLOSED: &str = "type filter hook forward priority 0; policy drop;";
const INPUT: &str = "type filter hook input priority 0; policy accept;";
const INPUT_CLOSED: &str = "type filter hook input priority 0; policy drop;";
const DNAT: &str = "type nat hook prerouting priority -100; policy accept;";
const SNAT: &str = "type nat hook postrouting priority 100; policy accept;";

/// Rules of a router's namespace.
pub(crate) fn router(router: &Router) -> Ruleset {
    let mut filter = Table::new("inet", TABLE);
    if !router.admin_up {
        filter.add_base("forward", FORWARD_CLOSED, Vec::new());
        // Nor does it answer for floating addresses, which are its own while they lead nowhere.
        filter.add_base("input", INPUT_CLOSED, Vec::new());
        return Ruleset { tables: vec![filter] };
    }
    let mut rules = vec!["tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu".to_string()];
    let gateway = router.gateway.as_ref();
    if let Some(leg) = gateway.filter(|_| router.snat) {
        // Addresses behind translation are private: nobody outside may use the router as next hop towards them.
        rules.push(format!("iifname \"{}\" ct status dnat accept", leg.name));
        rules.push(format!("iifname \"{}\" meta nfproto ipv4 ct state new drop", leg.name));
    }
    filter.add_base("forward", FORWARD, rules);
    let mut tables = vec![filter];
    if let Some((leg, address)) = gateway.and_then(|leg| Some((leg, leg.first_v4()?))) {
        let mut nat = Table::new("ip", TABLE);
        let floating = &router.floating;
        nat.add_set(
            "floating-in",
            Set::map("ipv4_addr : ipv4_addr", floating.iter().map(|(outer, inner)| format!("{outer} : {inner}"))),
        );
        let mut seen = std::collections::BTreeSet::new();
        nat.add_set(
            "floating-out",
            Set::map(
                "ipv4_addr : ipv4_addr",
                floating
                    .iter()
                    .filter(|(_, inner)| seen.insert(**inner))
                    .map(|(outer, inner)| format!("{inner} : {outer}"))
                    .collect::<Vec<_>>(),
            ),
        );
        nat.add_set(
            "forwards",
            Set::map(
                "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
                router.forwards.iter().map(|((outer, protocol, port), (inner, inner_port))| {
                    format!("{outer} . {protocol} . {port} : {inner} . {inner_port}")
                }),
            ),
        );
        nat.add_base(
            "pre",
            DNAT,
            vec![
                "dnat to ip daddr map @floating-in".into(),
                "dnat ip to ip daddr . meta l4proto . th dport map @forwards".into(),
            ],
        );
        let mut out = vec![format!("oifname \"{}\" snat to ip saddr map @floating-out", leg.name)];
        if router.snat {
            out.push(format!("oifname \"{}\" snat to {address}", leg.name));
        }
        // From inside to a floating address of inside: without this the answer would not come back through here.
        out.push(format!("ct status dnat iifname \"qr-*\" oifname \"qr-*\" snat to {address}"));
        nat.add_base("post", SNAT, out);
        tables.push(nat);
    }
    Ruleset { tables }
}

/// Rules of the host's namespace for one external network; `leg` is the host's interface in it.
pub(crate) fn host(table: String, leg: &str, plan: &ExternalPlan, ports: &[HostPort]) -> Ruleset {
    let mut table = Table::new("inet", table);
    let mut input = vec![
        format!("iifname != \"{leg}\" accept"),
        "ct state established,related accept".into(),
        "meta l4proto { icmp, ipv6-icmp } accept".into(),
    ];
    for (name, protocol) in [("tcp", HostProtocol::Tcp), ("udp", HostProtocol::Udp)] {
        let ports: Vec<_> = ports.iter().filter(|p| p.protocol == protocol).map(|p| p.port.to_string()).collect();
        if !ports.is_empty() {
            input.push(format!("{name} dport {{ {} }} accept", ports.join(", ")));
        }
    }
    input.push("counter drop".into());
    table.add_base("input", INPUT, input);
    if plan.nat {
        let nets: Vec<IpNet> = IpNet::aggregate(&plan.gateways.iter().map(IpNet::trunc).collect::<Vec<_>>());
        let mut rules = Vec::new();
        for (key, v4) in [("ip", true), ("ip6", false)] {
            let own: Vec<_> = nets.iter().filter(|net| net.addr().is_ipv4() == v4).map(IpNet::to_string).collect();
            if !own.is_empty() {
                // Other external networks are neighbours: they see the true address.
                rules.push(format!("{key} saddr {{ {} }} oifname != \"sx*\" masquerade", own.join(", ")));
            }
        }
        table.add_base("post", SNAT, rules);
    }
    Ruleset { tables: vec![table] }
}

#[cfg(test)]
mod tests {
    use sahab_contract::network::{FloatingPlan, ForwardPlan, RouterLeg, RouterPlan};

    use super::*;
    use crate::settings::HostPort;

    fn plan() -> RouterPlan {
        let leg = |n: u8, address: &str| RouterLeg {
            port_id: format!("{n:02x}000000-{n:02x}00-4000-8000-000000000000"),
            network_id: uuid::Uuid::nil().to_string(),
            mac: "fa:16:3e:00:00:01".into(),
            addresses: vec![address.parse().unwrap()],
            next_hops: vec![],
            mtu: 1400,
        };
        RouterPlan {
            id: uuid::Uuid::nil().to_string(),
            admin_up: true,
            gateway: Some(leg(1, "172.24.4.10/24")),
            snat: true,
            interfaces: vec![leg(2, "10.0.0.1/24")],
            routes: vec![],
            floating_ips: vec![FloatingPlan {
                id: String::new(),
                floating: "172.24.4.20".parse().unwrap(),
                fixed: "10.0.0.11".parse().unwrap(),
            }],
            port_forwardings: vec![ForwardPlan {
                id: String::new(),
                protocol: "TCP".into(),
                external: "172.24.4.21".parse().unwrap(),
                external_port: 8080,
                internal: "10.0.0.12".parse().unwrap(),
                internal_port: 80,
            }],
        }
    }

    #[test]
    fn the_whole_of_a_router() {
        insta::assert_snapshot!(router(&Router::parse(&plan()).unwrap()).replacement());
    }

    #[test]
    fn another_floating_address_is_only_elements() {
        let before = router(&Router::parse(&plan()).unwrap());
        let mut more = plan();
        more.floating_ips.push(FloatingPlan {
            id: String::new(),
            floating: "172.24.4.22".parse().unwrap(),
            fixed: "10.0.0.13".parse().unwrap(),
        });
        assert_eq!(
            router(&Router::parse(&more).unwrap()).update(&before),
            "add element ip sahab floating-in { 172.24.4.22 : 10.0.0.13 }\n\
             add element ip sahab floating-out { 10.0.0.13 : 172.24.4.22 }\n"
        );
    }

    #[test]
    fn a_router_that_is_down_loses_its_translation() {
        let before = router(&Router::parse(&plan()).unwrap());
        let down = router(&Router::parse(&RouterPlan { admin_up: false, ..plan() }).unwrap());
        let text = down.update(&before);
        assert!(
            text.contains("policy drop") && text.ends_with("add table ip sahab\ndelete table ip sahab\n"),
            "{text}"
        );
    }

    #[test]
    fn the_host_lets_in_only_what_is_listed() {
        let plan = ExternalPlan { gateways: vec!["172.24.4.1/24".parse().unwrap()], nat: true };
        let ports = [HostPort { protocol: HostProtocol::Tcp, port: 53 }];
        insta::assert_snapshot!(host("sahab_host_x".into(), "sx0", &plan, &ports).replacement());
        let plan = ExternalPlan { nat: false, ..plan };
        assert!(!host("t".into(), "sx0", &plan, &[]).replacement().contains("masquerade"));
    }
}
