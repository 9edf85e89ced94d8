//! Roles and what they imply.

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sahab_db::is_unique_violation;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, sea_query::OnConflict,
};
use serde_json::{Map, Value, json};

use crate::{
    db::grant::{assignment, implied, role},
    input::Input,
    listing::{self, Filter, Page},
    project::{check_mutable, immutable_only},
    service::{IdentityService, conflict, not_found},
    view::merged,
};

/// Nobody may imply it (`prohibited_implied_role`).
const NEVER_IMPLIED: &str = "admin";

/// Attributes of a create or an update, as far as they were sent.
#[derive(Default)]
pub(crate) struct RoleInput {
    pub name: Option<String>,
    pub domain_id: Option<Option<String>>,
    pub description: Option<Option<String>>,
    pub options: Option<Map<String, Value>>,
    pub extra: Map<String, Value>,
}

impl RoleInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        Ok(RoleInput {
            name: input.name("name", 255)?,
            domain_id: input.id_or_null("domain_id")?,
            description: input.text_or_null("description", 65_535)?,
            options: input.map("options")?.map(immutable_only).transpose()?,
            extra: input.extras()?,
        })
    }
}

pub(crate) fn role_target(row: Option<&role::Model>) -> Value {
    row.map_or(Value::Null, |row| {
        let domain = Some(&row.domain_id).filter(|id| !id.is_empty());
        json!({"target": {"role": {"id": row.id, "name": row.name, "domain_id": domain}}})
    })
}

impl IdentityService {
    pub(crate) async fn find_role(&self, id: &str) -> Result<Option<role::Model>> {
        Ok(role::Entity::find_by_id(id).one(self.read()).await?)
    }

    /// The role, if the rule (`get_role`, or `get_domain_role` for a domain's own) allows.
    async fn role_for(&self, context: &RequestContext, verb: &str, id: &str) -> Result<role::Model> {
        let row = self.find_role(id).await?;
        let kind = if row.as_ref().is_some_and(|row| !row.domain_id.is_empty()) { "domain_role" } else { "role" };
        self.enforce(context, &format!("identity:{verb}_{kind}"), &role_target(row.as_ref()))?;
        row.ok_or_else(|| not_found("role", id))
    }

    pub(crate) async fn role_get(&self, context: &RequestContext, id: &str) -> Result<role::Model> {
        self.role_for(context, "get", id).await
    }

    pub(crate) async fn role_list(&self, context: &RequestContext, query: &Query) -> Result<Page<role::Model>> {
        use role::Column;
        let rule = if query.has("domain_id") { "identity:list_domain_roles" } else { "identity:list_roles" };
        self.enforce(context, rule, &Value::Null)?;
        let domain = query.get("domain_id").unwrap_or_default();
        let select = role::Entity::find().filter(Column::DomainId.eq(domain));
        let select = listing::filter(select, query, &[Filter::Text("name", Column::Name)]);
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id), ("name", Column::Name)]).await
    }

    pub(crate) async fn role_create(&self, context: &RequestContext, input: RoleInput) -> Result<role::Model> {
        let domain_id = input.domain_id.flatten();
        let rule = if domain_id.is_some() { "identity:create_domain_role" } else { "identity:create_role" };
        self.enforce(context, rule, &Value::Null)?;
        let name = input.name.ok_or_else(|| Error::invalid("ValidationError", "'name' is a required property"))?;
        if let Some(id) = &domain_id {
            self.require_domain_row(id).await?;
        }
        let row = role::Model {
            id: context.new_hex_id(),
            name,
            domain_id: domain_id.unwrap_or_default(),
            description: input.description.flatten(),
            options: merged(&json!({}), input.options.unwrap_or_default()),
            extra: Value::Object(input.extra),
        };
        let txn = self.begin().await?;
        if let Err(error) = role::Entity::insert(role::ActiveModel::from(row.clone())).exec(&*txn).await {
            return Err(if is_unique_violation(&error) { role_conflict(&row) } else { error.into() });
        }
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn role_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: RoleInput,
    ) -> Result<role::Model> {
        let mut row = self.role_for(context, "update", id).await?;
        check_mutable(&row.options, "role", id, Some(input.options.as_ref().unwrap_or(&Map::new())))?;
        if input.domain_id.is_some_and(|domain| domain.unwrap_or_default() != row.domain_id) {
            return Err(Error::invalid("ValidationError", "Cannot change Domain ID"));
        }
        if let Some(name) = input.name {
            row.name = name;
        }
        if let Some(description) = input.description {
            row.description = description;
        }
        if let Some(options) = input.options {
            row.options = merged(&row.options, options);
        }
        row.extra = merged(&row.extra, input.extra);
        let txn = self.begin().await?;
        if let Err(error) = role::Entity::update(role::ActiveModel::from(row.clone()).reset_all()).exec(&*txn).await {
            return Err(if is_unique_violation(&error) { role_conflict(&row) } else { error.into() });
        }
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn role_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        let row = self.role_for(context, "delete", id).await?;
        check_mutable(&row.options, "role", id, None)?;
        let txn = self.begin().await?;
        role::Entity::delete_by_id(id).exec(&*txn).await?;
        implied::Entity::delete_many()
            .filter(Condition::any().add(implied::Column::PriorId.eq(id)).add(implied::Column::ImpliedId.eq(id)))
            .exec(&*txn)
            .await?;
        assignment::Entity::delete_many().filter(assignment::Column::RoleId.eq(id)).exec(&*txn).await?;
        txn.commit().await
    }

    async fn prior_and_implied(&self, prior: &str, implied: &str) -> Result<(role::Model, role::Model)> {
        let prior_row = self.find_role(prior).await?.ok_or_else(|| not_found("role", prior))?;
        let implied_row = self.find_role(implied).await?.ok_or_else(|| not_found("role", implied))?;
        Ok((prior_row, implied_row))
    }

    pub(crate) async fn implication_create(
        &self,
        context: &RequestContext,
        prior: &str,
        implied: &str,
    ) -> Result<(role::Model, role::Model)> {
        self.enforce(context, "identity:create_implied_role", &Value::Null)?;
        let (prior_row, implied_row) = self.prior_and_implied(prior, implied).await?;
        if implied_row.name == NEVER_IMPLIED {
            return Err(Error::forbidden("InvalidImpliedRole", format!("{implied} cannot be an implied roles.")));
        }
        if prior_row.domain_id.is_empty() && !implied_row.domain_id.is_empty() {
            return Err(Error::forbidden(
                "InvalidImpliedRole",
                format!("Global role {prior} cannot imply a domain-specific role."),
            ));
        }
        let txn = self.begin().await?;
        let row = implied::ActiveModel { prior_id: Set(prior.to_owned()), implied_id: Set(implied.to_owned()) };
        implied::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&*txn)
            .await?;
        txn.commit().await?;
        Ok((prior_row, implied_row))
    }

    pub(crate) async fn implication_get(
        &self,
        context: &RequestContext,
        rule: &str,
        prior: &str,
        implied: &str,
    ) -> Result<(role::Model, role::Model)> {
        self.enforce(context, rule, &Value::Null)?;
        let rows = self.prior_and_implied(prior, implied).await?;
        let key = (prior.to_owned(), implied.to_owned());
        match implied::Entity::find_by_id(key).one(self.read()).await? {
            Some(_) => Ok(rows),
            None => Err(does_not_imply(prior, implied)),
        }
    }

    /// The prior role with all it implies directly.
    pub(crate) async fn implication_list(
        &self,
        context: &RequestContext,
        prior: &str,
    ) -> Result<(role::Model, Vec<role::Model>)> {
        self.enforce(context, "identity:list_implied_roles", &Value::Null)?;
        let prior_row = self.find_role(prior).await?.ok_or_else(|| not_found("role", prior))?;
        let graph = self.role_graph().await?;
        let ids = graph.implied.get(prior).into_iter().flatten();
        Ok((prior_row, ids.filter_map(|id| graph.roles.get(id).cloned()).collect()))
    }

    pub(crate) async fn implication_delete(&self, context: &RequestContext, prior: &str, implied: &str) -> Result<()> {
        self.enforce(context, "identity:delete_implied_role", &Value::Null)?;
        self.prior_and_implied(prior, implied).await?;
        let txn = self.begin().await?;
        let key = (prior.to_owned(), implied.to_owned());
        if implied::Entity::delete_by_id(key).exec(&*txn).await?.rows_affected == 0 {
            return Err(does_not_imply(prior, implied));
        }
        txn.commit().await
    }

    pub(crate) async fn inference_rules(
        &self,
        context: &RequestContext,
    ) -> Result<Vec<(role::Model, Vec<role::Model>)>> {
        self.enforce(context, "identity:list_role_inference_rules", &Value::Null)?;
        let graph = self.role_graph().await?;
        let mut rules: Vec<_> = graph
            .implied
            .iter()
            .filter_map(|(prior, implied)| {
                let implied = implied.iter().filter_map(|id| graph.roles.get(id).cloned()).collect();
                Some((graph.roles.get(prior)?.clone(), implied))
            })
            .collect();
        rules.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        Ok(rules)
    }
}

fn does_not_imply(prior: &str, implied: &str) -> Error {
    Error::not_found("NotFound", format!("{prior} does not imply {implied}."))
}

fn role_conflict(row: &role::Model) -> Error {
    if row.domain_id.is_empty() {
        conflict("role", format!("Duplicate entry found with name {}", row.name))
    } else {
        conflict("role", format!("Duplicate entry found with name {} at domain ID {}", row.name, row.domain_id))
    }
}
