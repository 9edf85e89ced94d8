//! [`LinuxDataplane`]: which worker does what, in which order.

use std::{
    collections::HashMap,
    fs::File,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sahab_contract::{
    Error, Result,
    network::{Dataplane, NetworkPlan, Observed, PortKind, PortPlan, RouterPlan},
};
use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

use crate::{
    bridge, host,
    model::{Leg, Network, Port, Router, invalid, parse_id},
    names::{self, Owner},
    netns, network, router,
    settings::Settings,
    worker::{Place, Worker},
};

/// The kernel of this host. Cheap to clone; clones share their workers.
///
/// Calls about different networks and routers run in parallel, calls about the same one in order. A caller that stops
/// waiting does not interrupt what was begun. The caller fetches a plan and applies it under one lock for each network:
/// a plan that is older than a [`Dataplane::plug`] removes what was plugged.
#[derive(Clone)]
pub struct LinuxDataplane {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    /// dockerd's namespace, as the kernel wants it for the other end of a pair.
    host_namespace: Arc<OwnedFd>,
    host: AsyncMutex<Arc<Worker>>,
    /// By namespace name.
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    writes: Arc<AtomicU64>,
}

/// What is shared by all calls about one namespace.
#[derive(Default)]
struct Slot {
    /// Held for the whole of a call that takes several steps.
    order: AsyncMutex<()>,
    /// Held while the namespace is made or removed.
    worker: AsyncMutex<Option<Arc<Worker>>>,
}

impl LinuxDataplane {
    /// Needs CAP_NET_ADMIN and CAP_SYS_ADMIN, and a tokio runtime. Touches nothing yet.
    pub async fn new(settings: Settings) -> Result<LinuxDataplane> {
        let safe = |c: char| c.is_ascii_alphanumeric();
        if settings.prefix.is_empty() || settings.prefix.len() > 32 || !settings.prefix.chars().all(safe) {
            return Err(invalid(format!("'{}' cannot be the prefix of a namespace", settings.prefix)));
        }
        let path = host_path(&settings);
        let file = File::open(&path).map_err(|error| {
            Error::unavailable("NamespaceUnavailable", format!("cannot open {}: {error}", path.display()))
        })?;
        load_bridge_netfilter().await;
        raise_descriptor_limit();
        let writes = Arc::new(AtomicU64::new(0));
        let host = Worker::start("host".into(), Place::Path(path), Arc::clone(&writes)).await?;
        let inner = Inner {
            settings,
            host_namespace: Arc::new(OwnedFd::from(file)),
            host: AsyncMutex::new(Arc::new(host)),
            slots: Mutex::new(HashMap::new()),
            writes,
        };
        Ok(LinuxDataplane { inner: Arc::new(inner) })
    }

    /// How often this dataplane has written to the kernel: netlink changes, parameters, nftables transactions.
    pub fn writes(&self) -> u64 {
        self.inner.writes.load(Ordering::Relaxed)
    }

    /// The worker in dockerd's namespace; a new one should the old have died of a fault.
    async fn host(&self) -> Result<Arc<Worker>> {
        let mut host = self.inner.host.lock().await;
        if !host.is_alive() {
            tracing::error!("the thread in the host's network namespace has died; starting another");
            let place = Place::Path(host_path(&self.inner.settings));
            *host = Arc::new(Worker::start("host".into(), place, Arc::clone(&self.inner.writes)).await?);
        }
        Ok(Arc::clone(&host))
    }

    fn slot(&self, name: &str) -> Arc<Slot> {
        let mut slots = self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(name.to_owned()).or_default())
    }

    /// The worker in the namespace of this name; `None` when there is no such namespace and it is not to be made.
    async fn worker(&self, name: &str, create: bool) -> Result<Option<Arc<Worker>>> {
        let slot = self.slot(name);
        let mut slot = slot.worker.lock().await;
        let living = netns::find(name);
        if let Some(worker) = slot.as_ref() {
            if living == Some(worker.identity) && worker.is_alive() {
                return Ok(Some(Arc::clone(worker)));
            }
            // Somebody removed the namespace behind our back; only our thread still holds it.
            if let Some(stale) = slot.take() {
                retire(stale).await;
            }
        }
        if living.is_none() && !create {
            return Ok(None);
        }
        let worker = Worker::start(name.to_owned(), Place::Named, Arc::clone(&self.inner.writes)).await?;
        Ok(Some(Arc::clone(slot.insert(Arc::new(worker)))))
    }

    /// Empties a namespace of ours and removes it. Unknown is success.
    async fn remove_namespace(&self, name: &str) -> Result<()> {
        let slot = self.slot(name);
        {
            let _order = slot.order.lock().await;
            // Also enters a namespace that an earlier process left, to remove its links in good order.
            drop(self.worker(name, false).await?);
            let mut worker = slot.worker.lock().await;
            if let Some(worker) = worker.take() {
                retire(worker).await;
            }
            let owned = name.to_owned();
            tokio::task::spawn_blocking(move || netns::remove(&owned)).await??;
        }
        // Keep the list of slots from growing: forget one that only the list and we hold.
        let mut slots = self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::strong_count(&slot) == 2 {
            slots.remove(name);
        }
        Ok(())
    }

    fn network_namespace(&self, id: &Uuid) -> String {
        names::network_namespace(&self.inner.settings.prefix, id)
    }
    fn router_namespace(&self, id: &Uuid) -> String {
        names::router_namespace(&self.inner.settings.prefix, id)
    }

    fn owned(&self) -> Result<Vec<(String, Owner)>> {
        let prefix = &self.inner.settings.prefix;
        Ok(netns::list()?
            .into_iter()
            .filter_map(|name| names::owner(prefix, &name).map(|owner| (name, owner)))
            .collect())
    }

    /// Makes a router's leg from the namespace of its network.
    async fn add_leg(&self, leg: Leg, router: &str, worker: &Worker) -> Result<()> {
        let target = Arc::new(OwnedFd::from(File::open(netns::path(router))?));
        let namespace = self.network_namespace(&leg.network);
        let network = self.worker(&namespace, false).await?.ok_or_else(|| network::not_applied(&leg.network))?;
        let first = {
            let (leg, target) = (leg.clone(), Arc::clone(&target));
            network.call(async move |namespace| router::add_leg(namespace, leg, target).await).await
        };
        match first {
            Err(error) if bridge::is_conflict(&error) => {
                // The router's end of a pair whose network died by other hands is still on its way out.
                let name = leg.name.clone();
                worker.call(async move |namespace| bridge::delete(namespace, &name).await).await?;
                network.call(async move |namespace| router::add_leg(namespace, leg, target).await).await
            }
            other => other,
        }
    }

    async fn remove_from_host(&self, id: Uuid) -> Result<()> {
        let settings = self.inner.settings.clone();
        self.host().await?.call(async move |host| host::remove(host, id, &settings).await).await
    }

    async fn prepare_network(&self, network: Network, worker: &Worker) -> Result<bool> {
        let host = Arc::clone(&self.inner.host_namespace);
        let id = network.id;
        let first = {
            let (network, host) = (network.clone(), Arc::clone(&host));
            worker.call(async move |namespace| network::apply(namespace, network, host).await).await
        };
        match first {
            Err(error) if bridge::is_conflict(&error) => {
                // The host's end of a namespace that died by other hands is still on its way out.
                self.host().await?.call(async move |host| bridge::delete(host, &names::host_leg(&id)).await).await?;
                worker.call(async move |namespace| network::apply(namespace, network, host).await).await
            }
            other => other,
        }
    }
}

fn host_path(settings: &Settings) -> PathBuf {
    settings.host_namespace.clone().unwrap_or_else(|| PathBuf::from("/proc/self/ns/net"))
}

/// A namespace's thread holds about six descriptors, and the usual soft limit of 1024 would end at some 150 networks.
fn raise_descriptor_limit() {
    const WANTED: u64 = 65_536;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < WANTED.min(hard)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, WANTED.min(hard), hard)
    {
        tracing::warn!(%error, soft, "the limit of open files stays low: many networks may be too many");
    }
}

/// Where bridge netfilter is a module nothing loads it by itself, unlike everything else that we need.
pub(crate) async fn load_bridge_netfilter() {
    if std::path::Path::new("/proc/sys/net/bridge").exists() {
        return;
    }
    let loaded = tokio::process::Command::new("modprobe").arg("br_netfilter").output().await;
    if !loaded.is_ok_and(|output| output.status.success()) {
        tracing::warn!("br_netfilter could not be loaded: security groups will not work");
    }
}

/// Ends a worker after removing the links of its namespace, whose other ends live in namespaces that stay.
async fn retire(worker: Arc<Worker>) {
    if let Err(error) = worker.call(async |namespace| network::dismantle(namespace).await).await {
        tracing::debug!(%error, "the links of a namespace could not be removed one by one");
    }
    if let Some(worker) = Arc::into_inner(worker) {
        worker.stop().await;
    }
}

#[async_trait]
impl Dataplane for LinuxDataplane {
    async fn apply_network(&self, plan: &NetworkPlan) -> Result<()> {
        let network = Network::parse(plan)?;
        let (id, mtu, external) = (network.id, network.mtu, network.external.clone());
        let name = self.network_namespace(&id);
        let slot = self.slot(&name);
        let _order = slot.order.lock().await;
        let worker = self.worker(&name, true).await?.ok_or_else(|| network::not_applied(&id))?;
        let left_host = self.prepare_network(network, &worker).await?;
        if let Some(external) = external {
            let settings = self.inner.settings.clone();
            let host = self.host().await?;
            return host.call(async move |host| host::apply(host, id, &external, mtu, &settings).await).await;
        }
        if left_host || self.host().await?.call(async move |host| Ok(host.host_tables.contains_key(&id))).await? {
            self.remove_from_host(id).await?;
        }
        Ok(())
    }

    async fn remove_network(&self, id: &str) -> Result<()> {
        let id = parse_id(id)?;
        self.remove_namespace(&self.network_namespace(&id)).await?;
        self.remove_from_host(id).await
    }

    async fn apply_router(&self, plan: &RouterPlan) -> Result<()> {
        let router = Router::parse(plan)?;
        let name = self.router_namespace(&router.id);
        let slot = self.slot(&name);
        let _order = slot.order.lock().await;
        let worker =
            self.worker(&name, true).await?.ok_or_else(|| Error::internal("a router's namespace is missing"))?;
        let missing = {
            let router = router.clone();
            worker.call(async move |namespace| router::prepare(namespace, router).await).await?
        };
        // A leg that cannot be made now must not keep the others from working.
        let mut failure = None;
        for leg in missing {
            if let Err(error) = self.add_leg(leg, &name, &worker).await {
                failure.get_or_insert(error);
            }
        }
        worker.call(async move |namespace| router::finish(namespace, router).await).await?;
        failure.map_or(Ok(()), Err)
    }

    async fn remove_router(&self, id: &str) -> Result<()> {
        let id = parse_id(id)?;
        self.remove_namespace(&self.router_namespace(&id)).await
    }

    async fn plug(&self, network: &NetworkPlan, port: &PortPlan) -> Result<String> {
        let id = parse_id(&network.id)?;
        let port = Port::parse(port)?;
        if port.kind != PortKind::Container {
            return Err(invalid(format!("port {} is a router's and cannot be plugged", port.id)));
        }
        let name = self.network_namespace(&id);
        let slot = self.slot(&name);
        let _order = slot.order.lock().await;
        let worker = self.worker(&name, false).await?.ok_or_else(|| network::not_applied(&id))?;
        let end = {
            let port = port.clone();
            self.host().await?.call(async move |host| network::find_container_end(host, &port).await).await?
        };
        let container_end = names::container_end(&port.id);
        let host = Arc::clone(&self.inner.host_namespace);
        let first = {
            let (port, host) = (port.clone(), Arc::clone(&host));
            worker.call(async move |namespace| network::plug(namespace, port, end, host).await).await
        };
        match first {
            Err(error) if bridge::is_conflict(&error) => {
                let stale = container_end.clone();
                self.host().await?.call(async move |host| bridge::delete(host, &stale).await).await?;
                worker.call(async move |namespace| network::plug(namespace, port, None, host).await).await?;
            }
            other => other?,
        }
        Ok(container_end)
    }

    async fn unplug(&self, network_id: &str, port_id: &str) -> Result<()> {
        let (id, port) = (parse_id(network_id)?, parse_id(port_id)?);
        if let Some(worker) = self.worker(&self.network_namespace(&id), false).await?
            && worker.call(async move |namespace| network::unplug(namespace, port).await).await?
        {
            return Ok(());
        }
        self.host().await?.call(async move |host| bridge::delete(host, &names::container_end(&port)).await).await
    }

    async fn observe(&self) -> Result<Observed> {
        let mut observed = Observed::default();
        for (name, owner) in self.owned()? {
            match owner {
                Owner::Router(id) => observed.routers.push(id.to_string()),
                Owner::Network(id) => {
                    observed.networks.push(id.to_string());
                    let Some(worker) = self.worker(&name, false).await? else { continue };
                    let ports = worker.call(async |namespace| network::plugged(namespace).await).await?;
                    observed.ports.extend(ports.into_iter().map(|(port, carrier)| (id.to_string(), port, carrier)));
                }
            }
        }
        Ok(observed)
    }

    async fn purge(&self) -> Result<()> {
        for (name, owner) in self.owned()? {
            self.remove_namespace(&name).await?;
            if let Owner::Network(id) = owner {
                self.remove_from_host(id).await?;
            }
        }
        // Tables whose namespace went by other hands.
        let prefix = self.inner.settings.prefix.clone();
        for id in self.host().await?.call(async move |host| host::tables_of(host, &prefix).await).await? {
            self.remove_from_host(id).await?;
        }
        Ok(())
    }
}
