//! Subnets: the addresses of a network and how its hosts learn them.

mod rules;

pub use rules::overlaps;

use std::collections::HashMap;

use ipnet::IpNet;
use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService, agent,
    attribute::{Attribute, Attributes, Check, Default, Filter, common},
    db::{self, CHUNK, allocation, lists::Texts, network_table, port_table, subnet as table},
    error::{bad_resource, subnet_not_found},
    ipam, listing, network, port, rbac,
    resource::{Change, Resource, View, find, nothing, owned, save_changed},
    subnetpool, view,
};

pub struct Subnet;

const MODES: &[&str] = &["slaac", "dhcpv6-stateful", "dhcpv6-stateless"];

impl Resource for Subnet {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "subnet";
    const PLURAL: &'static str = "subnets";
    const TAGGED: bool = true;
    const QUOTA: Option<&'static str> = Some("subnet");
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        common::NAME,
        Attribute::new("ip_version").post(Default::Required, Check::IpVersion).filter(Filter::Int).sort(),
        Attribute::new("network_id").post(Default::Required, Check::Uuid).filter(Filter::Text).sort(),
        Attribute::new("subnetpool_id")
            .post(Default::Null, Check::Custom(rules::pool_reference))
            .filter(Filter::Text)
            .sort(),
        Attribute::new("use_default_subnetpool").post(Default::Bool(false), Check::Bool),
        Attribute::new("prefixlen").post(Default::Unset, Check::Range(0, 128)),
        Attribute::new("cidr").post(Default::Unset, Check::Custom(rules::cidr_value)).filter(Filter::Text).sort(),
        Attribute::new("gateway_ip").post(Default::Unset, Check::IpOrNull).put().filter(Filter::Text).sort(),
        Attribute::new("allocation_pools").post(Default::Unset, Check::Pools).put(),
        Attribute::new("dns_nameservers").post(Default::List, Check::Nameservers).put(),
        Attribute::new("host_routes").post(Default::List, Check::HostRoutes).put(),
        common::TENANT,
        common::PROJECT,
        Attribute::new("enable_dhcp").post(Default::Bool(true), Check::Bool).put().filter(Filter::Bool).sort(),
        Attribute::new("ipv6_ra_mode").post(Default::Null, Check::OneOfOrNull(MODES)).filter(Filter::Text).sort(),
        Attribute::new("ipv6_address_mode").post(Default::Null, Check::OneOfOrNull(MODES)).filter(Filter::Text).sort(),
        Attribute::new("service_types").post(Default::List, Check::TextList).put(),
        Attribute::new("dns_publish_fixed_ip").post(Default::Bool(false), Check::Bool).put(),
        Attribute::new("segment_id")
            .post(Default::Null, Check::UuidOrNull)
            .put()
            .filter(Filter::Text)
            .sort()
            .see("get_subnet:segment_id"),
        Attribute::new("shared").filter(Filter::Special),
        Attribute::new("router:external").filter(Filter::Special),
        common::DESCRIPTION,
        common::CREATED,
        common::UPDATED,
        common::REVISION,
        common::TAGS,
    ];

    fn not_found(id: &str) -> Error {
        subnet_not_found(id)
    }

    /// Own subnets and those of every network that the caller sees.
    fn visible(context: &RequestContext) -> Condition {
        if context.is_admin() {
            return Condition::all();
        }
        if context.project_id().is_none() || !context.has_role("reader") {
            return nothing();
        }
        let networks = network_table::Entity::find()
            .select_only()
            .column(network_table::Column::Id)
            .filter(network::visible(context))
            .into_query();
        Condition::any()
            .add(owned(context, Some(table::Column::ProjectId)))
            .add(table::Column::NetworkId.in_subquery(networks))
    }

    fn special_filter(context: &RequestContext, key: &str, values: &[&str]) -> Result<Condition> {
        if key == "shared" {
            return rbac::shared_filter(context, "network", table::Column::NetworkId, key, values);
        }
        let flags: Vec<bool> = values.iter().map(|text| listing::flag(text)).collect::<Result<_>>()?;
        let networks = network_table::Entity::find()
            .select_only()
            .column(network_table::Column::Id)
            .filter(network_table::Column::External.is_in(flags))
            .into_query();
        Ok(Condition::all().add(table::Column::NetworkId.in_subquery(networks)))
    }

    async fn create_target(change: &mut Change<'_>, attributes: &Attributes) -> Result<Value> {
        let parent = find::<network::Network>(&change.txn, change.context, &attributes.text("network_id")).await?;
        Ok(json!({"project_id": attributes.text("project_id"), "network:project_id": parent.project_id}))
    }

    async fn target(change: &mut Change<'_>, model: &table::Model) -> Result<Value> {
        let parent = network::get(&change.txn, &model.network_id).await?;
        Ok(json!({"project_id": model.project_id, "network:project_id": parent.project_id}))
    }

    async fn create(change: &mut Change<'_>, mut attributes: Attributes) -> Result<table::Model> {
        let parent = network::get(&change.txn, &attributes.text("network_id")).await?;
        let version = attributes.int("ip_version").unwrap_or(4);
        network::refuse_mtu_for(parent.mtu, version)?;
        let siblings = of_network(&change.txn, &parent.id).await?;
        let (cidr, pool) = match subnetpool::choose(change, &attributes, version).await? {
            Some(pool) => {
                rules::same_pool(&siblings, version, Some(&pool.id))?;
                (subnetpool::allocate(change, &pool, &attributes).await?, Some(pool.id))
            }
            None => {
                rules::same_pool(&siblings, version, None)?;
                let cidr = attributes.parsed::<IpNet>("cidr").ok_or_else(|| {
                    bad_resource("subnets", "a subnetpool must be specified in the absence of a cidr")
                })?;
                if attributes.get("prefixlen").is_some() {
                    return Err(bad_resource("subnets", "allocating requires a subnetpool when prefixlen is given"));
                }
                (cidr.trunc(), None)
            }
        };
        attributes.set("cidr", json!(cidr.to_string()));
        let checked = rules::check_new(&attributes, cidr, version)?;
        rules::refuse_overlap(&siblings, cidr)?;
        let now = now();
        let model = table::Model {
            id: change.new_id(),
            project_id: attributes.text("project_id"),
            name: attributes.text("name"),
            description: attributes.text("description"),
            network_id: parent.id.clone(),
            ip_version: version,
            cidr: cidr.to_string(),
            gateway_ip: checked.gateway.map(|ip| ip.to_string()),
            allocation_pools: checked.pools,
            enable_dhcp: attributes.flag("enable_dhcp"),
            dns_nameservers: Texts(attributes.texts("dns_nameservers")),
            host_routes: attributes.structure("host_routes")?,
            ipv6_ra_mode: attributes.maybe_text("ipv6_ra_mode"),
            ipv6_address_mode: attributes.maybe_text("ipv6_address_mode"),
            service_types: Texts(attributes.texts("service_types")),
            subnetpool_id: pool,
            dns_publish_fixed_ip: attributes.flag("dns_publish_fixed_ip"),
            segment_id: attributes.maybe_text("segment_id"),
            created_at: now,
            updated_at: now,
            revision_number: 0,
        };
        db::insert(&change.txn, model.clone()).await?;
        if ipam::is_automatic(&model) {
            ipam::add_automatic(&change.txn, &model).await?;
        }
        if model.enable_dhcp {
            agent::host_network(change, &parent.id).await?;
        }
        network::bump(&change.txn, &parent.id).await?;
        mark_dirty(change, &parent.id).await?;
        Ok(model)
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        let mut model = before.clone();
        attributes.update_text("name", &mut model.name);
        attributes.update_text("description", &mut model.description);
        attributes.update_flag("enable_dhcp", &mut model.enable_dhcp);
        attributes.update_flag("dns_publish_fixed_ip", &mut model.dns_publish_fixed_ip);
        if attributes.was_given("dns_nameservers") {
            model.dns_nameservers = Texts(attributes.texts("dns_nameservers"));
        }
        if attributes.was_given("host_routes") {
            model.host_routes = attributes.structure("host_routes")?;
        }
        if attributes.was_given("service_types") {
            model.service_types = Texts(attributes.texts("service_types"));
        }
        if attributes.was_given("segment_id") {
            model.segment_id = attributes.maybe_text("segment_id");
        }
        if attributes.was_given("allocation_pools") {
            model.allocation_pools = attributes.structure("allocation_pools")?;
        }
        if attributes.was_given("gateway_ip") {
            model.gateway_ip = attributes.maybe_text("gateway_ip");
        }
        rules::check_change(&before, &model)?;
        if model.gateway_ip != before.gateway_ip {
            refuse_used_gateway(change, &before).await?;
        }
        if before.enable_dhcp && !model.enable_dhcp {
            release_dhcp(change, &model.id).await?;
        }
        if model.enable_dhcp && !before.enable_dhcp {
            agent::host_network(change, &model.network_id).await?;
        }
        mark_dirty(change, &model.network_id).await?;
        save_changed(change, &before, model).await
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        release_dhcp(change, &model.id).await?;
        let users = users(&change.txn, &model).await?;
        let blocking = users.iter().any(|owner| !ipam::is_automatic(&model) || port::is_router(owner));
        if blocking {
            return Err(Error::conflict(
                "SubnetInUse",
                format!(
                    "Unable to complete operation on subnet {}: One or more ports have an IP allocation from this \
                     subnet.",
                    model.id
                ),
            ));
        }
        ipam::release_subnet(&change.txn, &model.id).await?;
        db::remove(&change.txn, &model).await?;
        network::bump(&change.txn, &model.network_id).await?;
        mark_dirty(change, &model.network_id).await
    }

    async fn views(_: &NetworkService, _: &RequestContext, models: &[table::Model]) -> Result<Vec<View>> {
        Ok(models.iter().map(render).collect())
    }
}

fn render(model: &table::Model) -> View {
    let mut out = Map::new();
    view::put(&mut out, "id", &model.id);
    view::put(&mut out, "name", &model.name);
    view::owner(&mut out, &model.project_id);
    view::put(&mut out, "network_id", &model.network_id);
    view::put(&mut out, "ip_version", model.ip_version);
    view::put(&mut out, "cidr", &model.cidr);
    view::put(&mut out, "subnetpool_id", &model.subnetpool_id);
    view::put(&mut out, "gateway_ip", &model.gateway_ip);
    view::put(&mut out, "allocation_pools", &model.allocation_pools);
    view::put(&mut out, "enable_dhcp", model.enable_dhcp);
    view::put(&mut out, "dns_nameservers", &model.dns_nameservers);
    view::put(&mut out, "host_routes", &model.host_routes);
    view::put(&mut out, "ipv6_ra_mode", &model.ipv6_ra_mode);
    view::put(&mut out, "ipv6_address_mode", &model.ipv6_address_mode);
    view::put(&mut out, "service_types", &model.service_types);
    view::put(&mut out, "dns_publish_fixed_ip", model.dns_publish_fixed_ip);
    view::put(&mut out, "segment_id", &model.segment_id);
    view::put(&mut out, "description", &model.description);
    view::times(&mut out, model.created_at, model.updated_at, model.revision_number);
    out
}

/// A network's subnets, oldest first.
pub async fn of_network(connection: &impl ConnectionTrait, network: &str) -> Result<Vec<table::Model>> {
    let query = table::Entity::find().filter(table::Column::NetworkId.eq(network));
    Ok(query.order_by_asc(table::Column::CreatedAt).order_by_asc(table::Column::Id).all(connection).await?)
}

pub async fn get(connection: &impl ConnectionTrait, id: &str) -> Result<table::Model> {
    table::Entity::find_by_id(id).one(connection).await?.ok_or_else(|| subnet_not_found(id))
}

/// Subnets by id, with few queries.
pub async fn by_ids(connection: &impl ConnectionTrait, ids: &[String]) -> Result<HashMap<String, table::Model>> {
    let mut out = HashMap::new();
    for ids in ids.chunks(CHUNK) {
        let rows = table::Entity::find().filter(table::Column::Id.is_in(ids.iter().map(String::as_str)));
        out.extend(rows.all(connection).await?.into_iter().map(|row| (row.id.clone(), row)));
    }
    Ok(out)
}

/// Owners of the ports with an address of the subnet.
async fn users(connection: &impl ConnectionTrait, model: &table::Model) -> Result<Vec<String>> {
    let ports = allocation::Entity::find()
        .select_only()
        .column(allocation::Column::PortId)
        .filter(allocation::Column::SubnetId.eq(&model.id))
        .into_query();
    Ok(port_table::Entity::find()
        .select_only()
        .column(port_table::Column::DeviceOwner)
        .distinct()
        .filter(port_table::Column::Id.in_subquery(ports))
        .into_tuple()
        .all(connection)
        .await?)
}

/// DHCP ports lose their address of the subnet; those without any go away.
async fn release_dhcp(change: &mut Change<'_>, subnet: &str) -> Result<()> {
    let addresses = allocation::Entity::find().filter(allocation::Column::SubnetId.eq(subnet)).all(&change.txn).await?;
    for row in addresses {
        let Some(port) = port_table::Entity::find_by_id(&row.port_id).one(&change.txn).await? else { continue };
        if port.device_owner != port::DHCP {
            continue;
        }
        db::remove(&change.txn, &row).await?;
        let left =
            allocation::Entity::find().filter(allocation::Column::PortId.eq(&port.id)).count(&change.txn).await?;
        if left == 0 {
            port::erase(change, &port).await?;
        }
    }
    Ok(())
}

/// The gateway may not change while a router's leg has its address.
async fn refuse_used_gateway(change: &Change<'_>, before: &table::Model) -> Result<()> {
    let Some(gateway) = &before.gateway_ip else { return Ok(()) };
    let row = allocation::Entity::find_by_id((before.network_id.clone(), gateway.clone())).one(&change.txn).await?;
    let Some(row) = row else { return Ok(()) };
    let Some(port) = port_table::Entity::find_by_id(&row.port_id).one(&change.txn).await? else { return Ok(()) };
    if port.device_owner != port::ROUTER_INTERFACE {
        return Ok(());
    }
    Err(Error::conflict(
        "GatewayIpInUse",
        format!("Current gateway ip {gateway} already in use by port {}. Unable to update.", port.id),
    ))
}

async fn mark_dirty(change: &mut Change<'_>, network: &str) -> Result<()> {
    change.effects.network(network);
    let routers = port::routers_on(&change.txn, network).await?;
    change.effects.routers(routers);
    Ok(())
}

/// The subnet, when the caller sees it.
pub async fn require_visible(change: &Change<'_>, id: &str) -> Result<table::Model> {
    find::<Subnet>(&change.txn, change.context, id).await
}
