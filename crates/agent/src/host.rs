//! The container driver with the network in front of it: what the container service sees of this host.
//!
//! Before a container is created, started or attached, the networks of its ports are in the kernel, fetched directly
//! and not by waiting for a nudge. Calls to the engine are bounded and fair: a thousand requests do not become a
//! thousand concurrent starts, and slow kinds (stops with their grace, pulls) do not hold up quick ones.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sahab_contract::{
    Error, Result,
    container::{
        Archive, Attachment, ContainerDriver, ContainerEvent, ContainerSpec, Exec, HostInfo, ImageFound, ImageInfo,
        LogQuery, Observed, PullPolicy, RegistryLogin, Resources, Stats, Top,
    },
};
use sahab_kuryr::{Driver, Store};
use tokio::sync::{Semaphore, SemaphorePermit, broadcast};

use crate::fabric::Fabric;

const PARALLEL_WORK: usize = 8;
const PARALLEL_STOPS: usize = 64;
const PARALLEL_PULLS: usize = 4;
const PARALLEL_LOOKS: usize = 64;

pub(crate) struct Host {
    fabric: Arc<Fabric>,
    driver: Arc<dyn ContainerDriver>,
    network_driver: Arc<Driver>,
    store: Arc<Store>,
    /// Creating, starting, removing, attaching: the engine and the kernel are busy.
    work: Semaphore,
    /// Mostly waiting for the container.
    stops: Semaphore,
    pulls: Semaphore,
    /// Reads and commands in containers.
    looks: Semaphore,
}

impl Host {
    pub fn new(
        fabric: Arc<Fabric>,
        driver: Arc<dyn ContainerDriver>,
        network_driver: Arc<Driver>,
        store: Arc<Store>,
    ) -> Self {
        Host {
            fabric,
            driver,
            network_driver,
            store,
            work: Semaphore::new(PARALLEL_WORK),
            stops: Semaphore::new(PARALLEL_STOPS),
            pulls: Semaphore::new(PARALLEL_PULLS),
            looks: Semaphore::new(PARALLEL_LOOKS),
        }
    }

    /// The networks of these ports are in the kernel, their rules included.
    async fn prepare(&self, attachments: &[Attachment]) -> Result<()> {
        for attachment in attachments {
            self.fabric.ensure_port(Some(&attachment.network_id), &attachment.port_id).await?;
        }
        Ok(())
    }

    /// As [`Host::prepare`] for a container that exists.
    async fn prepare_known(&self, id: &str) -> Result<()> {
        for (network, _) in self.fabric.plans.ports_of(id) {
            self.fabric.ensure_network(&network).await?;
        }
        Ok(())
    }

    /// Starts a container whose networks are in the kernel.
    async fn begin(&self, id: &str) -> Result<Observed> {
        let _permit = permit(&self.work).await?;
        let started = timed("engine start", id, self.driver.start(id)).await;
        self.fabric.status.look();
        started
    }

    /// Removes what Docker did not tell its driver to remove, and the engine's networks that served these ports last.
    async fn tidy(&self, ports: &[(String, String)]) {
        for (endpoint_id, endpoint) in self.store.endpoints().await {
            if !ports.iter().any(|(_, port)| *port == endpoint.port_id) {
                continue;
            }
            if let Err(error) = self.network_driver.drop_endpoint(&endpoint_id).await {
                tracing::warn!(port = %endpoint.port_id, ?error, "an interface stays behind for now");
            }
        }
        for (network, _) in ports {
            match self.driver.network_forget(network).await {
                Err(error) if !error.is_conflict() => {
                    tracing::warn!(%network, ?error, "the engine's network stays behind for now");
                }
                _ => {}
            }
        }
        self.fabric.status.look();
    }
}

async fn permit(semaphore: &Semaphore) -> Result<SemaphorePermit<'_>> {
    semaphore.acquire().await.map_err(Error::from)
}

/// Tells the log how long a part of a container's way took.
async fn timed<T>(what: &'static str, container: &str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let outcome = work.await;
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(container, what, micros, "phase");
    outcome
}

#[async_trait]
impl ContainerDriver for Host {
    async fn info(&self) -> Result<HostInfo> {
        self.driver.info().await
    }
    fn subscribe(&self) -> broadcast::Receiver<ContainerEvent> {
        self.driver.subscribe()
    }

    async fn image_pull(
        &self,
        reference: &str,
        policy: PullPolicy,
        login: Option<&RegistryLogin>,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageInfo> {
        let _permit = permit(&self.pulls).await?;
        self.driver.image_pull(reference, policy, login, progress).await
    }
    async fn image_list(&self) -> Result<Vec<ImageInfo>> {
        let _permit = permit(&self.looks).await?;
        self.driver.image_list().await
    }
    async fn image_remove(&self, reference: &str) -> Result<()> {
        let _permit = permit(&self.work).await?;
        self.driver.image_remove(reference).await
    }
    async fn image_search(&self, term: &str) -> Result<Vec<ImageFound>> {
        let _permit = permit(&self.pulls).await?;
        self.driver.image_search(term).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<Observed> {
        self.prepare(&spec.networks).await?;
        let _permit = permit(&self.work).await?;
        self.driver.create(spec).await
    }
    async fn start(&self, id: &str) -> Result<Observed> {
        self.prepare_known(id).await?;
        self.begin(id).await
    }
    /// The engine's record of a container needs no network yet, only its start does: both are made at once.
    async fn run(&self, spec: &ContainerSpec) -> Result<Observed> {
        let network = timed("network and rules", &spec.id, self.prepare(&spec.networks));
        let record = async {
            let _permit = permit(&self.work).await?;
            timed("engine create", &spec.id, self.driver.create(spec)).await
        };
        // Neither is given up when the other fails: what the engine was asked is done before anybody takes it back.
        let (network, record) = tokio::join!(network, record);
        network?;
        record?;
        self.begin(&spec.id).await
    }
    async fn stop(&self, id: &str, timeout: Option<u32>) -> Result<Observed> {
        let _permit = permit(&self.stops).await?;
        let stopped = self.driver.stop(id, timeout).await;
        self.fabric.status.look();
        stopped
    }
    async fn restart(&self, id: &str, timeout: Option<u32>) -> Result<Observed> {
        self.prepare_known(id).await?;
        let _permit = permit(&self.stops).await?;
        let restarted = self.driver.restart(id, timeout).await;
        self.fabric.status.look();
        restarted
    }
    async fn pause(&self, id: &str) -> Result<Observed> {
        let _permit = permit(&self.work).await?;
        self.driver.pause(id).await
    }
    async fn unpause(&self, id: &str) -> Result<Observed> {
        let _permit = permit(&self.work).await?;
        self.driver.unpause(id).await
    }
    async fn kill(&self, id: &str, signal: Option<&str>) -> Result<Observed> {
        let _permit = permit(&self.work).await?;
        let killed = self.driver.kill(id, signal).await;
        self.fabric.status.look();
        killed
    }
    async fn delete(&self, id: &str, force: bool) -> Result<()> {
        let ports = self.fabric.plans.ports_of(id);
        let _permit = permit(&self.work).await?;
        self.driver.delete(id, force).await?;
        self.tidy(&ports).await;
        Ok(())
    }
    async fn update(&self, id: &str, resources: &Resources) -> Result<()> {
        let _permit = permit(&self.work).await?;
        self.driver.update(id, resources).await
    }
    async fn inspect(&self, id: &str) -> Result<Observed> {
        let _permit = permit(&self.looks).await?;
        self.driver.inspect(id).await
    }
    async fn list(&self) -> Result<Vec<Observed>> {
        let _permit = permit(&self.looks).await?;
        self.driver.list().await
    }

    async fn execute(&self, id: &str, command: &[String], limit: Duration, max_output: usize) -> Result<Exec> {
        let _permit = permit(&self.looks).await?;
        self.driver.execute(id, command, limit, max_output).await
    }
    async fn logs(&self, id: &str, query: &LogQuery, max_output: usize) -> Result<Vec<u8>> {
        let _permit = permit(&self.looks).await?;
        self.driver.logs(id, query, max_output).await
    }
    async fn top(&self, id: &str, ps_args: Option<&str>) -> Result<Top> {
        let _permit = permit(&self.looks).await?;
        self.driver.top(id, ps_args).await
    }
    async fn stats(&self, id: &str) -> Result<Stats> {
        let _permit = permit(&self.looks).await?;
        self.driver.stats(id).await
    }
    async fn get_archive(&self, id: &str, path: &str, max_size: usize) -> Result<Archive> {
        let _permit = permit(&self.pulls).await?;
        self.driver.get_archive(id, path, max_size).await
    }
    async fn put_archive(&self, id: &str, path: &str, tar: Vec<u8>) -> Result<()> {
        let _permit = permit(&self.pulls).await?;
        self.driver.put_archive(id, path, tar).await
    }
    async fn resize(&self, id: &str, width: u16, height: u16) -> Result<()> {
        let _permit = permit(&self.looks).await?;
        self.driver.resize(id, width, height).await
    }

    async fn network_attach(&self, id: &str, attachment: &Attachment) -> Result<()> {
        self.prepare(std::slice::from_ref(attachment)).await?;
        let _permit = permit(&self.work).await?;
        let attached = self.driver.network_attach(id, attachment).await;
        self.fabric.status.look();
        attached
    }
    async fn network_detach(&self, id: &str, network_id: &str) -> Result<()> {
        let ports: Vec<_> =
            self.fabric.plans.ports_of(id).into_iter().filter(|(network, _)| network == network_id).collect();
        let _permit = permit(&self.work).await?;
        self.driver.network_detach(id, network_id).await?;
        self.tidy(&ports).await;
        Ok(())
    }
    async fn network_forget(&self, network_id: &str) -> Result<()> {
        let _permit = permit(&self.work).await?;
        self.driver.network_forget(network_id).await
    }
    async fn network_list(&self) -> Result<Vec<String>> {
        let _permit = permit(&self.looks).await?;
        self.driver.network_list().await
    }
}

#[cfg(test)]
mod tests {
    use sahab_contract::container::RunState;
    use sahab_dataplane::Call;

    use super::*;
    use crate::{
        endpoints::Endpoints,
        testing::{NET, OTHER_PORT, PORT, Rig, network, port},
    };

    async fn host(rig: &Rig) -> Host {
        let store = Arc::new(Store::open(&rig.folder.path().join("kuryr")).await.unwrap());
        let endpoints = Arc::new(Endpoints::new(rig.fabric.clone(), rig.ad_hoc.clone(), store.clone()));
        let network_driver = Arc::new(Driver::new(endpoints, store.clone()));
        Host::new(rig.fabric.clone(), rig.driver.clone(), network_driver, store)
    }

    fn spec(port: &str) -> ContainerSpec {
        let attachment = Attachment {
            network_id: NET.into(),
            port_id: port.into(),
            mac: "fa:16:3e:00:00:01".into(),
            addresses: vec![],
            primary: true,
            aliases: vec![],
            dns: vec![],
        };
        ContainerSpec {
            id: format!("container-of-{port}"),
            image: "busybox".into(),
            networks: vec![attachment],
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn rules_come_before_the_container() {
        let rig = Rig::new().await;
        let host = host(&rig).await;
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        host.create(&spec(PORT)).await.unwrap();
        assert_eq!(rig.dataplane.calls(), [Call::ApplyNetwork(NET.into())]);
        let strange = host.create(&spec(OTHER_PORT)).await.unwrap_err();
        assert!(strange.is_not_found());
        assert!(!rig.driver.calls().iter().any(|call| call.contains(OTHER_PORT)), "the engine was not asked");
        // A group changed; the nudge has come but not been worked on.
        rig.dataplane.clear_calls();
        rig.fabric.mark_all_dirty();
        let id = spec(PORT).id;
        assert_eq!(host.start(&id).await.unwrap().state, RunState::Running);
        assert_eq!(rig.dataplane.calls(), [Call::ApplyNetwork(NET.into())]);
    }

    #[tokio::test]
    async fn what_is_run_has_its_rules_before_it_starts() {
        let rig = Rig::new().await;
        let host = host(&rig).await;
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        assert_eq!(host.run(&spec(PORT)).await.unwrap().state, RunState::Running);
        assert_eq!(rig.dataplane.calls(), [Call::ApplyNetwork(NET.into())]);
        let strange = host.run(&spec(OTHER_PORT)).await.unwrap_err();
        assert!(strange.is_not_found());
        let started = |call: &String| call.starts_with("start") && call.contains(OTHER_PORT);
        assert!(!rig.driver.calls().iter().any(started), "without rules it was started");
    }

    #[tokio::test]
    async fn the_last_container_takes_the_engines_network_along() {
        let rig = Rig::new().await;
        let host = host(&rig).await;
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24"), port(OTHER_PORT, "10.0.0.6/24")]));
        host.create(&spec(PORT)).await.unwrap();
        host.create(&spec(OTHER_PORT)).await.unwrap();
        host.delete(&spec(PORT).id, true).await.unwrap();
        assert_eq!(host.network_list().await.unwrap(), [NET]);
        rig.source.set(network(NET, vec![port(OTHER_PORT, "10.0.0.6/24")]));
        rig.fabric.sync(&crate::plans::Key::Network(NET.into())).await.unwrap();
        host.delete(&spec(OTHER_PORT).id, true).await.unwrap();
        assert_eq!(host.network_list().await.unwrap(), Vec::<String>::new());
    }
}
