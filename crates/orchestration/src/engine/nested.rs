//! Nested stacks: run to their target inside the operation of their root.

use std::{pin::Pin, sync::Arc};

use sahab_contract::{Error, Result, context::now};
use serde_json::{Map, Value, json};

use super::{failure::Failure, forward::Target, level::Level, reader::plain_reference};
use crate::{
    core::Core,
    db::{Action, Status, resource, stack},
    plan::{Kind, Plan},
    resources::{NestedInput, Stage},
    template::ResourceFacade,
};

type Work<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

impl Level {
    /// Creates or updates the stack that the resource stands for, stage by stage.
    pub async fn bring_nested(
        self: &Arc<Self>,
        row: &mut resource::Model,
        kind: &Kind,
        target: &Target,
    ) -> Result<(), Failure> {
        let fail = |error: Error| Failure::of(&row.name, &error);
        let Some(nested) = kind.implementation.nested() else { return Ok(()) };
        let Some(child_id) = row.planned_id.clone() else {
            return Err(Failure::fault(Error::internal("a nested stack has no planned id")));
        };
        self.journal().flush().await.map_err(Failure::fault)?;
        let existing = self.child_stack(&child_id).await.map_err(Failure::fault)?;
        let members = match &existing {
            Some(child) => members(self.core(), child).await.map_err(Failure::fault)?,
            None => Vec::new(),
        };
        let mut data = row.data.as_object().cloned().unwrap_or_default();
        let input = NestedInput {
            properties: &target.properties,
            update_policy: &target.update_policy,
            unknown: &Default::default(),
            members: &members,
            current: existing.as_ref().and_then(|child| child.template.as_object()),
        };
        let stages = nested.stages(&input, &mut data).map_err(fail)?;
        row.data = Value::Object(data);
        row.physical_id = Some(child_id.clone());
        self.put(row);
        let facade = ResourceFacade {
            metadata: target.metadata.clone(),
            deletion_policy: json!(if target.retain { "Retain" } else { "Delete" }),
            update_policy: Value::Object(target.update_policy.clone()),
        };
        let mut child = existing;
        for stage in stages {
            let pause = stage.pause;
            let action = child_action(self.stack.action, child.as_ref());
            let (model, plan) = self
                .child_at(row, child.take(), stage, action, &child_id, &facade)
                .map_err(|error| Failure::of(&row.name, &error))?;
            self.journal().save_stack(&model);
            self.journal().event(super::level::stack_event(&model, action, Status::InProgress, &model.status_reason));
            self.journal().flush().await.map_err(Failure::fault)?;
            let level = Level::load(self.tree.clone(), model.clone(), Some(plan)).await.map_err(Failure::fault)?;
            let outcome = converge(level.clone()).await;
            level.conclude(action, &outcome);
            outcome.map_err(|failure| if failure.is_fault { failure } else { failure.within(&row.name) })?;
            child = Some(stack::Model { action, status: Status::Complete, ..model });
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(())
    }

    /// Notes how the work on a nested stack ended.
    pub fn conclude(&self, action: Action, outcome: &Result<(), Failure>) {
        match outcome {
            Ok(()) => self.stack_state(action, Status::Complete, &format!("Stack {action} completed successfully")),
            Err(failure) if failure.is_fault => {}
            Err(failure) => {
                self.stack_state(action, Status::Failed, &format!("Resource {action} failed: {}", failure.text()));
            }
        }
    }

    pub async fn child_stack(&self, id: &str) -> Result<Option<stack::Model>> {
        let found = stack::find(self.core().database.read(), id).await?;
        Ok(found.filter(|child| child.owner_id.as_deref() == Some(&self.stack.id) && !child.is_deleted()))
    }

    /// The child's row for a stage, and its plan.
    fn child_at(
        &self,
        owner: &resource::Model,
        existing: Option<stack::Model>,
        stage: Stage,
        action: Action,
        id: &str,
        facade: &ResourceFacade,
    ) -> Result<(stack::Model, Plan)> {
        let plan = self.plan()?;
        if usize::try_from(self.stack.depth + 1).is_ok_and(|depth| depth > self.core().settings.max_nested_stack_depth)
        {
            let limit = self.core().settings.max_nested_stack_depth;
            return Err(crate::template::error::limit(format!("Recursion depth exceeds {limit}.")));
        }
        let at = now();
        let environment = plan.environment.nested(&owner.name, stage.parameters);
        let mut model = existing.unwrap_or_else(|| stack::Model {
            id: id.to_owned(),
            name: owner.physical_name.clone(),
            live_name: None,
            owner_id: Some(self.stack.id.clone()),
            owner_resource: Some(owner.name.clone()),
            root_id: self.stack.root_id.clone(),
            depth: self.stack.depth + 1,
            cause: None,
            files: None,
            previous: None,
            disable_rollback: true,
            created_at: at,
            updated_at: None,
            deleted_at: None,
            status_reason: String::new(),
            description: String::new(),
            template: Value::Null,
            environment: Value::Null,
            started_at: at,
            ..self.stack.clone()
        });
        model.template = Value::Object(stage.template);
        model.environment = Value::Object(environment.to_map());
        model.action = action;
        model.status = Status::InProgress;
        model.status_reason = format!("Stack {action} started");
        model.traversal = self.tree.traversal.clone();
        model.user_id = self.stack.user_id.clone();
        model.converge = self.stack.converge;
        model.started_at = at;
        if action != Action::Create {
            model.updated_at = Some(at);
        }
        let child_plan = self.core().plan_of(&model, plan.bound.files().clone(), Some(facade.clone()))?;
        model.description = child_plan.bound.template().description().unwrap_or_default().to_owned();
        Ok((model, child_plan))
    }

    /// Deletes the child with everything in it.
    pub async fn remove_nested(self: &Arc<Self>, child: stack::Model, owner: &str) -> Result<(), Failure> {
        let model = stack::Model {
            action: Action::Delete,
            status: Status::InProgress,
            status_reason: "Stack DELETE started".into(),
            traversal: self.tree.traversal.clone(),
            started_at: now(),
            ..child
        };
        self.journal().save_stack(&model);
        self.journal().flush().await.map_err(Failure::fault)?;
        let level = Level::load(self.tree.clone(), model.clone(), None).await.map_err(Failure::fault)?;
        if let Err(failure) = remove_all(level.clone()).await {
            level.conclude(Action::Delete, &Err(failure.clone()));
            return Err(if failure.is_fault { failure } else { failure.within(owner) });
        }
        let gone = stack::Model {
            status: Status::Complete,
            status_reason: "Stack DELETE completed successfully".into(),
            deleted_at: Some(now()),
            template: Value::Object(Map::new()),
            environment: Value::Object(Map::new()),
            ..model
        };
        self.journal().save_stack(&gone);
        Ok(())
    }
}

/// Name and reference id of each member of an existing child.
pub async fn members(core: &Core, child: &stack::Model) -> Result<Vec<(String, String)>> {
    let rows = resource::of_stack(core.database.read(), &child.id).await?;
    let present = rows.into_iter().filter(|row| !row.obsolete).map(|row| {
        let reference = match core.types.find(&row.implementation) {
            Some(found) => {
                let kind = Kind { implementation: found.clone(), target: row.implementation.clone() };
                plain_reference(&kind, &row, &child.project_id)
            }
            None => row.physical_id.clone().unwrap_or_default(),
        };
        (row.name, reference)
    });
    Ok(present.collect())
}

/// A nested stack that never was complete is still being created.
fn child_action(owner: Action, child: Option<&stack::Model>) -> Action {
    match (owner, child) {
        (_, None) => Action::Create,
        (Action::Create, Some(child)) if child.action == Action::Create => Action::Create,
        _ => Action::Update,
    }
}

// Boxed, because stacks nest in stacks.
fn converge<'a>(level: Arc<Level>) -> Work<'a> {
    Box::pin(async move { level.converge().await })
}

fn remove_all<'a>(level: Arc<Level>) -> Work<'a> {
    Box::pin(async move {
        let rows = level.all();
        level.remove_rows(rows).await
    })
}
