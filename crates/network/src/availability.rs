//! How many addresses of each network are in use, and where floating IPs can come from.

use std::collections::HashMap;

use sahab_contract::{RequestContext, Result};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService,
    db::{allocation, network_table, subnet},
    error::network_not_found,
    ipam, network,
    resource::View,
    view,
};

/// Sums of all networks; nothing for who may not know.
pub async fn list(service: &NetworkService, context: &RequestContext, version: Option<i32>) -> Result<Vec<View>> {
    context.auth()?;
    if !service.enforcer.allows(context, "get_network_ip_availability", &json!({})) {
        return Ok(Vec::new());
    }
    let connection = service.database.read();
    let networks = network_table::Entity::find().order_by_asc(network_table::Column::Id).all(connection).await?;
    let counts: Vec<(String, i64)> = allocation::Entity::find()
        .select_only()
        .column(allocation::Column::SubnetId)
        .column_as(allocation::Column::IpAddress.count(), "used")
        .group_by(allocation::Column::SubnetId)
        .into_tuple()
        .all(connection)
        .await?;
    let counts: HashMap<String, i64> = counts.into_iter().collect();
    let mut subnets: HashMap<String, Vec<subnet::Model>> = HashMap::new();
    for row in subnet::Entity::find().order_by_asc(subnet::Column::CreatedAt).all(connection).await? {
        if version.is_none_or(|version| version == row.ip_version) {
            subnets.entry(row.network_id.clone()).or_default().push(row);
        }
    }
    let views = networks.iter().map(|model| {
        let rows = subnets.remove(&model.id).unwrap_or_default();
        render(model, &rows, &counts)
    });
    Ok(views.collect())
}

pub async fn show(service: &NetworkService, context: &RequestContext, id: &str) -> Result<View> {
    let all = list(service, context, None).await?;
    all.into_iter().find(|row| row["network_id"] == id).ok_or_else(|| network_not_found(id))
}

fn render(model: &network_table::Model, subnets: &[subnet::Model], counts: &HashMap<String, i64>) -> View {
    let (mut total, mut used) = (0_u128, 0_i64);
    let mut details = Vec::new();
    for row in subnets {
        let size: u128 = row
            .allocation_pools
            .0
            .iter()
            .map(|pool| (ipam::number(pool.end) - ipam::number(pool.start)).saturating_add(1))
            .fold(0, u128::saturating_add);
        let taken = counts.get(&row.id).copied().unwrap_or_default();
        total = total.saturating_add(size);
        used += taken;
        details.push(json!({
            "subnet_id": row.id, "subnet_name": row.name, "ip_version": row.ip_version, "cidr": row.cidr,
            "total_ips": number(size), "used_ips": taken,
        }));
    }
    let mut out = Map::new();
    view::put(&mut out, "network_id", &model.id);
    view::put(&mut out, "network_name", &model.name);
    view::owner(&mut out, &model.project_id);
    view::put(&mut out, "total_ips", number(total));
    view::put(&mut out, "used_ips", used);
    view::put(&mut out, "subnet_ip_availability", details);
    out
}

/// A JSON number; sizes of IPv6 subnets beyond 64 bits lose their last digits, as in any JSON reader.
fn number(size: u128) -> Value {
    match u64::try_from(size) {
        Ok(size) => json!(size),
        Err(_) => json!(size as f64),
    }
}

/// IPv4 subnets of external networks.
pub async fn floating_pools(service: &NetworkService, context: &RequestContext) -> Result<Vec<View>> {
    context.auth()?;
    let connection = service.database.read();
    let networks: Vec<String> = network_table::Entity::find()
        .select_only()
        .column(network_table::Column::Id)
        .filter(network::visible(context))
        .filter(network_table::Column::External.eq(true))
        .into_tuple()
        .all(connection)
        .await?;
    let rows = subnet::Entity::find()
        .filter(subnet::Column::NetworkId.is_in(networks))
        .filter(subnet::Column::IpVersion.eq(4))
        .all(connection)
        .await?;
    let owner = context.project_id().unwrap_or_default();
    let views = rows.iter().map(|row| {
        let mut out = Map::new();
        view::put(&mut out, "subnet_id", &row.id);
        view::put(&mut out, "subnet_name", &row.name);
        view::put(&mut out, "network_id", &row.network_id);
        view::put(&mut out, "cidr", &row.cidr);
        view::owner(&mut out, owner);
        out
    });
    Ok(views.collect())
}
