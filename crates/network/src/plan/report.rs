//! What a host says it holds becomes the status of ports and floating IPs.

use sahab_contract::{Result, network::NetworkReport};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use crate::{
    NetworkService,
    db::{CHUNK, floatingip, port_table},
    effects::Effects,
};

const ACTIVE: &str = "ACTIVE";
const DOWN: &str = "DOWN";

/// Applies a report of the host. Only ports bound to it and objects whose status differs change; a repeated report
/// changes nothing.
pub async fn apply(service: &NetworkService, host: &str, report: NetworkReport) -> Result<()> {
    let ports = [(ACTIVE, &report.ports_active), (DOWN, &report.ports_down)];
    let floating = [(ACTIVE, &report.floating_active), (DOWN, &report.floating_down)];
    tracing::debug!(
        host,
        ports_active = ?report.ports_active,
        ports_down = ?report.ports_down,
        floating_active = ?report.floating_active,
        floating_down = ?report.floating_down,
        "a host reports"
    );
    let mut effects = Effects::default();
    let txn = service.database.begin().await?;
    for (status, ids) in ports {
        for ids in ids.chunks(CHUNK) {
            let which = port_condition(host, status, ids);
            for row in port_table::Entity::find().filter(which.clone()).all(&txn).await? {
                effects.event("port.status", &row.id, &row.project_id, json!({"status": status}));
            }
            port_table::Entity::update_many()
                .col_expr(port_table::Column::Status, Expr::value(status))
                .filter(which)
                .exec(&txn)
                .await?;
        }
    }
    for (status, ids) in floating {
        for ids in ids.chunks(CHUNK) {
            let which = floating_condition(status, ids);
            for row in floatingip::Entity::find().filter(which.clone()).all(&txn).await? {
                effects.event("floatingip.status", &row.id, &row.project_id, json!({"status": status}));
            }
            floatingip::Entity::update_many()
                .col_expr(floatingip::Column::Status, Expr::value(status))
                .filter(which)
                .exec(&txn)
                .await?;
        }
    }
    txn.commit().await?;
    effects.publish(service);
    Ok(())
}

/// A port that is administratively down is DOWN, whatever is plugged.
fn port_condition(host: &str, status: &str, ids: &[String]) -> Condition {
    let mut all = Condition::all()
        .add(port_table::Column::Id.is_in(ids.iter().map(String::as_str)))
        .add(port_table::Column::Host.eq(host))
        .add(port_table::Column::Status.ne(status))
        .add(port_table::Column::Status.ne("N/A"));
    if status == ACTIVE {
        all = all.add(port_table::Column::AdminStateUp.eq(true));
    }
    all
}

/// Only an associated floating IP can be ACTIVE; a late report about an earlier association changes nothing.
fn floating_condition(status: &str, ids: &[String]) -> Condition {
    let mut all = Condition::all()
        .add(floatingip::Column::Id.is_in(ids.iter().map(String::as_str)))
        .add(floatingip::Column::Status.ne(status));
    if status == ACTIVE {
        all = all.add(floatingip::Column::RouterId.is_not_null());
    }
    all
}
