//! What every part of the service shares.

use std::{sync::Arc, time::Duration};

use sahab_contract::{Error, RequestContext, Result, cloud::Cloud, event::EventBus, identity::Identity};
use sahab_db::Database;
use sahab_policy::Enforcer;
use sahab_task::Queue;
use serde_json::Value;

use crate::{
    db::stack,
    engine::Waiters,
    environment::Environment,
    plan::{self, Source},
    resources::{Act, Types},
    template::{Files, ResourceFacade, Template},
};

/// Limits and habits of the service; upstream's option names where it has one.
#[derive(Clone, Debug)]
pub struct Settings {
    pub region: String,
    pub max_stacks_per_tenant: u64,
    pub max_resources_per_stack: usize,
    pub max_nested_stack_depth: usize,
    pub max_template_size: usize,
    pub max_json_body_size: usize,
    /// Of a whole operation, when the user gives none.
    pub stack_action_timeout: Duration,
    /// How often a create is tried again after the object went to an error state or there was a conflict.
    pub action_retry_limit: u32,
    /// First pause before such a retry, and before a refused delete is tried again; it doubles. With half a second a
    /// stack knows after 16 s that a conflict stays; upstream, tuned for slower services, takes twice as long.
    pub retry_pause: Duration,
    /// How long running siblings may go on after a failure.
    pub error_wait_time: Duration,
    /// How long a wait lasts when no event comes.
    pub wait_fallback: Duration,
    /// Resources of one stack that are worked on at once.
    pub parallel_resources: usize,
    /// Stacks with one of these tags are not listed unless asked for.
    pub hidden_stack_tags: Vec<String>,
    /// Deleted stacks of a project that can still be read by id; older ones go with their events.
    pub keep_deleted: u64,
    /// Templates may be fetched from loopback and private addresses.
    pub allow_private_urls: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            region: "RegionOne".into(),
            max_stacks_per_tenant: 512,
            max_resources_per_stack: 1000,
            max_nested_stack_depth: 5,
            max_template_size: 524_288,
            max_json_body_size: 1_048_576,
            stack_action_timeout: Duration::from_secs(3600),
            action_retry_limit: 5,
            retry_pause: Duration::from_millis(500),
            error_wait_time: Duration::from_secs(240),
            wait_fallback: Duration::from_secs(3),
            parallel_resources: 128,
            hidden_stack_tags: vec!["data-processing-cluster".into()],
            keep_deleted: 100,
            allow_private_urls: false,
        }
    }
}

pub struct Core {
    pub database: Database,
    pub queue: Queue,
    pub cloud: Arc<dyn Cloud>,
    pub identity: Arc<dyn Identity>,
    pub events: EventBus,
    pub settings: Settings,
    pub types: Types,
    pub policy: Enforcer,
    pub waiters: Waiters,
}

impl Core {
    /// The stack's owner with the roles of now. When the owner is gone the program acts itself, so that what they left
    /// behind can still be deleted.
    pub async fn owner_context(&self, row: &stack::Model, request_id: &str) -> Result<RequestContext> {
        let context = match self.identity.delegate(&row.user_id, &row.project_id).await {
            Ok(auth) => RequestContext::new(Some(auth)),
            Err(error) if row.action == crate::db::Action::Delete => {
                tracing::warn!(
                    stack = row.id,
                    error = error.report(),
                    "the stack's owner is gone, deleting as the service"
                );
                RequestContext::new(Some(self.identity.service().await?)).elevated()
            }
            Err(error) => return Err(error),
        };
        Ok(RequestContext { request_id: request_id.to_owned(), ..context })
    }

    pub fn act(&self, context: RequestContext, row: &stack::Model, files: Arc<Files>) -> Act {
        Act { cloud: self.cloud.clone(), context, project_id: row.project_id.clone(), files }
    }

    /// The files of a stack: its root's.
    pub async fn files(&self, row: &stack::Model) -> Result<Arc<Files>> {
        if row.id == row.root_id {
            return Ok(plan::files_of(row.files.as_ref()));
        }
        let root = stack::find(self.database.read(), &row.root_id).await?;
        Ok(plan::files_of(root.as_ref().and_then(|root| root.files.as_ref())))
    }

    /// The plan of a stored stack.
    pub fn plan_of(&self, row: &stack::Model, files: Arc<Files>, facade: Option<ResourceFacade>) -> Result<plan::Plan> {
        self.plan_from(row, &row.template, &row.environment, files, facade)
    }

    /// A plan for a stored stack with another template and environment.
    pub fn plan_from(
        &self,
        row: &stack::Model,
        template: &Value,
        environment: &Value,
        files: Arc<Files>,
        facade: Option<ResourceFacade>,
    ) -> Result<plan::Plan> {
        let Value::Object(source) = template.clone() else {
            return Err(Error::internal("a stored template is not a map"));
        };
        let source = Source {
            template: Arc::new(Template::from_map(source)?),
            environment: Environment::from_value(environment)?,
            files,
            pseudo: plan::pseudo(&row.project_id, &row.name, Some(&row.id), &self.settings.region),
            facade,
            is_lenient: false,
        };
        plan::Plan::build(&self.types, source)
    }
}
