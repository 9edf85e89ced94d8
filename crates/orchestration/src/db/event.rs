//! Events: the history of stacks and resources.

use chrono::{DateTime, Utc};
use sahab_contract::Result;
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::OnConflict,
};

use super::{Action, Status};

const CHUNK: usize = 400;
/// Events kept of one stack.
pub const KEEP: u64 = 1000;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "orchestration_event")]
pub struct Model {
    /// Order of writing.
    #[sea_orm(primary_key)]
    pub sequence: i64,
    #[sea_orm(unique)]
    pub id: String,
    #[sea_orm(indexed)]
    pub stack_id: String,
    pub at: DateTime<Utc>,
    pub resource_name: String,
    pub resource_type: String,
    pub physical_id: Option<String>,
    pub action: String,
    pub status: Status,
    #[sea_orm(column_type = "Text")]
    pub reason: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

/// An event to be written.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub id: String,
    pub stack_id: String,
    pub resource_name: String,
    pub resource_type: String,
    pub physical_id: Option<String>,
    pub action: Action,
    pub status: Status,
    pub reason: String,
    pub at: DateTime<Utc>,
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub stack_ids: Vec<String>,
    pub resource_names: Vec<String>,
    pub resource_types: Vec<String>,
    pub actions: Vec<String>,
    pub statuses: Vec<Status>,
    pub limit: Option<u64>,
    pub marker: Option<String>,
    pub is_ascending: bool,
    pub by_type: bool,
}

pub async fn insert(connection: &impl ConnectionTrait, events: Vec<NewEvent>) -> std::result::Result<(), DbErr> {
    for chunk in events.chunks(CHUNK) {
        let rows = chunk.iter().cloned().map(|event| ActiveModel {
            sequence: NotSet,
            id: Set(event.id),
            stack_id: Set(event.stack_id),
            at: Set(event.at),
            resource_name: Set(event.resource_name),
            resource_type: Set(event.resource_type),
            physical_id: Set(event.physical_id),
            action: Set(event.action.as_str().to_owned()),
            status: Set(event.status),
            reason: Set(event.reason),
        });
        // A batch whose writer was interrupted is written again.
        let known = OnConflict::column(Column::Id).do_nothing().to_owned();
        Entity::insert_many(rows).on_conflict(known).exec_without_returning(connection).await?;
    }
    Ok(())
}

pub async fn list(connection: &impl ConnectionTrait, filter: &Filter) -> Result<Vec<Model>> {
    let mut query = Entity::find().filter(Column::StackId.is_in(filter.stack_ids.iter().cloned()));
    for (column, values) in [
        (Column::ResourceName, &filter.resource_names),
        (Column::ResourceType, &filter.resource_types),
        (Column::Action, &filter.actions),
    ] {
        if !values.is_empty() {
            query = query.filter(column.is_in(values.iter().cloned()));
        }
    }
    if !filter.statuses.is_empty() {
        query = query.filter(Column::Status.is_in(filter.statuses.iter().copied()));
    }
    // An unknown marker is ignored, as upstream does.
    if let Some(marker) = &filter.marker
        && let Some(row) = Entity::find().filter(Column::Id.eq(marker)).one(connection).await?
    {
        query = query.filter(if filter.is_ascending {
            Column::Sequence.gt(row.sequence)
        } else {
            Column::Sequence.lt(row.sequence)
        });
    }
    let order = if filter.is_ascending { Order::Asc } else { Order::Desc };
    if filter.by_type {
        query = query.order_by(Column::ResourceType, order.clone());
    }
    query = query.order_by(Column::Sequence, order);
    if let Some(limit) = filter.limit {
        query = query.limit(limit);
    }
    Ok(query.all(connection).await?)
}

pub async fn find(connection: &impl ConnectionTrait, stack_id: &str, id: &str) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::StackId.eq(stack_id)).filter(Column::Id.eq(id)).one(connection).await?)
}

/// Removes all but the newest [`KEEP`] events of the stack.
pub async fn purge(connection: &impl ConnectionTrait, stack_id: &str) -> Result<()> {
    let oldest_kept: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Sequence)
        .filter(Column::StackId.eq(stack_id))
        .order_by_desc(Column::Sequence)
        .offset(KEEP - 1)
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?;
    if let Some(oldest) = oldest_kept {
        Entity::delete_many()
            .filter(Column::StackId.eq(stack_id))
            .filter(Column::Sequence.lt(oldest))
            .exec(connection)
            .await?;
    }
    Ok(())
}
