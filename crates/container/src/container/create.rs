//! Accepting a create request: everything is checked before the row exists, and quota and host are taken with it.

use std::{sync::atomic::Ordering, time::Duration};

use sahab_contract::{Error, RequestContext, Result, context::now};
use sahab_task::NewTask;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::{
    ContainerService,
    db::{
        action,
        container::{self, Model, Usage, file, usage_by_host},
        host,
    },
    request::create::Create,
    scheduler::{self, Candidate, Demand},
    state::{Action, Status, TaskState},
    task, texts,
};

/// How long a request waits for a host that is not known to be well.
const HOST_PATIENCE: Duration = Duration::from_secs(2);

impl ContainerService {
    pub async fn create(&self, context: &RequestContext, request: Create) -> Result<Model> {
        let project = context.require_project()?.to_owned();
        self.check_create(context, &project, &request).await?;
        let Create { mut row, run, nets, security_groups, files, registry, .. } = request;
        row.uuid = context.new_uuid();
        row.project_id = project.clone();
        row.user_id = context.user_id().to_owned();
        row.created_at = now();
        row.security_groups.0 = self.find_groups(context, &security_groups).await?;
        row.nets.0 = self.resolve_nets(context, &nets).await?;
        if let Some(registry) = registry {
            row.registry_id = Some(self.find_registry(context, &registry).await?.uuid);
        }
        if !row.exposed_ports.0.is_empty() {
            // The group replaces the default one; its id is chosen now and the group made by the task.
            let group = uuid::Uuid::new_v4().to_string();
            row.security_groups.0 = vec![group.clone()];
            row.exposed_group = Some(group);
        }
        self.learn_hosts().await;

        let txn = self.database.begin().await?;
        if container::by_uuid(&txn, &row.uuid).await?.is_some() {
            return Err(texts::conflict(format!("A container with UUID {} already exists.", row.uuid)));
        }
        let more = Usage { containers: 1, cpu: row.cpu, memory: row.memory, disk: row.disk };
        self.check_quota(&txn, &project, more).await?;
        let placed = self.place(&txn, &row).await?;
        match &placed {
            Ok(host) => row.host = Some(host.clone()),
            Err(reason) => {
                tracing::warn!(container = row.uuid, reason, "no host for a container");
                row.status = Status::Error;
                row.status_reason = Some(reason.clone());
            }
        }
        for net in row.nets.0.iter().filter(|net| net.preserve) {
            Self::check_port_free(&txn, &net.port_id).await?;
        }
        let action = action::begin(&txn, context, &row, Action::Create).await?;
        match placed {
            Ok(_) => {
                Self::claim_row(&mut row, TaskState::ContainerCreating, action);
                let task = NewTask {
                    kind: task::CREATE,
                    key: row.uuid.clone(),
                    input: json!({"action": action, "run": run}),
                    request_id: context.request_id.clone(),
                };
                self.queue.enqueue(&txn, task).await?;
            }
            Err(reason) => {
                action::end(&txn, action, Err(&Error::conflict("no-valid-host", reason))).await?;
            }
        }
        let row = container::insert(&txn, row).await?;
        file::insert(&txn, &row.uuid, &files).await?;
        txn.commit().await?;
        self.queue.nudge();
        Ok(row)
    }

    /// Two requests may see a port free at once; only one may have it.
    pub(crate) async fn check_port_free(connection: &impl ConnectionTrait, port: &str) -> Result<()> {
        if container::uses_port(connection, port).await? {
            return Err(Error::invalid("port-in-use", format!("Port {port} is still in use.")));
        }
        Ok(())
    }

    async fn check_create(&self, context: &RequestContext, project: &str, request: &Create) -> Result<()> {
        self.enforce(context, "container:create", project)?;
        let row = &request.row;
        if row.runtime.is_some() {
            self.enforce(context, "container:create:runtime", project)?;
        }
        if row.privileged {
            self.enforce(context, "container:create:privileged", project)?;
        }
        if request.chose_pull_policy {
            self.enforce(context, "container:create:image_pull_policy", project)?;
        }
        if let Some(host) = &row.requested_host {
            self.enforce(context, "container:create:requested_destination", project)?;
            if host::by_name(self.database.read(), host).await?.is_none() && self.host(host).is_none() {
                return Err(texts::not_found("requested-host-not-found", "The requested host", host));
            }
        }
        Ok(())
    }

    /// A host for the container, or why there is none. Reads in the caller's transaction, which also writes the claim.
    pub(crate) async fn place(
        &self,
        connection: &impl ConnectionTrait,
        row: &Model,
    ) -> Result<std::result::Result<String, String>> {
        let demand = Demand {
            cpu: row.cpu,
            memory: row.memory,
            disk: row.disk,
            runtime: row.runtime.clone(),
            zone: row.availability_zone.clone(),
            hints: row.hints.0.clone(),
            host: row.requested_host.clone(),
        };
        let candidates = self.candidates(connection).await?;
        Ok(scheduler::choose(&demand, &candidates, &self.settings.ratios))
    }

    /// Whether the container's own host can take `cpu` and `memory` instead of what it has now; the reason if not.
    pub(crate) async fn fits(
        &self,
        connection: &impl ConnectionTrait,
        row: &Model,
        cpu: f64,
        memory: i64,
    ) -> Result<std::result::Result<(), String>> {
        let mut candidates = self.candidates(connection).await?;
        candidates.retain(|candidate| Some(&candidate.hostname) == row.host.as_ref());
        for candidate in &mut candidates {
            candidate.used.cpu -= row.cpu;
            candidate.used.memory -= row.memory;
        }
        let demand = Demand { cpu, memory, ..Demand::default() };
        Ok(scheduler::choose(&demand, &candidates, &self.settings.ratios).map(|_| ()))
    }

    async fn candidates(&self, connection: &impl ConnectionTrait) -> Result<Vec<Candidate>> {
        let hosts = host::all(connection).await?;
        let strangers =
            self.host_list().into_iter().filter(|(name, _)| !hosts.iter().any(|host| host.hostname == *name));
        let mut candidates: Vec<_> = strangers
            .map(|(hostname, _)| Candidate {
                hostname,
                unfit: Some("the container engine has not answered yet".into()),
                ..Candidate::default()
            })
            .collect();
        let services = host::services(connection).await?;
        let used = usage_by_host(connection).await?;
        candidates.extend(hosts.into_iter().map(|host| {
            let service = services.iter().find(|service| service.host == host.hostname);
            Candidate {
                unfit: self.unfit(&host.hostname, service),
                zone: service.map(|service| service.availability_zone.clone()).unwrap_or_default(),
                used: used.get(&host.hostname).copied().unwrap_or_default(),
                info: host.info.0,
                hostname: host.hostname,
            }
        }));
        Ok(candidates)
    }

    fn unfit(&self, hostname: &str, service: Option<&host::service::Model>) -> Option<String> {
        let Some(service) = service else { return Some("the service has not registered".into()) };
        if service.disabled {
            let reason = service.disabled_reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            return Some(format!("the service is disabled{reason}"));
        }
        if service.forced_down {
            return Some("the service is forced down".into());
        }
        let Some(handle) = self.host(hostname) else { return Some("the service is down".into()) };
        if !handle.engine_up.load(Ordering::Relaxed) {
            return Some("the container engine does not answer".into());
        }
        (!self.service_up(service)).then(|| "the service is down".into())
    }

    /// A host added a moment ago, or whose engine was away last time, is asked for its facts now rather than at the next
    /// inventory.
    pub(crate) async fn learn_hosts(&self) {
        for (name, host) in self.host_list() {
            if host.known.load(Ordering::Relaxed) && host.engine_up.load(Ordering::Relaxed) {
                continue;
            }
            match tokio::time::timeout(HOST_PATIENCE, self.inventory(&name, &host)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(host = name, error = error.report(), "a host does not tell its facts"),
                Err(_) => tracing::warn!(host = name, "a host does not tell its facts in time"),
            }
        }
    }
}
