//! Trusts: one user lets another act for it, with chosen roles on one project (spec section 15).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sahab_db::is_unique_violation;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};
use serde_json::{Map, Value, json};

use crate::{
    application_credential::{RoleReference, delegated, refuse_restricted, role_ids, role_reference},
    db::access::trust,
    effective::{Place, ancestors},
    input::{Input, not_of_type, wrong},
    listing::{self, Page},
    revocation::Revoke,
    service::{IdentityService, conflict, not_allowed, not_found},
    token::Token,
};

pub(crate) struct NewTrust {
    pub trustor: String,
    pub trustee: String,
    pub impersonation: bool,
    pub project_id: Option<String>,
    pub roles: Vec<RoleReference>,
    pub expires_at: Option<DateTime<Utc>>,
    pub remaining_uses: Option<i32>,
    pub extra: Map<String, Value>,
}

impl NewTrust {
    pub fn parse(mut input: Input) -> Result<Self> {
        input.require(&["impersonation", "trustee_user_id", "trustor_user_id"])?;
        let remaining_uses = match input.take("remaining_uses") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_i64().and_then(|uses| i32::try_from(uses).ok()) {
                None => return Err(wrong("remaining_uses", &value, &not_of_type(&value, "integer"))),
                Some(uses) if uses < 1 => {
                    return Err(wrong("remaining_uses", &value, &format!("{uses} is less than the minimum of 1")));
                }
                Some(uses) => Some(uses),
            },
        };
        let expires_at = input.time_or_null("expires_at")?.flatten();
        if expires_at.is_some_and(|end| end <= Utc::now()) {
            return Err(Error::invalid(
                "ValidationExpirationError",
                "The 'expires_at' must not be before now. The server could not comply with the request since it is \
                 either malformed or otherwise incorrect. The client is assumed to be in error.",
            ));
        }
        if input.boolean("allow_redelegation")?.unwrap_or(false)
            || input.take("redelegation_count").is_some_and(|count| count.as_i64() != Some(0) && !count.is_null())
        {
            // `[trust] allow_redelegation` is off by default, and there is no way to switch it on.
            return Err(not_allowed("Redelegation is not allowed"));
        }
        let roles = input.list("roles")?.unwrap_or_default();
        let new = NewTrust {
            trustor: input.id("trustor_user_id")?.unwrap_or_default(),
            trustee: input.id("trustee_user_id")?.unwrap_or_default(),
            impersonation: input.boolean("impersonation")?.unwrap_or(false),
            project_id: input.id_or_null("project_id")?.flatten(),
            roles: roles.into_iter().map(role_reference).collect::<Result<_>>()?,
            expires_at,
            remaining_uses,
            extra: {
                for ignored in ["deleted_at", "redelegated_trust_id", "roles_links"] {
                    input.take(ignored);
                }
                input.extras()?
            },
        };
        Ok(new)
    }
}

fn target(row: &trust::Model) -> Value {
    json!({"target": {"trust": {
        "trustor_user_id": row.trustor_user_id, "trustee_user_id": row.trustee_user_id,
    }}})
}

impl IdentityService {
    pub(crate) async fn trust_create(
        &self,
        context: &RequestContext,
        new: NewTrust,
        token: Option<&Token>,
    ) -> Result<trust::Model> {
        refuse_restricted(context)?;
        let named = json!({"target": {"trust": {"trustor_user_id": new.trustor}}});
        self.enforce(context, "identity:create_trust", &named)?;
        if token.is_some_and(|token| token.trust.is_some()) {
            return Err(not_allowed("Redelegation is not allowed"));
        }
        self.require_user(&new.trustee).await?;
        if new.project_id.is_some() && new.roles.is_empty() {
            return Err(not_allowed("At least one role should be specified"));
        }
        let mut roles = BTreeSet::new();
        if let Some(project_id) = &new.project_id {
            let project = self.find_project(project_id).await?.ok_or_else(|| not_found("project", project_id))?;
            let place = Place::Project { id: project_id.clone(), ancestors: ancestors(self.read(), &project).await? };
            // What the trustor holds, and no more than what this token was given.
            let held = self.effective_role_ids(&new.trustor, &place).await?;
            let graph = self.role_graph().await?;
            let mut names = graph.named(held);
            if let Some(credential) = context.auth.as_ref().filter(|auth| auth.app_credential.is_some()) {
                names.retain(|role| credential.roles.contains(role));
            }
            roles.extend(delegated(&new.roles, &names)?);
        }
        let row = trust::Model {
            id: context.new_hex_id(),
            trustor_user_id: new.trustor,
            trustee_user_id: new.trustee,
            project_id: new.project_id,
            impersonation: new.impersonation,
            expires_at: new.expires_at,
            remaining_uses: new.remaining_uses,
            redelegated_trust_id: None,
            redelegation_count: 0,
            roles: json!(roles),
            extra: Value::Object(new.extra),
        };
        let txn = self.begin().await?;
        if let Err(error) = trust::Entity::insert(trust::ActiveModel::from(row.clone())).exec(&*txn).await {
            let duplicate = is_unique_violation(&error);
            return Err(if duplicate { conflict("trust", "Duplicate entry") } else { error.into() });
        }
        txn.commit().await?;
        Ok(row)
    }

    /// Usable trusts only: a spent or expired one is gone.
    async fn find_trust(&self, id: &str) -> Result<trust::Model> {
        let row = trust::Entity::find_by_id(id).one(self.read()).await?;
        row.filter(is_usable).ok_or_else(|| not_found("trust", id))
    }

    pub(crate) async fn trust_get(&self, context: &RequestContext, rule: &str, id: &str) -> Result<trust::Model> {
        let row = self.find_trust(id).await?;
        self.enforce(context, rule, &target(&row))?;
        Ok(row)
    }

    pub(crate) async fn trust_list(&self, context: &RequestContext, query: &Query) -> Result<Page<trust::Model>> {
        use trust::Column;
        let (trustor, trustee) = (query.get("trustor_user_id"), query.get("trustee_user_id"));
        let named = json!({"target": {"trust": {"trustor_user_id": trustor, "trustee_user_id": trustee}}});
        let mut select = trust::Entity::find().filter(
            Condition::all()
                .add(Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(Utc::now())))
                .add(Condition::any().add(Column::RemainingUses.is_null()).add(Column::RemainingUses.gt(0))),
        );
        if trustor.is_none() && trustee.is_none() {
            self.enforce(context, "identity:list_trusts", &named)?;
        }
        if let Some(id) = trustor {
            self.enforce(context, "identity:list_trusts_for_trustor", &named)?;
            select = select.filter(Column::TrustorUserId.eq(id));
        }
        if let Some(id) = trustee {
            self.enforce(context, "identity:list_trusts_for_trustee", &named)?;
            select = select.filter(Column::TrusteeUserId.eq(id));
        }
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id)]).await
    }

    /// Tokens made from it die with it.
    pub(crate) async fn trust_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        refuse_restricted(context)?;
        let row = trust::Entity::find_by_id(id).one(self.read()).await?.ok_or_else(|| not_found("trust", id))?;
        self.enforce(context, "identity:delete_trust", &target(&row))?;
        let txn = self.begin().await?;
        trust::Entity::delete_by_id(id).exec(&*txn).await?;
        self.revoke(&*txn, Revoke::Trust(id)).await?;
        txn.commit().await
    }

    /// One role of the trust.
    pub(crate) fn trust_role(&self, row: &trust::Model, role_id: &str) -> Result<()> {
        if role_ids(&row.roles).contains(role_id) { Ok(()) } else { Err(not_found("role", role_id)) }
    }
}

fn is_usable(row: &trust::Model) -> bool {
    row.expires_at.is_none_or(|end| end > Utc::now()) && row.remaining_uses.is_none_or(|left| left > 0)
}
