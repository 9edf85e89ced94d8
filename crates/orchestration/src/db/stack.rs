//! Stacks, top-level and nested.

use chrono::{DateTime, Utc};
use sahab_contract::Result;
use sea_orm::{
    ActiveModelBehavior, ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult,
    IntoActiveModel, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{Expr, Query},
};

use super::{Action, Status, event, tag};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "orchestration_stack")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[sea_orm(indexed)]
    pub name: String,
    /// `project/name` while the stack is live and top-level: names are unique among those.
    #[sea_orm(unique)]
    pub live_name: Option<String>,
    #[sea_orm(indexed)]
    pub project_id: String,
    /// On whose behalf the stack acts: the last user who created or updated it.
    pub user_id: String,
    pub user_name: String,
    /// The stack that owns this one as a resource.
    #[sea_orm(indexed)]
    pub owner_id: Option<String>,
    /// The name of that resource.
    pub owner_resource: Option<String>,
    /// The top of the tree; its own id for a top-level stack. Key of the tasks of the whole tree.
    #[sea_orm(indexed)]
    pub root_id: String,
    pub depth: i32,
    pub action: Action,
    pub status: Status,
    #[sea_orm(column_type = "Text")]
    pub status_reason: String,
    /// Why the operation before a rollback failed.
    #[sea_orm(column_type = "Text", nullable)]
    pub cause: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub description: String,
    pub template: Json,
    pub environment: Json,
    /// Only on top-level stacks; nested ones use their root's.
    pub files: Option<Json>,
    /// While an update runs: `{"template", "environment", "files"}` to go back to.
    pub previous: Option<Json>,
    pub timeout_mins: Option<i32>,
    pub disable_rollback: bool,
    /// Identifies the running operation: whoever holds another one is out of date.
    pub traversal: String,
    pub started_at: DateTime<Utc>,
    /// Compare with the live state of the services in this operation.
    pub converge: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub fn is_nested(&self) -> bool {
        self.owner_id.is_some()
    }
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }
}

/// What a list shows of a stack; templates stay in the database.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Summary {
    pub id: String,
    pub name: String,
    pub project_id: String,
    pub user_name: String,
    pub owner_id: Option<String>,
    pub action: Action,
    pub status: Status,
    pub status_reason: String,
    pub description: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    Name,
    Status,
    CreatedAt,
    UpdatedAt,
}

/// The filters of a list; an empty list of values means no filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// None: every project.
    pub project_id: Option<String>,
    pub ids: Vec<String>,
    pub names: Vec<String>,
    pub statuses: Vec<Status>,
    pub actions: Vec<Action>,
    pub states: Vec<(Action, Status)>,
    pub owners: Vec<String>,
    pub user_names: Vec<String>,
    pub show_deleted: bool,
    pub show_nested: bool,
    pub tags: Vec<String>,
    pub tags_any: Vec<String>,
    pub not_tags: Vec<String>,
    pub not_tags_any: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Page {
    pub limit: Option<u64>,
    pub marker: Option<String>,
    pub sort: Vec<SortKey>,
    pub is_ascending: bool,
}

fn having_tag(tags: &[String]) -> sea_orm::sea_query::SelectStatement {
    Query::select()
        .column(tag::Column::StackId)
        .from(tag::Entity)
        .and_where(tag::Column::Name.is_in(tags.iter().cloned()))
        .to_owned()
}

impl Filter {
    fn condition(&self) -> Condition {
        let mut all = Condition::all();
        if let Some(project) = &self.project_id {
            all = all.add(Column::ProjectId.eq(project));
        }
        if !self.show_deleted {
            all = all.add(Column::DeletedAt.is_null());
        }
        if !self.show_nested {
            all = all.add(Column::OwnerId.is_null());
        }
        for (column, values) in [
            (Column::Id, &self.ids),
            (Column::Name, &self.names),
            (Column::OwnerId, &self.owners),
            (Column::UserName, &self.user_names),
        ] {
            if !values.is_empty() {
                all = all.add(column.is_in(values.iter().cloned()));
            }
        }
        if !self.statuses.is_empty() {
            all = all.add(Column::Status.is_in(self.statuses.iter().copied()));
        }
        if !self.actions.is_empty() {
            all = all.add(Column::Action.is_in(self.actions.iter().copied()));
        }
        if !self.states.is_empty() {
            let mut any = Condition::any();
            for (action, status) in &self.states {
                any = any.add(Column::Action.eq(*action).and(Column::Status.eq(*status)));
            }
            all = all.add(any);
        }
        for tag in &self.tags {
            all = all.add(Column::Id.in_subquery(having_tag(std::slice::from_ref(tag))));
        }
        if !self.tags_any.is_empty() {
            all = all.add(Column::Id.in_subquery(having_tag(&self.tags_any)));
        }
        if !self.not_tags.is_empty() {
            let mut every = Condition::all();
            for tag in &self.not_tags {
                every = every.add(Column::Id.in_subquery(having_tag(std::slice::from_ref(tag))));
            }
            all = all.add(every.not());
        }
        if !self.not_tags_any.is_empty() {
            all = all.add(Column::Id.not_in_subquery(having_tag(&self.not_tags_any)));
        }
        all
    }
}

pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> std::result::Result<(), DbErr> {
    Entity::insert(row.into_active_model().reset_all()).exec_without_returning(connection).await?;
    Ok(())
}

/// Writes every column.
pub async fn save(connection: &impl ConnectionTrait, row: &Model) -> std::result::Result<(), DbErr> {
    Entity::update_many()
        .set(row.clone().into_active_model().reset_all())
        .filter(Column::Id.eq(&row.id))
        .exec(connection)
        .await?;
    Ok(())
}

pub async fn find(connection: &impl ConnectionTrait, id: &str) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(connection).await?)
}

/// The live top-level stack of that name.
pub async fn find_by_name(connection: &impl ConnectionTrait, project_id: &str, name: &str) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::LiveName.eq(live_name(project_id, name))).one(connection).await?)
}

/// The live stack that the resource owns.
pub async fn find_owned(connection: &impl ConnectionTrait, ids: &[String]) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::Id.is_in(ids.iter().cloned())).all(connection).await?)
}

pub fn live_name(project_id: &str, name: &str) -> String {
    format!("{project_id}/{name}")
}

/// Every live stack of the tree, root included.
pub async fn tree(connection: &impl ConnectionTrait, root_id: &str) -> Result<Vec<Model>> {
    Ok(Entity::find()
        .filter(Column::RootId.eq(root_id))
        .filter(Column::DeletedAt.is_null())
        .order_by_asc(Column::Depth)
        .all(connection)
        .await?)
}

pub async fn count_live(connection: &impl ConnectionTrait, project_id: &str) -> Result<u64> {
    Ok(Entity::find()
        .filter(Column::ProjectId.eq(project_id))
        .filter(Column::OwnerId.is_null())
        .filter(Column::DeletedAt.is_null())
        .count(connection)
        .await?)
}

/// Changes the state of the stack, unless another operation took it over. Returns whether it did.
pub async fn set_state(
    connection: &impl ConnectionTrait,
    id: &str,
    traversal: &str,
    action: Action,
    status: Status,
    reason: &str,
) -> Result<bool> {
    let result = Entity::update_many()
        .col_expr(Column::Action, Expr::value(action))
        .col_expr(Column::Status, Expr::value(status))
        .col_expr(Column::StatusReason, Expr::value(reason))
        .filter(Column::Id.eq(id))
        .filter(Column::Traversal.eq(traversal))
        .exec(connection)
        .await?;
    Ok(result.rows_affected > 0)
}

pub async fn list(connection: &impl ConnectionTrait, filter: &Filter, page: &Page) -> Result<Vec<Summary>> {
    let mut query = Entity::find().filter(filter.condition());
    let order = if page.is_ascending { Order::Asc } else { Order::Desc };
    let mut columns: Vec<Column> = page
        .sort
        .iter()
        .map(|key| match key {
            SortKey::Name => Column::Name,
            SortKey::Status => Column::Status,
            SortKey::CreatedAt => Column::CreatedAt,
            SortKey::UpdatedAt => Column::UpdatedAt,
        })
        .collect();
    if columns.is_empty() {
        columns.push(Column::CreatedAt);
    }
    columns.push(Column::Id);
    if let Some(marker) = &page.marker
        && let Some(row) = find(connection, marker).await?
    {
        query = query.filter(after(&columns, &row, page.is_ascending));
    }
    for column in columns {
        query = query.order_by(column, order.clone());
    }
    if let Some(limit) = page.limit {
        query = query.limit(limit);
    }
    Ok(query
        .select_only()
        .columns([
            Column::Id,
            Column::Name,
            Column::ProjectId,
            Column::UserName,
            Column::OwnerId,
            Column::Action,
            Column::Status,
            Column::StatusReason,
            Column::Description,
            Column::CreatedAt,
            Column::UpdatedAt,
            Column::DeletedAt,
        ])
        .into_model::<Summary>()
        .all(connection)
        .await?)
}

/// The rows behind the marker in the order of the columns: `(a > A) or (a = A and b > B) or …`.
fn after(columns: &[Column], marker: &Model, is_ascending: bool) -> Condition {
    let value = |column: Column| -> sea_orm::Value {
        match column {
            Column::Name => marker.name.clone().into(),
            Column::Status => marker.status.into(),
            Column::CreatedAt => marker.created_at.into(),
            // Never-updated stacks compare as if updated at the beginning of time.
            Column::UpdatedAt => marker.updated_at.unwrap_or(DateTime::UNIX_EPOCH).into(),
            _ => marker.id.clone().into(),
        }
    };
    let expression = |column: Column| match column {
        Column::UpdatedAt => Expr::expr(sea_orm::sea_query::Func::coalesce([
            Expr::col(Column::UpdatedAt),
            Expr::value(sea_orm::Value::from(DateTime::<Utc>::UNIX_EPOCH)),
        ])),
        other => Expr::col(other),
    };
    let mut any = Condition::any();
    for (position, column) in columns.iter().enumerate() {
        let mut all = Condition::all();
        for equal in &columns[..position] {
            all = all.add(expression(*equal).eq(value(*equal)));
        }
        let beyond = expression(*column);
        all = all.add(if is_ascending { beyond.gt(value(*column)) } else { beyond.lt(value(*column)) });
        any = any.add(all);
    }
    any
}

pub async fn count(connection: &impl ConnectionTrait, filter: &Filter) -> Result<u64> {
    Ok(Entity::find().filter(filter.condition()).count(connection).await?)
}

/// Removes all but the newest deleted trees of the project, with their events and tags.
pub async fn purge_deleted(connection: &impl ConnectionTrait, project_id: &str, keep: u64) -> Result<()> {
    let old: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ProjectId.eq(project_id))
        .filter(Column::OwnerId.is_null())
        .filter(Column::DeletedAt.is_not_null())
        .order_by_desc(Column::DeletedAt)
        .offset(keep)
        .limit(100)
        .into_tuple()
        .all(connection)
        .await?;
    if old.is_empty() {
        return Ok(());
    }
    let of_trees = || {
        Query::select().column(Column::Id).from(Entity).and_where(Column::RootId.is_in(old.iter().cloned())).to_owned()
    };
    event::Entity::delete_many().filter(event::Column::StackId.in_subquery(of_trees())).exec(connection).await?;
    tag::Entity::delete_many().filter(tag::Column::StackId.in_subquery(of_trees())).exec(connection).await?;
    Entity::delete_many().filter(Column::RootId.is_in(old.iter().cloned())).exec(connection).await?;
    Ok(())
}
