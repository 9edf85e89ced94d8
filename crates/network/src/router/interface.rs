//! A router's legs in tenant networks.

use std::collections::BTreeSet;

use ipnet::IpNet;
use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Map, Value, json};

use super::{Router, gateway, get, interfaces};
use crate::{
    NetworkService,
    attribute::check,
    db::{self, allocation, floatingip, port_table, router_table as table, subnet as subnet_table},
    error::bad_resource,
    ipam::{self, Seeker, Wish},
    network, port,
    resource::{Change, Resource, find},
    subnet,
};

/// What the body names: a subnet or a port.
enum Named {
    Subnet(String),
    Port(String),
    Both { subnet: String, port: String },
}

fn parse(body: &Map<String, Value>) -> Result<Named> {
    let id = |key: &str| match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if check::is_uuid(text) => Ok(Some(text.to_ascii_lowercase())),
        Some(other) => Err(bad_resource(
            "router",
            format!("Invalid input for {key}: '{}' is not a valid UUID", check::shown(other)),
        )),
    };
    match (id("subnet_id")?, id("port_id")?) {
        (Some(subnet), None) => Ok(Named::Subnet(subnet)),
        (None, Some(port)) => Ok(Named::Port(port)),
        (Some(subnet), Some(port)) => Ok(Named::Both { subnet, port }),
        (None, None) => Err(bad_resource("router", "Either subnet_id or port_id must be specified")),
    }
}

fn answer(router: &table::Model, leg: &port_table::Model, subnets: &[String]) -> Value {
    json!({
        "id": router.id, "tenant_id": router.project_id, "project_id": router.project_id,
        "port_id": leg.id, "network_id": leg.network_id,
        "subnet_id": subnets.first(), "subnet_ids": subnets,
    })
}

async fn begin<'a>(
    service: &'a NetworkService,
    context: &'a RequestContext,
    id: &str,
    rule: &str,
) -> Result<(Change<'a>, table::Model)> {
    context.auth()?;
    let mut change = Change::begin(service, context).await?;
    let router = find::<Router>(&change.txn, context, id).await?;
    let target = Router::target(&mut change, &router).await?;
    change.enforce(rule, &target)?;
    Ok((change, router))
}

async fn finish(mut change: Change<'_>, mut router: table::Model) -> Result<()> {
    db::Stored::touch(&mut router);
    db::save(&change.txn, &router).await?;
    change.effects.router(&router.id);
    change.commit().await
}

pub async fn add(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    body: &Map<String, Value>,
) -> Result<Value> {
    let (mut change, router) = begin(service, context, id, "add_router_interface").await?;
    let (leg, subnets) = match parse(body)? {
        Named::Both { .. } => {
            return Err(bad_resource("router", "Cannot specify both subnet-id and port-id"));
        }
        Named::Subnet(subnet) => by_subnet(&mut change, &router, &subnet).await?,
        Named::Port(port) => by_port(&mut change, &router, &port).await?,
    };
    let out = answer(&router, &leg, &subnets);
    finish(change, router).await?;
    Ok(out)
}

async fn by_subnet(
    change: &mut Change<'_>,
    router: &table::Model,
    id: &str,
) -> Result<(port_table::Model, Vec<String>)> {
    let subnet = subnet::require_visible(change, id).await?;
    let parent = network::get(&change.txn, &subnet.network_id).await?;
    let own = change.context.is_admin()
        || change.context.project_id() == Some(subnet.project_id.as_str())
        || network::is_shared(&change.txn, change.context, &parent.id).await?;
    if !own {
        return Err(bad_resource("router", format!("Subnet {id} is not owned by the caller")));
    }
    let Some(gateway_ip) = subnet.gateway_ip.as_deref().and_then(|text| text.parse().ok()) else {
        return Err(bad_resource("router", "Subnet for router interface must have a gateway IP"));
    };
    if subnet.ip_version == 6 && subnet.ipv6_ra_mode.is_none() && subnet.ipv6_address_mode.is_some() {
        return Err(bad_resource(
            "router",
            format!(
                "IPv6 subnet {id} configured to receive RAs from an external router cannot be added to Neutron Router"
            ),
        ));
    }
    refuse_overlap(change, &router.id, &subnet).await?;
    let wish = Wish { subnet_id: Some(subnet.id.clone()), ip_address: Some(gateway_ip) };
    if subnet.ip_version == 6
        && let Some(leg) = shared_leg(change, router, &subnet.network_id).await?
    {
        return join_leg(change, leg, wish).await;
    }
    let port_id = change.new_id();
    let mac = port::free_mac(&change.txn, &subnet.network_id).await?;
    let seeker =
        Seeker { network_id: &subnet.network_id, port_id: &port_id, device_owner: port::ROUTER_INTERFACE, mac: &mac };
    ipam::claim(&change.txn, &seeker, &[wish]).await?;
    let leg = gateway::leg(
        change,
        &port_id,
        &subnet.network_id,
        &mac,
        port::ROUTER_INTERFACE,
        &router.id,
        &router.project_id,
    );
    port::insert(change, &leg, &[]).await?;
    Ok((leg, vec![subnet.id]))
}

/// The leg that carries the IPv6 subnets of a network.
async fn shared_leg(change: &Change<'_>, router: &table::Model, network: &str) -> Result<Option<port_table::Model>> {
    for leg in interfaces(&change.txn, &router.id).await? {
        if leg.network_id == network {
            let rows = ipam::of_port(&change.txn, &leg.id).await?;
            if rows.iter().all(|row| row.ip_address.contains(':')) {
                return Ok(Some(leg));
            }
        }
    }
    Ok(None)
}

async fn join_leg(
    change: &mut Change<'_>,
    leg: port_table::Model,
    wish: Wish,
) -> Result<(port_table::Model, Vec<String>)> {
    let seeker = Seeker {
        network_id: &leg.network_id,
        port_id: &leg.id,
        device_owner: port::ROUTER_INTERFACE,
        mac: &leg.mac_address,
    };
    let subnet = wish.subnet_id.clone().unwrap_or_default();
    ipam::claim(&change.txn, &seeker, &[wish]).await?;
    change.effects.network(&leg.network_id);
    Ok((leg, vec![subnet]))
}

async fn by_port(change: &mut Change<'_>, router: &table::Model, id: &str) -> Result<(port_table::Model, Vec<String>)> {
    let mut leg = find::<port::Port>(&change.txn, change.context, id).await?;
    if !leg.device_id.is_empty() {
        return Err(Error::conflict(
            "PortInUse",
            format!(
                "Unable to complete operation on port {id} for network {}. Port already has an attached device {}.",
                leg.network_id, leg.device_id
            ),
        ));
    }
    let rows = ipam::of_port(&change.txn, id).await?;
    if rows.is_empty() {
        return Err(bad_resource("router", "Router port must have at least one fixed IP"));
    }
    if rows.iter().filter(|row| !row.ip_address.contains(':')).count() > 1 {
        return Err(bad_resource("router", "Cannot have multiple IPv4 subnets on router port"));
    }
    let mut subnets = Vec::new();
    for row in &rows {
        let subnet = subnet::get(&change.txn, &row.subnet_id).await?;
        refuse_overlap(change, &router.id, &subnet).await?;
        subnets.push(subnet.id);
    }
    leg.device_id.clone_from(&router.id);
    leg.device_owner = port::ROUTER_INTERFACE.into();
    leg.host.clone_from(&change.service.settings.host);
    // A router's leg carries foreign addresses by its nature: nothing is filtered on it.
    leg.port_security_enabled = false;
    leg.status = "DOWN".into();
    db::Stored::touch(&mut leg);
    db::save(&change.txn, &leg).await?;
    let groups = port::group_ids(&change.txn, id).await?;
    port::clear_groups(&change.txn, id).await?;
    change.effects.network(&leg.network_id);
    change.effects.groups(groups);
    Ok((leg, subnets))
}

/// 400 when the router has the subnet already, or one whose addresses overlap.
pub async fn refuse_overlap(change: &Change<'_>, router: &str, subnet: &subnet_table::Model) -> Result<()> {
    let legs: Vec<String> = port_table::Entity::find()
        .filter(port_table::Column::DeviceId.eq(router))
        .filter(port_table::Column::DeviceOwner.is_in([port::ROUTER_INTERFACE, port::ROUTER_GATEWAY]))
        .all(&change.txn)
        .await?
        .into_iter()
        .map(|leg| leg.id)
        .collect();
    let joined: BTreeSet<String> = allocation::Entity::find()
        .filter(allocation::Column::PortId.is_in(legs))
        .all(&change.txn)
        .await?
        .into_iter()
        .map(|row| row.subnet_id)
        .collect();
    if joined.contains(&subnet.id) {
        return Err(bad_resource("router", format!("Router already has a port on subnet {}", subnet.id)));
    }
    let cidr: IpNet = subnet.cidr.parse()?;
    let others = subnet::by_ids(&change.txn, &joined.into_iter().collect::<Vec<_>>()).await?;
    for other in others.values() {
        if subnet::overlaps(cidr, other.cidr.parse()?) {
            return Err(bad_resource(
                "router",
                format!("Cidr {cidr} of subnet {} overlaps with cidr {} of subnet {}", subnet.id, other.cidr, other.id),
            ));
        }
    }
    Ok(())
}

pub async fn remove(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    body: &Map<String, Value>,
) -> Result<Value> {
    let (mut change, router) = begin(service, context, id, "remove_router_interface").await?;
    let (leg, subnets) = match parse(body)? {
        Named::Subnet(subnet) => leg_on(&change, &router, &subnet).await?,
        Named::Port(port) => leg_by_id(&change, &router, &port).await?,
        Named::Both { subnet, port } => {
            let (leg, subnets) = leg_by_id(&change, &router, &port).await?;
            if !subnets.contains(&subnet) {
                return Err(Error::conflict(
                    "SubnetMismatchForPort",
                    format!("Subnet on port {port} does not match the requested subnet {subnet}"),
                ));
            }
            (leg, subnets)
        }
    };
    let only = match parse(body)? {
        Named::Subnet(subnet) => Some(subnet),
        Named::Port(_) | Named::Both { .. } => None,
    };
    let leaving: Vec<String> = only.map_or_else(|| subnets.clone(), |subnet| vec![subnet]);
    for subnet in &leaving {
        refuse_in_use(&change, &router, subnet).await?;
    }
    if leaving.len() < subnets.len() {
        for row in ipam::of_port(&change.txn, &leg.id).await? {
            if leaving.contains(&row.subnet_id) {
                db::remove(&change.txn, &row).await?;
            }
        }
        change.effects.network(&leg.network_id);
    } else {
        port::erase(&mut change, &leg).await?;
    }
    let out = answer(&router, &leg, &leaving);
    finish(change, router).await?;
    Ok(out)
}

async fn subnets_of(change: &Change<'_>, leg: &port_table::Model) -> Result<Vec<String>> {
    Ok(ipam::of_port(&change.txn, &leg.id).await?.into_iter().map(|row| row.subnet_id).collect())
}

async fn leg_on(change: &Change<'_>, router: &table::Model, id: &str) -> Result<(port_table::Model, Vec<String>)> {
    subnet::require_visible(change, id).await?;
    for leg in interfaces(&change.txn, &router.id).await? {
        let subnets = subnets_of(change, &leg).await?;
        if subnets.iter().any(|subnet| subnet == id) {
            return Ok((leg, subnets));
        }
    }
    Err(Error::not_found(
        "RouterInterfaceNotFoundForSubnet",
        format!("Router {} has no interface on subnet {id}", router.id),
    ))
}

async fn leg_by_id(change: &Change<'_>, router: &table::Model, id: &str) -> Result<(port_table::Model, Vec<String>)> {
    let leg = port_table::Entity::find_by_id(id).one(&change.txn).await?;
    match leg.filter(|leg| leg.device_id == router.id && leg.device_owner == port::ROUTER_INTERFACE) {
        Some(leg) => {
            let subnets = subnets_of(change, &leg).await?;
            Ok((leg, subnets))
        }
        None => Err(Error::not_found(
            "RouterInterfaceNotFound",
            format!("Router {} does not have an interface with id {id}", router.id),
        )),
    }
}

/// Floating IPs and routes that need the interface keep it.
async fn refuse_in_use(change: &Change<'_>, router: &table::Model, id: &str) -> Result<()> {
    let fixed: Vec<String> = floatingip::Entity::find()
        .filter(floatingip::Column::RouterId.eq(&router.id))
        .all(&change.txn)
        .await?
        .into_iter()
        .filter_map(|row| row.fixed_ip_address)
        .collect();
    let row = subnet::get(&change.txn, id).await?;
    let cidr: IpNet = row.cidr.parse()?;
    let inside = allocation::Entity::find()
        .filter(allocation::Column::SubnetId.eq(id))
        .filter(allocation::Column::IpAddress.is_in(fixed))
        .count(&change.txn)
        .await?;
    if inside > 0 {
        return Err(Error::conflict(
            "RouterInterfaceInUseByFloatingIP",
            format!(
                "Router interface for subnet {id} on router {} cannot be deleted, as it is required by one or more \
                 floating IPs.",
                router.id
            ),
        ));
    }
    if get(&change.txn, &router.id).await?.routes.0.iter().any(|route| cidr.contains(&route.nexthop)) {
        return Err(Error::conflict(
            "RouterInterfaceInUseByRoute",
            format!(
                "Router interface for subnet {id} on router {} cannot be deleted, as it is required by one or more \
                 routes.",
                router.id
            ),
        ));
    }
    Ok(())
}
