//! Questions about ports that other resources ask too.

use std::collections::HashMap;

use rand::Rng;
use sahab_contract::{Error, Result};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{ROUTER_GATEWAY, ROUTER_INTERFACE};
use crate::{
    db::{CHUNK, allocation, port_group, port_table as table},
    error::port_not_found,
};

pub async fn get(connection: &impl ConnectionTrait, id: &str) -> Result<table::Model> {
    table::Entity::find_by_id(id).one(connection).await?.ok_or_else(|| port_not_found(id))
}

pub async fn group_ids(connection: &impl ConnectionTrait, port: &str) -> Result<Vec<String>> {
    let query = port_group::Entity::find().select_only().column(port_group::Column::GroupId);
    Ok(query
        .filter(port_group::Column::PortId.eq(port))
        .order_by_asc(port_group::Column::GroupId)
        .into_tuple()
        .all(connection)
        .await?)
}

/// Groups of several ports.
pub async fn groups_of(connection: &impl ConnectionTrait, ports: &[&str]) -> Result<HashMap<String, Vec<String>>> {
    let mut out: HashMap<String, Vec<String>> = HashMap::new();
    for ids in ports.chunks(CHUNK) {
        let rows = port_group::Entity::find()
            .filter(port_group::Column::PortId.is_in(ids.iter().copied()))
            .order_by_asc(port_group::Column::GroupId)
            .all(connection)
            .await?;
        for row in rows {
            out.entry(row.port_id).or_default().push(row.group_id);
        }
    }
    Ok(out)
}

/// Addresses of several ports, in their order.
pub async fn addresses_of(
    connection: &impl ConnectionTrait,
    ports: &[&str],
) -> Result<HashMap<String, Vec<allocation::Model>>> {
    let mut out: HashMap<String, Vec<allocation::Model>> = HashMap::new();
    for ids in ports.chunks(CHUNK) {
        let rows = allocation::Entity::find()
            .filter(allocation::Column::PortId.is_in(ids.iter().copied()))
            .order_by_asc(allocation::Column::Position)
            .all(connection)
            .await?;
        for row in rows {
            out.entry(row.port_id.clone()).or_default().push(row);
        }
    }
    Ok(out)
}

/// Routers with a leg in the network.
pub async fn routers_on(connection: &impl ConnectionTrait, network: &str) -> Result<Vec<String>> {
    Ok(table::Entity::find()
        .select_only()
        .column(table::Column::DeviceId)
        .distinct()
        .filter(table::Column::NetworkId.eq(network))
        .filter(table::Column::DeviceOwner.is_in([ROUTER_INTERFACE, ROUTER_GATEWAY]))
        .into_tuple()
        .all(connection)
        .await?)
}

/// 409 when another port of the network has the MAC.
pub async fn refuse_taken_mac(connection: &impl ConnectionTrait, network: &str, mac: &str, own: &str) -> Result<()> {
    let other = table::Entity::find()
        .filter(table::Column::NetworkId.eq(network))
        .filter(table::Column::MacAddress.eq(mac))
        .filter(table::Column::Id.ne(own))
        .one(connection)
        .await?;
    match other {
        None => Ok(()),
        Some(_) => Err(Error::conflict(
            "MacAddressInUse",
            format!("Unable to complete operation for network {network}. The mac address {mac} is in use."),
        )),
    }
}

/// A random MAC of OpenStack's range that the network does not have.
pub async fn free_mac(connection: &impl ConnectionTrait, network: &str) -> Result<String> {
    const TRIES: usize = 16;
    for _ in 0..TRIES {
        let [a, b, c]: [u8; 3] = rand::rng().random();
        let mac = format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}");
        if refuse_taken_mac(connection, network, &mac, "").await.is_ok() {
            return Ok(mac);
        }
    }
    Err(Error::unavailable(
        "MacAddressGenerationFailure",
        format!("Unable to generate unique mac on network {network}."),
    ))
}

/// Takes a port out of all its groups.
pub async fn clear_groups(connection: &impl ConnectionTrait, port: &str) -> Result<()> {
    port_group::Entity::delete_many().filter(port_group::Column::PortId.eq(port)).exec(connection).await?;
    Ok(())
}
