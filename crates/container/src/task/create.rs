//! Making a container on its host: ports and image at once, then the engine's create and start. A rebuild is the same
//! with the old one removed in between, so that a bad image costs nothing.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use sahab_contract::{
    Error, Result,
    container::{ContainerSpec, PullPolicy, RestartPolicy},
};
use sahab_task::{Handler, Step, Task};
use serde::{Deserialize, Serialize};

use super::{CREATE, REBUILD, patiently, verdict};
use crate::{
    ContainerService,
    container::observed::Seen,
    db::container::{Model, Net, file},
    state::Status,
};

pub struct Provision {
    service: ContainerService,
    rebuild: bool,
}

/// What the steps learnt.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    nets: Vec<Net>,
    /// Complete reference that the engine knows.
    image: String,
    seen: Option<Seen>,
}

impl State {
    fn of(task: &Task) -> Self {
        serde_json::from_value(task.state.clone()).unwrap_or_default()
    }
    fn store(self, task: &mut Task) -> Result<()> {
        task.state = serde_json::to_value(self)?;
        Ok(())
    }
}

impl Provision {
    pub fn creating(service: ContainerService) -> Self {
        Provision { service, rebuild: false }
    }
    pub fn rebuilding(service: ContainerService) -> Self {
        Provision { service, rebuild: true }
    }

    async fn prepare(&self, row: &Model, task: &mut Task) -> Result<()> {
        let image = task.input["image"].as_str().unwrap_or(&row.image).to_owned();
        let (nets, image) = tokio::try_join!(self.ports(row, task), self.image(row, &image))?;
        State { nets, image, seen: None }.store(task)
    }

    async fn ports(&self, row: &Model, task: &Task) -> Result<Vec<Net>> {
        let program = self.service.program_for(task).await?;
        let host = row.host.as_deref().unwrap_or_default();
        self.service.make_exposed_group(&program, row).await?;
        try_join_all(row.nets.0.iter().map(|net| self.service.bind_port(&program, row, net, host))).await
    }

    async fn image(&self, row: &Model, image: &str) -> Result<String> {
        let driver = self.service.driver_for(row.host.as_deref()).await?;
        let policy = match row.image_pull_policy.as_str() {
            "always" => PullPolicy::Always,
            "never" => PullPolicy::Never,
            _ => PullPolicy::IfNotPresent,
        };
        let (reference, login) = self.service.pull_source(row.registry_id.as_deref(), image).await?;
        let (service, uuid) = (self.service.clone(), row.uuid.clone());
        let progress = move |line: String| {
            service.progress().insert(uuid.clone(), line);
        };
        let found = driver.image_pull(&reference, policy, login.as_ref(), &progress).await;
        let found = found.map_err(|error| match verdict(error) {
            // The engine's own words often do not say which image they are about.
            error if !error.message().contains(image) => error.context(format!("Image {reference}")),
            error => error,
        })?;
        // A digest has no tag to complete it.
        Ok(if reference.contains('@') { reference } else { format!("{}:{}", found.repo, found.tag) })
    }

    async fn make(&self, row: &mut Model, task: &mut Task) -> Result<()> {
        let driver = self.service.driver_for(row.host.as_deref()).await?;
        let mut state = State::of(task);
        row.nets.0 = state.nets.clone();
        let program = self.service.program_for(task).await?;
        let networks = self.service.attachments(&program, row).await?;
        let spec = ContainerSpec {
            id: row.uuid.clone(),
            name: row.name.clone(),
            image: state.image.clone(),
            command: row.command.0.clone(),
            entrypoint: row.entrypoint.0.clone(),
            environment: row.environment.0.clone(),
            labels: row.labels.0.clone(),
            workdir: row.workdir.clone(),
            hostname: row.hostname.clone(),
            cpu: Some(row.cpu),
            memory: u64::try_from(row.memory).ok(),
            disk: u64::try_from(row.disk).ok().filter(|disk| *disk > 0),
            interactive: row.interactive,
            tty: row.tty,
            auto_remove: row.auto_remove,
            privileged: row.privileged,
            runtime: row.runtime.clone(),
            restart_policy: row.restart_policy.as_ref().map(|policy| RestartPolicy {
                name: policy.name.clone(),
                maximum_retry_count: policy.maximum_retry_count,
            }),
            healthcheck: row.healthcheck.as_ref().map(|check| check.0.clone()),
            exposed_ports: row.exposed_ports.0.clone(),
            files: file::of(self.service.database.read(), &row.uuid).await?,
            networks,
        };
        let seen = match task.input["run"] == true {
            true => driver.run(&spec).await,
            false => driver.create(&spec).await,
        };
        state.seen = Some(seen.map_err(verdict)?.into());
        state.store(task)
    }

    async fn remove(&self, row: &Model) -> Result<()> {
        let Some(host) = row.host.as_deref() else { return Ok(()) };
        // The host may have left for good; there is nothing of ours to remove then.
        let Some(host) = self.service.host(host) else { return Ok(()) };
        match host.driver.delete(&row.uuid, true).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Unlike [`ContainerService::row_of`] also for containers being deleted: the way back must not stop halfway.
    async fn any_row(&self, task: &Task) -> Result<Option<Model>> {
        crate::db::container::by_uuid(self.service.database.read(), &task.key).await
    }
}

#[async_trait]
impl Handler for Provision {
    fn kind(&self) -> &'static str {
        if self.rebuild { REBUILD } else { CREATE }
    }
    fn steps(&self) -> &'static [&'static str] {
        if self.rebuild { &["prepare", "remove", "run"] } else { &["prepare", "run"] }
    }

    async fn run(&self, step: &str, task: &mut Task) -> Result<Step> {
        let Some(mut row) = self.service.row_of(task).await? else { return Ok(Step::Finish) };
        let outcome = match step {
            "prepare" => self.prepare(&row, task).await,
            "remove" => self.remove(&row).await,
            _ => self.make(&mut row, task).await,
        };
        patiently(task, outcome.map(|()| Step::Next))
    }

    async fn undo(&self, step: &str, task: &mut Task) -> Result<()> {
        let Some(row) = self.any_row(task).await? else { return Ok(()) };
        match step {
            "run" => self.remove(&row).await,
            // A rebuild keeps addresses for the next try, and what it removed is gone either way.
            "prepare" if !self.rebuild => {
                let program = self.service.program_for(task).await?;
                self.service.release_ports(&program, &row).await
            }
            _ => Ok(()),
        }
    }

    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()> {
        let state = State::of(task);
        match outcome {
            Ok(()) => {
                let image = task.input["image"].as_str().map(str::to_owned);
                self.service
                    .settle(task, outcome, |row| {
                        row.nets.0 = state.nets;
                        row.status_reason = None;
                        if let Some(image) = image {
                            row.image = image;
                        }
                        if let Some(seen) = state.seen {
                            // From a status of ours: the engine's word alone decides.
                            row.status = Status::Creating;
                            seen.apply(row);
                        }
                    })
                    .await
            }
            Err(error) if self.rebuild => self.service.failed(task, error, Some(Status::Error)).await,
            Err(error) => {
                let reason = error.message().to_owned();
                self.service
                    .settle(task, outcome, |row| {
                        row.status = Status::Error;
                        row.status_reason = Some(reason);
                        // Nothing of it exists any more: the host's resources are free again.
                        row.host = None;
                        for net in &mut row.nets.0 {
                            net.addresses = Vec::new();
                            net.mac = String::new();
                        }
                    })
                    .await
            }
        }
    }
}
