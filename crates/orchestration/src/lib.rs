//! The orchestration service (Heat): stacks of resources described by templates.
//!
//! The language half ([`template`], [`parameters`], [`environment`], [`properties`]) is pure; the engine half drives the
//! other services through it: [`api`] parses requests and calls [`stacks`], which checks everything ([`plan`],
//! `validation`), writes a row and a durable task; [`engine`] runs the task; [`resources`] are the types it can make.

mod api;
mod constraints;
mod core;
mod db;
mod engine;
pub mod environment;
pub mod parameters;
mod plan;
mod policy;
pub mod properties;
mod resources;
mod software;
mod sources;
mod stacks;
pub mod template;
mod validation;
mod view;

use std::sync::Arc;

use sahab_api::Service;
use sahab_contract::{Result, cloud::Cloud, event::EventBus, identity::Identity};
use sahab_db::{Database, Migrations};
use sahab_task::{Handlers, Queue};
use tokio::sync::watch;

use crate::core::Core;
pub use crate::core::Settings;

/// Name of the service and of its path prefix.
pub const NAME: &str = "orchestration";
const PORT: u16 = 8004;

/// Schema changes of this service.
pub fn migrations() -> Migrations {
    db::migrations()
}

/// The service, ready to be mounted. Cloning is cheap.
#[derive(Clone)]
pub struct OrchestrationService {
    core: Arc<Core>,
}

impl OrchestrationService {
    /// Fails only when the built-in policy does not parse, which a test excludes.
    pub fn new(
        database: Database,
        queue: Queue,
        cloud: Arc<dyn Cloud>,
        identity: Arc<dyn Identity>,
        events: EventBus,
        settings: Settings,
    ) -> Result<Self> {
        let core = Core {
            database,
            queue,
            cloud,
            identity,
            events,
            settings,
            types: resources::Types::new(),
            policy: policy::enforcer()?,
            waiters: engine::Waiters::default(),
        };
        Ok(OrchestrationService { core: Arc::new(core) })
    }

    pub fn service(&self) -> Service {
        let family = api::HeatFamily { body_limit: self.core.settings.max_json_body_size };
        Service { name: NAME, port: PORT, family: Arc::new(family), endpoints: api::endpoints(self.core.clone()) }
    }

    /// What runs the durable tasks of this service.
    pub fn handlers(&self) -> Handlers {
        vec![Arc::new(engine::StackHandler::new(self.core.clone()))]
    }

    /// Passes news of other services to waiting resources, until `stop` turns true.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        self.core.waiters.listen(&self.core.events, stop).await;
    }
}

#[cfg(test)]
mod tests;
