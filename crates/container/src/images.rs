//! Images on the hosts: pulled ahead, listed, removed, searched for.

use sahab_contract::{Error, RequestContext, Result, container::ImageFound, context::now};
use sahab_task::NewTask;
use sea_orm::EntityTrait;
use serde_json::json;

use crate::{
    ContainerService,
    db::{
        host,
        image::{self, Column, Entity, Model},
        page::{self, Page},
    },
    task, texts,
};

#[derive(Clone, Debug)]
pub struct PullRequest {
    pub repo: String,
    pub tag: String,
    pub host: String,
    pub policy: Option<String>,
}

/// `name[:tag]`; a colon before a slash belongs to a port.
pub fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((repo, tag)) if !tag.contains('/') && !repo.is_empty() => (repo, Some(tag)),
        _ => (name, None),
    }
}

impl ContainerService {
    pub async fn image_pull(&self, context: &RequestContext, request: PullRequest) -> Result<Model> {
        self.enforce_own(context, "image:pull")?;
        let project = context.require_project()?.to_owned();
        self.learn_hosts().await;
        let txn = self.database.begin().await?;
        let host = host::find(&txn, &request.host)
            .await?
            .ok_or_else(|| texts::invalid_value(format!("The host {} could not be found.", request.host)))?;
        if image::same(&txn, &host.hostname, &request.repo, &request.tag).await?.is_some() {
            return Err(Error::conflict(
                "image-already-exists",
                format!("An image with tag {} and repo {} already exists.", request.tag, request.repo),
            ));
        }
        let row = Model {
            id: 0,
            uuid: context.new_uuid(),
            image_id: None,
            project_id: project,
            user_id: context.user_id().to_owned(),
            repo: request.repo,
            tag: request.tag,
            size: None,
            host: host.hostname,
            created_at: now(),
            updated_at: None,
        };
        let row = image::insert(&txn, row).await?;
        let task = NewTask {
            kind: task::IMAGE,
            key: row.uuid.clone(),
            input: json!({"policy": request.policy}),
            request_id: context.request_id.clone(),
        };
        self.queue.enqueue(&txn, task).await?;
        txn.commit().await?;
        self.queue.nudge();
        Ok(row)
    }

    pub async fn image_page(
        &self,
        context: &RequestContext,
        page: &Page<Column>,
        marker: Option<&str>,
    ) -> Result<Vec<Model>> {
        self.enforce_own(context, "image:get_all")?;
        let connection = self.database.read();
        let marker = match marker {
            Some(uuid) => Some(image::by_uuid(connection, uuid).await?.ok_or_else(|| not_found(uuid))?),
            None => None,
        };
        page::fetch(connection, Entity::find(), page, Column::Id, marker.as_ref()).await
    }

    pub async fn image_show(&self, context: &RequestContext, uuid: &str) -> Result<Model> {
        self.enforce_own(context, "image:get_one")?;
        image::by_uuid(self.database.read(), uuid).await?.ok_or_else(|| not_found(uuid))
    }

    pub async fn image_delete(&self, context: &RequestContext, uuid: &str) -> Result<()> {
        self.enforce_own(context, "image:delete")?;
        let row = image::by_uuid(self.database.read(), uuid).await?.ok_or_else(|| not_found(uuid))?;
        if row.image_id.is_some()
            && let Some(host) = self.host(&row.host)
        {
            match host.driver.image_remove(&format!("{}:{}", row.repo, row.tag)).await {
                Err(error) if error.is_conflict() => return Err(texts::conflict(error.message().to_owned())),
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        let txn = self.database.begin().await?;
        // A pull that goes on finds no row and ends.
        image::delete(&txn, uuid).await?;
        self.queue.cancel(&txn, uuid).await?;
        txn.commit().await?;
        self.queue.nudge_cancel(uuid);
        Ok(())
    }

    /// Asks one host that answers; exact matches only when asked for.
    pub async fn image_search(&self, context: &RequestContext, term: &str, exact: bool) -> Result<Vec<ImageFound>> {
        self.enforce_own(context, "image:search")?;
        let hosts = self.host_list();
        let up = |host: &crate::Host| host.engine_up.load(std::sync::atomic::Ordering::Relaxed);
        let Some((name, host)) = hosts.iter().find(|(_, host)| up(host)).or(hosts.first()) else {
            return Err(Error::unavailable("compute-host-not-up", "No container host is up."));
        };
        let mut found = host.driver.image_search(term).await.map_err(|error| match error.kind() {
            sahab_contract::Kind::Unavailable => texts::host_down(name),
            _ => texts::invalid_value(format!("The registry could not be searched: {}", error.message())),
        })?;
        if exact {
            found.retain(|image| image.name == term);
        }
        Ok(found)
    }
}

fn not_found(uuid: &str) -> Error {
    texts::not_found("image-not-found", "Image", uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_from_ports() {
        assert_eq!(split_tag("nginx"), ("nginx", None));
        assert_eq!(split_tag("nginx:1"), ("nginx", Some("1")));
        assert_eq!(split_tag("reg:5000/nginx"), ("reg:5000/nginx", None));
        assert_eq!(split_tag("reg:5000/nginx:1"), ("reg:5000/nginx", Some("1")));
    }
}
