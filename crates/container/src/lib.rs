//! The container service: OpenStack's Container API v1 (Zun), microversions 1.1 to 1.40.
//!
//! Owns containers, their actions, quotas, the hosts that run them and the scheduler; asks the network service for ports
//! and a host's [`ContainerDriver`] for the rest. A request validates everything, then writes the rows and a durable
//! task in one transaction and answers; the task does the work ([`task`]). What the hosts report changes the rows
//! ([`monitor`]).
//!
//! Invariants: a row without `host` holds no resources; a port's id is in the row before the port exists; while
//! `task_state` is set only that task changes the status; a container's ports are gone before its row.

mod api;
mod container;
mod db;
mod family;
mod hosts;
mod images;
mod monitor;
mod network;
mod policy;
mod quota;
mod registries;
mod request;
mod scheduler;
mod services;
mod state;
mod task;
#[cfg(test)]
mod tests;
mod texts;
mod view;

use std::{
    collections::{BTreeMap, HashMap},
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use container::observed::Seen;
pub use db::migrations;
pub use request::fields::Limits;
use sahab_api::Service;
use sahab_contract::{
    RequestContext, Result, cloud::Cloud, container::ContainerDriver, event::EventBus, identity::Identity,
};
use sahab_db::Database;
use sahab_policy::Enforcer;
use sahab_task::{Handlers, Queue};
pub use scheduler::Ratios;
use tokio::sync::{broadcast, watch};

/// What an operator may set. `Default` is upstream's, except where the module that reads it says why.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Zone of hosts that name none.
    pub availability_zone: String,
    pub quotas: Quotas,
    pub default_cpu: f64,
    /// MiB
    pub default_memory: i64,
    pub limits: Limits,
    pub ratios: Ratios,
    /// How long `execute` may take.
    pub execute_timeout: Duration,
    /// A host that was not seen for so long is down.
    pub service_down_time: Duration,
    /// Period of the inventory, heartbeat and safety sync.
    pub sync_interval: Duration,
    /// Largest output of `execute` and `logs`, in bytes.
    pub max_output: usize,
    /// Largest archive, in bytes.
    pub max_archive: usize,
    /// Fernet key (44 characters of base64) that registry passwords are encrypted with; without one, no password can
    /// be stored.
    pub secret_key: Option<String>,
    /// Policy rules that replace or add to the defaults.
    pub policy: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            availability_zone: "nova".into(),
            quotas: Quotas::default(),
            default_cpu: 1.0,
            default_memory: 512,
            limits: Limits::default(),
            ratios: Ratios::default(),
            // Upstream's 5 s is too short for a database client.
            execute_timeout: Duration::from_secs(15),
            service_down_time: Duration::from_secs(180),
            sync_interval: Duration::from_secs(60),
            max_output: 4 << 20,
            max_archive: 64 << 20,
            secret_key: None,
            policy: BTreeMap::new(),
        }
    }
}

/// Limits of a project that has none of its own; -1 is unlimited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quotas {
    pub containers: i64,
    /// MiB
    pub memory: i64,
    pub cpu: i64,
    /// GiB
    pub disk: i64,
}

impl Default for Quotas {
    fn default() -> Self {
        Quotas { containers: 40, memory: 51_200, cpu: 20, disk: 100 }
    }
}

/// The service; cloning is cheap.
#[derive(Clone)]
pub struct ContainerService {
    inner: Arc<Inner>,
}

/// What all clones share.
#[doc(hidden)]
pub struct Inner {
    pub(crate) database: Database,
    pub(crate) queue: Queue,
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) events: EventBus,
    pub(crate) settings: Settings,
    pub(crate) policy: Enforcer,
    /// Drivers by host name.
    hosts: RwLock<BTreeMap<String, Host>>,
    /// What the last event said of containers that a task had then; compared when the task ends.
    missed: Mutex<HashMap<String, Option<Seen>>>,
    /// What a pull last said, by container.
    progress: Mutex<HashMap<String, String>>,
    /// Actions that somebody waits for and that ended, with the failure.
    settled: broadcast::Sender<(i64, Option<sahab_contract::Error>)>,
    /// Wakes the background loop of a host that was added later.
    hosts_changed: watch::Sender<u64>,
}

#[derive(Clone)]
pub(crate) struct Host {
    pub driver: Arc<dyn ContainerDriver>,
    /// Whether the engine answered last time.
    pub engine_up: Arc<std::sync::atomic::AtomicBool>,
    /// Whether the database knows the host's facts.
    pub known: Arc<std::sync::atomic::AtomicBool>,
}

impl Deref for ContainerService {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl ContainerService {
    /// Fails only on a policy rule that cannot be read. Async and shared, as every service's constructor is.
    pub async fn new(
        database: Database,
        queue: Queue,
        cloud: Arc<dyn Cloud>,
        identity: Arc<dyn Identity>,
        events: EventBus,
        settings: Settings,
    ) -> Result<Arc<Self>> {
        let policy = policy::enforcer(&settings.policy)?;
        let inner = Inner {
            database,
            queue,
            cloud,
            identity,
            events,
            settings,
            policy,
            hosts: RwLock::default(),
            missed: Mutex::default(),
            progress: Mutex::default(),
            settled: broadcast::channel(1024).0,
            hosts_changed: watch::channel(0).0,
        };
        Ok(Arc::new(ContainerService { inner: Arc::new(inner) }))
    }

    /// Makes a host available; a second call with its name replaces the driver.
    pub fn add_host(&self, hostname: impl Into<String>, driver: Arc<dyn ContainerDriver>) {
        let host = Host { driver, engine_up: Arc::new(true.into()), known: Arc::new(false.into()) };
        self.hosts.write().unwrap_or_else(PoisonError::into_inner).insert(hostname.into(), host);
        self.hosts_changed.send_modify(|count| *count += 1);
    }

    /// The API, to be mounted.
    pub fn service(&self) -> Service {
        Service { name: "container", port: 9517, family: Arc::new(family::Zun), endpoints: api::table(self.clone()) }
    }

    /// The durable operations, for the queue's runner.
    pub fn handlers(&self) -> Handlers {
        task::handlers(self)
    }

    /// Follows the hosts until `stop` turns true.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        monitor::run(self.clone(), stop).await;
    }

    pub(crate) fn host(&self, name: &str) -> Option<Host> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn host_list(&self) -> Vec<(String, Host)> {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        hosts.iter().map(|(name, host)| (name.clone(), host.clone())).collect()
    }

    /// The program's own rights, under the request id of the call that began the work.
    pub(crate) async fn program(&self, request_id: &str) -> Result<RequestContext> {
        let auth = self.identity.service().await?;
        let context = RequestContext { request_id: request_id.to_owned(), ..RequestContext::new(Some(auth)) };
        Ok(context.elevated())
    }
}

impl Inner {
    pub(crate) fn missed(&self) -> MutexGuard<'_, HashMap<String, Option<Seen>>> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn progress(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
