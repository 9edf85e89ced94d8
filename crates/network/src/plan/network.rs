//! One network's plan.

use std::{collections::HashMap, net::IpAddr};

use ipnet::IpNet;
use sahab_contract::{
    Result,
    network::{ExternalPlan, NetworkPlan, PortKind, PortPlan, SubnetPlan},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::{mtu, prefixed, rules};
use crate::{
    NetworkService,
    db::{allocation, lists::Routes, network_table, port_table, subnet},
    ipam, port,
};

pub async fn plan(service: &NetworkService, host: &str, id: &str) -> Result<Option<NetworkPlan>> {
    let connection = service.database.read();
    let Some(model) = network_table::Entity::find_by_id(id).one(connection).await? else { return Ok(None) };
    let ports = port_table::Entity::find()
        .filter(port_table::Column::NetworkId.eq(id))
        .filter(port_table::Column::Host.eq(host))
        .order_by_asc(port_table::Column::Id)
        .all(connection)
        .await?;
    let external = model.external && host == service.settings.host;
    if ports.is_empty() && !external {
        return Ok(None);
    }
    let subnets = crate::subnet::of_network(connection, id).await?;
    let by_id: HashMap<String, subnet::Model> = subnets.iter().map(|row| (row.id.clone(), row.clone())).collect();
    let ids: Vec<&str> = ports.iter().map(|row| row.id.as_str()).collect();
    let addresses = port::addresses_of(connection, &ids).await?;
    let members = port::groups_of(connection, &ids).await?;
    let planned = ports.iter().filter_map(|row| {
        let rows = addresses.get(&row.id).map_or(&[][..], Vec::as_slice);
        let groups = members.get(&row.id).cloned().unwrap_or_default();
        port_plan(&model, row, rows, &by_id, groups)
    });
    let ports: Vec<PortPlan> = planned.collect();
    let guarded: Vec<String> =
        ports.iter().filter(|port| port.port_security).flat_map(|port| port.groups.iter().cloned()).collect();
    let gateways = subnets.iter().filter_map(|row| {
        let cidr: IpNet = row.cidr.parse().ok()?;
        let gateway: IpAddr = row.gateway_ip.as_deref()?.parse().ok()?;
        cidr.contains(&gateway).then(|| IpNet::new(gateway, cidr.prefix_len()).ok()).flatten()
    });
    Ok(Some(NetworkPlan {
        id: id.to_owned(),
        mtu: mtu(&model),
        vni: model.segmentation_id.and_then(|vni| u32::try_from(vni).ok()),
        external: external.then(|| ExternalPlan { gateways: gateways.collect(), nat: service.settings.external_nat }),
        subnets: subnets.iter().filter_map(subnet_plan).collect(),
        groups: rules::plans(connection, guarded).await?,
        ports,
    }))
}

fn subnet_plan(row: &subnet::Model) -> Option<SubnetPlan> {
    Some(SubnetPlan {
        id: row.id.clone(),
        cidr: row.cidr.parse().ok()?,
        gateway: row.gateway_ip.as_deref().and_then(|text| text.parse().ok()),
        dns_nameservers: row.dns_nameservers.0.iter().filter_map(|text| text.parse().ok()).collect(),
        host_routes: pairs(&row.host_routes),
    })
}

fn pairs(routes: &Routes) -> Vec<(IpNet, IpAddr)> {
    routes.0.iter().map(|route| (route.destination, route.nexthop)).collect()
}

/// `None` for ports that no device is plugged into: those that hold floating IPs, and DHCP's.
fn port_plan(
    network: &network_table::Model,
    row: &port_table::Model,
    rows: &[allocation::Model],
    subnets: &HashMap<String, subnet::Model>,
    groups: Vec<String>,
) -> Option<PortPlan> {
    let kind = match row.device_owner.as_str() {
        port::ROUTER_INTERFACE => PortKind::RouterInterface,
        port::ROUTER_GATEWAY => PortKind::RouterGateway,
        port::FLOATING_IP | port::DHCP => return None,
        _ => PortKind::Container,
    };
    let used: Vec<&subnet::Model> = rows.iter().filter_map(|address| subnets.get(&address.subnet_id)).collect();
    let gateway = |version: i32| {
        let row = used.iter().find(|row| row.ip_version == version && row.gateway_ip.is_some())?;
        row.gateway_ip.as_deref()?.parse().ok()
    };
    let mut host_routes = Vec::new();
    for route in used.iter().flat_map(|row| pairs(&row.host_routes)) {
        if !host_routes.contains(&route) {
            host_routes.push(route);
        }
    }
    let allowed = row.allowed_address_pairs.0.iter().filter_map(|pair| {
        let net = pair.ip_address.parse::<IpNet>().or_else(|_| pair.ip_address.parse::<IpAddr>().map(IpNet::from));
        Some((net.ok()?, pair.mac_address.clone()))
    });
    Some(PortPlan {
        id: row.id.clone(),
        kind,
        device_id: row.device_id.clone(),
        mac: row.mac_address.clone(),
        addresses: prefixed(rows, subnets),
        admin_up: row.admin_state_up && network.admin_state_up,
        port_security: row.port_security_enabled,
        groups,
        allowed_pairs: allowed.collect(),
        gateway4: gateway(4),
        gateway6: gateway(6),
        host_routes,
        mtu: mtu(network),
    })
}

/// Numbers order addresses of one family, for plans that compare equal when nothing changed.
pub fn sort_addresses(nets: &mut [IpNet]) {
    nets.sort_by_key(|net| (matches!(net, IpNet::V6(_)), ipam::number(net.addr()), net.prefix_len()));
}
