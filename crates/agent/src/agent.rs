//! One host's agent: its parts, started in order.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sahab_contract::{
    Error, Result,
    container::ContainerDriver,
    network::{AdHocPorts, Dataplane, NetworkPlans},
};
use sahab_kuryr::{Driver, Store, serve};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    endpoints::Endpoints,
    fabric::Fabric,
    host::Host,
    housekeeping::{Housekeeping, follow_engine},
    plans::Plans,
    reconcile::{self, Wake},
    status,
};

/// What an agent is made of.
pub struct Parts {
    /// Name under which the control plane knows the host.
    pub hostname: String,
    pub dataplane: Arc<dyn Dataplane>,
    pub driver: Arc<dyn ContainerDriver>,
    pub plans: Arc<dyn NetworkPlans>,
    pub ad_hoc: Arc<dyn AdHocPorts>,
    /// For the agent alone; closed to others.
    pub state_dir: PathBuf,
    /// Where Docker looks for the network driver; [`sahab_kuryr::DEFAULT_SOCKET`] unless Docker sees another directory.
    pub plugin_socket: PathBuf,
    /// How often everything is looked at without a nudge.
    pub full_pass: Duration,
}

/// A running agent. Dropping it ends its loops and leaves containers and kernel as they are.
pub struct Agent {
    host: Arc<Host>,
    wake: Arc<Wake>,
    stop_plugin: Option<oneshot::Sender<()>>,
    plugin: JoinHandle<Result<()>>,
    loops: Vec<JoinHandle<()>>,
}

impl Agent {
    /// Returns when Docker's network driver listens. The engine and the control plane may be absent: both are waited
    /// for in the background.
    ///
    /// Fails when the state directory is unusable or another agent holds the driver's socket.
    pub async fn start(parts: Parts) -> Result<Agent> {
        let plans = Plans::open(parts.state_dir.join("plans")).await?;
        let store = Arc::new(Store::open(&parts.state_dir).await?);
        let fabric = Arc::new(Fabric::new(parts.hostname, parts.dataplane, parts.plans, plans));
        let endpoints = Arc::new(Endpoints::new(fabric.clone(), parts.ad_hoc, store.clone()));
        let network_driver = Arc::new(Driver::new(endpoints, store.clone()));

        let (stop_plugin, plugin) = start_plugin(parts.plugin_socket, network_driver.clone()).await?;

        let wake = Arc::new(Wake::default());
        // A timer of zero would not be one.
        let every = parts.full_pass.max(Duration::from_secs(1));
        let reporting = fabric.clone();
        let keeper = Housekeeping::new(fabric.clone(), parts.driver.clone(), network_driver.clone(), store.clone());
        let loops = vec![
            tokio::spawn(follow_engine(fabric.clone(), parts.driver.clone(), wake.clone())),
            tokio::spawn(async move { status::run(&reporting).await }),
            tokio::spawn(reconcile::run(fabric.clone(), wake.clone(), every)),
            tokio::spawn(keeper.run(wake.clone(), every)),
        ];
        let host = Arc::new(Host::new(fabric, parts.driver, network_driver, store));
        Ok(Agent { host, wake, stop_plugin: Some(stop_plugin), plugin, loops })
    }

    /// The host as the container service uses it: the driver with the network in front.
    pub fn host(&self) -> Arc<dyn ContainerDriver> {
        self.host.clone()
    }

    /// Looks at everything now.
    pub fn look(&self) {
        self.wake.all();
    }

    /// Ends the loops and the driver's socket; calls of Docker under way are answered first.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop_plugin.take() {
            // An error means that the driver ended by itself.
            let _ = stop.send(());
        }
        match (&mut self.plugin).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(?error, "network driver ended"),
            Err(error) => tracing::warn!(%error, "network driver ended"),
        }
        for task in &self.loops {
            task.abort();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.plugin.abort();
        for task in &self.loops {
            task.abort();
        }
    }
}

async fn start_plugin(socket: PathBuf, driver: Arc<Driver>) -> Result<(oneshot::Sender<()>, JoinHandle<Result<()>>)> {
    let (ready, is_ready) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        // Dropping the sender is no order to stop; the task is aborted then.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let task = tokio::spawn(async move {
        let ready = || {
            let _ = ready.send(());
        };
        serve(&socket, driver, ready, stopped).await
    });
    if is_ready.await.is_ok() {
        return Ok((stop, task));
    }
    match task.await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) => Err(Error::internal("the network driver ended at once")),
        Err(error) => Err(error.into()),
    }
}
