//! Software deployments: which config is meant for which server, and what came of it.

use chrono::{DateTime, Utc};
use sahab_contract::Result;
use sea_orm::{
    ActiveModelBehavior, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, entity::prelude::*,
};

use super::Status;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "orchestration_software_deployment")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[sea_orm(indexed)]
    pub project_id: String,
    #[sea_orm(indexed)]
    pub config_id: String,
    /// Whatever the user calls the server; nobody looks it up.
    #[sea_orm(indexed)]
    pub server_id: String,
    /// Of in-server agents; only remembered.
    pub stack_user_project_id: Option<String>,
    pub input_values: Option<Json>,
    pub output_values: Option<Json>,
    /// The user's word, not an action of the engine.
    pub action: String,
    pub status: Status,
    #[sea_orm(column_type = "Text")]
    pub status_reason: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> std::result::Result<(), DbErr> {
    Entity::insert(row.into_active_model().reset_all()).exec_without_returning(connection).await?;
    Ok(())
}

pub async fn save(connection: &impl ConnectionTrait, row: &Model) -> Result<()> {
    Entity::update_many()
        .set(row.clone().into_active_model().reset_all())
        .filter(Column::Id.eq(&row.id))
        .exec(connection)
        .await?;
    Ok(())
}

pub async fn find(connection: &impl ConnectionTrait, project_id: &str, id: &str) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).filter(Column::ProjectId.eq(project_id)).one(connection).await?)
}

/// Those of the project, or of one server of it; oldest first.
pub async fn list(connection: &impl ConnectionTrait, project_id: &str, server_id: Option<&str>) -> Result<Vec<Model>> {
    let mut query = Entity::find()
        .filter(Column::ProjectId.eq(project_id))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id);
    if let Some(server_id) = server_id {
        query = query.filter(Column::ServerId.eq(server_id));
    }
    Ok(query.all(connection).await?)
}

pub async fn count(connection: &impl ConnectionTrait, project_id: &str) -> Result<u64> {
    Ok(Entity::find().filter(Column::ProjectId.eq(project_id)).count(connection).await?)
}

/// Whether a deployment uses the config.
pub async fn uses(connection: &impl ConnectionTrait, config_id: &str) -> Result<bool> {
    Ok(Entity::find().filter(Column::ConfigId.eq(config_id)).one(connection).await?.is_some())
}

pub async fn delete(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    Entity::delete_by_id(id).exec(connection).await?;
    Ok(())
}
