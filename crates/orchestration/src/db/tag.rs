//! Tags of stacks.

use std::collections::HashMap;

use sahab_contract::Result;
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    entity::prelude::*,
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "orchestration_tag")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub sequence: i64,
    #[sea_orm(indexed)]
    pub stack_id: String,
    #[sea_orm(indexed)]
    pub name: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

/// Replaces the tags of the stack.
pub async fn replace(connection: &impl ConnectionTrait, stack_id: &str, tags: &[String]) -> Result<()> {
    Entity::delete_many().filter(Column::StackId.eq(stack_id)).exec(connection).await?;
    if !tags.is_empty() {
        let rows = tags.iter().map(|name| ActiveModel {
            sequence: NotSet,
            stack_id: Set(stack_id.to_owned()),
            name: Set(name.clone()),
        });
        Entity::insert_many(rows).exec_without_returning(connection).await?;
    }
    Ok(())
}

/// Tags by stack id, in the order they were given.
pub async fn of_stacks(connection: &impl ConnectionTrait, ids: &[String]) -> Result<HashMap<String, Vec<String>>> {
    let mut tags: HashMap<String, Vec<String>> = HashMap::new();
    for chunk in ids.chunks(5000) {
        let rows = Entity::find()
            .filter(Column::StackId.is_in(chunk.iter().cloned()))
            .order_by_asc(Column::Sequence)
            .all(connection)
            .await?;
        for row in rows {
            tags.entry(row.stack_id).or_default().push(row.name);
        }
    }
    Ok(tags)
}

pub async fn of_stack(connection: &impl ConnectionTrait, id: &str) -> Result<Vec<String>> {
    Ok(of_stacks(connection, &[id.to_owned()]).await?.remove(id).unwrap_or_default())
}
