//! Away with resources: dependants first.

use std::{collections::HashMap, sync::Arc};

use sahab_contract::Result;

use super::{
    failure::Failure,
    level::{Level, Phase},
    reader::object_of,
    walk::Node,
};
use crate::{
    db::{Action, Status, resource},
    environment::Hook,
    plan::Kind,
};

/// How often a refused delete is tried: what uses the object may be on its way out.
const ATTEMPTS: u32 = 6;

impl Level {
    /// Deletes the objects and the rows. Rows already gone are not missed.
    pub async fn remove_rows(self: &Arc<Self>, rows: Vec<resource::Model>) -> Result<(), Failure> {
        let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
        for row in &rows {
            for name in row.required_names() {
                users.entry(name).or_default().push(&row.id);
            }
        }
        let nodes = rows
            .iter()
            .map(|row| Node {
                id: row.id.clone(),
                after: users.get(row.name.as_str()).into_iter().flatten().map(|id| (*id).to_owned()).collect(),
            })
            .collect();
        self.visit(nodes, |id| {
            let level = self.clone();
            async move {
                match level.row(&id) {
                    Some(row) => level.remove(row).await,
                    None => Ok(()),
                }
            }
        })
        .await
    }

    async fn remove(self: &Arc<Self>, mut row: resource::Model) -> Result<(), Failure> {
        if row.action == Action::Init {
            self.forget(&row.id);
            return Ok(());
        }
        if row.state() != (Action::Delete, Status::InProgress) {
            self.pause_at(&mut row, Hook::PreDelete, "DELETE").await?;
            self.change(&mut row, Action::Delete, Status::InProgress, "state changed");
        }
        if !row.retain {
            let known = self.core().types.find(&row.implementation);
            if known.is_none_or(|kind| !kind.is_pure()) {
                self.journal().flush().await.map_err(Failure::fault)?;
            }
            let may_be_nested = known.is_none_or(|kind| kind.nested().is_some());
            let child = match row.object_id().filter(|_| may_be_nested) {
                Some(id) => self.child_stack(id).await.map_err(Failure::fault)?,
                None => None,
            };
            let outcome = match child {
                Some(child) => self.remove_nested(child, &row.name).await,
                None => self.delete_with_patience(&mut row).await.map_err(|error| Failure::of(&row.name, &error)),
            };
            if let Err(failure) = outcome {
                if !failure.is_fault {
                    self.change(&mut row, Action::Delete, Status::Failed, &failure.text());
                }
                return Err(failure);
            }
        }
        self.tell(&row, Action::Delete, Status::Complete, "state changed");
        self.forget(&row.id);
        Ok(())
    }

    async fn delete_with_patience(&self, row: &mut resource::Model) -> Result<()> {
        let Some(found) = self.core().types.find(&row.implementation) else {
            // A nested stack that was never made.
            return Ok(());
        };
        let kind = Kind { implementation: found.clone(), target: row.implementation.clone() };
        let mut attempt = 1;
        loop {
            match self.delete_object(row, &kind).await {
                Err(error) if attempt < ATTEMPTS && (error.is_conflict() || error.kind().retryable()) => {
                    tracing::info!(resource = row.id, error = error.report(), attempt, "delete refused, trying again");
                    tokio::time::sleep(self.core().settings.retry_pause * 2u32.saturating_pow(attempt - 1)).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// One try, including the wait until the object is gone.
    pub async fn delete_object(&self, row: &resource::Model, kind: &Kind) -> Result<()> {
        if row.object_id().is_none() || kind.implementation.nested().is_some() {
            return Ok(());
        }
        let mut object = object_of(row);
        let implementation = kind.implementation.as_ref();
        let progress = match implementation.delete(&self.act, &mut object).await {
            Ok(progress) => progress,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        };
        self.settle(implementation, &mut object, Phase::Delete, progress).await
    }
}
