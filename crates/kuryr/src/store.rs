//! What Docker told us, in a file.
//!
//! One JSON document, replaced atomically before the call that changed it is answered. Networks and ad hoc endpoints are
//! synced to the disk; a plain endpoint does not survive a crash of the machine, so it need not.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use sahab_contract::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::backend::{LeftoverPort, PluggedEndpoint};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Records {
    /// Docker's network id to ours.
    networks: BTreeMap<String, String>,
    /// Docker's endpoint id.
    endpoints: BTreeMap<String, PluggedEndpoint>,
    /// By endpoint id: ports being made, and ports to be released.
    leftovers: BTreeMap<String, LeftoverPort>,
}

/// The driver's memory. One writer at a time.
pub struct Store {
    path: PathBuf,
    records: Mutex<Records>,
}

#[derive(Clone, Copy)]
enum Durability {
    Process,
    Machine,
}

impl Store {
    /// Opens or begins the file `kuryr.json` in the folder.
    pub async fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("kuryr.json");
        tokio::fs::create_dir_all(folder).await?;
        let records = match tokio::fs::read(&path).await {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::internal(format!(
                    "{} is damaged; move it away and create Docker's networks anew",
                    path.display()
                ))
                .with_source(error)
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => Records::default(),
            Err(error) => return Err(error.into()),
        };
        Ok(Store { path, records: Mutex::new(records) })
    }

    pub(crate) async fn network(&self, docker_id: &str) -> Option<String> {
        self.records.lock().await.networks.get(docker_id).cloned()
    }
    pub(crate) async fn endpoint(&self, endpoint_id: &str) -> Option<PluggedEndpoint> {
        self.records.lock().await.endpoints.get(endpoint_id).cloned()
    }
    /// Every endpoint that Docker has, by its id.
    pub async fn endpoints(&self) -> Vec<(String, PluggedEndpoint)> {
        self.records.lock().await.endpoints.iter().map(|(id, endpoint)| (id.clone(), endpoint.clone())).collect()
    }
    pub(crate) async fn leftovers(&self) -> Vec<LeftoverPort> {
        self.records.lock().await.leftovers.values().cloned().collect()
    }

    pub(crate) async fn add_network(&self, docker_id: &str, network_id: &str) -> Result<()> {
        self.change(Durability::Machine, |records| {
            records.networks.insert(docker_id.to_owned(), network_id.to_owned());
        })
        .await
    }
    pub(crate) async fn remove_network(&self, docker_id: &str) -> Result<()> {
        self.change(Durability::Machine, |records| {
            records.networks.remove(docker_id);
        })
        .await
    }
    /// Before a port is asked for, so that a crash in between loses nothing.
    pub(crate) async fn begin_ad_hoc(&self, endpoint_id: &str, network_id: &str) -> Result<()> {
        let port =
            LeftoverPort { endpoint_id: endpoint_id.to_owned(), network_id: network_id.to_owned(), port_id: None };
        self.change(Durability::Machine, |records| {
            records.leftovers.insert(endpoint_id.to_owned(), port);
        })
        .await
    }
    pub(crate) async fn released(&self, endpoint_id: &str) -> Result<()> {
        self.change(Durability::Process, |records| {
            records.leftovers.remove(endpoint_id);
        })
        .await
    }
    /// Also forgets older endpoints of the same port.
    pub(crate) async fn add_endpoint(&self, endpoint_id: &str, endpoint: &PluggedEndpoint) -> Result<()> {
        let durability = if endpoint.ad_hoc { Durability::Machine } else { Durability::Process };
        self.change(durability, |records| {
            records.endpoints.retain(|_, old| old.port_id != endpoint.port_id);
            records.endpoints.insert(endpoint_id.to_owned(), endpoint.clone());
            records.leftovers.remove(endpoint_id);
        })
        .await
    }
    /// A port that was made for it becomes a leftover in the same step.
    pub(crate) async fn remove_endpoint(&self, endpoint_id: &str, endpoint: &PluggedEndpoint) -> Result<()> {
        let durability = if endpoint.ad_hoc { Durability::Machine } else { Durability::Process };
        self.change(durability, |records| {
            records.endpoints.remove(endpoint_id);
            if endpoint.ad_hoc {
                let port = LeftoverPort {
                    endpoint_id: endpoint_id.to_owned(),
                    network_id: endpoint.network_id.clone(),
                    port_id: Some(endpoint.port_id.clone()),
                };
                records.leftovers.insert(endpoint_id.to_owned(), port);
            }
        })
        .await
    }

    /// What could not be written is not remembered either, so that memory never promises more than the file.
    async fn change(&self, durability: Durability, change: impl FnOnce(&mut Records)) -> Result<()> {
        let mut records = self.records.lock().await;
        let mut next = records.clone();
        change(&mut next);
        if next == *records {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&next)?;
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || replace(&path, &bytes, durability)).await??;
        *records = next;
        Ok(())
    }
}

fn replace(path: &Path, bytes: &[u8], durability: Durability) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let draft = path.with_extension("json.new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    if let Durability::Machine = durability {
        file.sync_all()?;
    }
    std::fs::rename(&draft, path)?;
    if let (Durability::Machine, Some(folder)) = (durability, path.parent()) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(port: &str) -> PluggedEndpoint {
        PluggedEndpoint { network_id: "n".into(), port_id: port.into(), primary: true, ad_hoc: false }
    }

    #[tokio::test]
    async fn survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.add_network("d1", "n1").await.unwrap();
        store.begin_ad_hoc("e1", "n1").await.unwrap();
        store.begin_ad_hoc("e2", "n1").await.unwrap();
        store.add_endpoint("e1", &endpoint("p1")).await.unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        assert_eq!(store.network("d1").await.as_deref(), Some("n1"));
        assert_eq!(store.endpoint("e1").await, Some(endpoint("p1")));
        let left: Vec<String> = store.leftovers().await.into_iter().map(|port| port.endpoint_id).collect();
        assert_eq!(left, ["e2"]);
    }

    #[tokio::test]
    async fn a_newer_endpoint_of_a_port_ends_the_older() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.add_endpoint("old", &endpoint("p")).await.unwrap();
        store.add_endpoint("new", &endpoint("p")).await.unwrap();
        assert_eq!(store.endpoint("old").await, None);
        assert!(store.endpoint("new").await.is_some());
    }

    #[tokio::test]
    async fn a_damaged_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kuryr.json"), b"{").unwrap();
        assert!(Store::open(folder.path()).await.is_err());
        assert_eq!(std::fs::read(folder.path().join("kuryr.json")).unwrap(), b"{");
    }
}
