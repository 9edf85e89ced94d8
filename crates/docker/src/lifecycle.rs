//! From creation to removal.

use std::time::Duration;

use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RestartContainerOptions, StopContainerOptions,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use sahab_contract::{
    Error, Kind, Result,
    container::{ContainerSpec, Observed, Resources, RunState},
};

use crate::{
    create::{self, primary},
    engine::{Engine, container_name, id_of_name},
    error::{CODE, Mapped, from_engine, status_of},
    observe::observed,
};

/// The engine's own grace before the kill.
const DEFAULT_STOP_SECONDS: u32 = 10;
/// A removal that somebody else began is waited for this long.
const REMOVAL_LIMIT: Duration = Duration::from_secs(60);
const REMOVAL_POLL: Duration = Duration::from_millis(50);
const PARALLEL_INSPECTS: usize = 8;

impl Engine {
    pub(crate) async fn create(&self, spec: &ContainerSpec) -> Result<Observed> {
        let name = container_name(&spec.id)?;
        if spec.disk.is_some() && !self.disk_quota_supported().await? {
            return Err(Error::invalid(CODE, "Your host does not support disk quota feature."));
        }
        let networks: Vec<&str> = spec.networks.iter().map(|network| network.network_id.as_str()).collect();
        let kept = self.use_networks(&networks).await?;
        let binds = self.write_files(spec).await?;
        let body = create::body(spec, &binds, &self.settings.cloud)?;
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        // 409: the name is taken, and names are ids, so it is this container from an earlier attempt.
        // After a failure the files stay until `delete`: an earlier attempt's container may be using them.
        self.docker()?.create_container(Some(options), body).await.unless(409)?;
        drop(kept);
        let first = primary(&spec.networks).map(|attachment| attachment.network_id.as_str());
        for attachment in spec.networks.iter().filter(|network| Some(network.network_id.as_str()) != first) {
            self.attach(&spec.id, attachment).await?;
        }
        self.observe(&spec.id).await
    }

    pub(crate) async fn start(&self, id: &str) -> Result<Observed> {
        let name = container_name(id)?;
        let docker = self.docker()?;
        match docker.start_container(&name, None).await {
            Ok(()) => {}
            Err(error) if status_of(&error) == Some(404) => {
                // Either the container is gone, or one of its networks was pruned under it.
                if !self.repair_networks(id).await? {
                    return Err(from_engine(error));
                }
                docker.start_container(&name, None).await.mapped()?;
            }
            Err(error) => return Err(from_engine(error)),
        }
        self.observe_after(id).await
    }

    pub(crate) async fn stop(&self, id: &str, timeout: Option<u32>) -> Result<Observed> {
        let options = StopContainerOptions { t: seconds(timeout), ..Default::default() };
        let docker = self.docker()?.with_timeout(self.patience(timeout));
        docker.stop_container(&container_name(id)?, Some(options)).await.mapped()?;
        self.observe_after(id).await
    }

    pub(crate) async fn restart(&self, id: &str, timeout: Option<u32>) -> Result<Observed> {
        let options = RestartContainerOptions { t: seconds(timeout), ..Default::default() };
        let docker = self.docker()?.with_timeout(self.patience(timeout));
        docker.restart_container(&container_name(id)?, Some(options)).await.mapped()?;
        self.observe_after(id).await
    }

    fn patience(&self, grace: Option<u32>) -> Duration {
        let grace = Duration::from_secs(u64::from(grace.unwrap_or(DEFAULT_STOP_SECONDS)));
        self.settings.request_timeout.saturating_add(grace)
    }

    /// Pausing what is paused is success.
    pub(crate) async fn pause(&self, id: &str) -> Result<Observed> {
        let result = self.docker()?.pause_container(&container_name(id)?).await;
        self.settle(id, result, RunState::Paused).await
    }

    /// Unpausing what runs is success; the engine says 500 to it.
    pub(crate) async fn unpause(&self, id: &str) -> Result<Observed> {
        let result = self.docker()?.unpause_container(&container_name(id)?).await;
        self.settle(id, result, RunState::Running).await
    }

    /// A refusal is judged by the state that the container is in.
    async fn settle(&self, id: &str, result: Result<(), bollard::errors::Error>, wanted: RunState) -> Result<Observed> {
        match result {
            Ok(()) => self.observe_after(id).await,
            Err(error) if matches!(status_of(&error), Some(409 | 500)) => {
                let seen = self.observe(id).await?;
                if seen.state == wanted {
                    return Ok(seen);
                }
                let refused = from_engine(error);
                match seen.state {
                    RunState::Running | RunState::Paused => Err(refused),
                    _ => Err(Error::conflict(CODE, refused.message())),
                }
            }
            Err(error) => Err(from_engine(error)),
        }
    }

    pub(crate) async fn kill(&self, id: &str, signal: Option<&str>) -> Result<Observed> {
        let options = KillContainerOptionsBuilder::default().signal(signal.unwrap_or("SIGKILL")).build();
        self.docker()?.kill_container(&container_name(id)?, Some(options)).await.mapped()?;
        self.observe_after(id).await
    }

    pub(crate) async fn delete(&self, id: &str, force: bool) -> Result<()> {
        let name = container_name(id)?;
        // Anonymous volumes go with it.
        let options = RemoveContainerOptionsBuilder::default().v(true).force(force).build();
        match self.docker()?.remove_container(&name, Some(options)).await {
            Ok(()) => {}
            Err(error) if status_of(&error) == Some(404) => {}
            // Running without force, or a removal is under way already: the state tells.
            Err(error) if status_of(&error) == Some(409) => self.await_removal(id, from_engine(error)).await?,
            Err(error) => return Err(from_engine(error)),
        }
        self.remove_files(id).await
    }

    async fn await_removal(&self, id: &str, refused: Error) -> Result<()> {
        let gone = async {
            loop {
                match self.observe(id).await {
                    Err(error) if error.is_not_found() => return Ok(()),
                    Err(error) => return Err(error),
                    Ok(seen) if seen.state != RunState::Removing => return Err(refused),
                    Ok(_) => tokio::time::sleep(REMOVAL_POLL).await,
                }
            }
        };
        tokio::time::timeout(REMOVAL_LIMIT, gone)
            .await
            .map_err(|_| Error::unavailable(CODE, "the container engine did not finish the removal"))?
    }

    pub(crate) async fn update(&self, id: &str, resources: &Resources) -> Result<()> {
        let memory = resources.memory.map(create::bytes).transpose()?;
        let body = ContainerUpdateBody {
            nano_cpus: resources.cpu.map(create::nano_cpus).transpose()?,
            memory,
            // In the same call, or raising the memory above the old sum is refused.
            memory_swap: memory,
            ..Default::default()
        };
        self.docker()?.update_container(&container_name(id)?, body).await.mapped()
    }

    pub(crate) async fn list(&self) -> Result<Vec<Observed>> {
        let docker = self.docker()?;
        let filters = std::collections::HashMap::from([self.own()]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found = docker.list_containers(Some(options)).await.mapped()?;
        let ids: Vec<String> = found
            .into_iter()
            .filter_map(|summary| {
                summary.names.unwrap_or_default().iter().find_map(|name| id_of_name(name).map(str::to_owned))
            })
            .collect();
        let seen: Vec<Option<Observed>> = stream::iter(ids)
            .map(|id| {
                let docker = docker.clone();
                async move {
                    // One that goes away meanwhile is not there.
                    let answer = docker.inspect_container(&container_name(&id)?, None).await.unless(404)?;
                    Ok::<_, Error>(answer.and_then(observed))
                }
            })
            .buffered(PARALLEL_INSPECTS)
            .try_collect()
            .await?;
        Ok(seen.into_iter().flatten().collect())
    }

    pub(crate) async fn resize_tty(&self, id: &str, width: u16, height: u16) -> Result<()> {
        let options = bollard::query_parameters::ResizeContainerTTYOptionsBuilder::default()
            .w(i32::from(width))
            .h(i32::from(height))
            .build();
        match self.docker()?.resize_container_tty(&container_name(id)?, options).await {
            Ok(()) => Ok(()),
            // The engine answers 409 or 500 for a container that does not run.
            Err(error) if status_of(&error) == Some(500) => {
                let seen = self.observe(id).await?;
                let refused = from_engine(error);
                let kind = if seen.state == RunState::Running { refused.kind() } else { Kind::Conflict };
                Err(Error::new(kind, CODE, refused.message()))
            }
            Err(error) => Err(from_engine(error)),
        }
    }
}

fn seconds(timeout: Option<u32>) -> Option<i32> {
    timeout.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX))
}
