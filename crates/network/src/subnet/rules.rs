//! What makes a subnet valid.

use std::net::IpAddr;

use ipnet::IpNet;
use sahab_contract::{Error, Result};
use serde_json::{Value, json};

use crate::{
    attribute::{
        Attributes,
        check::{self, Fault},
    },
    db::{
        lists::{Pool, Pools, Routes},
        subnet,
    },
    error::invalid_input,
    ipam,
};

const MAX_NAMESERVERS: usize = 5;
const MAX_ROUTES: usize = 20;

/// Computed parts of a new subnet.
pub struct Checked {
    pub gateway: Option<IpAddr>,
    pub pools: Pools,
}

/// A pool's id, or null. Prefix delegation needs a router that asks a provider, which does not exist here.
pub fn pool_reference(_: &str, value: Value) -> Result<Value, Fault> {
    match value.as_str() {
        None if value.is_null() => Ok(value),
        Some("prefix_delegation") => Err(Fault::Reason("prefix delegation is not supported".into())),
        Some(text) if check::is_uuid(text) => Ok(json!(text.to_ascii_lowercase())),
        _ => Err(Fault::Reason(format!("'{}' is not a valid UUID", check::shown(&value)))),
    }
}

/// A prefix with or without host bits; null is as good as absent.
pub fn cidr_value(_: &str, value: Value) -> Result<Value, Fault> {
    if value.is_null() {
        return Ok(value);
    }
    match value.as_str().and_then(|text| text.parse::<IpNet>().ok()) {
        Some(net) => Ok(json!(net.trunc().to_string())),
        None => Err(Fault::Reason(format!("'{}' is not a valid IP subnet", check::shown(&value)))),
    }
}

/// All subnets of a network and family come from one pool, or none from a pool.
pub fn same_pool(siblings: &[subnet::Model], version: i32, pool: Option<&str>) -> Result<()> {
    let other = siblings.iter().any(|row| row.ip_version == version && row.subnetpool_id.as_deref() != pool);
    if other && (pool.is_some() || siblings.iter().any(|row| row.ip_version == version && row.subnetpool_id.is_some()))
    {
        return Err(Error::invalid(
            "NetworkSubnetPoolAffinityError",
            "Subnets hosted on the same network must be allocated from the same subnet pool.",
        ));
    }
    Ok(())
}

pub fn refuse_overlap(siblings: &[subnet::Model], cidr: IpNet) -> Result<()> {
    for row in siblings {
        if let Ok(other) = row.cidr.parse::<IpNet>()
            && overlaps(cidr, other)
        {
            return Err(invalid_input(format!(
                "Requested subnet with cidr: {cidr} for network: {} overlaps with another subnet",
                row.network_id
            )));
        }
    }
    Ok(())
}

pub fn overlaps(one: IpNet, other: IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

pub fn check_new(attributes: &Attributes, cidr: IpNet, version: i32) -> Result<Checked> {
    if (version == 4) != matches!(cidr, IpNet::V4(_)) {
        return Err(invalid_input(format!("CIDR {cidr} does not match the ip_version '{version}'")));
    }
    let dhcp = attributes.flag("enable_dhcp");
    check_range(cidr, dhcp)?;
    check_modes(attributes, cidr, version, dhcp)?;
    let gateway = match attributes.get("gateway_ip") {
        None => ipam::first_address(cidr),
        Some(_) => attributes.parsed::<IpAddr>("gateway_ip"),
    };
    let asked = attributes.was_given("gateway_ip");
    if let Some(gateway) = gateway.filter(|_| asked) {
        check_gateway(cidr, gateway, version)?;
    }
    let pools = if attributes.get("allocation_pools").is_some() {
        let pools: Pools = attributes.structure("allocation_pools")?;
        check_pools(&pools, cidr)?;
        if let Some(gateway) = gateway {
            refuse_gateway_in_pool(gateway, &pools)?;
        }
        pools
    } else {
        ipam::default_pools(cidr, gateway)
    };
    check_counts(attributes.texts("dns_nameservers").len(), &attributes.structure::<Routes>("host_routes")?)?;
    check_families(version, &attributes.texts("dns_nameservers"), &attributes.structure::<Routes>("host_routes")?)?;
    Ok(Checked { gateway, pools })
}

/// A changed subnet, as far as what changed can make it invalid.
pub fn check_change(before: &subnet::Model, after: &subnet::Model) -> Result<()> {
    let cidr: IpNet = after.cidr.parse()?;
    let gateway = after.gateway_ip.as_deref().and_then(|text| text.parse::<IpAddr>().ok());
    if after.gateway_ip != before.gateway_ip
        && let Some(gateway) = gateway
    {
        check_gateway(cidr, gateway, after.ip_version)?;
    }
    if after.allocation_pools != before.allocation_pools {
        check_pools(&after.allocation_pools, cidr)?;
    }
    if let Some(gateway) =
        gateway.filter(|_| after.gateway_ip != before.gateway_ip || after.allocation_pools != before.allocation_pools)
    {
        refuse_gateway_in_pool(gateway, &after.allocation_pools)?;
    }
    if !after.enable_dhcp && before.enable_dhcp && (after.ipv6_ra_mode.is_some() || after.ipv6_address_mode.is_some()) {
        return Err(invalid_input("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False"));
    }
    if after.enable_dhcp && !before.enable_dhcp {
        check_range(cidr, true)?;
    }
    check_counts(after.dns_nameservers.0.len(), &after.host_routes)?;
    check_families(after.ip_version, &after.dns_nameservers.0, &after.host_routes)
}

fn check_counts(nameservers: usize, routes: &Routes) -> Result<()> {
    if nameservers > MAX_NAMESERVERS {
        return Err(Error::invalid(
            "DNSNameServersExhausted",
            format!(
                "Unable to complete operation for the subnet. The number of DNS nameservers exceeds the limit {MAX_NAMESERVERS}."
            ),
        ));
    }
    if routes.0.len() > MAX_ROUTES {
        return Err(Error::invalid(
            "HostRoutesExhausted",
            format!(
                "Unable to complete operation for the subnet. The number of host routes exceeds the limit {MAX_ROUTES}."
            ),
        ));
    }
    Ok(())
}

fn check_families(version: i32, nameservers: &[String], routes: &Routes) -> Result<()> {
    let four = version == 4;
    for server in nameservers {
        if server.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4() != four) && four {
            return Err(invalid_input(format!(
                "'dns_nameserver' '{server}' does not match the ip_version '{version}'"
            )));
        }
    }
    for route in &routes.0 {
        if matches!(route.destination, IpNet::V4(_)) != four || route.nexthop.is_ipv4() != four {
            return Err(invalid_input(format!(
                "'host_routes' '{}' does not match the ip_version '{version}'",
                route.destination
            )));
        }
    }
    Ok(())
}

fn check_range(cidr: IpNet, dhcp: bool) -> Result<()> {
    let longest = if matches!(cidr, IpNet::V4(_)) { 31 } else { 127 };
    if dhcp && cidr.prefix_len() >= longest {
        return Err(invalid_input(format!("Subnet {cidr} has too few addresses for DHCP: enable_dhcp must be False")));
    }
    let network = cidr.network();
    if dhcp && (network.is_multicast() || network.is_loopback() || network.is_unspecified()) {
        return Err(invalid_input(format!(
            "Subnet {cidr} cannot be used: multicast, loopback and unspecified ranges have no DHCP"
        )));
    }
    Ok(())
}

fn check_modes(attributes: &Attributes, cidr: IpNet, version: i32, dhcp: bool) -> Result<()> {
    let (ra, address) = (attributes.maybe_text("ipv6_ra_mode"), attributes.maybe_text("ipv6_address_mode"));
    if ra.is_none() && address.is_none() {
        return Ok(());
    }
    if version == 4 {
        return Err(invalid_input("ipv6_ra_mode and ipv6_address_mode are only valid for IPv6 subnets"));
    }
    if !dhcp {
        return Err(invalid_input("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False"));
    }
    if let (Some(ra), Some(address)) = (&ra, &address)
        && ra != address
    {
        return Err(invalid_input(format!(
            "ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. If both attributes are set, they must be the same value"
        )));
    }
    let automatic = |mode: &Option<String>| mode.as_deref().is_some_and(|mode| mode != "dhcpv6-stateful");
    if (automatic(&ra) || automatic(&address)) && cidr.prefix_len() != 64 {
        return Err(invalid_input(format!(
            "Invalid CIDR {cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64"
        )));
    }
    Ok(())
}

/// The gateway may lie outside the subnet, but is no network or broadcast address.
fn check_gateway(cidr: IpNet, gateway: IpAddr, version: i32) -> Result<()> {
    if gateway.is_ipv4() != (version == 4) {
        return Err(invalid_input(format!("gateway_ip '{gateway}' does not match the ip_version '{version}'")));
    }
    let edge = version == 4 && cidr.prefix_len() < 31 && (gateway == cidr.network() || gateway == cidr.broadcast());
    if edge {
        return Err(invalid_input(format!("Gateway {gateway} is not valid on subnet")));
    }
    Ok(())
}

fn check_pools(pools: &Pools, cidr: IpNet) -> Result<()> {
    for (index, pool) in pools.0.iter().enumerate() {
        if pool.start.is_ipv4() != pool.end.is_ipv4() || pool.start > pool.end {
            return Err(Error::invalid(
                "InvalidAllocationPool",
                format!("The allocation pool {} is not valid.", shown(pool)),
            ));
        }
        let edge = |ip: IpAddr| {
            matches!(cidr, IpNet::V4(_)) && cidr.prefix_len() < 31 && (ip == cidr.network() || ip == cidr.broadcast())
        };
        if !cidr.contains(&pool.start) || !cidr.contains(&pool.end) || edge(pool.start) || edge(pool.end) {
            return Err(Error::invalid(
                "OutOfBoundsAllocationPool",
                format!("The allocation pool {} spans beyond the subnet cidr {cidr}.", shown(pool)),
            ));
        }
        if let Some(other) = pools.0[..index].iter().find(|other| pool.start <= other.end && other.start <= pool.end) {
            return Err(Error::conflict(
                "OverlappingAllocationPools",
                format!("Found overlapping allocation pools: {} {} for subnet {cidr}.", shown(other), shown(pool)),
            ));
        }
    }
    Ok(())
}

fn refuse_gateway_in_pool(gateway: IpAddr, pools: &Pools) -> Result<()> {
    match pools.0.iter().find(|pool| pool.start <= gateway && gateway <= pool.end) {
        None => Ok(()),
        Some(pool) => Err(Error::conflict(
            "GatewayConflictWithAllocationPools",
            format!("Gateway ip {gateway} conflicts with allocation pool {}.", shown(pool)),
        )),
    }
}

fn shown(pool: &Pool) -> String {
    format!("{}-{}", pool.start, pool.end)
}
