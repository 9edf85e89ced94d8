//! Actions that change no resource: suspend, resume, check.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use sahab_contract::{Result, context::now};

use super::{
    failure::Failure,
    forward::{EXTERNAL, store},
    level::{Level, Phase},
    reader::object_of,
    walk::Node,
};
use crate::{
    db::{Action, Status, resource, stack},
    resources::Progress,
};

/// What a sweep over a stack found out.
#[derive(Default)]
pub struct Findings {
    /// `name: reason` of each resource that is not well (check only).
    pub faults: Vec<String>,
    /// Some types could not be checked.
    pub is_partial: bool,
}

impl Level {
    /// Suspend goes dependants first, resume and check dependencies first.
    pub async fn sweep(self: &Arc<Self>, action: Action) -> Result<Findings, Failure> {
        let rows: Vec<_> = self.all().into_iter().filter(|row| !row.obsolete && row.action != Action::Init).collect();
        let ids: std::collections::HashMap<String, String> =
            rows.iter().map(|row| (row.name.clone(), row.id.clone())).collect();
        let mut nodes: Vec<Node> = rows
            .iter()
            .map(|row| Node {
                id: row.id.clone(),
                after: row.required_names().filter_map(|name| ids.get(name).cloned()).collect(),
            })
            .collect();
        if action == Action::Suspend {
            let mut reversed: std::collections::HashMap<String, Vec<String>> = std::collections::HashMap::new();
            for node in &nodes {
                for before in &node.after {
                    reversed.entry(before.clone()).or_default().push(node.id.clone());
                }
            }
            for node in &mut nodes {
                node.after = reversed.remove(&node.id).unwrap_or_default();
            }
        }
        let findings = Arc::new(Mutex::new(Findings::default()));
        self.visit(nodes, |id| {
            let (level, findings) = (self.clone(), findings.clone());
            async move {
                let Some(row) = level.row(&id) else { return Ok(()) };
                level.sweep_one(row, action, &findings).await
            }
        })
        .await?;
        let mut guard = findings.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *guard))
    }

    async fn sweep_one(
        self: &Arc<Self>,
        mut row: resource::Model,
        action: Action,
        findings: &Mutex<Findings>,
    ) -> Result<(), Failure> {
        if row.state() == (action, Status::Complete) && action != Action::Check {
            return Ok(());
        }
        self.change(&mut row, action, Status::InProgress, "state changed");
        self.journal().flush().await.map_err(Failure::fault)?;
        let child = match row.object_id() {
            Some(id) => self.child_stack(id).await.map_err(Failure::fault)?,
            None => None,
        };
        if let Some(child) = child {
            return self.sweep_child(row, child, action, findings).await;
        }
        let Some(kind) = self.core().types.find(&row.implementation).cloned() else {
            self.change(&mut row, action, Status::Complete, "state changed");
            return Ok(());
        };
        if action == Action::Check {
            match kind.check(&self.act, &object_of(&row)).await {
                Ok(Some(())) => self.change(&mut row, action, Status::Complete, "state changed"),
                Ok(None) => {
                    let reason = format!("CHECK not supported for {}", row.type_name);
                    self.change(&mut row, action, Status::Complete, &reason);
                    findings.lock().unwrap_or_else(PoisonError::into_inner).is_partial = true;
                }
                Err(error) => {
                    let failure = Failure::of(&row.name, &error);
                    self.change(&mut row, action, Status::Failed, &failure.text());
                    let text = format!("{}: {}", failure.place(), error.message());
                    findings.lock().unwrap_or_else(PoisonError::into_inner).faults.push(text);
                }
            }
            return Ok(());
        }
        let mut object = object_of(&row);
        let is_external = row.data.get(EXTERNAL).is_some();
        let outcome = async {
            let (progress, phase) = match action {
                _ if is_external => (Progress::Done, Phase::Suspend),
                Action::Suspend => (kind.suspend(&self.act, &mut object).await?, Phase::Suspend),
                _ => (kind.resume(&self.act, &mut object).await?, Phase::Resume),
            };
            self.settle(kind.as_ref(), &mut object, phase, progress).await
        }
        .await;
        store(&mut row, &object);
        match outcome {
            Ok(()) => {
                self.change(&mut row, action, Status::Complete, "state changed");
                Ok(())
            }
            Err(error) => {
                let failure = Failure::of(&row.name, &error);
                self.change(&mut row, action, Status::Failed, &failure.text());
                Err(failure)
            }
        }
    }

    async fn sweep_child(
        self: &Arc<Self>,
        mut row: resource::Model,
        child: stack::Model,
        action: Action,
        findings: &Mutex<Findings>,
    ) -> Result<(), Failure> {
        let model = stack::Model {
            action,
            status: Status::InProgress,
            status_reason: format!("Stack {action} started"),
            traversal: self.tree.traversal.clone(),
            started_at: now(),
            ..child
        };
        self.journal().save_stack(&model);
        self.journal().flush().await.map_err(Failure::fault)?;
        let level = Level::load(self.tree.clone(), model, None).await.map_err(Failure::fault)?;
        match sweep_boxed(level.clone(), action).await {
            Ok(inner) if inner.faults.is_empty() => {
                level.conclude(action, &Ok(()));
                self.change(&mut row, action, Status::Complete, "state changed");
                if inner.is_partial {
                    findings.lock().unwrap_or_else(PoisonError::into_inner).is_partial = true;
                }
                Ok(())
            }
            Ok(inner) => {
                let failure = Failure::plain(inner.faults.join("; "));
                level.conclude(action, &Err(failure.clone()));
                self.change(&mut row, action, Status::Failed, &failure.text());
                let text = format!("resources.{}: {}", row.name, failure.text());
                findings.lock().unwrap_or_else(PoisonError::into_inner).faults.push(text);
                Ok(())
            }
            Err(failure) => {
                level.conclude(action, &Err(failure.clone()));
                let failure = if failure.is_fault { failure } else { failure.within(&row.name) };
                if !failure.is_fault {
                    self.change(&mut row, action, Status::Failed, &failure.text());
                }
                Err(failure)
            }
        }
    }
}

// Boxed, because stacks nest in stacks.
fn sweep_boxed<'a>(
    level: Arc<Level>,
    action: Action,
) -> Pin<Box<dyn Future<Output = Result<Findings, Failure>> + Send + 'a>> {
    Box::pin(async move { level.sweep(action).await })
}
