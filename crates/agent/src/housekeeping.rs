//! Leftovers of crashes: interfaces, ports and engine networks that nobody ended.
//!
//! Docker goes on without its network driver: a container removed meanwhile leaves its interface, and the driver is
//! never told. What lies idle for [`IDLE`] and has no living container is removed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use sahab_contract::{
    Result,
    container::{ContainerDriver, ContainerEvent, RunState},
    network::PortKind,
};
use sahab_kuryr::{Driver, Store};
use tokio::{sync::broadcast::error::RecvError, time::MissedTickBehavior};

use crate::{fabric::Fabric, reconcile::Wake};

/// Longer than any start takes between the making of an interface and its carrier.
const IDLE: Duration = Duration::from_secs(120);

pub(crate) struct Housekeeping {
    pub fabric: Arc<Fabric>,
    pub driver: Arc<dyn ContainerDriver>,
    pub network_driver: Arc<Driver>,
    pub store: Arc<Store>,
    pub idle: Duration,
    pub idle_since: HashMap<String, Instant>,
}

impl Housekeeping {
    pub fn new(
        fabric: Arc<Fabric>,
        driver: Arc<dyn ContainerDriver>,
        network_driver: Arc<Driver>,
        store: Arc<Store>,
    ) -> Self {
        Housekeeping { fabric, driver, network_driver, store, idle: IDLE, idle_since: HashMap::new() }
    }

    /// Runs until aborted.
    pub async fn run(mut self, wake: Arc<Wake>, every: Duration) {
        let mut timer = tokio::time::interval(every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                () = wake.keeper.notified() => {}
            }
            self.pass().await;
        }
    }

    async fn pass(&mut self) {
        for (what, result) in [
            ("ports made by hand", self.network_driver.clean_up().await),
            ("interfaces", self.interfaces().await),
            ("engine networks", self.engine_networks().await),
        ] {
            if let Err(error) = result {
                tracing::info!(what, ?error, "leftovers are looked for later");
            }
        }
    }

    /// Interfaces without carrier.
    async fn interfaces(&mut self) -> Result<()> {
        let observed = self.fabric.dataplane.observe().await?.ports;
        let carriers: HashSet<&String> =
            observed.iter().filter(|(_, _, carrier)| *carrier).map(|(_, port, _)| port).collect();
        let endpoints = self.store.endpoints().await;
        let mut idle: HashMap<String, String> = observed
            .iter()
            .filter(|(_, port, _)| !carriers.contains(port))
            .map(|(network, port, _)| (port.clone(), network.clone()))
            .collect();
        for (_, endpoint) in endpoints.iter().filter(|(_, endpoint)| !carriers.contains(&endpoint.port_id)) {
            idle.insert(endpoint.port_id.clone(), endpoint.network_id.clone());
        }
        let now = Instant::now();
        self.idle_since.retain(|port, _| idle.contains_key(port));
        for (port, network) in idle {
            let since = *self.idle_since.entry(port.clone()).or_insert(now);
            if now.duration_since(since) < self.idle || self.lives(&port).await? {
                continue;
            }
            tracing::info!(%port, %network, "removing an interface that no container uses");
            for (id, _) in endpoints.iter().filter(|(_, endpoint)| endpoint.port_id == port) {
                self.network_driver.drop_endpoint(id).await?;
            }
            self.fabric.dataplane.unplug(&network, &port).await?;
            self.fabric.status.look();
        }
        Ok(())
    }

    /// Whether the port's container runs; a privileged one may have taken its interface down.
    async fn lives(&self, port: &str) -> Result<bool> {
        let Some((_, plan)) = self.fabric.plans.port(port) else { return Ok(false) };
        match self.driver.inspect(&plan.device_id).await {
            Ok(seen) => Ok(matches!(seen.state, RunState::Running | RunState::Paused | RunState::Restarting)),
            // A port that was made by hand has no container of ours.
            Err(error) if !error.kind().retryable() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Engine networks without a container's port here.
    async fn engine_networks(&self) -> Result<()> {
        for id in self.driver.network_list().await? {
            let used = self
                .fabric
                .plans
                .network(&id)
                .is_some_and(|network| network.ports.iter().any(|port| port.kind == PortKind::Container));
            if used {
                continue;
            }
            match self.driver.network_forget(&id).await {
                Err(error) if !error.is_conflict() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Follows the engine: when it returns everything is looked at, when a container changes its port is.
pub(crate) async fn follow_engine(fabric: Arc<Fabric>, driver: Arc<dyn ContainerDriver>, wake: Arc<Wake>) {
    let mut events = driver.subscribe();
    loop {
        match events.recv().await {
            Ok(ContainerEvent::EngineUp) => wake.all(),
            Ok(ContainerEvent::Changed { .. } | ContainerEvent::EngineDown) => fabric.status.look(),
            Err(RecvError::Lagged(_)) => wake.all(),
            Err(RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use sahab_contract::{container::ContainerSpec, network::Dataplane};

    use super::*;
    use crate::{
        endpoints::Endpoints,
        plans::Key,
        testing::{NET, OTHER_PORT, PORT, Rig, network, port},
    };

    #[tokio::test]
    async fn idle_interfaces_go_and_living_containers_keep_theirs() {
        let rig = Rig::new().await;
        let plan = network(NET, vec![port(PORT, "10.0.0.5/24"), port(OTHER_PORT, "10.0.0.6/24")]);
        rig.source.set(plan.clone());
        rig.fabric.sync(&Key::Network(NET.into())).await.unwrap();
        for port in &plan.ports {
            rig.dataplane.plug(&plan, port).await.unwrap();
            rig.dataplane.set_carrier(&port.id, false);
        }
        let spec = ContainerSpec { id: plan.ports[0].device_id.clone(), image: "busybox".into(), ..Default::default() };
        rig.driver.create(&spec).await.unwrap();
        rig.driver.start(&spec.id).await.unwrap();

        let store = Arc::new(Store::open(&rig.folder.path().join("kuryr")).await.unwrap());
        let endpoints = Arc::new(Endpoints::new(rig.fabric.clone(), rig.ad_hoc.clone(), store.clone()));
        let network_driver = Arc::new(Driver::new(endpoints, store.clone()));
        let mut keeper = Housekeeping::new(rig.fabric.clone(), rig.driver.clone(), network_driver, store);
        keeper.pass().await;
        let plugged = async || rig.dataplane.observe().await.unwrap().ports.len();
        assert_eq!(plugged().await, 2, "not idle for long");
        keeper.idle = Duration::ZERO;
        keeper.pass().await;
        let left = rig.dataplane.observe().await.unwrap().ports;
        assert_eq!(left.iter().map(|(_, port, _)| port.as_str()).collect::<Vec<_>>(), [PORT]);
    }
}
