//! Limits set for a project or for the class `default`.

use std::collections::BTreeMap;

use sahab_contract::Result;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, entity::prelude::*};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "container_quota")]
pub struct Model {
    /// `project:<id>` or `class:<name>`
    #[sea_orm(primary_key, auto_increment = false)]
    pub owner: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub resource: String,
    pub hard_limit: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

pub async fn of(connection: &impl ConnectionTrait, owner: &str) -> Result<BTreeMap<String, i64>> {
    let rows = Entity::find().filter(Column::Owner.eq(owner)).all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.resource, row.hard_limit)).collect())
}

pub async fn set(connection: &impl ConnectionTrait, owner: &str, resource: &str, limit: i64) -> Result<()> {
    let row = ActiveModel { owner: Set(owner.to_owned()), resource: Set(resource.to_owned()), hard_limit: Set(limit) };
    Entity::insert(row)
        .on_conflict(
            sea_orm::sea_query::OnConflict::columns([Column::Owner, Column::Resource])
                .update_column(Column::HardLimit)
                .to_owned(),
        )
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

pub async fn reset(connection: &impl ConnectionTrait, owner: &str) -> Result<()> {
    Entity::delete_many().filter(Column::Owner.eq(owner)).exec(connection).await?;
    Ok(())
}
