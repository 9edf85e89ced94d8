//! Software configs: scripts and settings kept for servers, immutable.

use chrono::{DateTime, Utc};
use sahab_contract::Result;
use sea_orm::{
    ActiveModelBehavior, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, entity::prelude::*,
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "orchestration_software_config")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[sea_orm(indexed)]
    pub project_id: String,
    pub name: Option<String>,
    /// Which tool reads it; upstream's `group`, a reserved word of SQL.
    pub tool: Option<String>,
    /// Usually a script; any value.
    pub config: Json,
    /// Declared inputs, each with name and type.
    pub inputs: Json,
    pub outputs: Json,
    pub options: Json,
    pub created_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> std::result::Result<(), DbErr> {
    Entity::insert(row.into_active_model().reset_all()).exec_without_returning(connection).await?;
    Ok(())
}

pub async fn find(connection: &impl ConnectionTrait, project_id: &str, id: &str) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).filter(Column::ProjectId.eq(project_id)).one(connection).await?)
}

pub async fn find_all(connection: &impl ConnectionTrait, ids: Vec<String>) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::Id.is_in(ids)).all(connection).await?)
}

/// Newest first; of every project when none is named. `after` is the last one of the page before.
pub async fn list(
    connection: &impl ConnectionTrait,
    project_id: Option<&str>,
    after: Option<&Model>,
    limit: Option<u64>,
) -> Result<Vec<Model>> {
    let mut query = Entity::find().order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit);
    if let Some(project_id) = project_id {
        query = query.filter(Column::ProjectId.eq(project_id));
    }
    if let Some(last) = after {
        let same_time = Condition::all().add(Column::CreatedAt.eq(last.created_at)).add(Column::Id.lt(&last.id));
        query = query.filter(Condition::any().add(Column::CreatedAt.lt(last.created_at)).add(same_time));
    }
    Ok(query.all(connection).await?)
}

pub async fn count(connection: &impl ConnectionTrait, project_id: &str) -> Result<u64> {
    Ok(Entity::find().filter(Column::ProjectId.eq(project_id)).count(connection).await?)
}

pub async fn delete(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    Entity::delete_by_id(id).exec(connection).await?;
    Ok(())
}
