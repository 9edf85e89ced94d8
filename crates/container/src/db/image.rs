//! Images that an administrator pulled to a host.

use chrono::{DateTime, Utc};
use sahab_contract::Result;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, entity::prelude::*};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "container_image")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(unique)]
    pub uuid: String,
    pub image_id: Option<String>,
    pub project_id: String,
    pub user_id: String,
    pub repo: String,
    pub tag: String,
    /// Bytes, as text.
    pub size: Option<String>,
    pub host: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<Model> {
    super::insert(connection, row, Column::Id).await
}

pub async fn by_uuid(connection: &impl ConnectionTrait, uuid: &str) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::Uuid.eq(uuid)).one(connection).await?)
}

pub async fn same(connection: &impl ConnectionTrait, host: &str, repo: &str, tag: &str) -> Result<Option<Model>> {
    Ok(Entity::find()
        .filter(Column::Host.eq(host))
        .filter(Column::Repo.eq(repo))
        .filter(Column::Tag.eq(tag))
        .one(connection)
        .await?)
}

pub async fn delete(connection: &impl ConnectionTrait, uuid: &str) -> Result<()> {
    Entity::delete_many().filter(Column::Uuid.eq(uuid)).exec(connection).await?;
    Ok(())
}

pub fn sortable(name: &str) -> Option<Column> {
    Some(match name {
        "id" => Column::Id,
        "uuid" => Column::Uuid,
        "repo" => Column::Repo,
        "tag" => Column::Tag,
        "size" => Column::Size,
        "host" => Column::Host,
        "image_id" => Column::ImageId,
        "created_at" => Column::CreatedAt,
        _ => return None,
    })
}
