//! The connection to one engine and what is remembered of it.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bollard::{API_DEFAULT_VERSION, Docker};
use sahab_contract::{Error, Result, container::ContainerEvent};
use tokio::sync::{Mutex as AsyncMutex, OwnedRwLockReadGuard, RwLock, broadcast};

use crate::{LABEL_CLOUD, error::Mapped, raw::Raw};

/// Where the engine is and where the driver keeps what it must.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Id of the cloud: engine objects that do not carry it are not seen.
    pub cloud: String,
    pub socket: PathBuf,
    /// Injected files are kept in `files/<container id>` below it.
    pub state_dir: PathBuf,
    /// Name of the network driver that Docker asks for our networks.
    pub network_driver: String,
    /// Bound of one call; stopping adds its own grace time.
    pub request_timeout: Duration,
}

impl Settings {
    pub fn new(cloud: impl Into<String>, state_dir: impl Into<PathBuf>) -> Self {
        Settings {
            cloud: cloud.into(),
            socket: PathBuf::from("/run/docker.sock"),
            state_dir: state_dir.into(),
            network_driver: "sahab".into(),
            request_timeout: Duration::from_secs(120),
        }
    }
}

/// Orders what happens to one of our networks in the engine.
#[derive(Default)]
pub(crate) struct NetworkLock {
    /// One creation at a time: 20.10 accepts two networks of the same name.
    pub creating: AsyncMutex<()>,
    /// Held for reading from the look at the network until a container refers to it, for writing by its removal.
    pub in_use: Arc<RwLock<()>>,
}

/// Shared by the driver's methods and its event task.
pub(crate) struct Engine {
    pub settings: Settings,
    pub raw: Raw,
    pub events: broadcast::Sender<ContainerEvent>,
    client: Mutex<Option<Docker>>,
    /// Networks known to exist in the engine; forgotten when the engine goes away.
    networks: Mutex<HashSet<String>>,
    network_locks: Mutex<HashMap<String, Arc<NetworkLock>>>,
}

impl Engine {
    pub fn new(settings: Settings) -> Self {
        Engine {
            raw: Raw::new(settings.socket.clone(), settings.request_timeout),
            settings,
            events: broadcast::channel(1024).0,
            client: Mutex::default(),
            networks: Mutex::default(),
            network_locks: Mutex::default(),
        }
    }

    /// Narrows a listing or the events to this cloud's objects.
    pub fn own(&self) -> (String, Vec<String>) {
        ("label".to_owned(), vec![format!("{LABEL_CLOUD}={}", self.settings.cloud)])
    }

    /// A client; every request opens its own connection, so one made before the engine restarted still works.
    pub fn docker(&self) -> Result<Docker> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(docker) = &*client {
            return Ok(docker.clone());
        }
        let path = self.settings.socket.to_string_lossy();
        let docker =
            Docker::connect_with_unix(&path, self.settings.request_timeout.as_secs(), API_DEFAULT_VERSION).mapped()?;
        *client = Some(docker.clone());
        Ok(docker)
    }

    pub fn knows_network(&self, id: &str) -> bool {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }
    pub fn remember_network(&self, id: &str) {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
    }
    pub fn forget_network(&self, id: &str) {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
    /// Everything remembered may be untrue after the engine was away.
    pub fn forget_all(&self) {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub fn network_lock(&self, id: &str) -> Arc<NetworkLock> {
        let mut locks = self.network_locks.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody holds a lock that only this table refers to.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(id.to_owned()).or_default().clone()
    }
}

/// Networks that are not removed while this lives.
pub(crate) type NetworkUse = Vec<OwnedRwLockReadGuard<()>>;

/// The engine's name of a container of ours.
pub(crate) fn container_name(id: &str) -> Result<String> {
    Ok(format!("zun-{}", checked_id(id)?))
}

/// The uuid in an engine's container name (`/zun-<uuid>`), if it is one of ours.
pub(crate) fn id_of_name(name: &str) -> Option<&str> {
    let id = name.trim_start_matches('/').strip_prefix("zun-")?;
    checked_id(id).ok()
}

/// An id that may stand in a request path.
pub(crate) fn checked_id(id: &str) -> Result<&str> {
    let dashed = id.len() == 36
        && id.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        });
    if dashed { Ok(id) } else { Err(Error::invalid(crate::error::CODE, "not a uuid")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uuids_reach_a_path() {
        let id = "6f1c2f3e-0b0a-4f7e-9d57-0123456789ab";
        assert_eq!(container_name(id).unwrap(), format!("zun-{id}"));
        for bad in ["", "../../x", "6f1c2f3e-0b0a-4f7e-9d57-0123456789a", "6F1C2F3E-0B0A-4F7E-9D57-0123456789AB"] {
            assert!(container_name(bad).is_err(), "{bad}");
        }
        assert_eq!(id_of_name(&format!("/zun-{id}")), Some(id));
        assert_eq!(id_of_name("/zun-sandbox"), None);
        assert_eq!(id_of_name("/other"), None);
    }
}
