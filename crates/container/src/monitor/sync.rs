//! The safety net: compares all containers of a host with the database.

use std::collections::{BTreeMap, HashMap};

use sahab_contract::Result;

use crate::{
    ContainerService, Host,
    container::observed::Seen,
    db::container::{self, Model},
};

impl ContainerService {
    pub(super) async fn sync(&self, name: &str, host: &Host) -> Result<()> {
        // The rows first: a container made in between is unknown to the first list but not to the second.
        let rows: BTreeMap<String, Model> = container::on_host(self.database.read(), name)
            .await?
            .into_iter()
            .map(|row| (row.uuid.clone(), row))
            .collect();
        let mut found: HashMap<String, Seen> = HashMap::new();
        for observed in host.driver.list().await? {
            found.insert(observed.id.clone(), observed.into());
        }
        for row in rows.values().filter(|row| row.task_state.is_none()) {
            let seen = found.get(&row.uuid);
            // A list says less than a look: only what differs is looked at.
            if seen.is_none_or(|seen| seen.differs(row)) {
                self.refresh_quietly(&row.uuid).await;
            }
        }
        for id in found.keys().filter(|id| !rows.contains_key(*id)) {
            self.remove_orphan(host, id).await;
        }
        Ok(())
    }

    /// Removes a container of ours that no row of this host stands for.
    async fn remove_orphan(&self, host: &Host, id: &str) {
        let removed = async {
            // Looked at again: it may have been accepted since the first look, or be on its way back right now.
            if container::by_uuid(self.database.read(), id)
                .await?
                .is_some_and(|row| row.task_state.is_some() || row.host.is_some())
            {
                return Ok(false);
            }
            host.driver.delete(id, true).await.map(|()| true)
        };
        match removed.await {
            Ok(true) => tracing::info!(container = id, "removed a container that no record stands for"),
            Ok(false) => {}
            Err(error) => tracing::warn!(container = id, error = error.report(), "a container without record stays"),
        }
    }
}
