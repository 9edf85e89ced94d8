//! Which port a floating IP leads to, and through which router.

use sahab_contract::{Error, Result};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::json;

use crate::{
    attribute::Attributes,
    db::{self, allocation, floatingip as table, port_forwarding, port_table, router_table},
    error::bad_resource,
    ipam, port,
    resource::{Change, find},
};

/// Back to leading nowhere.
pub fn dissociate(model: &mut table::Model) {
    model.port_id = None;
    model.fixed_ip_address = None;
    model.router_id = None;
    model.status = "DOWN".into();
}

/// Follows `port_id` and `fixed_ip_address` of a request. Other requests keep the association.
pub async fn apply(change: &mut Change<'_>, model: &mut table::Model, attributes: &Attributes) -> Result<()> {
    let fixed = attributes.maybe_text("fixed_ip_address");
    let Some(asked) = attributes.get("port_id") else {
        return match fixed {
            Some(_) => Err(without_port()),
            None => Ok(()),
        };
    };
    let Some(port_id) = asked.as_str().map(str::to_owned) else {
        if fixed.is_some() {
            return Err(without_port());
        }
        if attributes.was_given("port_id") && has_forwardings(&change.txn, &model.id).await? {
            return Ok(());
        }
        dissociate(model);
        return Ok(());
    };
    if has_forwardings(&change.txn, &model.id).await? {
        return Err(Error::conflict(
            "FipInUseByPortForwarding",
            format!("Floating IP {} in use by Port Forwarding resources.", model.id),
        ));
    }
    let internal = find::<port::Port>(&change.txn, change.context, &port_id).await?;
    if !change.context.is_admin() && change.context.project_id() != Some(internal.project_id.as_str()) {
        return Err(bad_resource(
            "floatingip",
            format!("Cannot process floating IP association with Port {port_id}, since it belongs to another project"),
        ));
    }
    if port::is_router(&internal.device_owner)
        || matches!(internal.device_owner.as_str(), port::DHCP | port::FLOATING_IP)
    {
        return Err(bad_resource(
            "floatingip",
            format!("Port {port_id} cannot be associated with a floating IP: its owner is {}", internal.device_owner),
        ));
    }
    let row = internal_address(change, &internal, fixed).await?;
    refuse_second(change, model, &internal, &row).await?;
    let router = router_towards(&change.txn, &row.subnet_id, &model.floating_network_id).await?.ok_or_else(|| {
        Error::not_found(
            "ExternalGatewayForFloatingIPNotFound",
            format!(
                "External network {} is not reachable from subnet {}.  Therefore, cannot associate Port {port_id} with \
                 a Floating IP.",
                model.floating_network_id, row.subnet_id
            ),
        )
    })?;
    let same = model.port_id.as_ref() == Some(&port_id) && model.fixed_ip_address.as_ref() == Some(&row.ip_address);
    if !same || model.router_id.as_ref() != Some(&router) {
        model.status = "DOWN".into();
    }
    model.port_id = Some(port_id);
    model.fixed_ip_address = Some(row.ip_address);
    model.router_id = Some(router);
    Ok(())
}

fn without_port() -> Error {
    bad_resource("floatingip", "fixed_ip_address cannot be specified without a port_id")
}

async fn has_forwardings(connection: &impl ConnectionTrait, id: &str) -> Result<bool> {
    let query = port_forwarding::Entity::find().filter(port_forwarding::Column::FloatingipId.eq(id));
    Ok(query.count(connection).await? > 0)
}

/// The wanted IPv4 address of the port, or its first.
async fn internal_address(
    change: &Change<'_>,
    internal: &port_table::Model,
    fixed: Option<String>,
) -> Result<allocation::Model> {
    let rows = ipam::of_port(&change.txn, &internal.id).await?;
    let found = match &fixed {
        Some(ip) => rows.into_iter().find(|row| row.ip_address == *ip && !ip.contains(':')),
        None => rows.into_iter().find(|row| !row.ip_address.contains(':')),
    };
    found.ok_or_else(|| match fixed {
        Some(ip) => bad_resource("floatingip", format!("Port {} does not have fixed ip {ip}", internal.id)),
        None => bad_resource(
            "floatingip",
            format!("Cannot add floating IP to port {} that has no fixed IPv4 addresses", internal.id),
        ),
    })
}

/// One address of a port has at most one floating IP of a network.
async fn refuse_second(
    change: &Change<'_>,
    model: &table::Model,
    internal: &port_table::Model,
    row: &allocation::Model,
) -> Result<()> {
    let other = table::Entity::find()
        .filter(table::Column::PortId.eq(&internal.id))
        .filter(table::Column::FixedIpAddress.eq(&row.ip_address))
        .filter(table::Column::FloatingNetworkId.eq(&model.floating_network_id))
        .filter(table::Column::Id.ne(&model.id))
        .one(&change.txn)
        .await?;
    match other {
        None => Ok(()),
        Some(other) => Err(Error::conflict(
            "FloatingIPPortAlreadyAssociated",
            format!(
                "Cannot associate floating IP {} ({}) with port {} using fixed IP {}, as that fixed IP already has a \
                 floating IP on external network {} ({}).",
                model.floating_ip_address,
                model.id,
                internal.id,
                row.ip_address,
                model.floating_network_id,
                other.floating_ip_address
            ),
        )),
    }
}

/// The router with a leg in the subnet and its gateway in the external network.
pub async fn router_towards(connection: &impl ConnectionTrait, subnet: &str, external: &str) -> Result<Option<String>> {
    let ports: Vec<String> = allocation::Entity::find()
        .filter(allocation::Column::SubnetId.eq(subnet))
        .all(connection)
        .await?
        .into_iter()
        .map(|row| row.port_id)
        .collect();
    let mut routers: Vec<String> = Vec::new();
    for ids in ports.chunks(db::CHUNK) {
        let legs = port_table::Entity::find()
            .filter(port_table::Column::Id.is_in(ids.iter().map(String::as_str)))
            .filter(port_table::Column::DeviceOwner.eq(port::ROUTER_INTERFACE));
        routers.extend(legs.all(connection).await?.into_iter().map(|leg| leg.device_id));
    }
    let towards = router_table::Entity::find()
        .filter(router_table::Column::Id.is_in(routers))
        .filter(router_table::Column::GatewayNetworkId.eq(external))
        .one(connection)
        .await?;
    Ok(towards.map(|router| router.id))
}

/// A port goes away: its floating IPs lead nowhere, its port forwardings are gone.
pub async fn port_gone(change: &mut Change<'_>, port: &str) -> Result<()> {
    release(change, Condition::all().add(table::Column::PortId.eq(port))).await?;
    let forwardings = port_forwarding::Entity::find()
        .filter(port_forwarding::Column::InternalPortId.eq(port))
        .all(&change.txn)
        .await?;
    drop_forwardings(change, forwardings).await
}

/// Some addresses of a port go away.
pub async fn addresses_gone(change: &mut Change<'_>, port: &str, gone: &[String]) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let condition = Condition::all()
        .add(table::Column::PortId.eq(port))
        .add(table::Column::FixedIpAddress.is_in(gone.iter().map(String::as_str)));
    release(change, condition).await?;
    let forwardings = port_forwarding::Entity::find()
        .filter(port_forwarding::Column::InternalPortId.eq(port))
        .filter(port_forwarding::Column::InternalIpAddress.is_in(gone.iter().map(String::as_str)))
        .all(&change.txn)
        .await?;
    drop_forwardings(change, forwardings).await
}

async fn release(change: &mut Change<'_>, which: Condition) -> Result<()> {
    for mut row in table::Entity::find().filter(which).all(&change.txn).await? {
        if let Some(router) = &row.router_id {
            change.effects.router(router);
        }
        dissociate(&mut row);
        db::Stored::touch(&mut row);
        db::save(&change.txn, &row).await?;
        change.effects.event("floatingip.status", &row.id, &row.project_id, json!({"status": "DOWN"}));
    }
    Ok(())
}

async fn drop_forwardings(change: &mut Change<'_>, rows: Vec<port_forwarding::Model>) -> Result<()> {
    for row in rows {
        db::remove(&change.txn, &row).await?;
        settle_router(change, &row.floatingip_id).await?;
    }
    Ok(())
}

/// A floating IP without association and forwardings needs no router.
pub async fn settle_router(change: &mut Change<'_>, id: &str) -> Result<()> {
    let Some(mut model) = table::Entity::find_by_id(id).one(&change.txn).await? else { return Ok(()) };
    if let Some(router) = &model.router_id {
        change.effects.router(router);
    }
    if model.port_id.is_none() && !has_forwardings(&change.txn, id).await? {
        dissociate(&mut model);
        db::Stored::touch(&mut model);
        db::save(&change.txn, &model).await?;
    }
    Ok(())
}
