//! One router's plan.

use std::collections::HashMap;

use sahab_contract::{
    Result,
    network::{FloatingPlan, ForwardPlan, RouterLeg, RouterPlan},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::{mtu, prefixed};
use crate::{
    NetworkService, agent,
    db::{allocation, floatingip, network_table, port_forwarding, port_table, router_table, subnet},
    port,
};

pub async fn plan(service: &NetworkService, host: &str, id: &str) -> Result<Option<RouterPlan>> {
    let connection = service.database.read();
    let here =
        host == service.settings.host && !agent::hosted(connection, &service.agents().l3, &[id]).await?.is_empty();
    if !here {
        return Ok(None);
    }
    let Some(model) = router_table::Entity::find_by_id(id).one(connection).await? else { return Ok(None) };
    let legs = port_table::Entity::find()
        .filter(port_table::Column::DeviceId.eq(id))
        .filter(port_table::Column::DeviceOwner.is_in([port::ROUTER_INTERFACE, port::ROUTER_GATEWAY]))
        .order_by_asc(port_table::Column::Id)
        .all(connection)
        .await?;
    let ids: Vec<&str> = legs.iter().map(|leg| leg.id.as_str()).collect();
    let addresses = port::addresses_of(connection, &ids).await?;
    let subnet_ids: Vec<String> = addresses.values().flatten().map(|row| row.subnet_id.clone()).collect();
    let subnets = crate::subnet::by_ids(connection, &subnet_ids).await?;
    let networks: HashMap<String, network_table::Model> = network_table::Entity::find()
        .filter(network_table::Column::Id.is_in(legs.iter().map(|leg| leg.network_id.as_str())))
        .all(connection)
        .await?
        .into_iter()
        .map(|row| (row.id.clone(), row))
        .collect();
    let (mut gateway, mut interfaces) = (None, Vec::new());
    for leg in legs.iter().filter(|leg| leg.admin_state_up) {
        let rows = addresses.get(&leg.id).map_or(&[][..], Vec::as_slice);
        let mtu = networks.get(&leg.network_id).map_or(1500, mtu);
        if leg.device_owner == port::ROUTER_GATEWAY {
            gateway = Some(router_leg(leg, rows, &subnets, mtu, true));
        } else {
            interfaces.push(router_leg(leg, rows, &subnets, mtu, false));
        }
    }
    let floating = floatingip::Entity::find()
        .filter(floatingip::Column::RouterId.eq(id))
        .order_by_asc(floatingip::Column::Id)
        .all(connection)
        .await?;
    let forwardings = port_forwarding::Entity::find()
        .filter(port_forwarding::Column::FloatingipId.is_in(floating.iter().map(|row| row.id.as_str())))
        .order_by_asc(port_forwarding::Column::Id)
        .all(connection)
        .await?;
    Ok(Some(RouterPlan {
        id: id.to_owned(),
        admin_up: model.admin_state_up,
        gateway,
        snat: model.enable_snat,
        interfaces,
        routes: model.routes.0.iter().map(|route| (route.destination, route.nexthop)).collect(),
        floating_ips: floating.iter().filter_map(floating_plan).collect(),
        port_forwardings: forwardings.iter().flat_map(|row| forward_plans(row, &floating)).collect(),
    }))
}

fn router_leg(
    leg: &port_table::Model,
    rows: &[allocation::Model],
    subnets: &HashMap<String, subnet::Model>,
    mtu: u32,
    is_gateway: bool,
) -> RouterLeg {
    let hops = rows
        .iter()
        .filter(|_| is_gateway)
        .filter_map(|row| subnets.get(&row.subnet_id)?.gateway_ip.as_deref()?.parse().ok());
    RouterLeg {
        port_id: leg.id.clone(),
        network_id: leg.network_id.clone(),
        mac: leg.mac_address.clone(),
        addresses: prefixed(rows, subnets),
        next_hops: hops.collect(),
        mtu,
    }
}

fn floating_plan(row: &floatingip::Model) -> Option<FloatingPlan> {
    Some(FloatingPlan {
        id: row.id.clone(),
        floating: row.floating_ip_address.parse().ok()?,
        fixed: row.fixed_ip_address.as_deref()?.parse().ok()?,
    })
}

/// One plan per port: a range is as many of them, all under the forwarding's id.
fn forward_plans(row: &port_forwarding::Model, floating: &[floatingip::Model]) -> Vec<ForwardPlan> {
    let external = floating.iter().find(|ip| ip.id == row.floatingip_id);
    let Some(external) = external.and_then(|ip| ip.floating_ip_address.parse().ok()) else { return Vec::new() };
    let Ok(internal) = row.internal_ip_address.parse() else { return Vec::new() };
    let single = row.internal_port == row.internal_port_end;
    (row.external_port..=row.external_port_end)
        .enumerate()
        .filter_map(|(index, port)| {
            let offset = if single { 0 } else { i32::try_from(index).ok()? };
            Some(ForwardPlan {
                id: row.id.clone(),
                protocol: row.protocol.clone(),
                external,
                external_port: u16::try_from(port).ok()?,
                internal,
                internal_port: u16::try_from(row.internal_port + offset).ok()?,
            })
        })
        .collect()
}
