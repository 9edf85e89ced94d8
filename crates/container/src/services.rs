//! Compute services: who is up, who may receive containers; and the zones they form.

use std::sync::atomic::Ordering;

use sahab_contract::{Error, RequestContext, Result, context::now};
use serde_json::{Value, json};

use crate::{
    ContainerService,
    db::host::{self, BINARY, service::Model},
    texts, view,
};

/// A change that an administrator makes to a service's record.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceChange {
    Enable,
    Disable { reason: Option<String> },
    ForceDown { down: bool },
}

impl ContainerService {
    /// Whether the host behind the record was alive lately and can work.
    pub(crate) fn service_up(&self, service: &Model) -> bool {
        let seen = service.last_seen_up.or(service.updated_at).unwrap_or(service.created_at);
        let age = (now() - seen).abs().to_std().unwrap_or_default();
        // A host whose engine does not answer can do nothing, so it is not shown as if it could.
        let engine_up = self.host(&service.host).is_none_or(|host| host.engine_up.load(Ordering::Relaxed));
        !service.forced_down && engine_up && age <= self.settings.service_down_time
    }

    pub async fn service_list(&self, context: &RequestContext) -> Result<Vec<Value>> {
        self.enforce_own(context, "zun-service:get_all")?;
        let rows = host::services(self.database.read()).await?;
        Ok(rows.iter().map(|row| self.service_view(row)).collect())
    }

    fn service_view(&self, row: &Model) -> Value {
        json!({
            "id": row.id, "host": row.host, "binary": BINARY,
            "state": if self.service_up(row) { "up" } else { "down" },
            "disabled": row.disabled, "disabled_reason": row.disabled_reason, "forced_down": row.forced_down,
            "last_seen_up": row.last_seen_up.map(view::iso), "report_count": row.report_count,
            "availability_zone": row.availability_zone, "created_at": view::iso(row.created_at),
            "updated_at": row.updated_at.map(view::iso),
        })
    }

    pub async fn service_change(
        &self,
        context: &RequestContext,
        hostname: &str,
        binary: &str,
        change: ServiceChange,
    ) -> Result<Value> {
        let rule = match change {
            ServiceChange::Enable => "zun-service:enable",
            ServiceChange::Disable { .. } => "zun-service:disable",
            ServiceChange::ForceDown { .. } => "zun-service:force_down",
        };
        self.enforce_own(context, rule)?;
        let txn = self.database.begin().await?;
        let found = host::service_of(&txn, hostname).await?.filter(|_| binary == BINARY);
        let mut row = found.ok_or_else(|| not_found(hostname, binary))?;
        let mut shown = json!({"host": hostname, "binary": binary});
        match change {
            ServiceChange::Enable => (row.disabled, row.disabled_reason) = (false, None),
            ServiceChange::Disable { reason } => (row.disabled, row.disabled_reason) = (true, reason),
            ServiceChange::ForceDown { down } => {
                row.forced_down = down;
                shown["forced_down"] = json!(down);
            }
        }
        if rule != "zun-service:force_down" {
            shown["disabled"] = json!(row.disabled);
            shown["disabled_reason"] = json!(row.disabled_reason);
        }
        host::save_service(&txn, row).await?;
        txn.commit().await?;
        Ok(json!({ "service": shown }))
    }

    /// A host that is alive registers again with its next heartbeat.
    pub async fn service_delete(&self, context: &RequestContext, hostname: &str, binary: &str) -> Result<()> {
        self.enforce_own(context, "zun-service:delete")?;
        let txn = self.database.begin().await?;
        let found = host::service_of(&txn, hostname).await?.filter(|_| binary == BINARY);
        let row = found.ok_or_else(|| not_found(hostname, binary))?;
        host::delete_service(&txn, row.id).await?;
        txn.commit().await?;
        Ok(())
    }

    pub async fn availability_zones(&self, context: &RequestContext) -> Result<Vec<String>> {
        self.enforce_own(context, "availability_zones:get_all")?;
        let mut zones: Vec<_> =
            host::services(self.database.read()).await?.into_iter().map(|row| row.availability_zone).collect();
        zones.sort_unstable();
        zones.dedup();
        Ok(zones)
    }

    /// Removes the network's object from every host. Says whether any host had one.
    pub(crate) async fn forget_network(&self, network: &str) -> Result<bool> {
        let mut had = false;
        for (name, host) in self.host_list() {
            let known = host.driver.network_list().await?;
            if known.iter().any(|id| id == network) {
                had = true;
                host.driver.network_forget(network).await.map_err(|error| error.context(format!("host {name}")))?;
            }
        }
        Ok(had)
    }

    pub async fn network_delete(&self, context: &RequestContext, network: &str) -> Result<()> {
        self.enforce_own(context, "network:delete")?;
        let had = self.forget_network(network).await.map_err(|error| match error.is_conflict() {
            true => texts::conflict(error.message().to_owned()),
            false => error,
        })?;
        if had { Ok(()) } else { Err(texts::not_found("network-not-found", "Network", network)) }
    }

    /// Hosts make their own object when the first container joins, so there is nothing to make ahead: the answer tells
    /// what the object is called. The network must exist.
    pub async fn network_create(&self, context: &RequestContext, name: &str, network: &str) -> Result<Value> {
        self.enforce_own(context, "network:create")?;
        let found = self.find_network(context, network).await?;
        let id = found["id"].as_str().unwrap_or_default();
        Ok(json!({
            "uuid": id, "name": name, "project_id": context.project_id(), "user_id": context.user_id(),
            "network_id": id, "neutron_net_id": id,
        }))
    }
}

fn not_found(hostname: &str, binary: &str) -> Error {
    Error::not_found("zun-service-not-found", format!("Zun service {binary} on host {hostname} could not be found."))
}
