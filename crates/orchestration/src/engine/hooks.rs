//! Hooks: points at which the environment makes a resource wait until somebody clears them (spec 3.9).

use std::time::Duration;

use serde_json::Value;

use super::{failure::Failure, level::Level};
use crate::{db::resource, environment::Hook};

/// Key of a row's `data`: the hooks that were reached, those of an update or delete with its traversal.
const PASSED: &str = "_hooks";

impl Level {
    /// Waits until the hook is cleared, if the environment asks for it.
    pub async fn pause_at(&self, row: &mut resource::Model, hook: Hook, verb: &str) -> Result<(), Failure> {
        let Some(plan) = &self.plan else { return Ok(()) };
        if !plan.environment.registry.has_hook(&row.name, hook) {
            return Ok(());
        }
        let name = hook_name(hook);
        // A wait that was cut off goes on; one that was cleared meanwhile is over. A resource is created once, but each
        // update stops anew.
        let mark = if verb == "CREATE" { name.to_owned() } else { format!("{name} {}", self.tree.traversal) };
        let mut marks = row.data.get(PASSED).and_then(Value::as_array).cloned().unwrap_or_default();
        let is_passed = marks.iter().any(|known| known == mark.as_str());
        if is_passed && row.hook.is_none() {
            return Ok(());
        }
        if row.hook.as_deref() != Some(name) {
            row.hook = Some(name.to_owned());
            // Those of earlier operations are of no use any more.
            marks.retain(|known| {
                known.as_str().is_some_and(|known| match known.split_once(' ') {
                    Some((_, traversal)) => traversal == self.tree.traversal,
                    None => true,
                })
            });
            marks.push(Value::String(mark));
            if let Some(data) = row.data.as_object_mut() {
                data.insert(PASSED.into(), Value::Array(marks));
            }
            self.put(row);
            self.tell(row, row.action, row.status, &format!("{verb} paused until Hook {name} is cleared"));
        }
        let waiter = self.core().waiters.register(&row.id);
        self.journal().flush().await.map_err(Failure::fault)?;
        loop {
            let stored = resource::find(self.core().database.read(), &row.id).await.map_err(Failure::fault)?;
            if stored.is_none_or(|stored| stored.hook.is_none()) {
                row.hook = None;
                self.put(row);
                return Ok(());
            }
            let _ = tokio::time::timeout(Duration::from_secs(5), waiter.news()).await;
        }
    }
}

pub fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::PreCreate => "pre-create",
        Hook::PreUpdate => "pre-update",
        Hook::PreDelete => "pre-delete",
        Hook::PostCreate => "post-create",
        Hook::PostUpdate => "post-update",
        Hook::PostDelete => "post-delete",
    }
}
