//! What makes a port's lists valid.

use std::net::IpAddr;

use ipnet::IpNet;
use sahab_contract::{Error, Result};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use serde_json::{Map, Value, json};

use crate::{
    attribute::{
        Attributes,
        check::{self, Fault, shown},
    },
    db::{
        allocation,
        lists::{DhcpOption, Pair},
        port_table as table,
    },
    error::invalid_input,
    ipam::Wish,
};

pub const VNIC_TYPES: &[&str] = &[
    "normal",
    "direct",
    "macvtap",
    "baremetal",
    "direct-physical",
    "virtio-forwarder",
    "smart-nic",
    "vdpa",
    "accelerator-direct",
    "accelerator-direct-physical",
    "remote-managed",
];
const MAX_PAIRS: usize = 10;
const MAX_PROFILE: usize = 4095;
const MAX_ADDRESSES: usize = 64;

fn refuse<T>(text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Reason(text.into()))
}

/// A list of wishes; keys other than `subnet_id` and `ip_address` are dropped.
pub fn fixed_ips(_: &str, value: Value) -> Result<Value, Fault> {
    let Some(list) = value.as_array() else {
        return refuse(format!("Invalid data format for fixed IP: '{}'", shown(&value)));
    };
    if list.len() > MAX_ADDRESSES {
        return refuse(format!("more than {MAX_ADDRESSES} fixed IPs"));
    }
    let mut out: Vec<Value> = Vec::new();
    for item in list {
        let Some(wish) = item.as_object() else {
            return refuse(format!("Invalid data format for fixed IP: '{}'", shown(item)));
        };
        let mut kept = Map::new();
        if let Some(ip) = wish.get("ip_address").filter(|value| !value.is_null()) {
            let ip = json!(check::ip(ip)?.to_string());
            if out.iter().any(|other| other["ip_address"] == ip) {
                return refuse(format!("Duplicate IP address '{}'", shown(&ip)));
            }
            kept.insert("ip_address".into(), ip);
        }
        if let Some(subnet) = wish.get("subnet_id").filter(|value| !value.is_null()) {
            match subnet.as_str() {
                Some(id) if check::is_uuid(id) => kept.insert("subnet_id".into(), json!(id.to_ascii_lowercase())),
                _ => return refuse(format!("'{}' is not a valid UUID", shown(subnet))),
            };
        }
        out.push(Value::Object(kept));
    }
    Ok(Value::Array(out))
}

pub fn wishes(attributes: &Attributes) -> Result<Vec<Wish>> {
    let list = attributes.get("fixed_ips").and_then(Value::as_array);
    let wish = |item: &Value| Wish {
        subnet_id: item["subnet_id"].as_str().map(str::to_owned),
        ip_address: item["ip_address"].as_str().and_then(|text| text.parse().ok()),
    };
    let wishes: Vec<Wish> = list.into_iter().flatten().map(wish).collect();
    if wishes.iter().any(|wish| *wish == Wish::default()) {
        return Err(invalid_input("IP allocation requires subnet_id or ip_address"));
    }
    Ok(wishes)
}

pub fn pairs(_: &str, value: Value) -> Result<Value, Fault> {
    let Some(list) = value.as_array() else {
        return refuse(format!("Allowed address pairs must be a list, got '{}'", shown(&value)));
    };
    if list.len() > MAX_PAIRS {
        return Err(Fault::Error(Error::invalid(
            "AllowedAddressPairExhausted",
            format!("The number of allowed address pair exceeds the maximum {MAX_PAIRS}."),
        )));
    }
    let mut out: Vec<Value> = Vec::new();
    for item in list {
        let Some(pair) = item.as_object() else {
            return refuse(format!("'{}' is not a dictionary", shown(item)));
        };
        let Some(address) = pair.get("ip_address") else {
            return Err(Fault::Error(Error::invalid(
                "AllowedAddressPairsMissingIP",
                "AllowedAddressPair must contain ip_address",
            )));
        };
        let text = address.as_str().unwrap_or_default();
        if text.parse::<IpAddr>().is_err() && text.parse::<IpNet>().is_err() {
            return refuse(format!("'{}' is not a valid IP address", shown(address)));
        }
        if let Some(other) = pair.keys().find(|key| !matches!(key.as_str(), "ip_address" | "mac_address" | "active")) {
            return refuse(format!("Unrecognized attribute(s) '{other}'"));
        }
        let mut kept = json!({"ip_address": text});
        if let Some(mac) = pair.get("mac_address").filter(|value| !value.is_null()) {
            kept["mac_address"] = json!(check::mac(mac)?);
        }
        if out.contains(&kept) {
            let mac = kept["mac_address"].as_str().unwrap_or_default();
            return Err(Fault::Error(Error::invalid(
                "DuplicateAddressPairInRequest",
                format!("Request contains duplicate address pair: mac_address {mac} ip_address {text}."),
            )));
        }
        out.push(kept);
    }
    Ok(Value::Array(out))
}

/// Pairs with the port's MAC where none is named.
pub fn pairs_of(attributes: &Attributes, mac: &str) -> Result<Vec<Pair>> {
    let list = attributes.get("allowed_address_pairs").and_then(Value::as_array);
    let pairs: Vec<Pair> = list
        .into_iter()
        .flatten()
        .map(|item| Pair {
            ip_address: item["ip_address"].as_str().unwrap_or_default().to_owned(),
            mac_address: item["mac_address"].as_str().unwrap_or(mac).to_owned(),
        })
        .collect();
    for (index, pair) in pairs.iter().enumerate() {
        if pairs[..index].contains(pair) {
            return Err(Error::invalid(
                "DuplicateAddressPairInRequest",
                format!(
                    "Request contains duplicate address pair: mac_address {} ip_address {}.",
                    pair.mac_address, pair.ip_address
                ),
            ));
        }
    }
    Ok(pairs)
}

/// Groups and pairs need port security.
pub fn guard(guarded: bool, groups: &[String], pairs: &[Pair], groups_given: bool) -> Result<()> {
    if guarded {
        return Ok(());
    }
    if !groups.is_empty() {
        return Err(if groups_given {
            Error::invalid(
                "PortSecurityAndIPRequiredForSecurityGroups",
                "Port security must be enabled and port must have an IP address in order to use security groups.",
            )
        } else {
            Error::conflict(
                "PortSecurityPortHasSecurityGroup",
                "Port has security group associated. Cannot disable port security or IP address until security group \
                 is removed.",
            )
        });
    }
    if !pairs.is_empty() {
        return Err(Error::conflict(
            "AddressPairAndPortSecurityRequired",
            "Port Security must be enabled in order to have allowed address pairs on a port.",
        ));
    }
    Ok(())
}

pub fn dhcp_options(_: &str, value: Value) -> Result<Value, Fault> {
    if value.is_null() {
        return Ok(json!([]));
    }
    let mut out: Vec<Value> = Vec::new();
    for item in check::list(&value)? {
        let Some(option) = item.as_object() else {
            return refuse(format!("'{}' is not a dictionary", shown(item)));
        };
        let Some(name) = option.get("opt_name").and_then(Value::as_str).filter(|name| !name.trim().is_empty()) else {
            return refuse("Expected keys not found: 'opt_name'");
        };
        let text = match option.get("opt_value") {
            None | Some(Value::Null) => Value::Null,
            Some(Value::String(text)) if name == "dhcp-option-list" || !text.trim().is_empty() => json!(text),
            Some(other) => return refuse(format!("'{}' Blank strings are not permitted", shown(other))),
        };
        let plain = |text: &str| text.len() <= 255 && !text.contains(['\n', '\r', '\0']);
        if !plain(name) || !text.as_str().is_none_or(plain) {
            return refuse(format!("'{}' is not a valid string", shown(item)));
        }
        let version = match option.get("ip_version") {
            None | Some(Value::Null) => 4,
            Some(version) => match check::integer(version)? {
                version @ (4 | 6) => version,
                _ => return refuse(format!("{} is not in valid_values", shown(version))),
            },
        };
        if out.iter().any(|other| other["opt_name"] == name && other["ip_version"] == version) {
            return refuse(format!("Duplicate extra_dhcp_opts '{name}'"));
        }
        out.push(json!({"opt_name": name, "opt_value": text, "ip_version": version}));
    }
    Ok(Value::Array(out))
}

pub fn options_of(attributes: &Attributes) -> Result<Vec<DhcpOption>> {
    changed_options(&[], attributes)
}

/// Options sent replace those of the same name and family; a null value removes one.
pub fn changed_options(before: &[DhcpOption], attributes: &Attributes) -> Result<Vec<DhcpOption>> {
    let mut out = before.to_vec();
    let list = attributes.get("extra_dhcp_opts").and_then(Value::as_array);
    for item in list.into_iter().flatten() {
        let name = item["opt_name"].as_str().unwrap_or_default();
        let version = if item["ip_version"] == 6 { 6 } else { 4 };
        out.retain(|option| option.opt_name != name || option.ip_version != version);
        if let Some(text) = item["opt_value"].as_str() {
            out.push(DhcpOption { opt_name: name.to_owned(), opt_value: text.to_owned(), ip_version: version });
        }
    }
    Ok(out)
}

pub fn profile(_: &str, value: Value) -> Result<Value, Fault> {
    match &value {
        Value::Null => Ok(json!({})),
        Value::Object(_) if value.to_string().len() <= MAX_PROFILE => Ok(value),
        Value::Object(_) => refuse("binding:profile value too large"),
        other => refuse(format!("'{}' is not a dictionary", shown(other))),
    }
}

pub fn tags(_: &str, value: Value) -> Result<Value, Fault> {
    if value.is_null() {
        return Ok(json!([]));
    }
    Ok(json!(crate::tag::parse(Some(&value))?))
}

/// `fixed_ips=ip_address=…`: values of one sub-key are alternatives, different sub-keys must all hold.
pub fn fixed_ips_filter(values: &[&str]) -> Result<Condition> {
    let (mut subnets, mut addresses, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        match value.split_once('=') {
            Some(("subnet_id", id)) => subnets.push(id),
            Some(("ip_address", ip)) => {
                addresses.push(ip.parse::<IpAddr>().map_or_else(|_| ip.to_owned(), |ip| ip.to_string()));
            }
            Some(("ip_address_substr", part)) => parts.push(part),
            _ => return Err(invalid_input(format!("'{value}' is not in the form of <key>=[value]"))),
        }
    }
    let holds = |condition: Condition| {
        let ports = allocation::Entity::find().select_only().column(allocation::Column::PortId).filter(condition);
        table::Column::Id.in_subquery(ports.into_query())
    };
    let mut all = Condition::all();
    // One address must satisfy both subnet and address, as upstream's join does.
    let mut row = Condition::all();
    if !subnets.is_empty() {
        row = row.add(allocation::Column::SubnetId.is_in(subnets));
    }
    if !addresses.is_empty() {
        row = row.add(allocation::Column::IpAddress.is_in(addresses));
    }
    if !parts.is_empty() {
        let mut any = Condition::any();
        for part in parts {
            any = any.add(allocation::Column::IpAddress.contains(part));
        }
        row = row.add(any);
    }
    all = all.add(holds(row));
    Ok(all)
}
