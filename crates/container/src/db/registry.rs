//! Registries with the credentials for pulls. The password is stored encrypted.

use chrono::{DateTime, Utc};
use sahab_contract::Result;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, entity::prelude::*};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "container_registry")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(unique)]
    pub uuid: String,
    pub name: Option<String>,
    #[sea_orm(indexed)]
    pub project_id: String,
    pub user_id: String,
    pub domain: String,
    pub username: Option<String>,
    /// Fernet token.
    #[sea_orm(column_type = "Text", nullable)]
    pub password: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<Model> {
    super::insert(connection, row, Column::Id).await
}

/// By uuid or name, within the project unless that is `None`.
pub async fn find(connection: &impl ConnectionTrait, ident: &str, project: Option<&str>) -> Result<Vec<Model>> {
    let mut query = Entity::find().filter(Condition::any().add(Column::Uuid.eq(ident)).add(Column::Name.eq(ident)));
    if let Some(project) = project {
        query = query.filter(Column::ProjectId.eq(project));
    }
    Ok(query.limit(10).all(connection).await?)
}

pub async fn delete(connection: &impl ConnectionTrait, uuid: &str) -> Result<()> {
    Entity::delete_many().filter(Column::Uuid.eq(uuid)).exec(connection).await?;
    Ok(())
}

pub fn sortable(name: &str) -> Option<Column> {
    Some(match name {
        "id" => Column::Id,
        "uuid" => Column::Uuid,
        "name" => Column::Name,
        "domain" => Column::Domain,
        "username" => Column::Username,
        "project_id" => Column::ProjectId,
        "user_id" => Column::UserId,
        "created_at" => Column::CreatedAt,
        _ => return None,
    })
}
