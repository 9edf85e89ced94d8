//! Groups and their members.

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sahab_db::is_unique_violation;
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{OnConflict, Query as SqlQuery},
};
use serde_json::{Map, Value, json};

use crate::{
    db::{
        grant::assignment::{self, Actor},
        principal::{group, membership, user},
    },
    input::Input,
    listing::{self, Filter, Page},
    service::{IdentityService, conflict, not_found},
    view::merged,
};

/// Attributes of a create or an update, as far as they were sent.
pub(crate) struct GroupInput {
    pub name: Option<String>,
    pub domain_id: Option<String>,
    pub description: Option<Option<String>>,
    pub extra: Map<String, Value>,
}

impl GroupInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        Ok(GroupInput {
            name: input.name("name", 64)?,
            domain_id: input.id("domain_id")?,
            description: input.text_or_null("description", 65_535)?,
            extra: input.extras()?,
        })
    }
}

fn target(group: Option<&group::Model>, user: Option<&user::Model>) -> Value {
    let mut target = Map::new();
    if let Some(group) = group {
        target.insert("group".into(), json!({"id": group.id, "domain_id": group.domain_id}));
    }
    if let Some(user) = user {
        target.insert("user".into(), json!({"id": user.id, "domain_id": user.domain_id}));
    }
    json!({"target": target})
}

impl IdentityService {
    pub(crate) async fn find_group(&self, id: &str) -> Result<Option<group::Model>> {
        Ok(group::Entity::find_by_id(id).one(self.read()).await?)
    }

    pub(crate) async fn group_for(&self, context: &RequestContext, rule: &str, id: &str) -> Result<group::Model> {
        let row = self.find_group(id).await?;
        self.enforce(context, rule, &target(row.as_ref(), None))?;
        row.ok_or_else(|| not_found("group", id))
    }

    pub(crate) async fn group_list(&self, context: &RequestContext, query: &Query) -> Result<Page<group::Model>> {
        let own = context.auth.as_ref().and_then(|auth| auth.domain_scope()).map(|domain| domain.id.clone());
        let domain = query.get("domain_id").map(str::to_owned).or(own.clone());
        self.enforce(context, "identity:list_groups", &json!({"target": {"domain_id": domain}}))?;
        let mut select = group::Entity::find();
        if let (Some(own), false) = (own, context.is_admin()) {
            select = select.filter(group::Column::DomainId.eq(own));
        }
        self.group_page(select, query).await
    }

    async fn group_page(&self, select: sea_orm::Select<group::Entity>, query: &Query) -> Result<Page<group::Model>> {
        use group::Column;
        let filters = [Filter::Text("domain_id", Column::DomainId), Filter::Text("name", Column::Name)];
        let select = listing::filter(select, query, &filters);
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id), ("name", Column::Name)]).await
    }

    pub(crate) async fn groups_of_user(
        &self,
        context: &RequestContext,
        user_id: &str,
        query: &Query,
    ) -> Result<Page<group::Model>> {
        self.user_for(context, "identity:list_groups_for_user", user_id).await?;
        let mut mine = SqlQuery::select();
        mine.column(membership::Column::GroupId)
            .from(membership::Entity)
            .and_where(membership::Column::UserId.eq(user_id));
        self.group_page(group::Entity::find().filter(group::Column::Id.in_subquery(mine)), query).await
    }

    pub(crate) async fn users_of_group(
        &self,
        context: &RequestContext,
        group_id: &str,
        query: &Query,
    ) -> Result<Page<user::Model>> {
        self.group_for(context, "identity:list_users_in_group", group_id).await?;
        let mut members = SqlQuery::select();
        members
            .column(membership::Column::UserId)
            .from(membership::Entity)
            .and_where(membership::Column::GroupId.eq(group_id));
        self.user_page(user::Entity::find().filter(user::Column::Id.in_subquery(members)), query).await
    }

    pub(crate) async fn group_create(&self, context: &RequestContext, input: GroupInput) -> Result<group::Model> {
        let domain_id = match input.domain_id {
            Some(id) => id,
            None => self.home_domain(context)?,
        };
        self.enforce(context, "identity:create_group", &json!({"target": {"group": {"domain_id": domain_id}}}))?;
        let name = input.name.ok_or_else(|| Error::invalid("ValidationError", "'name' is a required property"))?;
        self.require_domain_row(&domain_id).await?;
        let row = group::Model {
            id: context.new_hex_id(),
            name,
            domain_id,
            description: input.description.flatten().unwrap_or_default(),
            extra: Value::Object(input.extra),
        };
        let txn = self.begin().await?;
        if let Err(error) = group::Entity::insert(group::ActiveModel::from(row.clone())).exec(&*txn).await {
            return Err(if is_unique_violation(&error) { group_conflict(&row) } else { error.into() });
        }
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn group_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: GroupInput,
    ) -> Result<group::Model> {
        let mut row = self.group_for(context, "identity:update_group", id).await?;
        if input.domain_id.is_some_and(|domain| domain != row.domain_id) {
            return Err(Error::invalid("ValidationError", "Cannot change Domain ID"));
        }
        if let Some(name) = input.name {
            row.name = name;
        }
        if let Some(description) = input.description {
            row.description = description.unwrap_or_default();
        }
        row.extra = merged(&row.extra, input.extra);
        let txn = self.begin().await?;
        if let Err(error) = group::Entity::update(group::ActiveModel::from(row.clone()).reset_all()).exec(&*txn).await {
            return Err(if is_unique_violation(&error) { group_conflict(&row) } else { error.into() });
        }
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn group_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.group_for(context, "identity:delete_group", id).await?;
        let txn = self.begin().await?;
        delete_groups(&*txn, &[id.to_owned()]).await?;
        txn.commit().await
    }

    /// Both, if the rule allows the caller to connect, see or part them.
    async fn member_for(&self, context: &RequestContext, rule: &str, group_id: &str, user_id: &str) -> Result<()> {
        let group = self.find_group(group_id).await?;
        let user = self.find_user(user_id).await?;
        self.enforce(context, rule, &target(group.as_ref(), user.as_ref()))?;
        group.ok_or_else(|| not_found("group", group_id))?;
        user.ok_or_else(|| not_found("user", user_id))?;
        Ok(())
    }

    pub(crate) async fn member_add(&self, context: &RequestContext, group_id: &str, user_id: &str) -> Result<()> {
        self.member_for(context, "identity:add_user_to_group", group_id, user_id).await?;
        let txn = self.begin().await?;
        let row = membership::ActiveModel { user_id: Set(user_id.to_owned()), group_id: Set(group_id.to_owned()) };
        membership::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&*txn)
            .await?;
        txn.commit().await
    }

    pub(crate) async fn member_check(&self, context: &RequestContext, group_id: &str, user_id: &str) -> Result<()> {
        self.member_for(context, "identity:check_user_in_group", group_id, user_id).await?;
        let row = membership::Entity::find_by_id((user_id.to_owned(), group_id.to_owned())).one(self.read()).await?;
        row.map(|_| ()).ok_or_else(|| no_member(group_id, user_id))
    }

    pub(crate) async fn member_remove(&self, context: &RequestContext, group_id: &str, user_id: &str) -> Result<()> {
        self.member_for(context, "identity:remove_user_from_group", group_id, user_id).await?;
        let txn = self.begin().await?;
        let key = (user_id.to_owned(), group_id.to_owned());
        let gone = membership::Entity::delete_by_id(key).exec(&*txn).await?;
        if gone.rows_affected == 0 {
            return Err(no_member(group_id, user_id));
        }
        txn.commit().await
    }
}

fn no_member(group_id: &str, user_id: &str) -> Error {
    Error::not_found("NotFound", format!("User '{user_id}' not found in group '{group_id}'."))
}

fn group_conflict(row: &group::Model) -> Error {
    conflict("group", format!("Duplicate entry found with name {} at domain ID {}", row.name, row.domain_id))
}

/// Removes groups with memberships and assignments.
pub(crate) async fn delete_groups(connection: &impl ConnectionTrait, ids: &[String]) -> Result<()> {
    for part in ids.chunks(1000) {
        let part = || part.iter().cloned();
        group::Entity::delete_many().filter(group::Column::Id.is_in(part())).exec(connection).await?;
        membership::Entity::delete_many().filter(membership::Column::GroupId.is_in(part())).exec(connection).await?;
        assignment::Entity::delete_many()
            .filter(assignment::Column::Actor.eq(Actor::Group))
            .filter(assignment::Column::ActorId.is_in(part()))
            .exec(connection)
            .await?;
    }
    Ok(())
}
