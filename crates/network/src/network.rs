//! Networks: the broadcast domains that a project owns, and whom they are shared with.

use std::collections::{HashMap, HashSet};

use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService, agent,
    attribute::{Attribute, Attributes, Check, Default, Filter, common},
    db::{self, CHUNK, allocation, network_table as table, port_table, subnet},
    error::{bad_resource, invalid_input, network_not_found, zone_not_found},
    floatingip, port, rbac,
    resource::{Change, Resource, View, nothing, owned, save_changed},
    security_group, tag, view,
};

pub struct Network;

const PROVIDER: [&str; 3] = ["provider:network_type", "provider:physical_network", "provider:segmentation_id"];
/// Largest VXLAN identifier.
const MAX_VNI: i32 = 16_777_215;

impl Resource for Network {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "network";
    const PLURAL: &'static str = "networks";
    const TAGGED: bool = true;
    const QUOTA: Option<&'static str> = Some("network");
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        common::NAME,
        common::TENANT,
        common::PROJECT,
        common::ADMIN_STATE,
        Attribute::new("mtu").post(Default::Int(0), Check::Range(0, i32::MAX as i64)).put().filter(Filter::Int).sort(),
        common::STATUS,
        Attribute::new("subnets"),
        Attribute::new("shared").post(Default::Bool(false), Check::Bool).put().filter(Filter::Special),
        Attribute::new("router:external")
            .post(Default::Bool(false), Check::Bool)
            .put()
            .filter(Filter::Bool)
            .column("external"),
        Attribute::new("is_default").post(Default::Bool(false), Check::Bool).put().filter(Filter::Bool),
        Attribute::new("port_security_enabled").post(Default::Bool(true), Check::Bool).put(),
        Attribute::new("dns_domain").post(Default::Text(""), Check::DnsDomain).put(),
        common::DESCRIPTION,
        Attribute::new("availability_zone_hints").post(Default::List, Check::TextList).sort(),
        Attribute::new("availability_zones"),
        Attribute::new("ipv4_address_scope"),
        Attribute::new("ipv6_address_scope"),
        Attribute::new("l2_adjacency"),
        Attribute::new("provider:network_type")
            .post(Default::Unset, Check::TextOrNull(32))
            .put()
            .filter(Filter::Text)
            .column("network_type")
            .see("get_network:provider:network_type"),
        Attribute::new("provider:physical_network")
            .post(Default::Unset, Check::TextOrNull(64))
            .put()
            .filter(Filter::Text)
            .column("physical_network")
            .see("get_network:provider:physical_network"),
        Attribute::new("provider:segmentation_id")
            .post(Default::Unset, Check::IntOrNull)
            .put()
            .filter(Filter::Int)
            .column("segmentation_id")
            .see("get_network:provider:segmentation_id"),
        Attribute::new("segments").post(Default::Unset, Check::Any).put().see("get_network:segments"),
        common::CREATED,
        common::UPDATED,
        common::REVISION,
        common::TAGS,
    ];

    fn not_found(id: &str) -> Error {
        network_not_found(id)
    }

    fn visible(context: &RequestContext) -> Condition {
        visible(context)
    }

    fn special_filter(context: &RequestContext, key: &str, values: &[&str]) -> Result<Condition> {
        rbac::shared_filter(context, "network", table::Column::Id, key, values)
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        let project = attributes.text("project_id");
        let hints = attributes.texts("availability_zone_hints");
        if let Some(unknown) = hints.iter().find(|zone| **zone != change.service.settings.availability_zone) {
            return Err(zone_not_found(unknown));
        }
        security_group::ensure_default(change, &project).await?;
        let segment = segment_of(change, &attributes).await?;
        let external = attributes.flag("router:external");
        let is_default = attributes.flag("is_default");
        if is_default {
            refuse_second_default(&change.txn, None).await?;
        }
        let now = now();
        let model = table::Model {
            id: change.new_id(),
            project_id: project,
            name: attributes.text("name"),
            description: attributes.text("description"),
            status: "ACTIVE".into(),
            admin_state_up: attributes.flag("admin_state_up"),
            mtu: mtu_of(change.service, attributes.int("mtu"))?,
            port_security_enabled: attributes.flag("port_security_enabled"),
            dns_domain: attributes.text("dns_domain"),
            external,
            is_default,
            availability_zone_hints: db::lists::Texts(hints),
            network_type: segment.kind,
            physical_network: segment.physical,
            segmentation_id: segment.id,
            segment_id: uuid::Uuid::new_v4().to_string(),
            created_at: now,
            updated_at: now,
            revision_number: 1,
        };
        db::insert(&change.txn, model.clone()).await?;
        if attributes.flag("shared") {
            rbac::share(&change.txn, "network", &model.id, rbac::SHARED, &model.project_id).await?;
        }
        if external {
            rbac::share(&change.txn, "network", &model.id, rbac::EXTERNAL, &model.project_id).await?;
        }
        change.effects.network(&model.id);
        Ok(model)
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        if attributes.given().any(|name| PROVIDER.contains(&name) || name == "segments") {
            return Err(invalid_input("Plugin does not support updating provider attributes"));
        }
        let mut model = before.clone();
        attributes.update_text("name", &mut model.name);
        attributes.update_text("description", &mut model.description);
        attributes.update_text("dns_domain", &mut model.dns_domain);
        attributes.update_flag("admin_state_up", &mut model.admin_state_up);
        attributes.update_flag("port_security_enabled", &mut model.port_security_enabled);
        if let Some(mtu) = attributes.int("mtu") {
            model.mtu = mtu_of(change.service, Some(mtu))?;
            refuse_small_mtu(change, &model).await?;
        }
        attributes.update_flag("is_default", &mut model.is_default);
        if model.is_default && !before.is_default {
            refuse_second_default(&change.txn, Some(&model.id)).await?;
        }
        if let Some(shared) = attributes.get("shared").and_then(Value::as_bool) {
            set_shared(change, &model, shared).await?;
        }
        attributes.update_flag("router:external", &mut model.external);
        if model.external != before.external {
            if model.external {
                rbac::share(&change.txn, "network", &model.id, rbac::EXTERNAL, &model.project_id).await?;
            } else {
                refuse_used_gateway(change, &model).await?;
                rbac::unshare(&change.txn, &model.id, rbac::EXTERNAL, None).await?;
            }
        }
        change.effects.network(&model.id);
        change.effects.routers(port::routers_on(&change.txn, &model.id).await?);
        save_changed(change, &before, model).await
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        floatingip::forget_unused(change, &model).await?;
        let ports = port_table::Entity::find()
            .filter(port_table::Column::NetworkId.eq(&model.id))
            .limit(CHUNK as u64)
            .all(&change.txn)
            .await?;
        let (automatic, users): (Vec<_>, Vec<_>) = ports.into_iter().partition(|port| port.device_owner == port::DHCP);
        if !users.is_empty() {
            let ids: Vec<_> = users.iter().map(|port| port.id.as_str()).collect();
            return Err(Error::conflict(
                "NetworkInUse",
                format!(
                    "Unable to complete operation on network {}. There are one or more ports still in use on the \
                     network, id for these ports is: {}.",
                    model.id,
                    ids.join(",")
                ),
            ));
        }
        for port in automatic {
            port::erase(change, &port).await?;
        }
        allocation::Entity::delete_many().filter(allocation::Column::NetworkId.eq(&model.id)).exec(&change.txn).await?;
        let subnets = subnet::Entity::find().filter(subnet::Column::NetworkId.eq(&model.id)).all(&change.txn).await?;
        for row in subnets {
            tag::forget(&change.txn, &row.id).await?;
            db::remove(&change.txn, &row).await?;
        }
        rbac::forget(&change.txn, &model.id).await?;
        agent::forget(&change.txn, &model.id).await?;
        db::remove(&change.txn, &model).await?;
        change.effects.network(&model.id);
        change.effects.event("network.deleted", &model.id, &model.project_id, json!({"status": "DELETED"}));
        Ok(())
    }

    async fn views(service: &NetworkService, context: &RequestContext, models: &[table::Model]) -> Result<Vec<View>> {
        let connection = service.database.read();
        let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        let shared = rbac::shared_with(connection, context, &ids).await?;
        let hosted: HashSet<String> = agent::hosted(connection, &service.agents().dhcp, &ids).await?;
        let mut subnets: HashMap<String, Vec<String>> = HashMap::new();
        let mut scopes: HashMap<(String, i32), String> = HashMap::new();
        for ids in ids.chunks(CHUNK) {
            let rows: Vec<(String, String, i32, Option<String>)> = subnet::Entity::find()
                .select_only()
                .columns([
                    subnet::Column::NetworkId,
                    subnet::Column::Id,
                    subnet::Column::IpVersion,
                    subnet::Column::SubnetpoolId,
                ])
                .filter(subnet::Column::NetworkId.is_in(ids.iter().copied()))
                .order_by_asc(subnet::Column::CreatedAt)
                .into_tuple()
                .all(connection)
                .await?;
            for (network, id, version, pool) in rows {
                if let Some(pool) = pool
                    && let Some(scope) = crate::subnetpool::scope_of(connection, &pool).await?
                {
                    scopes.insert((network.clone(), version), scope);
                }
                subnets.entry(network).or_default().push(id);
            }
        }
        let views = models.iter().map(|model| {
            let mut out = Map::new();
            view::put(&mut out, "id", &model.id);
            view::put(&mut out, "name", &model.name);
            view::owner(&mut out, &model.project_id);
            view::put(&mut out, "admin_state_up", model.admin_state_up);
            view::put(&mut out, "mtu", model.mtu);
            view::put(&mut out, "status", &model.status);
            view::put(&mut out, "subnets", subnets.remove(&model.id).unwrap_or_default());
            view::put(&mut out, "shared", shared.contains(&model.id));
            view::put(&mut out, "port_security_enabled", model.port_security_enabled);
            view::put(&mut out, "dns_domain", &model.dns_domain);
            view::put(&mut out, "router:external", model.external);
            view::put(&mut out, "is_default", model.is_default);
            view::put(&mut out, "availability_zone_hints", &model.availability_zone_hints.0);
            let zones: &[&str] =
                if hosted.contains(&model.id) { &[service.settings.availability_zone.as_str()] } else { &[] };
            view::put(&mut out, "availability_zones", zones);
            view::put(&mut out, "ipv4_address_scope", scopes.get(&(model.id.clone(), 4)));
            view::put(&mut out, "ipv6_address_scope", scopes.get(&(model.id.clone(), 6)));
            view::put(&mut out, "l2_adjacency", true);
            view::put(&mut out, "provider:network_type", &model.network_type);
            view::put(&mut out, "provider:physical_network", &model.physical_network);
            view::put(&mut out, "provider:segmentation_id", model.segmentation_id);
            view::put(&mut out, "description", &model.description);
            view::times(&mut out, model.created_at, model.updated_at, model.revision_number);
            out
        });
        Ok(views.collect())
    }
}

/// Own networks, those shared with the project, and external ones.
pub fn visible(context: &RequestContext) -> Condition {
    if context.is_admin() || context.has_role("service") {
        return Condition::all();
    }
    match context.project_id().filter(|_| context.has_role("reader")) {
        Some(project) => Condition::any()
            .add(owned(context, Some(table::Column::ProjectId)))
            .add(table::Column::Id.in_subquery(rbac::granted("network", project, None))),
        None => nothing(),
    }
}

/// A condition on a column that holds network ids: networks that the caller's project owns.
pub fn on_owned_network<C: ColumnTrait>(context: &RequestContext, column: C) -> Condition {
    match context.project_id().filter(|_| context.has_role("reader")) {
        Some(project) => {
            let own = table::Entity::find()
                .select_only()
                .column(table::Column::Id)
                .filter(table::Column::ProjectId.eq(project))
                .into_query();
            Condition::all().add(column.in_subquery(own))
        }
        None => nothing(),
    }
}

/// The network whatever the caller may see; internal callers check on their own.
pub async fn get(connection: &impl ConnectionTrait, id: &str) -> Result<table::Model> {
    table::Entity::find_by_id(id).one(connection).await?.ok_or_else(|| network_not_found(id))
}

struct Segment {
    kind: String,
    physical: Option<String>,
    id: Option<i32>,
}

/// Which segment the network uses. There is one host and no physical mapping, so only VXLAN (and `local`) exist.
async fn segment_of(change: &Change<'_>, attributes: &Attributes) -> Result<Segment> {
    let mut kind = attributes.maybe_text("provider:network_type");
    let mut physical = attributes.maybe_text("provider:physical_network");
    let mut wanted = attributes.int("provider:segmentation_id");
    if let Some(Value::Array(segments)) = attributes.get("segments").filter(|value| !value.is_null()) {
        let [Value::Object(segment)] = segments.as_slice() else {
            return Err(invalid_input("networks with several segments are not supported"));
        };
        if attributes.given().any(|name| PROVIDER.contains(&name)) {
            return Err(invalid_input("Segments and provider values cannot both be set"));
        }
        let text = |key: &str| segment.get(key).and_then(Value::as_str).map(str::to_owned);
        kind = text("provider:network_type");
        physical = text("provider:physical_network");
        wanted = segment
            .get("provider:segmentation_id")
            .and_then(Value::as_i64)
            .map(|number| i32::try_from(number).unwrap_or(-1));
    }
    if kind.is_none() && (physical.is_some() || wanted.is_some()) {
        return Err(invalid_input("network_type required"));
    }
    match kind.as_deref().unwrap_or("vxlan") {
        "vxlan" => {
            if physical.is_some() {
                return Err(invalid_input("provider:physical_network specified for vxlan network"));
            }
            let id = match wanted {
                Some(vni) => {
                    claim_vni(&change.txn, vni).await?;
                    vni
                }
                None => free_vni(&change.txn).await?,
            };
            Ok(Segment { kind: "vxlan".into(), physical: None, id: Some(id) })
        }
        "local" => {
            if physical.is_some() || wanted.is_some() {
                return Err(invalid_input("provider attributes are prohibited for network_type local"));
            }
            Ok(Segment { kind: "local".into(), physical: None, id: None })
        }
        flat_or_vlan @ ("flat" | "vlan") => {
            if flat_or_vlan == "vlan" && wanted.is_some_and(|tag| !(1..=4094).contains(&tag)) {
                return Err(invalid_input("segmentation_id out of range (1 through 4094)"));
            }
            match physical {
                None => Err(invalid_input(format!("physical_network required for {flat_or_vlan} provider network"))),
                Some(name) => Err(invalid_input(format!(
                    "physical_network '{}' unknown for {flat_or_vlan} provider network",
                    name.escape_default()
                ))),
            }
        }
        other => Err(invalid_input(format!("network_type value '{}' not supported", other.escape_default()))),
    }
}

async fn claim_vni(connection: &impl ConnectionTrait, vni: i32) -> Result<()> {
    if !(1..=MAX_VNI).contains(&vni) {
        return Err(invalid_input(format!("segmentation_id out of range (1 through {MAX_VNI})")));
    }
    let taken = table::Entity::find().filter(table::Column::SegmentationId.eq(vni)).one(connection).await?;
    match taken {
        None => Ok(()),
        Some(_) => Err(Error::conflict(
            "TunnelIdInUse",
            format!("Unable to create the network. The tunnel ID {vni} is in use."),
        )),
    }
}

/// One more than the highest in use, or the lowest gap once the range is worn out.
async fn free_vni(connection: &impl ConnectionTrait) -> Result<i32> {
    let query = || table::Entity::find().select_only().column(table::Column::SegmentationId);
    let highest: Option<Option<i32>> =
        query().order_by_desc(table::Column::SegmentationId).limit(1).into_tuple().one(connection).await?;
    let next = highest.flatten().unwrap_or(0) + 1;
    if next <= MAX_VNI {
        return Ok(next);
    }
    let used: Vec<Option<i32>> = query().into_tuple().all(connection).await?;
    let used: HashSet<i32> = used.into_iter().flatten().collect();
    (1..=MAX_VNI).find(|vni| !used.contains(vni)).ok_or_else(|| {
        Error::unavailable(
            "NoNetworkAvailable",
            "Unable to create the network. No tenant network is available for allocation.",
        )
    })
}

fn mtu_of(service: &NetworkService, wanted: Option<i32>) -> Result<i32> {
    let largest = i32::try_from(service.settings.mtu).unwrap_or(1500);
    match wanted {
        None | Some(0) => Ok(largest),
        Some(mtu) if mtu > largest => Err(invalid_input(format!("Requested MTU is too big, maximum is {largest}"))),
        Some(mtu) => Ok(mtu),
    }
}

async fn refuse_small_mtu(change: &Change<'_>, model: &table::Model) -> Result<()> {
    for row in subnet::Entity::find().filter(subnet::Column::NetworkId.eq(&model.id)).all(&change.txn).await? {
        refuse_mtu_for(model.mtu, row.ip_version)?;
    }
    Ok(())
}

/// IPv4 needs 68 bytes, IPv6 1280.
pub fn refuse_mtu_for(mtu: i32, ip_version: i32) -> Result<()> {
    let least = if ip_version == 4 { 68 } else { 1280 };
    if mtu < least {
        return Err(Error::invalid(
            "InvalidInput",
            format!("Invalid input for operation: MTU {mtu} is too small for IPv{ip_version}, minimum is {least}."),
        ));
    }
    Ok(())
}

async fn refuse_second_default(connection: &impl ConnectionTrait, own: Option<&str>) -> Result<()> {
    let other = table::Entity::find().filter(table::Column::IsDefault.eq(true)).one(connection).await?;
    match other {
        Some(other) if Some(other.id.as_str()) != own => Err(Error::conflict(
            "DefaultExternalNetworkExists",
            format!("A default external network already exists: {}.", other.id),
        )),
        _ => Ok(()),
    }
}

async fn set_shared(change: &Change<'_>, model: &table::Model, shared: bool) -> Result<()> {
    if shared {
        return rbac::share(&change.txn, "network", &model.id, rbac::SHARED, &model.project_id).await;
    }
    let foreign = port_table::Entity::find()
        .filter(port_table::Column::NetworkId.eq(&model.id))
        .filter(port_table::Column::ProjectId.is_not_in([model.project_id.as_str(), ""]))
        .one(&change.txn)
        .await?;
    if foreign.is_some() {
        return Err(Error::conflict(
            "InvalidSharedSetting",
            format!(
                "Unable to reconfigure sharing settings for network {}. Multiple tenants are using it.",
                model.name
            ),
        ));
    }
    rbac::unshare(&change.txn, &model.id, rbac::SHARED, Some("*")).await
}

/// An external network that gateways or floating IPs use stays external.
async fn refuse_used_gateway(change: &Change<'_>, model: &table::Model) -> Result<()> {
    let gateway = port_table::Entity::find()
        .filter(port_table::Column::NetworkId.eq(&model.id))
        .filter(port_table::Column::DeviceOwner.is_in([port::ROUTER_GATEWAY, port::FLOATING_IP]))
        .one(&change.txn)
        .await?;
    match gateway {
        None => Ok(()),
        Some(_) => Err(Error::conflict(
            "ExternalNetworkInUse",
            format!(
                "External network {} cannot be updated to be made non-external, since it has existing gateway ports.",
                model.id
            ),
        )),
    }
}

/// Whether ports of any project may be made on it, seen by the caller.
pub async fn is_shared(connection: &impl ConnectionTrait, context: &RequestContext, id: &str) -> Result<bool> {
    Ok(rbac::shared_with(connection, context, &[id]).await?.contains(id))
}

/// 400 unless the network is external.
pub fn require_external(model: &table::Model, resource: &str) -> Result<()> {
    if model.external {
        return Ok(());
    }
    Err(bad_resource(resource, format!("Network {} is not a valid external network", model.id)))
}

/// Marks a child's change on the network.
pub async fn bump(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    if let Some(mut model) = table::Entity::find_by_id(id).one(connection).await? {
        db::Stored::touch(&mut model);
        db::save(connection, &model).await?;
    }
    Ok(())
}
