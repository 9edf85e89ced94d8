//! Rules of containers: finding, listing, showing. Each concern of changing one has a file of its own.

mod change;
mod create;
mod delete;
mod networks;
pub mod observed;
mod process;
pub mod update;

use std::sync::Arc;

pub use delete::DeleteRequest;
pub use process::Logs;
use sahab_contract::{Error, Kind, RequestContext, Result, container::ContainerDriver};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select};

use crate::{
    ContainerService,
    db::{
        action,
        container::{Column, Entity, Model, by_name, by_uuid},
        page::{self, Page},
    },
    request::fields::is_uuid,
    state::{Action, Status, TaskState},
    texts,
    view::Visible,
};

/// What a list asks for.
#[derive(Clone, Debug)]
pub struct ListRequest {
    pub all_projects: bool,
    /// Column name and exact value.
    pub filters: Vec<(String, String)>,
    pub marker: Option<String>,
    pub page: Page<Column>,
}

impl ContainerService {
    /// The container by uuid or name among those the caller may know of; another project's is not found.
    pub(crate) async fn find(
        &self,
        connection: &impl ConnectionTrait,
        context: &RequestContext,
        ident: &str,
    ) -> Result<Model> {
        context.auth()?;
        let own = context.project_id().unwrap_or_default();
        let visible = |row: &Model| context.is_admin() || row.project_id == own;
        if is_uuid(ident) {
            let canonical = uuid::Uuid::try_parse(ident).map(|id| id.to_string()).unwrap_or_default();
            let row = by_uuid(connection, &canonical).await?.filter(visible);
            return row.ok_or_else(|| texts::container_not_found(ident));
        }
        let project = if context.is_admin() { None } else { Some(own) };
        let mut rows = by_name(connection, ident, project).await?;
        if rows.len() > 1 {
            // An administrator sees all projects: the own one comes first.
            let of_own: Vec<_> = rows.iter().filter(|row| row.project_id == own).cloned().collect();
            if of_own.len() != 1 {
                return Err(texts::ambiguous("container", ident));
            }
            rows = of_own;
        }
        rows.pop().ok_or_else(|| texts::container_not_found(ident))
    }

    /// Finds, and checks the policy rule `container:<action>`.
    pub(crate) async fn find_for(
        &self,
        connection: &impl ConnectionTrait,
        context: &RequestContext,
        ident: &str,
        action: Action,
    ) -> Result<Model> {
        let row = self.find(connection, context, ident).await?;
        self.enforce(context, &format!("container:{}", action.name()), &row.project_id)?;
        Ok(row)
    }

    pub async fn show(&self, context: &RequestContext, ident: &str, all_projects: bool) -> Result<Model> {
        if all_projects {
            self.enforce_own(context, "container:get_one_all_projects")?;
        }
        let row = self.find(self.database.read(), context, ident).await?;
        self.enforce(context, "container:get_one", &row.project_id)?;
        Ok(row)
    }

    pub async fn list(&self, context: &RequestContext, request: &ListRequest) -> Result<Vec<Model>> {
        self.enforce_own(context, "container:get_all")?;
        if request.all_projects {
            self.enforce_own(context, "container:get_all_all_projects")?;
        }
        let mut query = Entity::find();
        if !request.all_projects {
            query = query.filter(Column::ProjectId.eq(context.require_project()?));
        }
        for (field, value) in &request.filters {
            let rule = format!("container:get_one:{field}");
            if self.policy.known(&rule) {
                self.enforce_own(context, &rule)?;
            }
            let Some(narrowed) = narrow(query, field, value) else { return Ok(Vec::new()) };
            query = narrowed;
        }
        let connection = self.database.read();
        let marker = match &request.marker {
            Some(uuid) => {
                let visible =
                    |row: &Model| request.all_projects || Some(row.project_id.as_str()) == context.project_id();
                let row = by_uuid(connection, uuid).await?.filter(visible);
                Some(row.ok_or_else(|| texts::container_not_found(uuid))?)
            }
            None => None,
        };
        page::fetch(connection, query, &request.page, Column::Id, marker.as_ref()).await
    }

    /// Which administrators' fields the caller may see.
    pub(crate) fn visible(&self, context: &RequestContext) -> Visible {
        let may = |field: &str| self.may(context, &format!("container:get_one:{field}"), "");
        Visible {
            host: may("host"),
            runtime: may("runtime"),
            image_pull_policy: may("image_pull_policy"),
            privileged: may("privileged"),
        }
    }

    pub async fn actions(&self, context: &RequestContext, ident: &str) -> Result<Vec<action::Model>> {
        let row = self.find(self.database.read(), context, ident).await?;
        self.enforce(context, "container:actions", &row.project_id)?;
        action::of(self.database.read(), &row.uuid).await
    }

    /// An action with its events, and whether the caller may read tracebacks.
    pub async fn action(
        &self,
        context: &RequestContext,
        ident: &str,
        request_id: &str,
    ) -> Result<(action::Model, Vec<action::event::Model>, bool)> {
        let row = self.find(self.database.read(), context, ident).await?;
        self.enforce(context, "container:actions", &row.project_id)?;
        let found = action::by_request(self.database.read(), &row.uuid, request_id).await?;
        let (action, events) = found.ok_or_else(|| {
            Error::not_found("resource-not-found", format!("Action for request_id {request_id} not found"))
        })?;
        Ok((action, events, self.may(context, "container:action:events", &row.project_id)))
    }

    /// The driver of the container's host.
    pub(crate) fn driver_of(&self, row: &Model) -> Result<Arc<dyn ContainerDriver>> {
        let name = row.host.as_deref().ok_or_else(|| texts::no_host(&row.uuid))?;
        Ok(self.host(name).ok_or_else(|| texts::host_down(name))?.driver)
    }

    /// Marks the row as being worked on by the action's task. The caller saves the row.
    pub(crate) fn claim_row(row: &mut Model, state: TaskState, action: i64) {
        row.task_state = Some(state);
        row.task_action = Some(action);
    }

    pub(crate) fn publish_status(&self, row: &Model) {
        self.events.publish(
            "container.status",
            &row.uuid,
            &row.project_id,
            serde_json::json!({"status": row.status.text()}),
        );
    }
}

/// `None` when no row can match the value.
fn narrow(query: Select<Entity>, field: &str, value: &str) -> Option<Select<Entity>> {
    let text = |column: Column| query.clone().filter(column.eq(value));
    Some(match field {
        "name" => text(Column::Name),
        "image" => text(Column::Image),
        "project_id" => text(Column::ProjectId),
        "user_id" => text(Column::UserId),
        "host" => text(Column::Host),
        "memory" => query.filter(Column::Memory.eq(value.parse::<i64>().ok()?)),
        "status" => query.filter(Column::Status.eq(parse_enum::<Status>(value)?)),
        "task_state" => query.filter(Column::TaskState.eq(parse_enum::<TaskState>(value)?)),
        "auto_remove" => query.filter(Column::AutoRemove.eq(matches!(value, "True" | "true" | "1"))),
        _ => return None,
    })
}

fn parse_enum<T: sea_orm::ActiveEnum<Value = String>>(value: &str) -> Option<T> {
    T::try_from_value(&value.to_owned()).ok()
}

/// A driver's failure as the caller of a synchronous operation sees it.
pub(crate) fn sync_error(row: &Model, error: Error) -> Error {
    match error.kind() {
        Kind::Unavailable => texts::host_down(row.host.as_deref().unwrap_or_default()),
        Kind::NotFound => texts::conflict(error.message().to_owned()),
        Kind::Internal => {
            tracing::warn!(container = row.uuid, error = error.report(), "the engine failed");
            texts::conflict(error.message().to_owned())
        }
        Kind::Conflict => texts::conflict(error.message().to_owned()),
        Kind::Invalid => texts::invalid_value(error.message().to_owned()),
        _ => error,
    }
}
