//! Projects that an image is shared with.

use chrono::{DateTime, Utc};
use sahab_contract::Result;
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, entity::prelude::*};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "image_member")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub image_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub member_id: String,
    /// pending, accepted, rejected
    pub status: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

pub async fn find(connection: &impl ConnectionTrait, image: &str, member: &str) -> Result<Option<Model>> {
    Ok(Entity::find_by_id((image.to_owned(), member.to_owned())).one(connection).await?)
}

pub async fn of_image(connection: &impl ConnectionTrait, image: &str) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::ImageId.eq(image)).order_by_asc(Column::CreatedAt).all(connection).await?)
}

pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<(), DbErr> {
    Entity::insert(row.into_active_model()).exec(connection).await?;
    Ok(())
}

pub async fn save(connection: &impl ConnectionTrait, row: Model) -> Result<()> {
    Entity::update(row.into_active_model().reset_all()).exec(connection).await?;
    Ok(())
}

pub async fn delete(connection: &impl ConnectionTrait, image: &str, member: &str) -> Result<bool> {
    let done = Entity::delete_by_id((image.to_owned(), member.to_owned())).exec(connection).await?;
    Ok(done.rows_affected > 0)
}

pub async fn delete_all(connection: &impl ConnectionTrait, image: &str) -> Result<()> {
    Entity::delete_many().filter(Column::ImageId.eq(image)).exec(connection).await?;
    Ok(())
}
