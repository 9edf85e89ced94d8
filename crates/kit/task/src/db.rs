//! The task table; the only place that touches it.

use chrono::{DateTime, Utc};
use sahab_contract::{Result, context::now};
use sahab_db::{Migrations, create_table};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    entity::prelude::*,
    sea_query::{Expr, Query},
};
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::NewTask;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "task")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub kind: String,
    #[sea_orm(indexed)]
    pub task_key: String,
    pub input: Json,
    pub state: Json,
    /// Index of the step to run next, or to undo next when `error` is set.
    pub step: i32,
    pub attempts: i32,
    /// Set on the way back: kind, code and message of the failure.
    pub error: Option<Json>,
    pub cancelled: bool,
    pub not_before: DateTime<Utc>,
    pub request_id: String,
    pub created_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

pub fn migrations() -> Migrations {
    Migrations { service: "task", list: vec![Box::new(CreateTable)] }
}

struct CreateTable;
impl MigrationName for CreateTable {
    fn name(&self) -> &str {
        "0001_task"
    }
}
#[async_trait]
impl MigrationTrait for CreateTable {
    async fn up(&self, manager: &SchemaManager) -> std::result::Result<(), DbErr> {
        create_table(manager, Entity).await
    }
}

pub async fn insert(connection: &impl ConnectionTrait, task: NewTask) -> Result<()> {
    let row = ActiveModel {
        id: NotSet,
        kind: Set(task.kind.to_owned()),
        task_key: Set(task.key),
        input: Set(task.input),
        state: Set(Json::Null),
        step: Set(0),
        attempts: Set(0),
        error: Set(None),
        cancelled: Set(false),
        not_before: Set(now()),
        request_id: Set(task.request_id),
        created_at: Set(now()),
    };
    Entity::insert(row).exec(connection).await?;
    Ok(())
}

/// The oldest task of every key, oldest first.
pub async fn heads(connection: &impl ConnectionTrait) -> Result<Vec<Model>> {
    let oldest = Query::select().expr(Column::Id.min()).from(Entity).group_by_col(Column::TaskKey).to_owned();
    Ok(Entity::find().filter(Column::Id.in_subquery(oldest)).order_by_asc(Column::Id).all(connection).await?)
}

pub async fn count(connection: &impl ConnectionTrait) -> Result<u64> {
    Ok(Entity::find().count(connection).await?)
}

pub async fn cancel(connection: &impl ConnectionTrait, key: &str) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::Cancelled, Expr::value(true))
        .filter(Column::TaskKey.eq(key))
        .exec(connection)
        .await?;
    Ok(())
}

pub async fn is_cancelled(connection: &impl ConnectionTrait, id: i64) -> Result<bool> {
    Ok(Entity::find_by_id(id).one(connection).await?.is_some_and(|row| row.cancelled))
}

pub async fn save(connection: &impl ConnectionTrait, row: &Model) -> Result<()> {
    // `cancelled` is written by others: leave it alone.
    let change = ActiveModel {
        id: Set(row.id),
        state: Set(row.state.clone()),
        step: Set(row.step),
        attempts: Set(row.attempts),
        error: Set(row.error.clone()),
        not_before: Set(row.not_before),
        ..Default::default()
    };
    Entity::update(change).exec(connection).await?;
    Ok(())
}

pub async fn delete(connection: &impl ConnectionTrait, id: i64) -> Result<()> {
    Entity::delete_by_id(id).exec(connection).await?;
    Ok(())
}
