//! Floating IPs: external addresses that a router translates to a port's own.

mod associate;

use std::collections::HashMap;

pub use associate::{addresses_gone, port_gone, router_towards, settle_router};
use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService,
    attribute::{Attribute, Attributes, Check, Default, Filter, common},
    db::{self, CHUNK, floatingip as table, network_table, port_forwarding, port_table},
    error::bad_resource,
    ipam::{self, Seeker, Wish},
    network, port,
    resource::{Change, Resource, View, find, save_changed},
    router::leg,
    tag, view,
};

pub struct FloatingIp;

impl Resource for FloatingIp {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "floatingip";
    const PLURAL: &'static str = "floatingips";
    const TAGGED: bool = true;
    const QUOTA: Option<&'static str> = Some("floatingip");
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        Attribute::new("floating_ip_address").post(Default::Null, Check::IpOrNull).filter(Filter::Text).sort(),
        Attribute::new("subnet_id").post(Default::Null, Check::UuidOrNull),
        Attribute::new("floating_network_id").post(Default::Required, Check::Uuid).filter(Filter::Text).sort(),
        Attribute::new("router_id").filter(Filter::Text).sort(),
        Attribute::new("port_id").post(Default::Null, Check::UuidOrNull).put().filter(Filter::Text).sort(),
        Attribute::new("fixed_ip_address").post(Default::Null, Check::IpOrNull).put().filter(Filter::Text).sort(),
        common::TENANT,
        common::PROJECT,
        common::STATUS,
        Attribute::new("dns_name").post(Default::Text(""), Check::DnsName),
        Attribute::new("dns_domain").post(Default::Text(""), Check::DnsDomain),
        Attribute::new("port_details"),
        Attribute::new("port_forwardings"),
        common::DESCRIPTION,
        common::CREATED,
        common::UPDATED,
        common::REVISION,
        common::TAGS,
    ];

    fn not_found(id: &str) -> Error {
        Error::not_found("FloatingIPNotFound", format!("Floating IP {id} could not be found"))
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        let external =
            find::<network::Network>(&change.txn, change.context, &attributes.text("floating_network_id")).await?;
        network::require_external(&external, "floatingip")?;
        if !crate::subnet::of_network(&change.txn, &external.id).await?.iter().any(|row| row.ip_version == 4) {
            return Err(bad_resource(
                "floatingip",
                format!("Network {} does not contain any IPv4 subnet", external.id),
            ));
        }
        let id = change.new_id();
        let (port_id, address) = take_address(change, &external.id, &id, &attributes).await?;
        let now = now();
        let mut model = table::Model {
            id,
            project_id: attributes.text("project_id"),
            description: attributes.text("description"),
            floating_network_id: external.id,
            floating_ip_address: address,
            floating_port_id: port_id,
            port_id: None,
            fixed_ip_address: None,
            router_id: None,
            status: "DOWN".into(),
            dns_name: attributes.text("dns_name"),
            dns_domain: attributes.text("dns_domain"),
            created_at: now,
            updated_at: now,
            revision_number: 1,
        };
        associate::apply(change, &mut model, &attributes).await?;
        db::insert(&change.txn, model.clone()).await?;
        mark_dirty(change, &model);
        Ok(model)
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        let mut model = before.clone();
        attributes.update_text("description", &mut model.description);
        mark_dirty(change, &before);
        if attributes.is_empty() {
            associate::dissociate(&mut model);
        } else {
            associate::apply(change, &mut model, &attributes).await?;
        }
        mark_dirty(change, &model);
        if model.status != before.status {
            change.effects.event("floatingip.status", &model.id, &model.project_id, json!({"status": model.status}));
        }
        save_changed(change, &before, model).await
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        mark_dirty(change, &model);
        port_forwarding::Entity::delete_many()
            .filter(port_forwarding::Column::FloatingipId.eq(&model.id))
            .exec(&change.txn)
            .await?;
        if let Some(row) = port_table::Entity::find_by_id(&model.floating_port_id).one(&change.txn).await? {
            port::erase(change, &row).await?;
        }
        db::remove(&change.txn, &model).await
    }

    async fn views(service: &NetworkService, _: &RequestContext, models: &[table::Model]) -> Result<Vec<View>> {
        let connection = service.database.read();
        let mut ports: HashMap<String, port_table::Model> = HashMap::new();
        let ids: Vec<&str> = models.iter().filter_map(|model| model.port_id.as_deref()).collect();
        for ids in ids.chunks(CHUNK) {
            let rows = port_table::Entity::find().filter(port_table::Column::Id.is_in(ids.iter().copied()));
            ports.extend(rows.all(connection).await?.into_iter().map(|row| (row.id.clone(), row)));
        }
        let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        let mut forwardings = forwardings_of(connection, &ids).await?;
        let views = models.iter().map(|model| {
            let details = model.port_id.as_ref().and_then(|id| ports.get(id)).map(|row| {
                json!({
                    "name": row.name, "network_id": row.network_id, "mac_address": row.mac_address,
                    "admin_state_up": row.admin_state_up, "status": row.status, "device_id": row.device_id,
                    "device_owner": row.device_owner,
                })
            });
            let mut out = Map::new();
            view::put(&mut out, "id", &model.id);
            view::owner(&mut out, &model.project_id);
            view::put(&mut out, "floating_ip_address", &model.floating_ip_address);
            view::put(&mut out, "floating_network_id", &model.floating_network_id);
            view::put(&mut out, "router_id", &model.router_id);
            view::put(&mut out, "port_id", &model.port_id);
            view::put(&mut out, "fixed_ip_address", &model.fixed_ip_address);
            view::put(&mut out, "status", &model.status);
            view::put(&mut out, "dns_name", &model.dns_name);
            view::put(&mut out, "dns_domain", &model.dns_domain);
            view::put(&mut out, "port_details", details);
            view::put(&mut out, "port_forwardings", forwardings.remove(&model.id).unwrap_or_default());
            view::put(&mut out, "description", &model.description);
            view::times(&mut out, model.created_at, model.updated_at, model.revision_number);
            out
        });
        Ok(views.collect())
    }
}

/// Short forms of the port forwardings of several floating IPs.
async fn forwardings_of(connection: &impl ConnectionTrait, ids: &[&str]) -> Result<HashMap<String, Vec<Value>>> {
    let mut out: HashMap<String, Vec<Value>> = HashMap::new();
    for ids in ids.chunks(CHUNK) {
        let rows = port_forwarding::Entity::find()
            .filter(port_forwarding::Column::FloatingipId.is_in(ids.iter().copied()))
            .all(connection)
            .await?;
        for row in rows {
            let short = json!({
                "id": row.id, "protocol": row.protocol, "internal_port_id": row.internal_port_id,
                "internal_ip_address": row.internal_ip_address, "internal_port": row.internal_port,
                "external_port": row.external_port,
            });
            out.entry(row.floatingip_id).or_default().push(short);
        }
    }
    Ok(out)
}

/// Takes an address of the external network, held by a port that belongs to nobody.
async fn take_address(
    change: &mut Change<'_>,
    external: &str,
    id: &str,
    attributes: &Attributes,
) -> Result<(String, String)> {
    let port_id = uuid::Uuid::new_v4().to_string();
    let mac = port::free_mac(&change.txn, external).await?;
    let seeker = Seeker { network_id: external, port_id: &port_id, device_owner: port::FLOATING_IP, mac: &mac };
    let wish =
        Wish { subnet_id: attributes.maybe_text("subnet_id"), ip_address: attributes.parsed("floating_ip_address") };
    let rows = if wish == Wish::default() {
        ipam::choose_v4(&change.txn, &seeker).await?
    } else {
        ipam::claim(&change.txn, &seeker, &[wish]).await?
    };
    let Some(address) = rows.iter().map(|row| &row.ip_address).find(|ip| !ip.contains(':')).cloned() else {
        return Err(bad_resource("floatingip", "Floating IPs must be IPv4 addresses"));
    };
    let mut row = leg(change, &port_id, external, &mac, port::FLOATING_IP, id, "");
    row.status = "N/A".into();
    // The address lives on the router's gateway leg; this port only holds it.
    row.host.clear();
    port::insert(change, &row, &[]).await?;
    Ok((port_id, address))
}

/// Floating IPs that lead nowhere go away with their network.
pub async fn forget_unused(change: &mut Change<'_>, network: &network_table::Model) -> Result<()> {
    if !network.external {
        return Ok(());
    }
    let unused = table::Entity::find()
        .filter(table::Column::FloatingNetworkId.eq(&network.id))
        .filter(table::Column::PortId.is_null())
        .filter(table::Column::RouterId.is_null())
        .all(&change.txn)
        .await?;
    for model in unused {
        tag::forget(&change.txn, &model.id).await?;
        FloatingIp::delete(change, model).await?;
    }
    Ok(())
}

fn mark_dirty(change: &mut Change<'_>, model: &table::Model) {
    if let Some(router) = &model.router_id {
        change.effects.router(router);
    }
}
