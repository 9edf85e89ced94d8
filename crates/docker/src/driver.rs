//! The driver's face: each method is one file's work.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sahab_contract::{
    Result,
    container::{
        Archive, Attachment, ContainerDriver, ContainerEvent, ContainerSpec, Exec, HostInfo, ImageFound, ImageInfo,
        LogQuery, Observed, PullPolicy, RegistryLogin, Resources, Stats, Top,
    },
};
use tokio::{sync::broadcast, task::JoinHandle};

use crate::{
    engine::{Engine, Settings},
    events,
};

/// Containers on one Docker Engine. The engine may be absent: calls then fail as unavailable, and its coming is told by
/// [`ContainerEvent::EngineUp`].
pub struct DockerDriver {
    engine: Arc<Engine>,
    events: JoinHandle<()>,
}

impl DockerDriver {
    /// Starts following the engine's events; needs a Tokio runtime.
    pub fn start(settings: Settings) -> Self {
        let engine = Arc::new(Engine::new(settings));
        let events = tokio::spawn(events::run(engine.clone()));
        DockerDriver { engine, events }
    }
}

impl Drop for DockerDriver {
    fn drop(&mut self) {
        self.events.abort();
    }
}

#[async_trait]
impl ContainerDriver for DockerDriver {
    async fn info(&self) -> Result<HostInfo> {
        self.engine.info().await
    }
    fn subscribe(&self) -> broadcast::Receiver<ContainerEvent> {
        self.engine.events.subscribe()
    }

    async fn image_pull(
        &self,
        reference: &str,
        policy: PullPolicy,
        login: Option<&RegistryLogin>,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageInfo> {
        self.engine.pull(reference, policy, login, progress).await
    }
    async fn image_list(&self) -> Result<Vec<ImageInfo>> {
        self.engine.images().await
    }
    async fn image_remove(&self, reference: &str) -> Result<()> {
        self.engine.remove_image(reference).await
    }
    async fn image_search(&self, term: &str) -> Result<Vec<ImageFound>> {
        self.engine.search(term).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<Observed> {
        self.engine.create(spec).await
    }
    async fn start(&self, id: &str) -> Result<Observed> {
        self.engine.start(id).await
    }
    async fn stop(&self, id: &str, timeout: Option<u32>) -> Result<Observed> {
        self.engine.stop(id, timeout).await
    }
    async fn restart(&self, id: &str, timeout: Option<u32>) -> Result<Observed> {
        self.engine.restart(id, timeout).await
    }
    async fn pause(&self, id: &str) -> Result<Observed> {
        self.engine.pause(id).await
    }
    async fn unpause(&self, id: &str) -> Result<Observed> {
        self.engine.unpause(id).await
    }
    async fn kill(&self, id: &str, signal: Option<&str>) -> Result<Observed> {
        self.engine.kill(id, signal).await
    }
    async fn delete(&self, id: &str, force: bool) -> Result<()> {
        self.engine.delete(id, force).await
    }
    async fn update(&self, id: &str, resources: &Resources) -> Result<()> {
        self.engine.update(id, resources).await
    }
    async fn inspect(&self, id: &str) -> Result<Observed> {
        self.engine.observe(id).await
    }
    async fn list(&self) -> Result<Vec<Observed>> {
        self.engine.list().await
    }

    async fn execute(&self, id: &str, command: &[String], limit: Duration, max_output: usize) -> Result<Exec> {
        self.engine.execute(id, command, limit, max_output).await
    }
    async fn logs(&self, id: &str, query: &LogQuery, max_output: usize) -> Result<Vec<u8>> {
        self.engine.logs(id, query, max_output).await
    }
    async fn top(&self, id: &str, ps_args: Option<&str>) -> Result<Top> {
        self.engine.top(id, ps_args).await
    }
    async fn stats(&self, id: &str) -> Result<Stats> {
        self.engine.stats(id).await
    }
    async fn get_archive(&self, id: &str, path: &str, max_size: usize) -> Result<Archive> {
        self.engine.get_archive(id, path, max_size).await
    }
    async fn put_archive(&self, id: &str, path: &str, tar: Vec<u8>) -> Result<()> {
        self.engine.put_archive(id, path, tar).await
    }
    async fn resize(&self, id: &str, width: u16, height: u16) -> Result<()> {
        self.engine.resize_tty(id, width, height).await
    }

    async fn network_attach(&self, id: &str, attachment: &Attachment) -> Result<()> {
        self.engine.attach(id, attachment).await
    }
    async fn network_detach(&self, id: &str, network_id: &str) -> Result<()> {
        self.engine.detach(id, network_id).await
    }
    async fn network_forget(&self, network_id: &str) -> Result<()> {
        self.engine.remove_network(network_id).await
    }
    async fn network_list(&self) -> Result<Vec<String>> {
        self.engine.networks().await
    }
}
