//! The newest plans of this host, in memory and on disk.
//!
//! The disk copy serves the start after a reboot while the control plane is away: Docker starts containers by their
//! restart policy and asks for their interfaces. It is a cache: a file that cannot be read is dropped.

use std::{
    collections::HashMap,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sahab_contract::{
    Error, Result,
    network::{NetworkPlan, PortKind, PortPlan, RouterPlan},
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// What can be brought up to date by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Network(String),
    Router(String),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Network(id) => write!(f, "network {id}"),
            Key::Router(id) => write!(f, "router {id}"),
        }
    }
}

pub(crate) struct Plans {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    networks: HashMap<String, Arc<NetworkPlan>>,
    routers: HashMap<String, Arc<RouterPlan>>,
    /// Port to network.
    ports: HashMap<String, String>,
}

impl State {
    fn put(&mut self, plan: Arc<NetworkPlan>) {
        self.drop_network(&plan.id);
        self.ports.extend(plan.ports.iter().map(|port| (port.id.clone(), plan.id.clone())));
        self.networks.insert(plan.id.clone(), plan);
    }
    fn drop_network(&mut self, id: &str) {
        self.networks.remove(id);
        self.ports.retain(|_, network| network != id);
    }
}

impl Plans {
    pub async fn open(folder: PathBuf) -> Result<Self> {
        let path = folder.clone();
        let state = tokio::task::spawn_blocking(move || load(&path)).await??;
        Ok(Plans { folder, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn network(&self, id: &str) -> Option<Arc<NetworkPlan>> {
        self.lock().networks.get(id).cloned()
    }
    pub fn networks(&self) -> Vec<Arc<NetworkPlan>> {
        self.lock().networks.values().cloned().collect()
    }
    pub fn router(&self, id: &str) -> Option<Arc<RouterPlan>> {
        self.lock().routers.get(id).cloned()
    }
    pub fn router_ids(&self) -> Vec<String> {
        self.lock().routers.keys().cloned().collect()
    }

    /// A port with its network's plan.
    pub fn port(&self, id: &str) -> Option<(Arc<NetworkPlan>, PortPlan)> {
        let state = self.lock();
        let network = state.networks.get(state.ports.get(id)?)?;
        let port = network.ports.iter().find(|port| port.id == id)?;
        Some((network.clone(), port.clone()))
    }

    /// Networks and ports of a container.
    pub fn ports_of(&self, container: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for network in self.lock().networks.values() {
            for port in network.ports.iter().filter(|port| port.kind == PortKind::Container) {
                if port.device_id == container {
                    found.push((network.id.clone(), port.id.clone()));
                }
            }
        }
        found
    }

    pub async fn put_network(&self, plan: NetworkPlan) -> Result<Arc<NetworkPlan>> {
        if let Some(same) = self.network(&plan.id).filter(|known| **known == plan) {
            return Ok(same);
        }
        let plan = Arc::new(plan);
        write(self.file("network", &plan.id)?, &*plan).await?;
        self.lock().put(plan.clone());
        Ok(plan)
    }
    pub async fn put_router(&self, plan: RouterPlan) -> Result<Arc<RouterPlan>> {
        if let Some(same) = self.router(&plan.id).filter(|known| **known == plan) {
            return Ok(same);
        }
        let plan = Arc::new(plan);
        write(self.file("router", &plan.id)?, &*plan).await?;
        self.lock().routers.insert(plan.id.clone(), plan.clone());
        Ok(plan)
    }
    pub async fn forget(&self, key: &Key) -> Result<()> {
        let file = match key {
            Key::Network(id) => {
                self.lock().drop_network(id);
                self.file("network", id)?
            }
            Key::Router(id) => {
                self.lock().routers.remove(id);
                self.file("router", id)?
            }
        };
        match tokio::fs::remove_file(file).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn file(&self, kind: &str, id: &str) -> Result<PathBuf> {
        let id = Uuid::parse_str(id).map_err(|_| Error::internal(format!("{kind} id {id:?} is no uuid")))?;
        Ok(self.folder.join(format!("{kind}-{id}.json")))
    }
}

async fn write(path: PathBuf, plan: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(plan)?;
    tokio::task::spawn_blocking(move || {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let draft = path.with_extension("new");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?.write_all(&bytes)?;
        // Not synced: after a crash of the machine an older plan does until the control plane answers.
        std::fs::rename(&draft, &path)
    })
    .await??;
    Ok(())
}

fn load(folder: &Path) -> Result<State> {
    std::fs::create_dir_all(folder)?;
    let mut state = State::default();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("network-") && name.ends_with(".json") {
            if let Some(plan) = read::<NetworkPlan>(&path) {
                state.put(Arc::new(plan));
            }
        } else if name.starts_with("router-")
            && name.ends_with(".json")
            && let Some(plan) = read::<RouterPlan>(&path)
        {
            state.routers.insert(plan.id.clone(), Arc::new(plan));
        }
    }
    Ok(state)
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let plan = std::fs::read(path).map_err(Error::from).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    plan.inspect_err(|error| tracing::warn!(path = %path.display(), ?error, "cached plan cannot be read")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NET, PORT, network, port};

    #[tokio::test]
    async fn plans_survive_and_rot_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let plans = Plans::open(folder.path().into()).await.unwrap();
        plans.put_network(network(NET, vec![port(PORT, "10.0.0.5/24")])).await.unwrap();
        std::fs::write(folder.path().join("router-x.json"), b"{").unwrap();
        let plans = Plans::open(folder.path().into()).await.unwrap();
        assert_eq!(plans.port(PORT).unwrap().0.id, NET);
        plans.put_network(network(NET, vec![])).await.unwrap();
        assert!(plans.port(PORT).is_none());
        plans.forget(&Key::Network(NET.into())).await.unwrap();
        plans.forget(&Key::Network(NET.into())).await.unwrap();
        assert!(Plans::open(folder.path().into()).await.unwrap().networks().is_empty());
        assert!(plans.put_network(network("../x", vec![])).await.is_err());
    }
}
