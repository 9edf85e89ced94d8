//! IP protocols as Neutron names them.

use sahab_contract::Error;
use serde_json::{Value, json};

use crate::attribute::check::{Fault, shown};

const NAMES: [(&str, u8); 26] = [
    ("ah", 51),
    ("dccp", 33),
    ("egp", 8),
    ("esp", 50),
    ("gre", 47),
    ("hopopt", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ip", 0),
    ("ipip", 4),
    ("ipv6-encap", 41),
    ("ipv6-frag", 44),
    ("ipv6-icmp", 58),
    ("icmpv6", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-route", 43),
    ("ospf", 89),
    ("pgm", 113),
    ("rsvp", 46),
    ("sctp", 132),
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("vrrp", 112),
    ("ipv4", 4),
];
const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;
const ICMP: u8 = 1;
pub const ICMP6: u8 = 58;
/// Only in IPv6 packets.
const ONLY_IPV6: [u8; 6] = [41, 43, 44, ICMP6, 59, 60];

/// The protocol's number, from its name or number as text.
pub fn number(text: &str) -> Option<u8> {
    NAMES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number).or_else(|| text.parse().ok())
}

pub fn has_ports(number: u8) -> bool {
    matches!(number, TCP | UDP | DCCP | SCTP | UDPLITE)
}

pub fn is_icmp(number: u8) -> bool {
    matches!(number, ICMP | ICMP6)
}

pub fn only_ipv6(number: u8) -> bool {
    ONLY_IPV6.contains(&number)
}

/// Name in lower case, or number as text; `any` is null.
pub fn parse(_: &str, value: Value) -> Result<Value, Fault> {
    let text = match &value {
        Value::Null => return Ok(Value::Null),
        Value::String(text) => text.to_ascii_lowercase(),
        Value::Number(number) => number.to_string(),
        other => shown(other),
    };
    if text == "any" || text.is_empty() {
        return Ok(Value::Null);
    }
    if number(&text).is_some() {
        return Ok(json!(text));
    }
    let known: Vec<_> = NAMES.iter().map(|(name, _)| format!("'{name}'")).collect();
    Err(Fault::Error(Error::invalid(
        "SecurityGroupRuleInvalidProtocol",
        format!(
            "Security group rule protocol {} not supported. Only protocol values [{}] and integer representations [0 \
             to 255] are supported.",
            shown(&value),
            known.join(", ")
        ),
    )))
}
