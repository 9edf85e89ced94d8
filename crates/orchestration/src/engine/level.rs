//! One stack of a tree while it is worked on: its plan and its rows in memory, every change noted in the journal.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indexmap::IndexMap;
use rand::Rng;
use sahab_contract::{Error, RequestContext, Result, context::now};
use serde_json::{Value, json};

use super::{
    failure::Failure,
    journal::{Journal, StackState},
    reader::{Reader, Rows},
    walk::{Limits, Node, Outcome, walk},
};
use crate::{
    core::Core,
    db::{Action, Status, event, resource, stack},
    plan::Plan,
    resources::{Act, Object, Progress, ResourceType},
};

/// What all stacks of one operation share.
pub struct Tree {
    pub core: Arc<Core>,
    pub journal: Journal,
    pub context: RequestContext,
    pub traversal: String,
}

pub struct Level {
    pub tree: Arc<Tree>,
    pub stack: stack::Model,
    /// What the stack is to become; none while it is deleted.
    pub plan: Option<Plan>,
    pub act: Act,
    rows: Mutex<IndexMap<String, resource::Model>>,
}

/// The phases in which a type may let us wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Create,
    Update,
    Delete,
    Suspend,
    Resume,
}

impl Level {
    /// Reads the rows; the journal must have been flushed.
    pub async fn load(tree: Arc<Tree>, stack: stack::Model, plan: Option<Plan>) -> Result<Arc<Level>> {
        let rows = resource::of_stack(tree.core.database.read(), &stack.id).await?;
        let files = match &plan {
            Some(plan) => plan.bound.files().clone(),
            None => Arc::default(),
        };
        let act = tree.core.act(tree.context.clone(), &stack, files);
        let rows = Mutex::new(rows.into_iter().map(|row| (row.id.clone(), row)).collect());
        Ok(Arc::new(Level { tree, stack, plan, act, rows }))
    }

    pub fn core(&self) -> &Core {
        &self.tree.core
    }
    pub fn journal(&self) -> &Journal {
        &self.tree.journal
    }
    pub fn plan(&self) -> Result<&Plan> {
        self.plan.as_ref().ok_or_else(|| Error::internal("the stack has no plan"))
    }

    fn rows(&self) -> MutexGuard<'_, IndexMap<String, resource::Model>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row that stands for the name.
    pub fn current(&self, name: &str) -> Option<resource::Model> {
        self.rows().values().find(|row| row.name == name && !row.obsolete).cloned()
    }
    pub fn row(&self, id: &str) -> Option<resource::Model> {
        self.rows().get(id).cloned()
    }
    pub fn all(&self) -> Vec<resource::Model> {
        self.rows().values().cloned().collect()
    }
    /// Snapshot of the current rows of these names.
    pub fn snapshot<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Rows {
        let wanted: std::collections::HashSet<&str> = names.into_iter().collect();
        if wanted.is_empty() {
            return HashMap::new();
        }
        let rows = self.rows();
        rows.values()
            .filter(|row| !row.obsolete && wanted.contains(row.name.as_str()))
            .map(|row| (row.name.clone(), row.clone()))
            .collect()
    }

    pub fn reader<'a>(&'a self, plan: &'a Plan, rows: &'a Rows) -> Reader<'a> {
        Reader { core: self.core(), act: &self.act, plan, rows, project_id: &self.stack.project_id }
    }

    pub async fn reload(&self) -> Result<()> {
        let rows = resource::of_stack(self.core().database.read(), &self.stack.id).await?;
        *self.rows() = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        Ok(())
    }

    /// Notes the row, without an event.
    pub fn put(&self, row: &resource::Model) {
        self.rows().insert(row.id.clone(), row.clone());
        self.journal().save(row);
    }

    /// The row goes away for good.
    pub fn forget(&self, id: &str) {
        self.rows().swap_remove(id);
        self.journal().delete(id);
    }

    /// Changes the row's state and tells the history.
    pub fn change(&self, row: &mut resource::Model, action: Action, status: Status, reason: &str) {
        row.action = action;
        row.status = status;
        row.reason = reason.to_owned();
        row.updated_at = now();
        self.put(row);
        self.tell(row, action, status, reason);
    }

    /// An event about the resource.
    pub fn tell(&self, row: &resource::Model, action: Action, status: Status, reason: &str) {
        let physical = row.physical_id.clone().unwrap_or_else(|| row.physical_name.clone());
        self.journal().event(event::NewEvent {
            id: uuid::Uuid::new_v4().to_string(),
            stack_id: self.stack.id.clone(),
            resource_name: row.name.clone(),
            resource_type: row.type_name.clone(),
            physical_id: Some(physical),
            action,
            status,
            reason: reason.to_owned(),
            at: now(),
        });
    }

    /// Notes a new state of this (nested) stack with its event.
    pub fn stack_state(&self, action: Action, status: Status, reason: &str) {
        self.journal().event(stack_event(&self.stack, action, status, reason));
        self.journal().state(StackState {
            id: self.stack.id.clone(),
            project_id: self.stack.project_id.clone(),
            traversal: self.tree.traversal.clone(),
            action,
            status,
            reason: reason.to_owned(),
        });
    }

    /// A row for a resource that did not exist so far.
    pub fn new_row(&self, name: &str, position: usize) -> Result<resource::Model> {
        let plan = self.plan()?;
        let kind = plan.kind(name)?;
        let type_name = plan.bound.resource(name).map_or_else(String::new, |definition| definition.type_name.clone());
        let required: Vec<&str> = plan.graph.requires(name).collect();
        let at = now();
        Ok(resource::Model {
            id: uuid::Uuid::new_v4().to_string(),
            stack_id: self.stack.id.clone(),
            name: name.to_owned(),
            position: i32::try_from(position).unwrap_or(i32::MAX),
            type_name,
            implementation: kind.target.clone(),
            physical_id: None,
            planned_id: None,
            physical_name: physical_name(&self.stack.name, name),
            action: Action::Init,
            status: Status::Complete,
            reason: String::new(),
            properties: json!({}),
            next_properties: None,
            metadata: json!({}),
            data: json!({}),
            requires: json!(required),
            update_policy: json!({}),
            retain: false,
            obsolete: false,
            hook: None,
            created_at: at,
            updated_at: at,
        })
    }

    /// Asks the type again and again, on news and on a timer, until it is done.
    pub async fn settle(
        &self,
        kind: &dyn ResourceType,
        object: &mut Object,
        phase: Phase,
        mut progress: Progress,
    ) -> Result<()> {
        let mut waiter = None;
        loop {
            let Progress::Wait { on, at_most } = progress else { return Ok(()) };
            if waiter.is_none()
                && let Some(id) = &on
            {
                // Registered before the next look, so that no news falls between look and wait.
                waiter = Some(self.core().waiters.register(id));
            } else {
                let pause = at_most.unwrap_or(self.core().settings.wait_fallback).max(Duration::from_millis(1));
                match &waiter {
                    Some(waiter) => {
                        let _ = tokio::time::timeout(pause, waiter.news()).await;
                    }
                    None => tokio::time::sleep(pause).await,
                }
            }
            progress = match phase {
                Phase::Create => kind.check_create(&self.act, object).await,
                Phase::Update => kind.check_update(&self.act, object).await,
                Phase::Delete => kind.check_delete(&self.act, object).await,
                Phase::Suspend => kind.check_suspend(&self.act, object).await,
                Phase::Resume => kind.check_resume(&self.act, object).await,
            }?;
        }
    }

    pub fn limits(&self) -> Limits {
        let settings = &self.core().settings;
        Limits { parallel: settings.parallel_resources, grace: settings.error_wait_time }
    }

    /// Visits nodes; what was cut off by the end of the grace is marked as aborted.
    pub async fn visit<F, Fut>(&self, nodes: Vec<Node>, visit: F) -> Result<(), Failure>
    where
        F: Fn(String) -> Fut,
        Fut: Future<Output = Result<(), Failure>>,
    {
        match walk(nodes, &self.limits(), self.journal(), visit).await {
            Outcome::Done => Ok(()),
            Outcome::Failed { failure, is_cut_off } => {
                if is_cut_off && !failure.is_fault {
                    self.journal().flush().await.map_err(Failure::fault)?;
                    super::operation::abort_rows(&self.tree, &self.stack, "because of another failure")
                        .await
                        .map_err(Failure::fault)?;
                    self.reload().await.map_err(Failure::fault)?;
                }
                Err(failure)
            }
        }
    }

    /// The nodes of the stack's own resources in the order of the plan.
    pub fn plan_nodes(&self, plan: &Plan) -> Vec<Node> {
        plan.graph
            .names()
            .map(|name| Node { id: name.to_owned(), after: plan.graph.requires(name).map(str::to_owned).collect() })
            .collect()
    }
}

pub fn stack_event(row: &stack::Model, action: Action, status: Status, reason: &str) -> event::NewEvent {
    event::NewEvent {
        id: uuid::Uuid::new_v4().to_string(),
        stack_id: row.id.clone(),
        resource_name: row.name.clone(),
        resource_type: "OS::Heat::Stack".into(),
        physical_id: Some(row.id.clone()),
        action,
        status,
        reason: reason.to_owned(),
        at: now(),
    }
}

/// `{stack}-{resource}-{12 random base32 characters}`, at most 255 long.
pub fn physical_name(stack: &str, resource: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut random = rand::rng();
    let tail: String = (0..12).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect();
    let mut head = format!("{stack}-{resource}");
    let mut cut = head.len().min(255 - tail.len() - 1);
    while !head.is_char_boundary(cut) {
        cut -= 1;
    }
    head.truncate(cut);
    format!("{head}-{tail}")
}

/// What goes into a text column of properties.
pub fn properties_value(properties: &serde_json::Map<String, Value>) -> Value {
    let mut map = properties.clone();
    map.retain(|_, value| !value.is_null());
    Value::Object(map)
}
