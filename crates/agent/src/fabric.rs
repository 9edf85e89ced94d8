//! Brings networks and routers of this host up to date.
//!
//! Everyone who needs an object current comes here: nudges, the timer, container starts, Docker's driver. Runs of one
//! object exclude each other and fetch the plan themselves, so an older plan never follows a newer one. Whoever waited
//! while a run began after they asked shares its result: fifty containers that start at once in a network cost two.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use sahab_contract::{
    Error, Result,
    network::{Dataplane, NetworkPlan, NetworkPlans, PortPlan, Remote},
};
use tokio::sync::Mutex as AsyncMutex;

use crate::{
    plans::{Key, Plans},
    status::Status,
};

/// How long the control plane may take when a container waits for it and a plan of before is at hand.
const FETCH_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Fabric {
    pub host: String,
    pub dataplane: Arc<dyn Dataplane>,
    pub source: Arc<dyn NetworkPlans>,
    pub plans: Plans,
    pub status: Status,
    objects: Mutex<HashMap<Key, Arc<Object>>>,
}

#[derive(Default)]
struct Object {
    /// Runs begun so far.
    begun: AtomicU64,
    /// Something changed since the last run began.
    dirty: AtomicBool,
    /// The kernel holds it, by a run of this process.
    applied: AtomicBool,
    last: AsyncMutex<LastRun>,
}

/// A run that fails or is given up leaves its object dirty.
struct Unfinished<'a> {
    object: &'a Object,
    succeeded: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.succeeded {
            self.object.dirty.store(true, SeqCst);
        }
    }
}

struct LastRun {
    number: u64,
    result: Result<()>,
}

impl Default for LastRun {
    fn default() -> Self {
        LastRun { number: 0, result: Ok(()) }
    }
}

impl Fabric {
    pub fn new(host: String, dataplane: Arc<dyn Dataplane>, source: Arc<dyn NetworkPlans>, plans: Plans) -> Self {
        Fabric { host, dataplane, source, plans, status: Status::default(), objects: Mutex::default() }
    }

    fn object(&self, key: &Key) -> Arc<Object> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default().clone()
    }

    pub fn mark_dirty(&self, key: &Key) {
        self.object(key).dirty.store(true, SeqCst);
    }
    pub fn mark_all_dirty(&self) {
        for object in self.objects.lock().unwrap_or_else(PoisonError::into_inner).values() {
            object.dirty.store(true, SeqCst);
        }
    }
    /// The networks here whose rules or members are a security group's, and those whose plan is being fetched, which may
    /// be from before the change that this is asked about.
    pub fn networks_naming(&self, group: &str) -> Vec<Key> {
        // In this order: a run that ends in between leaves its plan for the second look, and one that begins sees the change.
        let mut keys: Vec<Key> = self
            .objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|(key, object)| matches!(key, Key::Network(_)) && object.last.try_lock().is_err())
            .map(|(key, _)| key.clone())
            .collect();
        let naming = self.plans.networks().into_iter().filter(|plan| names(plan, group));
        keys.extend(
            naming.map(|plan| Key::Network(plan.id.clone())).filter(|key| !keys.contains(key)).collect::<Vec<_>>(),
        );
        keys
    }
    /// Applied by this process.
    pub fn applied(&self, key: &Key) -> bool {
        self.object(key).applied.load(SeqCst)
    }
    /// Forgets objects that are gone and that nobody works on.
    pub fn prune(&self) {
        let gone = |object: &Object| !object.applied.load(SeqCst) && !object.dirty.load(SeqCst);
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, object| Arc::strong_count(object) > 1 || !gone(object));
    }

    /// Makes the kernel hold what the control plane wants of the object, as of now or later.
    pub async fn sync(&self, key: &Key) -> Result<()> {
        let object = self.object(key);
        let asked_after = object.begun.load(SeqCst);
        let mut last = object.last.lock().await;
        if last.number > asked_after {
            return last.result.clone();
        }
        self.run(key, &object, &mut last).await
    }

    /// As [`Fabric::sync`] if there was news since the last run, or none yet. Waits for a run under way.
    pub async fn refresh(&self, key: &Key) -> Result<()> {
        let object = self.object(key);
        let mut last = object.last.lock().await;
        if object.applied.load(SeqCst) && !object.dirty.load(SeqCst) {
            return Ok(());
        }
        self.run(key, &object, &mut last).await
    }

    async fn run(&self, key: &Key, object: &Object, last: &mut LastRun) -> Result<()> {
        let number = object.begun.fetch_add(1, SeqCst) + 1;
        // News that comes from now on is for the next run.
        object.dirty.store(false, SeqCst);
        let mut run = Unfinished { object, succeeded: false };
        let result = match key {
            Key::Network(id) => self.run_network(id, object).await,
            Key::Router(id) => self.run_router(id, object).await,
        };
        run.succeeded = result.is_ok();
        drop(run);
        *last = LastRun { number, result: result.clone() };
        result
    }

    async fn run_network(&self, id: &str, object: &Object) -> Result<()> {
        match self.source.network(&self.host, id).await? {
            Some(plan) => {
                let plan = self.plans.put_network(plan).await?;
                self.dataplane.apply_network(&plan).await?;
                object.applied.store(true, SeqCst);
            }
            None => {
                object.applied.store(false, SeqCst);
                self.dataplane.remove_network(id).await?;
                self.plans.forget(&Key::Network(id.to_owned())).await?;
            }
        }
        self.status.look();
        Ok(())
    }

    async fn run_router(&self, id: &str, object: &Object) -> Result<()> {
        match self.source.router(&self.host, id).await? {
            Some(plan) => {
                let plan = self.plans.put_router(plan).await?;
                for leg in plan.interfaces.iter().chain(&plan.gateway) {
                    // Boxed: a run of a router contains runs of its networks, never of routers.
                    Box::pin(self.ensure_network(&leg.network_id)).await?;
                }
                self.dataplane.apply_router(&plan).await?;
                object.applied.store(true, SeqCst);
                self.status.router_applied(&plan);
            }
            None => {
                object.applied.store(false, SeqCst);
                self.dataplane.remove_router(id).await?;
                self.plans.forget(&Key::Router(id.to_owned())).await?;
                self.status.router_removed(id);
            }
        }
        Ok(())
    }

    /// The network is in the kernel. Current if the control plane answers; what it was before otherwise.
    pub async fn ensure_network(&self, id: &str) -> Result<()> {
        let key = Key::Network(id.to_owned());
        let failure = match tokio::time::timeout(FETCH_LIMIT, self.refresh(&key)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => Error::unavailable("NetworkUnavailable", "the network service did not answer in time"),
        };
        if !failure.kind().retryable() || self.plans.network(id).is_none() {
            return Err(failure);
        }
        tracing::warn!(network = id, error = ?failure, "going on with the network as it was");
        if self.applied(&key) { Ok(()) } else { self.apply_cached(&key).await }
    }

    /// Puts the plan of before into the kernel. It stays dirty.
    pub async fn apply_cached(&self, key: &Key) -> Result<()> {
        let object = self.object(key);
        let _alone = object.last.lock().await;
        if object.applied.load(SeqCst) {
            return Ok(());
        }
        object.dirty.store(true, SeqCst);
        match key {
            Key::Network(id) => {
                let Some(plan) = self.plans.network(id) else { return Ok(()) };
                self.dataplane.apply_network(&plan).await?;
            }
            Key::Router(id) => {
                let Some(plan) = self.plans.router(id) else { return Ok(()) };
                self.dataplane.apply_router(&plan).await?;
                self.status.router_applied(&plan);
            }
        }
        object.applied.store(true, SeqCst);
        Ok(())
    }

    /// A port whose rules are in the kernel. `network`: where to look when the port is new here.
    pub async fn ensure_port(&self, network: Option<&str>, port: &str) -> Result<(Arc<NetworkPlan>, PortPlan)> {
        let known = self.plans.port(port).map(|(plan, _)| plan.id.clone());
        if let Some(id) = known.as_deref().or(network) {
            self.ensure_network(id).await?;
            if let Some(found) = self.plans.port(port) {
                return Ok(found);
            }
            // Fresh by the last nudge, yet the port is younger than that.
            self.sync(&Key::Network(id.to_owned())).await?;
        }
        self.plans
            .port(port)
            .ok_or_else(|| Error::not_found("PortNotFound", format!("Port {port} is not bound to host {}.", self.host)))
    }
}

/// Whether the ports of the network are in the group or have rules about its members.
fn names(plan: &NetworkPlan, group: &str) -> bool {
    plan.groups.iter().any(|own| {
        own.id == group || own.rules.iter().any(|rule| matches!(&rule.remote, Remote::Group { id, .. } if id == group))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NET, OTHER_PORT, PORT, Rig, network, port};

    #[tokio::test]
    async fn those_who_wait_share_a_run() {
        let rig = Rig::new().await;
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        rig.source.delay(Duration::from_millis(50));
        let key = Key::Network(NET.into());
        let runs = (0..50).map(|_| {
            let (fabric, key) = (rig.fabric.clone(), key.clone());
            tokio::spawn(async move { fabric.sync(&key).await })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap().unwrap();
        }
        assert_eq!(rig.source.fetches(), 2);
    }

    #[tokio::test]
    async fn a_new_port_is_fetched_at_once_and_an_old_one_is_not() {
        let rig = Rig::new().await;
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        rig.fabric.ensure_port(Some(NET), PORT).await.unwrap();
        rig.fabric.ensure_port(Some(NET), PORT).await.unwrap();
        assert_eq!(rig.source.fetches(), 1);
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24"), port(OTHER_PORT, "10.0.0.6/24")]));
        rig.fabric.ensure_port(Some(NET), OTHER_PORT).await.unwrap();
        assert_eq!(rig.source.fetches(), 2);
        assert!(rig.fabric.ensure_port(Some(NET), "none").await.unwrap_err().is_not_found());
    }

    #[tokio::test]
    async fn what_was_known_serves_while_the_control_plane_is_away() {
        let rig = Rig::new().await;
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        rig.fabric.sync(&Key::Network(NET.into())).await.unwrap();
        // A new process after a reboot.
        let rig = rig.restarted().await;
        rig.source.set_away(true);
        let (plan, _) = rig.fabric.ensure_port(None, PORT).await.unwrap();
        assert_eq!(rig.dataplane.network(NET).as_ref(), Some(&*plan));
        assert!(rig.fabric.ensure_port(Some(NET), OTHER_PORT).await.is_err());
        rig.source.set_away(false);
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24"), port(OTHER_PORT, "10.0.0.6/24")]));
        rig.fabric.ensure_port(Some(NET), PORT).await.unwrap();
        assert_eq!(rig.dataplane.network(NET).unwrap().ports.len(), 2, "the old plan was only a makeshift");
    }
}
