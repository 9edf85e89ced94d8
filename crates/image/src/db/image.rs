//! Image rows. Deleted ones stay, so that their ids are never used again.

use chrono::{DateTime, Utc};
use sahab_contract::Result;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, Select, entity::prelude::*};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "image")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub name: Option<String>,
    pub status: String,
    pub visibility: String,
    #[sea_orm(indexed)]
    pub owner: String,
    pub protected: bool,
    pub os_hidden: bool,
    pub disk_format: Option<String>,
    pub container_format: Option<String>,
    pub size: Option<i64>,
    pub min_ram: i64,
    pub min_disk: i64,
    pub checksum: Option<String>,
    pub os_hash_value: Option<String>,
    /// Custom properties: an object of strings.
    pub properties: Json,
    /// A list of strings.
    pub tags: Json,
    #[sea_orm(indexed)]
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

pub fn live() -> Select<Entity> {
    Entity::find().filter(Column::Deleted.eq(false))
}

pub async fn find(connection: &impl ConnectionTrait, id: &str) -> Result<Option<Model>> {
    Ok(live().filter(Column::Id.eq(id)).one(connection).await?)
}

/// Fails with a unique violation when the id was ever used.
pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<(), DbErr> {
    Entity::insert(row.into_active_model()).exec(connection).await?;
    Ok(())
}

pub async fn save(connection: &impl ConnectionTrait, row: Model) -> Result<()> {
    Entity::update(row.into_active_model().reset_all()).exec(connection).await?;
    Ok(())
}
