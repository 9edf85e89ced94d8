//! The record of who did what to a container, and of the work below it.

use chrono::{DateTime, Utc};
use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    entity::prelude::*, sea_query::Expr,
};

use crate::state::Action;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "container_action")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub action: String,
    #[sea_orm(indexed)]
    pub container_uuid: String,
    pub request_id: String,
    pub user_id: String,
    pub project_id: String,
    pub start_time: DateTime<Utc>,
    pub finish_time: Option<DateTime<Utc>>,
    /// Null on success.
    pub message: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

pub mod event {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "container_action_event")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(indexed)]
        pub action_id: i64,
        pub event: String,
        pub start_time: DateTime<Utc>,
        pub finish_time: Option<DateTime<Utc>>,
        /// `Success` or `Error`.
        pub result: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub traceback: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// Records the start of an action and of its one event. Returns the action's id.
pub async fn begin(
    connection: &impl ConnectionTrait,
    context: &RequestContext,
    container: &super::container::Model,
    action: Action,
) -> Result<i64> {
    let name = match action {
        Action::DeleteAfterStop | Action::DeleteForce => Action::Delete.name(),
        // As upstream names the record.
        Action::Execute => "exec_cmd",
        other => other.name(),
    };
    let row = ActiveModel {
        action: Set(name.to_owned()),
        container_uuid: Set(container.uuid.clone()),
        request_id: Set(context.request_id.clone()),
        user_id: Set(context.user_id().to_owned()),
        project_id: Set(container.project_id.clone()),
        start_time: Set(now()),
        finish_time: Set(None),
        message: Set(None),
        ..Default::default()
    };
    let id = Entity::insert(row).exec(connection).await?.last_insert_id;
    let row = event::ActiveModel {
        action_id: Set(id),
        event: Set(action.event()),
        start_time: Set(now()),
        ..Default::default()
    };
    event::Entity::insert(row).exec(connection).await?;
    Ok(id)
}

/// Records how it ended. Says whether this was news: false when the end is recorded already, or the action is gone with
/// its container.
pub async fn end(connection: &impl ConnectionTrait, id: i64, outcome: Result<(), &Error>) -> Result<bool> {
    let (result, message, traceback) = match outcome {
        Ok(()) => ("Success", None, None),
        Err(error) => ("Error", Some("Error".to_owned()), Some(error.message().to_owned())),
    };
    let finished = Some(now());
    let ended = Entity::update_many()
        .col_expr(Column::FinishTime, Expr::value(finished))
        .col_expr(Column::Message, Expr::value(message))
        .filter(Column::Id.eq(id))
        .filter(Column::FinishTime.is_null())
        .exec(connection)
        .await?;
    if ended.rows_affected == 0 {
        return Ok(false);
    }
    event::Entity::update_many()
        .col_expr(event::Column::FinishTime, Expr::value(finished))
        .col_expr(event::Column::Result, Expr::value(result))
        .col_expr(event::Column::Traceback, Expr::value(traceback))
        .filter(event::Column::ActionId.eq(id))
        .exec(connection)
        .await?;
    Ok(true)
}

/// Newest first; bounded, since a loop of restarts must not make an endless answer.
pub async fn of(connection: &impl ConnectionTrait, container: &str) -> Result<Vec<Model>> {
    const MOST: u64 = 1000;
    Ok(Entity::find()
        .filter(Column::ContainerUuid.eq(container))
        .order_by_desc(Column::Id)
        .limit(MOST)
        .all(connection)
        .await?)
}

pub async fn by_request(
    connection: &impl ConnectionTrait,
    container: &str,
    request_id: &str,
) -> Result<Option<(Model, Vec<event::Model>)>> {
    let found = Entity::find()
        .filter(Column::ContainerUuid.eq(container))
        .filter(Column::RequestId.eq(request_id))
        .order_by_desc(Column::Id)
        .one(connection)
        .await?;
    let Some(action) = found else { return Ok(None) };
    let events = event::Entity::find()
        .filter(event::Column::ActionId.eq(action.id))
        .order_by_desc(event::Column::Id)
        .all(connection)
        .await?;
    Ok(Some((action, events)))
}

pub async fn forget(connection: &impl ConnectionTrait, container: &str) -> Result<()> {
    let ids: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ContainerUuid.eq(container))
        .into_tuple()
        .all(connection)
        .await?;
    for chunk in ids.chunks(500) {
        event::Entity::delete_many()
            .filter(event::Column::ActionId.is_in(chunk.iter().copied()))
            .exec(connection)
            .await?;
    }
    Entity::delete_many().filter(Column::ContainerUuid.eq(container)).exec(connection).await?;
    Ok(())
}
