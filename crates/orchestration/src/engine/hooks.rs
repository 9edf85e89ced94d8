//! Hooks: points at which the environment makes a resource wait until somebody clears them (spec 3.9).

use std::time::Duration;

use serde_json::{Value, json};

use super::{failure::Failure, level::Level};
use crate::{db::resource, environment::Hook};

/// Key of a row's `data`: the hooks that were reached.
const PASSED: &str = "_hooks";

impl Level {
    /// Waits until the hook is cleared, if the environment asks for it.
    pub async fn pause_at(&self, row: &mut resource::Model, hook: Hook, verb: &str) -> Result<(), Failure> {
        let Some(plan) = &self.plan else { return Ok(()) };
        if !plan.environment.registry.has_hook(&row.name, hook) {
            return Ok(());
        }
        let name = hook_name(hook);
        // A wait that was cut off goes on; one that was cleared meanwhile is over.
        let passed = row.data.get(PASSED).and_then(Value::as_array).is_some_and(|list| list.contains(&json!(name)));
        if passed && row.hook.is_none() && verb == "CREATE" {
            return Ok(());
        }
        if row.hook.as_deref() != Some(name) {
            row.hook = Some(name.to_owned());
            if let Some(data) = row.data.as_object_mut() {
                let list = data.entry(PASSED).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(json!(name));
                }
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
