//! What makes a rule valid, and when two are the same.

use std::{collections::HashSet, net::IpAddr};

use ipnet::IpNet;
use sahab_contract::{Error, Result};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use serde_json::{Value, json};

use super::protocol;
use crate::{
    address_group,
    attribute::{
        Attributes,
        check::{self, Fault, shown},
    },
    db::{CHUNK, group, rule as table},
    listing::flag,
    resource::{Change, find},
    security_group,
};

pub fn ethertype(_: &str, value: Value) -> Result<Value, Fault> {
    match value.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("ipv4") => Ok(json!("IPv4")),
        Some("ipv6") => Ok(json!("IPv6")),
        _ => Err(Fault::Error(Error::invalid(
            "SecurityGroupRuleInvalidEtherType",
            format!(
                "Security group rule for ethertype '{}' not supported. Allowed values are ['IPv4', 'IPv6'].",
                shown(&value)
            ),
        ))),
    }
}

/// A port, ICMP type or ICMP code.
pub fn port(_: &str, value: Value) -> Result<Value, Fault> {
    if value.is_null() {
        return Ok(value);
    }
    match check::integer(&value) {
        Ok(number) if (0..=65535).contains(&number) => Ok(json!(number)),
        _ => Err(Fault::Error(bad_port(&shown(&value)))),
    }
}

fn bad_port(text: &str) -> Error {
    Error::invalid("SecurityGroupInvalidPortValue", format!("Invalid value for port {text}"))
}

/// A prefix as the user wrote it; a bare address gets its full length.
pub fn prefix(_: &str, value: Value) -> Result<Value, Fault> {
    let Some(text) = value.as_str() else {
        return match value {
            Value::Null => Ok(value),
            other => Err(Fault::Error(bad_prefix(&shown(&other)))),
        };
    };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(json!(IpNet::from(ip).to_string()));
    }
    match text.parse::<IpNet>() {
        Ok(net) => Ok(json!(net.to_string())),
        Err(_) => Err(Fault::Error(bad_prefix(&shown(&value)))),
    }
}

fn bad_prefix(text: &str) -> Error {
    Error::invalid("InvalidCIDR", format!("Invalid CIDR {text} given as IP prefix."))
}

/// A rule before it has an id.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub description: String,
    pub direction: String,
    pub ethertype: String,
    pub protocol: Option<String>,
    pub port_range_min: Option<i32>,
    pub port_range_max: Option<i32>,
    pub remote_ip_prefix: Option<String>,
    pub remote_group_id: Option<String>,
    pub remote_address_group_id: Option<String>,
}

impl Draft {
    /// From attributes whose values are checked one by one; here they are checked together.
    pub fn parse(attributes: &Attributes) -> Result<Self> {
        let mut draft = Draft {
            description: attributes.text("description"),
            direction: attributes.text("direction"),
            ethertype: attributes.text("ethertype"),
            protocol: attributes.maybe_text("protocol"),
            port_range_min: attributes.int("port_range_min"),
            port_range_max: attributes.int("port_range_max"),
            remote_ip_prefix: attributes.maybe_text("remote_ip_prefix"),
            remote_group_id: attributes.maybe_text("remote_group_id"),
            remote_address_group_id: attributes.maybe_text("remote_address_group_id"),
        };
        if draft.ethertype == "IPv6" && matches!(draft.protocol.as_deref(), Some("icmp" | "icmpv6")) {
            draft.protocol = Some("ipv6-icmp".into());
        }
        draft.check()?;
        Ok(draft)
    }

    fn check(&self) -> Result<()> {
        let number = self.protocol.as_deref().and_then(protocol::number);
        if self.ethertype == "IPv4" && number.is_some_and(protocol::only_ipv6) {
            return Err(Error::invalid(
                "SecurityGroupEthertypeConflictWithProtocol",
                format!("Invalid ethertype IPv4 for protocol {}.", self.protocol.as_deref().unwrap_or_default()),
            ));
        }
        self.check_range(number)?;
        let remotes = [&self.remote_ip_prefix, &self.remote_group_id, &self.remote_address_group_id];
        if remotes.iter().filter(|remote| remote.is_some()).count() > 1 {
            return Err(Error::invalid(
                "SecurityGroupMultipleRemoteEntites",
                "Only remote_ip_prefix, remote_group_id or remote_address_group_id may be provided.",
            ));
        }
        if let Some(prefix) = &self.remote_ip_prefix
            && prefix.contains(':') != (self.ethertype == "IPv6")
        {
            return Err(Error::invalid(
                "SecurityGroupRuleParameterConflict",
                format!("Conflicting value ethertype {} for CIDR {prefix}", self.ethertype),
            ));
        }
        Ok(())
    }

    fn check_range(&self, number: Option<u8>) -> Result<()> {
        let (min, max) = (self.port_range_min, self.port_range_max);
        if min.is_none() && max.is_none() {
            return Ok(());
        }
        let Some(number) = number else {
            return Err(Error::invalid(
                "SecurityGroupProtocolRequiredWithPorts",
                "Must also specify protocol if port range is given.",
            ));
        };
        if protocol::has_ports(number) {
            if min == Some(0) || max == Some(0) {
                return Err(bad_port("0"));
            }
            return match (min, max) {
                (Some(min), Some(max)) if min <= max => Ok(()),
                _ => Err(Error::invalid(
                    "SecurityGroupInvalidPortRange",
                    "For TCP/UDP protocols, port_range_min must be <= port_range_max",
                )),
            };
        }
        if !protocol::is_icmp(number) {
            return Err(Error::invalid(
                "SecurityGroupInvalidProtocolForPort",
                format!(
                    "Ports cannot be specified for protocol {}. Ports are only supported for ['dccp', 'sctp', 'tcp', \
                     'udp', 'udplite'].",
                    self.protocol.as_deref().unwrap_or_default()
                ),
            ));
        }
        for (value, field, name) in [(min, "type", "port_range_min"), (max, "code", "port_range_max")] {
            if let Some(value) = value.filter(|value| *value > 255) {
                return Err(Error::invalid(
                    "SecurityGroupInvalidIcmpValue",
                    format!("Invalid value for ICMP {field} ({name}) {value}. It must be 0 to 255."),
                ));
            }
        }
        match (min, max) {
            (None, Some(code)) => Err(Error::invalid(
                "SecurityGroupMissingIcmpType",
                format!("ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing."),
            )),
            _ => Ok(()),
        }
    }

    /// The remote groups must be there for the caller.
    pub async fn check_remotes(&self, change: &Change<'_>) -> Result<()> {
        if let Some(id) = &self.remote_group_id {
            find::<security_group::SecurityGroup>(&change.txn, change.context, id).await?;
        }
        if let Some(id) = &self.remote_address_group_id {
            find::<address_group::AddressGroup>(&change.txn, change.context, id).await?;
        }
        Ok(())
    }
}

/// Whether two rules of one group say the same: names and numbers of protocols are equal, "everywhere" is no prefix.
pub fn same_rule(one: &table::Model, other: &table::Model) -> bool {
    let protocol = |rule: &table::Model| rule.protocol.as_deref().and_then(protocol::number);
    let prefix =
        |rule: &table::Model| rule.remote_ip_prefix.clone().filter(|text| text != "0.0.0.0/0" && text != "::/0");
    one.direction == other.direction
        && one.ethertype == other.ethertype
        && protocol(one) == protocol(other)
        && one.port_range_min == other.port_range_min
        && one.port_range_max == other.port_range_max
        && one.remote_group_id == other.remote_group_id
        && one.remote_address_group_id == other.remote_address_group_id
        && prefix(one) == prefix(other)
}

/// The network that the prefix stands for.
pub fn normalized(model: &table::Model) -> Option<String> {
    model.remote_ip_prefix.as_deref()?.parse::<IpNet>().ok().map(|net| net.trunc().to_string())
}

pub fn filter(key: &str, values: &[&str]) -> Result<Condition> {
    if key == "normalized_cidr" {
        return Ok(Condition::all().add(table::Column::RemoteIpPrefix.is_in(values.iter().copied())));
    }
    let mut any = Condition::any();
    for value in values {
        let defaults = group::Entity::find()
            .select_only()
            .column(group::Column::Id)
            .filter(group::Column::IsDefault.eq(flag(value)?))
            .into_query();
        any = any.add(table::Column::SecurityGroupId.in_subquery(defaults));
    }
    Ok(any)
}

/// Which of the rules' groups are default groups.
pub async fn default_groups(connection: &impl ConnectionTrait, models: &[table::Model]) -> Result<HashSet<String>> {
    let ids: Vec<&str> =
        models.iter().map(|row| row.security_group_id.as_str()).collect::<HashSet<_>>().into_iter().collect();
    let mut out = HashSet::new();
    for ids in ids.chunks(CHUNK) {
        let rows: Vec<String> = group::Entity::find()
            .select_only()
            .column(group::Column::Id)
            .filter(group::Column::Id.is_in(ids.iter().copied()))
            .filter(group::Column::IsDefault.eq(true))
            .into_tuple()
            .all(connection)
            .await?;
        out.extend(rows);
    }
    Ok(out)
}
