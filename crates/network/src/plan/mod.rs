//! The desired state of a host, computed from the database whenever the agent asks.
//!
//! Each plan is a handful of queries, whatever the number of ports. Which plans changed is told by
//! [`crate::effects::Effects`]; the timer of the agent looks at all of them anyway.

mod network;
mod report;
mod router;
mod rules;

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use ipnet::IpNet;
use sahab_contract::{
    Result,
    network::{Dirty, NetworkPlan, NetworkPlans, NetworkReport, RouterPlan},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use tokio::sync::broadcast;

use crate::{
    NetworkService,
    db::{agent_binding, allocation, network_table, port_table, router_table, subnet},
};

#[async_trait]
impl NetworkPlans for NetworkService {
    async fn inventory(&self, host: &str) -> Result<(Vec<String>, Vec<String>)> {
        let connection = self.database.read();
        let bound: Vec<String> = port_table::Entity::find()
            .select_only()
            .column(port_table::Column::NetworkId)
            .distinct()
            .filter(port_table::Column::Host.eq(host))
            .into_tuple()
            .all(connection)
            .await?;
        let mut networks: BTreeSet<String> = bound.into_iter().collect();
        if host != self.settings.host {
            return Ok((networks.into_iter().collect(), Vec::new()));
        }
        let external: Vec<String> = network_table::Entity::find()
            .select_only()
            .column(network_table::Column::Id)
            .filter(network_table::Column::External.eq(true))
            .into_tuple()
            .all(connection)
            .await?;
        networks.extend(external);
        let held: Vec<String> = agent_binding::Entity::find()
            .select_only()
            .column(agent_binding::Column::ObjectId)
            .filter(agent_binding::Column::AgentId.eq(&self.agents().l3))
            .into_tuple()
            .all(connection)
            .await?;
        let existing: Vec<String> = router_table::Entity::find()
            .select_only()
            .column(router_table::Column::Id)
            .into_tuple()
            .all(connection)
            .await?;
        let held: BTreeSet<String> = held.into_iter().collect();
        let routers = existing.into_iter().filter(|id| held.contains(id)).collect();
        Ok((networks.into_iter().collect(), routers))
    }

    async fn network(&self, host: &str, id: &str) -> Result<Option<NetworkPlan>> {
        network::plan(self, host, id).await
    }

    async fn router(&self, host: &str, id: &str) -> Result<Option<RouterPlan>> {
        router::plan(self, host, id).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Dirty> {
        self.dirty.subscribe()
    }

    async fn report(&self, host: &str, report: NetworkReport) -> Result<()> {
        report::apply(self, host, report).await
    }
}

/// Addresses with their subnets' prefix lengths.
fn prefixed(rows: &[allocation::Model], subnets: &HashMap<String, subnet::Model>) -> Vec<IpNet> {
    rows.iter()
        .filter_map(|row| {
            let cidr: IpNet = subnets.get(&row.subnet_id)?.cidr.parse().ok()?;
            IpNet::new(row.ip_address.parse().ok()?, cidr.prefix_len()).ok()
        })
        .collect()
}

fn mtu(model: &network_table::Model) -> u32 {
    u32::try_from(model.mtu).unwrap_or(1500)
}
