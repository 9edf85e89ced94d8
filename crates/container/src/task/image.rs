//! Pulling an image to a host for an administrator.

use async_trait::async_trait;
use sahab_contract::{Error, Result, container::PullPolicy, context::now};
use sahab_task::{Handler, Step, Task};
use sea_orm::{ActiveModelTrait, IntoActiveModel};
use serde_json::json;

use super::{IMAGE, verdict};
use crate::{ContainerService, db::image};

pub struct Pull(pub ContainerService);

#[async_trait]
impl Handler for Pull {
    fn kind(&self) -> &'static str {
        IMAGE
    }
    fn steps(&self) -> &'static [&'static str] {
        &["pull"]
    }

    async fn run(&self, _step: &str, task: &mut Task) -> Result<Step> {
        let Some(row) = image::by_uuid(self.0.database.read(), &task.key).await? else { return Ok(Step::Finish) };
        let driver = self.0.driver_for(Some(&row.host)).await?;
        let policy = match task.input["policy"].as_str() {
            Some("always") => PullPolicy::Always,
            Some("never") => PullPolicy::Never,
            _ => PullPolicy::IfNotPresent,
        };
        let reference = format!("{}:{}", row.repo, row.tag);
        let uuid = row.uuid.clone();
        let progress = move |line: String| tracing::debug!(image = uuid, line, "pulling");
        let found = driver.image_pull(&reference, policy, None, &progress).await.map_err(verdict)?;
        task.state = json!({"id": found.id, "size": found.size});
        Ok(Step::Next)
    }

    async fn undo(&self, _step: &str, _task: &mut Task) -> Result<()> {
        // Layers that arrived stay: they are a cache, and may be somebody else's too.
        Ok(())
    }

    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()> {
        let txn = self.0.database.begin().await?;
        match outcome {
            Ok(()) => {
                if let Some(mut row) = image::by_uuid(&txn, &task.key).await? {
                    row.image_id = task.state["id"].as_str().map(str::to_owned);
                    row.size = task.state["size"].as_u64().map(|size| size.to_string());
                    row.updated_at = Some(now());
                    row.into_active_model().reset_all().update(&txn).await?;
                }
            }
            Err(error) => {
                // The API has no field for a failure: a record without an image would look like a pull that goes on.
                tracing::warn!(image = task.key, error = error.report(), "an image could not be pulled");
                image::delete(&txn, &task.key).await?;
            }
        }
        txn.commit().await?;
        Ok(())
    }
}
