//! What an operation wants to be remembered, written in batches.
//!
//! Changes are applied in the order they were noted, so that the database always holds a prefix of them: a change that
//! has been flushed implies all earlier ones. Whoever is about to touch the outside world flushes first; everybody who
//! does so at the same time shares one transaction. Interrupting a flush loses nothing: the batch is written again.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indexmap::IndexMap;
use sahab_contract::{Result, event::EventBus};
use sahab_db::Database;
use serde_json::json;
use tokio::sync::Notify;

use crate::db::{Action, Status, event, resource, stack, state};

/// A new state of a stack of the tree.
#[derive(Clone, Debug)]
pub struct StackState {
    pub id: String,
    pub project_id: String,
    pub traversal: String,
    pub action: Action,
    pub status: Status,
    pub reason: String,
}

#[derive(Default)]
struct Batch {
    /// How many changes were noted ever; tells a waiting flush that its changes are written already.
    noted: u64,
    new_stacks: Vec<stack::Model>,
    rows: IndexMap<String, resource::Model>,
    deleted: Vec<String>,
    events: Vec<event::NewEvent>,
    states: Vec<StackState>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.new_stacks.is_empty()
            && self.rows.is_empty()
            && self.deleted.is_empty()
            && self.events.is_empty()
            && self.states.is_empty()
    }
}

/// How long changes may wait for company before they are written, when nobody asks for them.
const FLUSH_PAUSE: Duration = Duration::from_millis(20);

pub struct Journal {
    database: Database,
    bus: EventBus,
    pending: Mutex<Batch>,
    /// Held while writing, with the number of the last change that is written: whoever waited for it usually finds
    /// its own changes written.
    writing: tokio::sync::Mutex<u64>,
    dirty: Notify,
}

impl Journal {
    pub fn new(database: Database, bus: EventBus) -> Self {
        Journal {
            database,
            bus,
            pending: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            dirty: Notify::new(),
        }
    }

    fn pending(&self) -> MutexGuard<'_, Batch> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Batch)) {
        let mut pending = self.pending();
        pending.noted += 1;
        change(&mut pending);
        drop(pending);
        self.dirty.notify_one();
    }

    pub fn save(&self, row: &resource::Model) {
        self.note(|pending| {
            pending.rows.insert(row.id.clone(), row.clone());
        });
    }

    pub fn delete(&self, id: &str) {
        self.note(|pending| {
            pending.rows.swap_remove(id);
            pending.deleted.push(id.to_owned());
        });
    }

    pub fn event(&self, event: event::NewEvent) {
        self.note(|pending| pending.events.push(event));
    }

    /// A nested stack, new or changed as a whole.
    pub fn save_stack(&self, row: &stack::Model) {
        self.note(|pending| {
            pending.new_stacks.retain(|other| other.id != row.id);
            pending.new_stacks.push(row.clone());
        });
    }

    pub fn state(&self, state: StackState) {
        self.note(|pending| pending.states.push(state));
    }

    /// Returns when something has been waiting to be written for a moment.
    pub async fn is_due(&self) {
        while self.pending().is_empty() {
            self.dirty.notified().await;
        }
        tokio::time::sleep(FLUSH_PAUSE).await;
    }

    /// Writes everything noted so far.
    pub async fn flush(&self) -> Result<()> {
        let wanted = self.pending().noted;
        let mut written = self.writing.lock().await;
        if *written >= wanted {
            return Ok(());
        }
        let (batch, counts) = {
            let pending = self.pending();
            let batch = Batch {
                noted: pending.noted,
                new_stacks: pending.new_stacks.clone(),
                rows: pending.rows.clone(),
                deleted: pending.deleted.clone(),
                events: pending.events.clone(),
                states: pending.states.clone(),
            };
            let counts = (pending.deleted.len(), pending.events.len(), pending.states.len());
            (batch, counts)
        };
        let txn = self.database.begin().await?;
        for row in &batch.new_stacks {
            if stack::find(&txn, &row.id).await?.is_some() {
                stack::save(&txn, row).await?;
            } else {
                stack::insert(&txn, row.clone()).await?;
            }
        }
        resource::upsert(&txn, batch.rows.values().cloned().collect()).await?;
        resource::delete(&txn, batch.deleted).await?;
        event::insert(&txn, batch.events).await?;
        let mut published = Vec::new();
        for change in batch.states {
            let StackState { id, traversal, action, status, reason, .. } = &change;
            if stack::set_state(&txn, id, traversal, *action, *status, reason).await? {
                published.push(change);
            }
        }
        txn.commit().await?;
        // From here on there is no await: the batch is either written and forgotten, or still noted.
        {
            let mut pending = self.pending();
            for row in &batch.new_stacks {
                pending.new_stacks.retain(|other| other != row);
            }
            // A row noted again meanwhile stays noted.
            pending.rows.retain(|id, row| batch.rows.get(id) != Some(row));
            pending.deleted.drain(..counts.0);
            pending.events.drain(..counts.1);
            pending.states.drain(..counts.2);
        }
        *written = batch.noted;
        for change in published {
            let status = json!({"status": state::joined(change.action, change.status)});
            self.bus.publish("stack.status", &change.id, &change.project_id, status);
        }
        Ok(())
    }
}
