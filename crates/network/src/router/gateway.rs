//! A router's leg in an external network.

use std::net::IpAddr;

use sahab_contract::{Error, Result, context::now};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Map, Value, json};

use crate::{
    attribute::{
        Attributes,
        check::{self, Fault, shown},
    },
    db::{
        floatingip,
        lists::{DhcpOptions, Pairs},
        port_table, router_table as table,
    },
    ipam::{self, Seeker, Wish},
    network, port,
    resource::{Change, find},
};

const KEYS: [&str; 4] = ["network_id", "enable_snat", "external_fixed_ips", "qos_policy_id"];

/// `external_gateway_info`; null and `{}` both clear it.
pub fn parse(_: &str, value: Value) -> Result<Value, Fault> {
    let info = match value {
        Value::Null => return Ok(Value::Null),
        Value::Object(info) => info,
        other => return Err(Fault::Reason(format!("'{}' is not a dictionary", shown(&other)))),
    };
    if info.is_empty() {
        return Ok(Value::Null);
    }
    let mut out = Map::new();
    if let Some(other) = info.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Fault::Reason(format!("Unexpected keys supplied: {other}")));
    }
    match info.get("network_id").and_then(Value::as_str) {
        Some(id) if check::is_uuid(id) => out.insert("network_id".into(), json!(id.to_ascii_lowercase())),
        Some(id) => return Err(Fault::Reason(format!("'{id}' is not a valid UUID"))),
        None => return Err(Fault::Reason("Expected keys not found: network_id".into())),
    };
    if let Some(snat) = info.get("enable_snat") {
        out.insert("enable_snat".into(), check::boolean(snat.clone())?);
    }
    if info.get("qos_policy_id").is_some_and(|value| !value.is_null()) {
        return Err(Fault::Reason("QoS policies are not supported".into()));
    }
    if let Some(fixed) = info.get("external_fixed_ips").filter(|value| !value.is_null()) {
        let list = check::list(fixed)?;
        let mut wishes = Vec::new();
        for item in list {
            let Some(item) = item.as_object() else {
                return Err(Fault::Reason(format!("Invalid data format for fixed IP: '{}'", shown(item))));
            };
            let mut wish = Map::new();
            if let Some(ip) = item.get("ip_address").filter(|value| !value.is_null()) {
                wish.insert("ip_address".into(), json!(check::ip(ip)?.to_string()));
            }
            match item.get("subnet_id") {
                None | Some(Value::Null) => {}
                Some(Value::String(id)) if check::is_uuid(id) => {
                    wish.insert("subnet_id".into(), json!(id.to_ascii_lowercase()));
                }
                Some(other) => return Err(Fault::Reason(format!("'{}' is not a valid UUID", shown(other)))),
            }
            wishes.push(Value::Object(wish));
        }
        out.insert("external_fixed_ips".into(), Value::Array(wishes));
    }
    Ok(Value::Object(out))
}

/// What the user wants of the gateway.
pub struct Wanted {
    network_id: String,
    enable_snat: Option<bool>,
    fixed: Option<Vec<Wish>>,
}

pub fn wanted(attributes: &Attributes) -> Option<Wanted> {
    let info = attributes.get("external_gateway_info")?.as_object()?;
    let wish = |item: &Value| Wish {
        subnet_id: item["subnet_id"].as_str().map(str::to_owned),
        ip_address: item["ip_address"].as_str().and_then(|text| text.parse::<IpAddr>().ok()),
    };
    Some(Wanted {
        network_id: info.get("network_id")?.as_str()?.to_owned(),
        enable_snat: info.get("enable_snat").and_then(Value::as_bool),
        fixed: info
            .get("external_fixed_ips")
            .and_then(Value::as_array)
            .map(|list| list.iter().map(wish).filter(|wish| *wish != Wish::default()).collect()),
    })
}

/// Sets or changes the gateway. The same network without other addresses keeps the port.
pub async fn set(change: &mut Change<'_>, model: &mut table::Model, wanted: &Wanted) -> Result<()> {
    let network = find::<network::Network>(&change.txn, change.context, &wanted.network_id).await?;
    network::require_external(&network, "router")?;
    model.enable_snat = wanted.enable_snat.unwrap_or(true);
    if model.gateway_network_id.as_deref() == Some(network.id.as_str())
        && let Some(port_id) = model.gateway_port_id.clone()
    {
        if let Some(fixed) = wanted.fixed.as_ref().filter(|fixed| !fixed.is_empty()) {
            move_addresses(change, &port_id, fixed).await?;
        }
        return Ok(());
    }
    clear(change, model).await?;
    model.enable_snat = wanted.enable_snat.unwrap_or(true);
    refuse_overlap(change, model, &network.id).await?;
    let id = uuid::Uuid::new_v4().to_string();
    let mac = port::free_mac(&change.txn, &network.id).await?;
    let seeker = Seeker { network_id: &network.id, port_id: &id, device_owner: port::ROUTER_GATEWAY, mac: &mac };
    match wanted.fixed.as_ref().filter(|fixed| !fixed.is_empty()) {
        Some(fixed) => ipam::claim(&change.txn, &seeker, fixed).await?,
        None => ipam::choose(&change.txn, &seeker).await?,
    };
    let leg = leg(change, &id, &network.id, &mac, port::ROUTER_GATEWAY, &model.id, "");
    port::insert(change, &leg, &[]).await?;
    model.gateway_port_id = Some(id);
    model.gateway_network_id = Some(network.id);
    Ok(())
}

async fn move_addresses(change: &mut Change<'_>, port_id: &str, fixed: &[Wish]) -> Result<()> {
    let row = port::get(&change.txn, port_id).await?;
    ipam::release_port(&change.txn, port_id).await?;
    let seeker =
        Seeker { network_id: &row.network_id, port_id, device_owner: port::ROUTER_GATEWAY, mac: &row.mac_address };
    ipam::claim(&change.txn, &seeker, fixed).await?;
    change.effects.network(&row.network_id);
    Ok(())
}

/// Removes the gateway; 409 while floating IPs go through it.
pub async fn clear(change: &mut Change<'_>, model: &mut table::Model) -> Result<()> {
    let Some(port_id) = model.gateway_port_id.clone() else { return Ok(()) };
    let used = floatingip::Entity::find().filter(floatingip::Column::RouterId.eq(&model.id)).count(&change.txn).await?;
    if used > 0 {
        return Err(Error::conflict(
            "RouterExternalGatewayInUseByFloatingIp",
            format!(
                "Gateway cannot be updated for router {}, since a gateway to external network {} is required by one \
                 or more floating IPs.",
                model.id,
                model.gateway_network_id.as_deref().unwrap_or_default()
            ),
        ));
    }
    let row = port::get(&change.txn, &port_id).await?;
    port::erase(change, &row).await?;
    model.gateway_port_id = None;
    model.gateway_network_id = None;
    model.enable_snat = true;
    Ok(())
}

/// The external network may not overlap what the router joins already.
async fn refuse_overlap(change: &Change<'_>, model: &table::Model, network: &str) -> Result<()> {
    for row in crate::subnet::of_network(&change.txn, network).await? {
        super::interface::refuse_overlap(change, &model.id, &row).await?;
    }
    Ok(())
}

/// A router's port: bound to the host that holds the router, open to nobody's rules.
pub fn leg(
    change: &Change<'_>,
    id: &str,
    network: &str,
    mac: &str,
    device_owner: &str,
    router: &str,
    project: &str,
) -> port_table::Model {
    let now = now();
    port_table::Model {
        id: id.to_owned(),
        project_id: project.to_owned(),
        name: String::new(),
        description: String::new(),
        network_id: network.to_owned(),
        admin_state_up: true,
        mac_address: mac.to_owned(),
        device_id: router.to_owned(),
        device_owner: device_owner.to_owned(),
        status: "DOWN".into(),
        port_security_enabled: false,
        allowed_address_pairs: Pairs::default(),
        extra_dhcp_opts: DhcpOptions::default(),
        host: change.service.settings.host.clone(),
        vnic_type: "normal".into(),
        profile: json!({}),
        dns_name: String::new(),
        dns_domain: String::new(),
        data_plane_status: None,
        ip_allocation: "immediate".into(),
        propagate_uplink_status: true,
        created_at: now,
        updated_at: now,
        revision_number: 1,
    }
}
