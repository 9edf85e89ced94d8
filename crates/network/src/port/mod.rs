//! Ports: a network interface's MAC, addresses, groups and place.
//!
//! Status is written only from what agents report ([`crate::plan`]): a port is made DOWN, becomes ACTIVE when its host
//! holds it, and goes DOWN again when it is moved.

mod check;
mod lookup;
mod render;

pub use lookup::*;
use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use serde_json::{Value, json};

use crate::{
    NetworkService,
    attribute::{Attribute, Attributes, Check, Default, Filter, common},
    db::{
        self, allocation,
        lists::{DhcpOptions, Pairs},
        port_group, port_table as table,
    },
    error::{invalid_input, port_not_found},
    floatingip,
    ipam::{self, Seeker, Wish},
    network,
    resource::{Change, Resource, View, find, owned, save_changed},
    security_group, tag,
};

pub const DHCP: &str = "network:dhcp";
pub const ROUTER_INTERFACE: &str = "network:router_interface";
pub const ROUTER_GATEWAY: &str = "network:router_gateway";
pub const FLOATING_IP: &str = "network:floatingip";

pub fn is_router(device_owner: &str) -> bool {
    matches!(device_owner, ROUTER_INTERFACE | ROUTER_GATEWAY)
}

pub struct Port;

impl Resource for Port {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "port";
    const PLURAL: &'static str = "ports";
    const TAGGED: bool = true;
    const QUOTA: Option<&'static str> = Some("port");
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        common::NAME,
        Attribute::new("network_id").post(Default::Required, Check::Uuid).filter(Filter::Text).sort(),
        common::ADMIN_STATE,
        Attribute::new("mac_address").post(Default::Unset, Check::Mac).put().filter(Filter::Lower).sort(),
        Attribute::new("fixed_ips").post(Default::Unset, Check::Custom(check::fixed_ips)).put().filter(Filter::Special),
        Attribute::new("device_id").post(Default::Text(""), Check::Text(255)).put().filter(Filter::Text).sort(),
        Attribute::new("device_owner").post(Default::Text(""), Check::Text(255)).put().filter(Filter::Text).sort(),
        common::TENANT,
        common::PROJECT,
        common::STATUS,
        Attribute::new("security_groups").post(Default::Unset, Check::UuidList).put().filter(Filter::Special),
        Attribute::new("allowed_address_pairs").post(Default::List, Check::Custom(check::pairs)).put(),
        Attribute::new("port_security_enabled").post(Default::Unset, Check::Bool).put(),
        Attribute::new("extra_dhcp_opts").post(Default::List, Check::Custom(check::dhcp_options)).put(),
        Attribute::new("binding:vnic_type")
            .post(Default::Text("normal"), Check::OneOf(check::VNIC_TYPES))
            .put()
            .filter(Filter::Text)
            .column("vnic_type"),
        Attribute::new("binding:host_id")
            .post(Default::Text(""), Check::TextOrNull(255))
            .put()
            .filter(Filter::Text)
            .column("host")
            .see("get_port:binding:host_id"),
        Attribute::new("binding:profile")
            .post(Default::Map, Check::Custom(check::profile))
            .put()
            .see("get_port:binding:profile"),
        Attribute::new("binding:vif_type").see("get_port:binding:vif_type"),
        Attribute::new("binding:vif_details").see("get_port:binding:vif_details"),
        Attribute::new("dns_name").post(Default::Text(""), Check::DnsName).put(),
        Attribute::new("dns_domain").post(Default::Text(""), Check::DnsDomain).put(),
        Attribute::new("dns_assignment"),
        Attribute::new("ip_allocation").filter(Filter::Text).sort(),
        Attribute::new("propagate_uplink_status").post(Default::Bool(true), Check::Bool).put(),
        Attribute::new("data_plane_status").put_only(Check::OneOfOrNull(&["ACTIVE", "DOWN"])).filter(Filter::Text),
        Attribute::new("tags").post(Default::List, Check::Custom(check::tags)),
        common::DESCRIPTION,
        common::CREATED,
        common::UPDATED,
        common::REVISION,
    ];

    fn not_found(id: &str) -> Error {
        port_not_found(id)
    }

    /// Own ports and those on own networks.
    fn visible(context: &RequestContext) -> Condition {
        if context.is_admin() || context.has_role("service") {
            return Condition::all();
        }
        Condition::any()
            .add(owned(context, Some(table::Column::ProjectId)))
            .add(network::on_owned_network(context, table::Column::NetworkId))
    }

    fn special_filter(_: &RequestContext, key: &str, values: &[&str]) -> Result<Condition> {
        if key == "fixed_ips" {
            return check::fixed_ips_filter(values);
        }
        let members = port_group::Entity::find()
            .select_only()
            .column(port_group::Column::PortId)
            .filter(port_group::Column::GroupId.is_in(values.iter().copied()))
            .into_query();
        Ok(Condition::all().add(table::Column::Id.in_subquery(members)))
    }

    async fn create_target(change: &mut Change<'_>, attributes: &Attributes) -> Result<Value> {
        let parent = find::<network::Network>(&change.txn, change.context, &attributes.text("network_id")).await?;
        let shared = network::is_shared(&change.txn, change.context, &parent.id).await?;
        Ok(json!({
            "project_id": attributes.text("project_id"),
            "network:project_id": parent.project_id,
            "network:shared": shared,
        }))
    }

    async fn target(change: &mut Change<'_>, model: &table::Model) -> Result<Value> {
        let parent = network::get(&change.txn, &model.network_id).await?;
        Ok(json!({"project_id": model.project_id, "network:project_id": parent.project_id}))
    }

    fn further_rules(action: &str, attributes: &Attributes) -> Vec<String> {
        let mut rules = Vec::new();
        if attributes.was_given("device_owner") && attributes.text("device_owner").starts_with("network:") {
            rules.push(format!("{action}:device_owner:network"));
        }
        let addressed = attributes
            .get("fixed_ips")
            .and_then(Value::as_array)
            .is_some_and(|list| list.iter().any(|item| item.get("ip_address").is_some_and(|value| !value.is_null())));
        if addressed {
            rules.push(format!("{action}:fixed_ips:ip_address"));
        }
        rules
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        create(change, attributes).await
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        update(change, before, attributes).await
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        if is_router(&model.device_owner) || model.device_owner == FLOATING_IP {
            return Err(Error::conflict(
                "ServicePortInUse",
                format!(
                    "Port {} cannot be deleted directly via the port API: has device owner {}.",
                    model.id, model.device_owner
                ),
            ));
        }
        floatingip::port_gone(change, &model.id).await?;
        erase(change, &model).await
    }

    async fn views(service: &NetworkService, _: &RequestContext, models: &[table::Model]) -> Result<Vec<View>> {
        render::views(service, models).await
    }
}

async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
    let parent = network::get(&change.txn, &attributes.text("network_id")).await?;
    let project = attributes.text("project_id");
    let device_owner = attributes.text("device_owner");
    let id = change.new_id();
    let guarded = match attributes.get("port_security_enabled") {
        Some(_) => attributes.flag("port_security_enabled"),
        None => parent.port_security_enabled && !device_owner.starts_with("network:"),
    };
    let mac = match attributes.maybe_text("mac_address") {
        Some(mac) => {
            refuse_taken_mac(&change.txn, &parent.id, &mac, &id).await?;
            mac
        }
        None => free_mac(&change.txn, &parent.id).await?,
    };
    let pairs = check::pairs_of(&attributes, &mac)?;
    let groups = if attributes.get("security_groups").is_some() {
        attributes.texts("security_groups")
    } else if guarded && !device_owner.starts_with("network:") {
        vec![security_group::ensure_default(change, &project).await?]
    } else {
        Vec::new()
    };
    check::guard(guarded, &groups, &pairs, attributes.was_given("security_groups"))?;
    security_group::require_visible(change, &groups, &project).await?;
    let seeker = Seeker { network_id: &parent.id, port_id: &id, device_owner: &device_owner, mac: &mac };
    let addresses = match attributes.get("fixed_ips") {
        None => ipam::choose(&change.txn, &seeker).await?,
        Some(_) => ipam::claim(&change.txn, &seeker, &check::wishes(&attributes)?).await?,
    };
    let now = now();
    let none = attributes.get("fixed_ips").is_some() && addresses.is_empty();
    let model = table::Model {
        id,
        project_id: project,
        name: attributes.text("name"),
        description: attributes.text("description"),
        network_id: parent.id.clone(),
        admin_state_up: attributes.flag("admin_state_up"),
        mac_address: mac,
        device_id: attributes.text("device_id"),
        device_owner,
        status: "DOWN".into(),
        port_security_enabled: guarded,
        allowed_address_pairs: Pairs(pairs),
        extra_dhcp_opts: DhcpOptions(check::options_of(&attributes)?),
        host: attributes.text("binding:host_id"),
        vnic_type: attributes.text("binding:vnic_type"),
        profile: attributes.get("binding:profile").cloned().filter(Value::is_object).unwrap_or(json!({})),
        dns_name: attributes.text("dns_name"),
        dns_domain: attributes.text("dns_domain"),
        data_plane_status: None,
        ip_allocation: if none { "none" } else { "immediate" }.into(),
        propagate_uplink_status: attributes.flag("propagate_uplink_status"),
        created_at: now,
        updated_at: now,
        revision_number: 1,
    };
    insert(change, &model, &groups).await?;
    tag::add(&change.txn, &model.id, &attributes.texts("tags")).await?;
    Ok(model)
}

/// Writes a checked port whose addresses are taken already.
pub async fn insert(change: &mut Change<'_>, model: &table::Model, groups: &[String]) -> Result<()> {
    db::insert(&change.txn, model.clone()).await?;
    for group in groups {
        let row = port_group::Model { port_id: model.id.clone(), group_id: group.clone() };
        db::insert(&change.txn, row).await?;
    }
    mark_dirty(change, model, groups.iter().cloned());
    Ok(())
}

async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
    let mut model = before.clone();
    for (name, column) in [
        ("name", &mut model.name),
        ("description", &mut model.description),
        ("device_id", &mut model.device_id),
        ("device_owner", &mut model.device_owner),
        ("binding:host_id", &mut model.host),
        ("binding:vnic_type", &mut model.vnic_type),
        ("dns_name", &mut model.dns_name),
        ("dns_domain", &mut model.dns_domain),
    ] {
        attributes.update_text(name, column);
    }
    attributes.update_flag("admin_state_up", &mut model.admin_state_up);
    attributes.update_flag("port_security_enabled", &mut model.port_security_enabled);
    attributes.update_flag("propagate_uplink_status", &mut model.propagate_uplink_status);
    if attributes.was_given("data_plane_status") {
        model.data_plane_status = attributes.maybe_text("data_plane_status");
    }
    if let Some(profile) = attributes.get("binding:profile") {
        model.profile = if profile.is_object() { profile.clone() } else { json!({}) };
    }
    if attributes.was_given("extra_dhcp_opts") {
        model.extra_dhcp_opts = DhcpOptions(check::changed_options(&before.extra_dhcp_opts.0, &attributes)?);
    }
    if let Some(mac) = attributes.maybe_text("mac_address")
        && mac != model.mac_address
    {
        if !before.host.is_empty() && before.status == "ACTIVE" {
            return Err(Error::conflict(
                "PortBound",
                format!("Unable to complete operation on port {}, port is already bound.", before.id),
            ));
        }
        refuse_taken_mac(&change.txn, &model.network_id, &mac, &model.id).await?;
        for pair in &mut model.allowed_address_pairs.0 {
            if pair.mac_address == before.mac_address {
                pair.mac_address.clone_from(&mac);
            }
        }
        model.mac_address = mac;
    }
    if attributes.was_given("allowed_address_pairs") {
        model.allowed_address_pairs = Pairs(check::pairs_of(&attributes, &model.mac_address)?);
    }
    let had = group_ids(&change.txn, &model.id).await?;
    let groups =
        if attributes.was_given("security_groups") { attributes.texts("security_groups") } else { had.clone() };
    let changes_guard = ["port_security_enabled", "security_groups", "allowed_address_pairs"]
        .iter()
        .any(|name| attributes.was_given(name));
    if changes_guard {
        check::guard(
            model.port_security_enabled,
            &groups,
            &model.allowed_address_pairs.0,
            attributes.was_given("security_groups"),
        )?;
    }
    let added: Vec<_> = groups.iter().filter(|id| !had.contains(id)).cloned().collect();
    security_group::require_visible(change, &added, &model.project_id).await?;
    if attributes.was_given("security_groups") {
        set_groups(change, &model.id, &groups).await?;
    }
    let mut moved = false;
    if attributes.was_given("fixed_ips") {
        moved = set_addresses(change, &before, &model, &check::wishes(&attributes)?).await?;
    }
    if model.host != before.host || model.admin_state_up != before.admin_state_up && !model.admin_state_up {
        model.status = if model.status == "N/A" { model.status } else { "DOWN".into() };
    }
    mark_dirty(change, &model, had.iter().chain(&groups).cloned());
    if moved || groups != had {
        let mut model = model;
        db::Stored::touch(&mut model);
        db::save(&change.txn, &model).await?;
        return Ok(model);
    }
    save_changed(change, &before, model).await
}

async fn set_groups(change: &Change<'_>, port: &str, groups: &[String]) -> Result<()> {
    port_group::Entity::delete_many().filter(port_group::Column::PortId.eq(port)).exec(&change.txn).await?;
    for group in groups {
        db::insert(&change.txn, port_group::Model { port_id: port.to_owned(), group_id: group.clone() }).await?;
    }
    Ok(())
}

/// Replaces a port's addresses; those named again, and one for each subnet named again, stay. Answers whether any
/// changed. Addresses that floating IPs or a router need do not go.
pub async fn set_addresses(
    change: &mut Change<'_>,
    before: &table::Model,
    model: &table::Model,
    wishes: &[Wish],
) -> Result<bool> {
    if model.device_owner == ROUTER_GATEWAY || model.device_owner == FLOATING_IP {
        return Err(invalid_input(format!("fixed_ips of a {} port are changed through its owner", model.device_owner)));
    }
    let old = ipam::of_port(&change.txn, &model.id).await?;
    let mut free: Vec<&allocation::Model> = old
        .iter()
        .filter(|row| !wishes.iter().any(|wish| wish.ip_address.is_some_and(|ip| ip.to_string() == row.ip_address)))
        .collect();
    let mut settled = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let mut wish = wish.clone();
        if let (Some(subnet), None) = (&wish.subnet_id, wish.ip_address)
            && let Some(index) = free.iter().position(|row| row.subnet_id == *subnet)
        {
            wish.ip_address = free.remove(index).ip_address.parse().ok();
        }
        settled.push(wish);
    }
    ipam::release_port(&change.txn, &model.id).await?;
    let seeker = Seeker {
        network_id: &model.network_id,
        port_id: &model.id,
        device_owner: &model.device_owner,
        mac: &model.mac_address,
    };
    let new = ipam::claim(&change.txn, &seeker, &settled).await?;
    let gone: Vec<String> = old
        .iter()
        .filter(|row| !new.iter().any(|have| have.ip_address == row.ip_address))
        .map(|row| row.ip_address.clone())
        .collect();
    floatingip::addresses_gone(change, &before.id, &gone).await?;
    Ok(old.iter().map(|row| &row.ip_address).ne(new.iter().map(|row| &row.ip_address)))
}

/// Removes a port with everything that hangs on it, without asking who needs it.
pub async fn erase(change: &mut Change<'_>, model: &table::Model) -> Result<()> {
    let groups = group_ids(&change.txn, &model.id).await?;
    mark_dirty(change, model, groups);
    ipam::release_port(&change.txn, &model.id).await?;
    port_group::Entity::delete_many().filter(port_group::Column::PortId.eq(&model.id)).exec(&change.txn).await?;
    tag::forget(&change.txn, &model.id).await?;
    db::remove(&change.txn, model).await
}

/// The port's network, its router, and whoever has rules about one of the groups.
fn mark_dirty(change: &mut Change<'_>, model: &table::Model, groups: impl IntoIterator<Item = String>) {
    change.effects.network(&model.network_id);
    if is_router(&model.device_owner) && !model.device_id.is_empty() {
        change.effects.router(&model.device_id);
    }
    change.effects.groups(groups);
}
