//! How a port looks to its reader.

use std::net::IpAddr;

use sahab_contract::Result;
use serde_json::{Map, Value, json};

use super::{addresses_of, groups_of};
use crate::{
    NetworkService,
    db::{allocation, port_table as table},
    resource::View,
    view,
};

pub async fn views(service: &NetworkService, models: &[table::Model]) -> Result<Vec<View>> {
    let connection = service.database.read();
    let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    let mut groups = groups_of(connection, &ids).await?;
    let mut addresses = addresses_of(connection, &ids).await?;
    let views = models.iter().map(|model| {
        let addresses = addresses.remove(&model.id).unwrap_or_default();
        let fixed: Vec<Value> =
            addresses.iter().map(|row| json!({"subnet_id": row.subnet_id, "ip_address": row.ip_address})).collect();
        let mut out = Map::new();
        view::put(&mut out, "id", &model.id);
        view::put(&mut out, "name", &model.name);
        view::put(&mut out, "network_id", &model.network_id);
        view::owner(&mut out, &model.project_id);
        view::put(&mut out, "mac_address", &model.mac_address);
        view::put(&mut out, "admin_state_up", model.admin_state_up);
        view::put(&mut out, "status", &model.status);
        view::put(&mut out, "device_id", &model.device_id);
        view::put(&mut out, "device_owner", &model.device_owner);
        view::put(&mut out, "fixed_ips", fixed);
        view::put(&mut out, "security_groups", groups.remove(&model.id).unwrap_or_default());
        view::put(&mut out, "allowed_address_pairs", &model.allowed_address_pairs);
        view::put(&mut out, "port_security_enabled", model.port_security_enabled);
        view::put(&mut out, "extra_dhcp_opts", &model.extra_dhcp_opts);
        view::put(&mut out, "binding:vnic_type", &model.vnic_type);
        view::put(&mut out, "binding:host_id", &model.host);
        view::put(&mut out, "binding:profile", &model.profile);
        let (vif_type, details) = binding(service, model);
        view::put(&mut out, "binding:vif_type", vif_type);
        view::put(&mut out, "binding:vif_details", details);
        view::put(&mut out, "dns_name", &model.dns_name);
        view::put(&mut out, "dns_domain", &model.dns_domain);
        view::put(&mut out, "dns_assignment", assignment(service, model, &addresses));
        view::put(&mut out, "ip_allocation", &model.ip_allocation);
        view::put(&mut out, "propagate_uplink_status", model.propagate_uplink_status);
        view::put(&mut out, "data_plane_status", &model.data_plane_status);
        view::put(&mut out, "description", &model.description);
        view::times(&mut out, model.created_at, model.updated_at, model.revision_number);
        out
    });
    Ok(views.collect())
}

/// A port is bound when it is on the host that this cloud has.
pub fn binding(service: &NetworkService, model: &table::Model) -> (&'static str, Value) {
    match model.host.as_str() {
        "" => ("unbound", json!({})),
        host if host == service.settings.host && model.vnic_type == "normal" => {
            ("bridge", json!({"port_filter": true, "connectivity": "l2"}))
        }
        _ => ("binding_failed", json!({})),
    }
}

fn assignment(service: &NetworkService, model: &table::Model, addresses: &[allocation::Model]) -> Vec<Value> {
    let domain = service.settings.dns_domain.trim_end_matches('.');
    let suffix = if domain.is_empty() { ".".to_owned() } else { format!(".{domain}.") };
    addresses
        .iter()
        .map(|row| {
            let hostname = if model.dns_name.is_empty() { generated(&row.ip_address) } else { model.dns_name.clone() };
            let fqdn = if hostname.ends_with('.') { hostname.clone() } else { format!("{hostname}{suffix}") };
            json!({"ip_address": row.ip_address, "hostname": hostname, "fqdn": fqdn})
        })
        .collect()
}

/// `host-10-2-0-102`, `host-fd00-2--1`
fn generated(ip: &str) -> String {
    match ip.parse::<IpAddr>() {
        Ok(ip) => format!("host-{}", ip.to_string().replace(['.', ':'], "-")),
        Err(_) => String::new(),
    }
}
