//! When networks and routers are brought up to date: on nudges, on a timer, at the start, when the engine returns.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sahab_contract::{Result, network::Dirty};
use tokio::{
    sync::{Notify, Semaphore, broadcast::error::RecvError},
    task::JoinSet,
    time::MissedTickBehavior,
};

use crate::{fabric::Fabric, plans::Key};

/// Nudges that come in a burst are one.
const DEBOUNCE: Duration = Duration::from_millis(5);
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
const PARALLEL: usize = 8;

/// Wakes those who look at everything.
#[derive(Default)]
pub(crate) struct Wake {
    pub pass: Notify,
    pub keeper: Notify,
}

impl Wake {
    pub fn all(&self) {
        self.pass.notify_one();
        self.keeper.notify_one();
    }
}

/// One object's worker while it works.
struct Job {
    nudged: Arc<Notify>,
    /// Nudged since the worker was started.
    again: bool,
}

struct Loop {
    fabric: Arc<Fabric>,
    jobs: HashMap<Key, Job>,
    workers: JoinSet<Key>,
    permits: Arc<Semaphore>,
}

/// Runs until aborted.
pub(crate) async fn run(fabric: Arc<Fabric>, wake: Arc<Wake>, every: Duration) {
    // Subscribed before the first look, so that nothing falls between.
    let mut nudges = fabric.source.subscribe();
    let mut timer = tokio::time::interval(every);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut retry = BACKOFF_FIRST;
    let mut cached = false;
    let mut this =
        Loop { fabric, jobs: HashMap::new(), workers: JoinSet::new(), permits: Arc::new(Semaphore::new(PARALLEL)) };
    loop {
        let mut look = false;
        tokio::select! {
            nudge = nudges.recv() => match nudge {
                Ok(Dirty::Network(id)) => this.nudge(Key::Network(id)),
                Ok(Dirty::Router(id)) => this.nudge(Key::Router(id)),
                Ok(Dirty::Group(id)) => {
                    for key in this.fabric.networks_naming(&id) {
                        this.nudge(key);
                    }
                }
                Ok(Dirty::All) | Err(RecvError::Lagged(_)) => look = true,
                Err(RecvError::Closed) => {
                    tracing::warn!("the network service sends no nudges any more; the timer goes on");
                    nudges = this.fabric.source.subscribe();
                    tokio::time::sleep(BACKOFF_FIRST).await;
                }
            },
            () = wake.pass.notified() => look = true,
            _ = timer.tick() => look = true,
            Some(done) = this.workers.join_next() => {
                if let Ok(key) = done {
                    this.finished(key);
                }
            }
        }
        if !look {
            continue;
        }
        this.fabric.mark_all_dirty();
        match this.full_pass().await {
            Ok(()) => {
                retry = BACKOFF_FIRST;
                cached = true;
            }
            Err(error) => {
                tracing::warn!(?error, "the network service's inventory is not to be had; trying again");
                if !std::mem::replace(&mut cached, true) {
                    this.apply_cached().await;
                }
                let (wake, after) = (wake.clone(), retry);
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    wake.all();
                });
                retry = (retry * 2).min(BACKOFF_MAX);
            }
        }
    }
}

impl Loop {
    fn nudge(&mut self, key: Key) {
        self.fabric.mark_dirty(&key);
        if let Some(job) = self.jobs.get_mut(&key) {
            job.again = true;
            job.nudged.notify_one();
            return;
        }
        let nudged = Arc::new(Notify::new());
        self.jobs.insert(key.clone(), Job { nudged: nudged.clone(), again: false });
        self.workers.spawn(work(self.fabric.clone(), key, nudged, self.permits.clone()));
    }

    fn finished(&mut self, key: Key) {
        if self.jobs.remove(&key).is_some_and(|job| job.again) {
            self.nudge(key);
        }
    }

    /// Everything that is wanted here, and everything that is here and may not be wanted.
    async fn full_pass(&mut self) -> Result<()> {
        let fabric = self.fabric.clone();
        let (networks, routers) = fabric.source.inventory(&fabric.host).await?;
        let observed = fabric.dataplane.observe().await?;
        let mut keys: Vec<Key> = networks.into_iter().map(Key::Network).collect();
        keys.extend(routers.into_iter().map(Key::Router));
        // What is not in the inventory is asked about too: the answer "none" removes it, and an object that came into
        // being since is not harmed.
        keys.extend(observed.routers.into_iter().chain(fabric.plans.router_ids()).map(Key::Router));
        let known = fabric.plans.networks();
        keys.extend(
            observed.networks.into_iter().chain(known.iter().map(|network| network.id.clone())).map(Key::Network),
        );
        let mut seen = std::collections::HashSet::new();
        for key in keys {
            if seen.insert(key.clone()) {
                self.nudge(key);
            }
        }
        fabric.prune();
        fabric.status.tell_everything();
        Ok(())
    }

    /// The host as it was, until the control plane answers.
    async fn apply_cached(&self) {
        let networks = self.fabric.plans.networks().into_iter().map(|network| Key::Network(network.id.clone()));
        let routers = self.fabric.plans.router_ids().into_iter().map(Key::Router);
        for key in networks.chain(routers) {
            if let Err(error) = self.fabric.apply_cached(&key).await {
                tracing::warn!(%key, ?error, "cannot be restored as it was");
            }
        }
    }
}

/// Until the object is up to date.
async fn work(fabric: Arc<Fabric>, key: Key, nudged: Arc<Notify>, permits: Arc<Semaphore>) -> Key {
    let mut backoff = BACKOFF_FIRST;
    loop {
        tokio::time::sleep(DEBOUNCE).await;
        let result = match permits.acquire().await {
            Ok(_permit) => fabric.refresh(&key).await,
            // The semaphore is never closed.
            Err(_) => return key,
        };
        let Err(error) = result else { return key };
        tracing::warn!(%key, ?error, "cannot be brought up to date; trying again");
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            () = nudged.notified() => {}
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

#[cfg(test)]
mod tests {
    use sahab_contract::{
        Error,
        network::{Direction, GroupPlan, NetworkPlan, Remote, RulePlan},
    };
    use sahab_dataplane::Call;

    use super::*;
    use crate::testing::{NET, OTHER_NET, PORT, Rig, eventually, network, port, router};

    fn start(rig: &Rig) -> (tokio::task::JoinHandle<()>, Arc<Wake>) {
        let wake = Arc::new(Wake::default());
        (tokio::spawn(run(rig.fabric.clone(), wake.clone(), Duration::from_secs(3600))), wake)
    }

    #[tokio::test]
    async fn follows_the_desired_state() {
        let rig = Rig::new().await;
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        let (task, wake) = start(&rig);
        eventually(|| rig.dataplane.network(NET).is_some_and(|plan| plan.ports.len() == 1)).await;
        rig.source.set(network(NET, vec![]));
        rig.source.nudge(Dirty::Network(NET.into()));
        eventually(|| rig.dataplane.network(NET).is_some_and(|plan| plan.ports.is_empty())).await;
        // A network that another process left behind, and one that is wanted no more, without a word.
        sahab_contract::network::Dataplane::apply_network(&*rig.dataplane, &network(OTHER_NET, vec![])).await.unwrap();
        rig.source.unset(NET);
        wake.all();
        eventually(|| rig.dataplane.network(NET).is_none() && rig.dataplane.network(OTHER_NET).is_none()).await;
        task.abort();
    }

    #[tokio::test]
    async fn a_group_brings_up_to_date_whoever_names_it() {
        let rig = Rig::new().await;
        let group = |id: &str, remote| {
            let rule = RulePlan { direction: Direction::Ingress, ipv6: false, protocol: None, range: None, remote };
            GroupPlan { id: id.into(), stateful: true, rules: vec![rule] }
        };
        let members = Remote::Group { id: "members".into(), members: vec![] };
        for (id, groups) in [(NET, vec![group("own", members)]), (OTHER_NET, vec![group("other", Remote::Any)])] {
            rig.source.set(NetworkPlan { groups, ..network(id, vec![]) });
        }
        let (task, _wake) = start(&rig);
        eventually(|| rig.dataplane.network(NET).is_some() && rig.dataplane.network(OTHER_NET).is_some()).await;
        for (nudge, applied) in [("own", NET), ("members", NET), ("other", OTHER_NET)] {
            // A run that ends would be taken for one that the group's change may be missing from.
            eventually(|| rig.fabric.networks_naming("none").is_empty()).await;
            rig.dataplane.clear_calls();
            rig.source.nudge(Dirty::Group("none".into()));
            rig.source.nudge(Dirty::Group(nudge.into()));
            eventually(|| rig.dataplane.calls() == [Call::ApplyNetwork(applied.into())]).await;
        }
        task.abort();
    }

    #[tokio::test]
    async fn a_plan_on_its_way_may_be_from_before_the_groups_change() {
        let rig = Rig::new().await;
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        rig.source.delay(Duration::from_millis(100));
        let run = tokio::spawn({
            let fabric = rig.fabric.clone();
            async move { fabric.sync(&Key::Network(NET.into())).await }
        });
        eventually(|| rig.fabric.networks_naming("new") == [Key::Network(NET.into())]).await;
        run.await.unwrap().unwrap();
        assert!(rig.fabric.networks_naming("new").is_empty());
    }

    #[tokio::test]
    async fn a_router_comes_after_its_networks_and_failures_are_retried() {
        let rig = Rig::new().await;
        let mut plan = router(crate::testing::ROUTER, &[]);
        plan.interfaces = vec![crate::testing::leg(NET)];
        rig.source.set_router(plan);
        rig.source.set(network(NET, vec![]));
        rig.dataplane.fail_next(Error::unavailable("", "busy"));
        let (task, _wake) = start(&rig);
        eventually(|| rig.dataplane.router(crate::testing::ROUTER).is_some()).await;
        let calls = rig.dataplane.calls();
        let first = |wanted: &Call| calls.iter().position(|call| call == wanted).unwrap();
        assert!(first(&Call::ApplyNetwork(NET.into())) < first(&Call::ApplyRouter(crate::testing::ROUTER.into())));
        task.abort();
    }

    #[tokio::test]
    async fn the_host_is_restored_before_the_control_plane_answers() {
        let rig = Rig::new().await;
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        rig.fabric.sync(&Key::Network(NET.into())).await.unwrap();
        let rig = rig.restarted().await;
        rig.source.set_away(true);
        let (task, _wake) = start(&rig);
        eventually(|| rig.dataplane.network(NET).is_some()).await;
        rig.source.unset(NET);
        rig.source.set_away(false);
        eventually(|| rig.dataplane.network(NET).is_none()).await;
        task.abort();
    }
}
