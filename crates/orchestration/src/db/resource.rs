//! Resources: one row per physical object of a stack.

use chrono::{DateTime, Utc};
use sahab_contract::Result;
use sea_orm::{
    ActiveModelBehavior, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Iterable, QueryFilter, QueryOrder,
    entity::prelude::*,
    sea_query::{Expr, OnConflict},
};

use super::{Action, Status};

/// Rows per statement: well below the databases' limits on parameters.
const CHUNK: usize = 400;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "orchestration_resource")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[sea_orm(indexed)]
    pub stack_id: String,
    pub name: String,
    /// Place in the template.
    pub position: i32,
    /// As the template writes it.
    pub type_name: String,
    /// What it led to: the name of an implemented type, or the location of a nested template.
    pub implementation: String,
    pub physical_id: Option<String>,
    /// The id that the object will have, chosen before it is created.
    pub planned_id: Option<String>,
    pub physical_name: String,
    pub action: Action,
    pub status: Status,
    #[sea_orm(column_type = "Text")]
    pub reason: String,
    /// The resolved properties the object was made with.
    pub properties: Json,
    /// Those it is being changed to.
    pub next_properties: Option<Json>,
    pub metadata: Json,
    /// What the type wants to remember.
    pub data: Json,
    /// Names of the resources it depends on.
    pub requires: Json,
    pub update_policy: Json,
    /// The object stays when the resource goes.
    pub retain: bool,
    /// Another row has taken the name over; to be deleted.
    pub obsolete: bool,
    /// The hook it waits at.
    pub hook: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Names it depends on.
    pub fn required_names(&self) -> impl Iterator<Item = &str> {
        self.requires.as_array().into_iter().flatten().filter_map(|name| name.as_str())
    }
    /// The object's id, known or planned.
    pub fn object_id(&self) -> Option<&str> {
        self.physical_id.as_deref().or(self.planned_id.as_deref())
    }
    pub fn state(&self) -> (Action, Status) {
        (self.action, self.status)
    }
}

/// Writes rows, new or known.
pub async fn upsert(connection: &impl ConnectionTrait, rows: Vec<Model>) -> std::result::Result<(), DbErr> {
    for chunk in rows.chunks(CHUNK) {
        let conflict = OnConflict::column(Column::Id)
            .update_columns(Column::iter().filter(|column| !matches!(column, Column::Id)))
            .to_owned();
        Entity::insert_many(chunk.iter().cloned().map(|row| row.into_active_model().reset_all()))
            .on_conflict(conflict)
            .exec_without_returning(connection)
            .await?;
    }
    Ok(())
}

pub async fn delete(connection: &impl ConnectionTrait, ids: Vec<String>) -> std::result::Result<(), DbErr> {
    for chunk in ids.chunks(CHUNK) {
        Entity::delete_many().filter(Column::Id.is_in(chunk.iter().cloned())).exec(connection).await?;
    }
    Ok(())
}

/// All rows of the stacks, obsolete ones included, in the template's order.
pub async fn of_stacks(connection: &impl ConnectionTrait, stack_ids: &[String]) -> Result<Vec<Model>> {
    Ok(Entity::find()
        .filter(Column::StackId.is_in(stack_ids.iter().cloned()))
        .order_by_asc(Column::Position)
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(connection)
        .await?)
}

pub async fn of_stack(connection: &impl ConnectionTrait, stack_id: &str) -> Result<Vec<Model>> {
    of_stacks(connection, &[stack_id.to_owned()]).await
}

pub async fn find(connection: &impl ConnectionTrait, id: &str) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(connection).await?)
}

/// Ends or begins the wait at a hook.
pub async fn set_hook(connection: &impl ConnectionTrait, id: &str, hook: Option<&str>) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::Hook, Expr::value(hook.map(str::to_owned)))
        .filter(Column::Id.eq(id))
        .exec(connection)
        .await?;
    Ok(())
}
