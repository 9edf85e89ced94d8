//! Addresses: which one a port gets, and that nobody gets it twice.
//!
//! All of it runs inside the write transaction, and an address in use is a row whose key is (network, address); two
//! creations cannot meet.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;
use rand::Rng;
use sahab_contract::{Error, Result};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    db::{
        self, allocation,
        lists::{Pool, Pools},
        port_table, subnet,
    },
    error::invalid_input,
    port,
};

/// How many random addresses are tried before all that are in use are read.
const RANDOM_PICKS: usize = 16;

/// One element of `fixed_ips` as the user sent it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    pub subnet_id: Option<String>,
    pub ip_address: Option<IpAddr>,
}

/// For whom addresses are looked for.
pub struct Seeker<'a> {
    pub network_id: &'a str,
    pub port_id: &'a str,
    pub device_owner: &'a str,
    pub mac: &'a str,
}

pub fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

pub fn address(number: u128, four: bool) -> IpAddr {
    if four {
        IpAddr::V4(Ipv4Addr::from(u32::try_from(number & 0xffff_ffff).unwrap_or_default()))
    } else {
        IpAddr::V6(Ipv6Addr::from(number))
    }
}

/// The first host address: where the gateway is unless the user says otherwise.
pub fn first_address(cidr: IpNet) -> Option<IpAddr> {
    let four = matches!(cidr, IpNet::V4(_));
    let single = if four { 32 } else { 128 };
    let first = number(cidr.network()) + u128::from(cidr.prefix_len() < single);
    Some(address(first, four))
}

/// The whole range without network, broadcast (IPv4), subnet-router anycast (IPv6) and gateway.
pub fn default_pools(cidr: IpNet, gateway: Option<IpAddr>) -> Pools {
    let four = matches!(cidr, IpNet::V4(_));
    let (mut first, mut last) = (number(cidr.network()), number(cidr.broadcast()));
    let hosts = if four { 32 } else { 128 } - u32::from(cidr.prefix_len());
    if hosts >= 2 {
        first += 1;
        if four {
            last -= 1;
        }
    }
    let mut ranges = vec![(first, last)];
    if let Some(gateway) = gateway.filter(|gateway| cidr.contains(gateway)).map(number)
        && first <= gateway
        && gateway <= last
    {
        ranges.clear();
        if gateway > first {
            ranges.push((first, gateway - 1));
        }
        if gateway < last {
            ranges.push((gateway + 1, last));
        }
    }
    Pools(
        ranges.into_iter().map(|(start, end)| Pool { start: address(start, four), end: address(end, four) }).collect(),
    )
}

/// Whether hosts of the subnet make their address from their MAC.
pub fn is_automatic(subnet: &subnet::Model) -> bool {
    let automatic = |mode: &Option<String>| matches!(mode.as_deref(), Some("slaac" | "dhcpv6-stateless"));
    automatic(&subnet.ipv6_address_mode) || automatic(&subnet.ipv6_ra_mode)
}

/// The modified EUI-64 address of a MAC in a /64 prefix.
pub fn eui64(cidr: IpNet, mac: &str) -> Option<IpAddr> {
    let octets: Vec<u8> = mac.split(':').filter_map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
    let [a, b, c, d, e, f] = octets.as_slice() else { return None };
    let id = u64::from_be_bytes([a ^ 2, *b, *c, 0xff, 0xfe, *d, *e, *f]);
    Some(address(number(cidr.network()) | u128::from(id), false))
}

/// A port's addresses in order.
pub async fn of_port(connection: &impl ConnectionTrait, port: &str) -> Result<Vec<allocation::Model>> {
    let query = allocation::Entity::find().filter(allocation::Column::PortId.eq(port));
    Ok(query.order_by_asc(allocation::Column::Position).all(connection).await?)
}

pub async fn release_port(connection: &impl ConnectionTrait, port: &str) -> Result<()> {
    allocation::Entity::delete_many().filter(allocation::Column::PortId.eq(port)).exec(connection).await?;
    Ok(())
}

pub async fn release_subnet(connection: &impl ConnectionTrait, subnet: &str) -> Result<()> {
    allocation::Entity::delete_many().filter(allocation::Column::SubnetId.eq(subnet)).exec(connection).await?;
    Ok(())
}

/// Addresses of a port that named none: one IPv4, one IPv6, and one of every automatic subnet.
pub async fn choose(connection: &impl ConnectionTrait, seeker: &Seeker<'_>) -> Result<Vec<allocation::Model>> {
    choose_of(connection, seeker, &[4, 6]).await
}

/// One IPv4 address.
pub async fn choose_v4(connection: &impl ConnectionTrait, seeker: &Seeker<'_>) -> Result<Vec<allocation::Model>> {
    choose_of(connection, seeker, &[4]).await
}

async fn choose_of(
    connection: &impl ConnectionTrait,
    seeker: &Seeker<'_>,
    versions: &[i32],
) -> Result<Vec<allocation::Model>> {
    let subnets = usable(connection, seeker).await?;
    let mut rows = Vec::new();
    for version in versions.iter().copied() {
        let candidates: Vec<_> = subnets.iter().filter(|row| row.ip_version == version && !is_automatic(row)).collect();
        let mut found = None;
        for row in &candidates {
            if let Some(ip) = free_address(connection, seeker, row).await? {
                found = Some((ip, row.id.clone()));
                break;
            }
        }
        match found {
            Some((ip, subnet)) => rows.push(take(connection, seeker, &subnet, ip, rows.len()).await?),
            None if candidates.is_empty() => {}
            None => return Err(exhausted(seeker.network_id)),
        }
    }
    if seeker.device_owner == port::FLOATING_IP {
        return Ok(rows);
    }
    automatic(connection, seeker, &subnets, rows).await
}

/// Addresses by the user's wishes, and one of every automatic subnet unless the port is a router's.
pub async fn claim(
    connection: &impl ConnectionTrait,
    seeker: &Seeker<'_>,
    wishes: &[Wish],
) -> Result<Vec<allocation::Model>> {
    let subnets = crate::subnet::of_network(connection, seeker.network_id).await?;
    let mut rows: Vec<allocation::Model> = Vec::new();
    for wish in wishes {
        let subnet = match (&wish.subnet_id, wish.ip_address) {
            (None, None) => return Err(invalid_input("IP allocation requires subnet_id or ip_address")),
            (Some(id), _) => Some(subnets.iter().find(|row| row.id == *id).ok_or_else(|| {
                invalid_input(format!(
                    "Failed to create port on network {}, because fixed_ips included invalid subnet {id}",
                    seeker.network_id
                ))
            })?),
            (None, Some(ip)) => subnets.iter().find(|row| contains(row, ip)),
        };
        let Some(subnet) = subnet else {
            let ip = wish.ip_address.map(|ip| ip.to_string()).unwrap_or_default();
            return Err(Error::invalid(
                "InvalidIpForNetwork",
                format!("IP address {ip} is not a valid IP for any of the subnets on the specified network."),
            ));
        };
        let made = is_automatic(subnet) && !port::is_router(seeker.device_owner);
        let ip = match wish.ip_address {
            Some(ip) => {
                check_wish(subnet, ip)?;
                if made && eui64(subnet.cidr.parse()?, seeker.mac) != Some(ip) {
                    return Err(Error::invalid(
                        "AllocationOnAutoAddressSubnet",
                        format!(
                            "IPv6 address {ip} cannot be directly assigned to a port on subnet {} as the subnet is \
                             configured for automatic addresses",
                            subnet.id
                        ),
                    ));
                }
                ip
            }
            None if made => eui64(subnet.cidr.parse()?, seeker.mac).ok_or_else(|| exhausted(seeker.network_id))?,
            None => free_address(connection, seeker, subnet).await?.ok_or_else(|| exhausted(seeker.network_id))?,
        };
        if !rows.iter().any(|row| made && row.ip_address == ip.to_string()) {
            rows.push(take(connection, seeker, &subnet.id, ip, rows.len()).await?);
        }
    }
    if seeker.device_owner == port::FLOATING_IP || wishes.is_empty() {
        return Ok(rows);
    }
    automatic(connection, seeker, &subnets, rows).await
}

/// Adds the address of every automatic subnet that is not there yet.
async fn automatic(
    connection: &impl ConnectionTrait,
    seeker: &Seeker<'_>,
    subnets: &[subnet::Model],
    mut rows: Vec<allocation::Model>,
) -> Result<Vec<allocation::Model>> {
    if port::is_router(seeker.device_owner) {
        return Ok(rows);
    }
    for subnet in subnets.iter().filter(|row| is_automatic(row)) {
        if rows.iter().any(|row| row.subnet_id == subnet.id) {
            continue;
        }
        if let Some(ip) = eui64(subnet.cidr.parse()?, seeker.mac) {
            rows.push(take(connection, seeker, &subnet.id, ip, rows.len()).await?);
        }
    }
    Ok(rows)
}

/// A new automatic subnet gives an address to every port of the network that is not a router's.
pub async fn add_automatic(connection: &impl ConnectionTrait, subnet: &subnet::Model) -> Result<()> {
    let ports =
        port_table::Entity::find().filter(port_table::Column::NetworkId.eq(&subnet.network_id)).all(connection).await?;
    for row in ports.iter().filter(|row| !port::is_router(&row.device_owner)) {
        let seeker = Seeker {
            network_id: &row.network_id,
            port_id: &row.id,
            device_owner: &row.device_owner,
            mac: &row.mac_address,
        };
        let position = of_port(connection, &row.id).await?.len();
        if let Some(ip) = eui64(subnet.cidr.parse()?, &row.mac_address) {
            take(connection, &seeker, &subnet.id, ip, position).await?;
        }
    }
    Ok(())
}

fn contains(row: &subnet::Model, ip: IpAddr) -> bool {
    row.cidr.parse::<IpNet>().is_ok_and(|net| net.contains(&ip))
}

fn check_wish(subnet: &subnet::Model, ip: IpAddr) -> Result<()> {
    let cidr: IpNet = subnet.cidr.parse()?;
    let edge = match cidr {
        IpNet::V4(net) => {
            net.prefix_len() < 31 && (ip == IpAddr::V4(net.network()) || ip == IpAddr::V4(net.broadcast()))
        }
        IpNet::V6(_) => false,
    };
    if cidr.contains(&ip) && !edge {
        return Ok(());
    }
    Err(Error::invalid("InvalidIpForSubnet", format!("IP address {ip} is not a valid IP for the specified subnet.")))
}

/// Subnets that a port of this owner may use: those made for its kind, else those for everybody.
async fn usable(connection: &impl ConnectionTrait, seeker: &Seeker<'_>) -> Result<Vec<subnet::Model>> {
    let all = crate::subnet::of_network(connection, seeker.network_id).await?;
    let (typed, open): (Vec<_>, Vec<_>) = all.into_iter().partition(|row| !row.service_types.0.is_empty());
    let matching: Vec<_> = typed
        .into_iter()
        .filter(|row| row.service_types.0.iter().any(|kind| seeker.device_owner.starts_with(kind.as_str())))
        .collect();
    Ok(if matching.is_empty() { open } else { matching })
}

/// A free address of the pools: random, so that a released one is not soon reused, except for DHCP ports.
async fn free_address(
    connection: &impl ConnectionTrait,
    seeker: &Seeker<'_>,
    subnet: &subnet::Model,
) -> Result<Option<IpAddr>> {
    let four = subnet.ip_version == 4;
    let pools = subnet.allocation_pools.0.iter().map(|pool| (number(pool.start), number(pool.end)));
    let pools: Vec<(u128, u128)> = pools.filter(|(start, end)| start <= end).collect();
    if pools.is_empty() {
        return Ok(None);
    }
    let random = seeker.device_owner != port::DHCP;
    if random && let Some(ip) = random_address(connection, seeker, &pools, four).await? {
        return Ok(Some(ip));
    }
    // Nearly full, or the lowest is wanted: only now are all addresses in use read.
    let used: HashSet<u128> = allocation::Entity::find()
        .select_only()
        .column(allocation::Column::IpAddress)
        .filter(allocation::Column::SubnetId.eq(&subnet.id))
        .into_tuple()
        .all(connection)
        .await?
        .iter()
        .filter_map(|text: &String| text.parse().ok())
        .map(number)
        .collect();
    for (start, end) in pools {
        let middle = if random { rand::rng().random_range(start..=end) } else { start };
        let free = (middle..=end).chain(start..middle).find(|pick| !used.contains(pick));
        if let Some(pick) = free {
            return Ok(Some(address(pick, four)));
        }
    }
    Ok(None)
}

/// The first free one of some random addresses, looked up by their keys: the cost does not grow with the subnet.
async fn random_address(
    connection: &impl ConnectionTrait,
    seeker: &Seeker<'_>,
    pools: &[(u128, u128)],
    four: bool,
) -> Result<Option<IpAddr>> {
    let picks: Vec<IpAddr> = {
        let mut random = rand::rng();
        let mut pick = || {
            let (start, end) = pools[random.random_range(0..pools.len())];
            address(random.random_range(start..=end), four)
        };
        (0..RANDOM_PICKS).map(|_| pick()).collect()
    };
    let used: HashSet<String> = allocation::Entity::find()
        .select_only()
        .column(allocation::Column::IpAddress)
        .filter(allocation::Column::NetworkId.eq(seeker.network_id))
        .filter(allocation::Column::IpAddress.is_in(picks.iter().map(IpAddr::to_string)))
        .into_tuple()
        .all(connection)
        .await?
        .into_iter()
        .collect();
    Ok(picks.into_iter().find(|pick| !used.contains(&pick.to_string())))
}

async fn take(
    connection: &impl ConnectionTrait,
    seeker: &Seeker<'_>,
    subnet: &str,
    ip: IpAddr,
    position: usize,
) -> Result<allocation::Model> {
    let row = allocation::Model {
        network_id: seeker.network_id.to_owned(),
        ip_address: ip.to_string(),
        subnet_id: subnet.to_owned(),
        port_id: seeker.port_id.to_owned(),
        position: i32::try_from(position).unwrap_or(i32::MAX),
    };
    db::insert(connection, row.clone()).await.map_err(|error| match error.is_conflict() {
        true => Error::conflict(
            "IpAddressAlreadyAllocated",
            format!("IP address {ip} already allocated in subnet {subnet}"),
        ),
        false => error,
    })?;
    Ok(row)
}

fn exhausted(network: &str) -> Error {
    Error::conflict("IpAddressGenerationFailure", format!("No more IP addresses available on network {network}."))
}
