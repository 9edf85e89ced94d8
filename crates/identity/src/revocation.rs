//! Revocation events: what makes a token invalid before its time (spec section 5).

use chrono::{DateTime, TimeDelta, Utc};
use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};
use serde_json::Value;

use crate::{db::revocation, service::IdentityService, token::Token};

/// Events outlive the longest token by this (`[revoke] expiration_buffer`).
const BUFFER: TimeDelta = TimeDelta::seconds(1800);

/// What tokens an event means.
pub(crate) enum Revoke<'a> {
    User(&'a str),
    Project(&'a str),
    Trust(&'a str),
    /// This token only.
    Audit(&'a str),
    /// The token of a login and everything made from it.
    Chain(&'a str),
}

impl IdentityService {
    /// Writes the event and forgets those that no token can match any more.
    pub(crate) async fn revoke(&self, connection: &impl ConnectionTrait, what: Revoke<'_>) -> Result<()> {
        let moment = now();
        let lifetime = TimeDelta::seconds(i64::try_from(self.settings.token_lifetime).unwrap_or(3600));
        revocation::Entity::delete_many()
            .filter(revocation::Column::RevokedAt.lt(moment - lifetime - BUFFER))
            .exec(connection)
            .await?;
        let text = |id: &str| Set(Some(id.to_owned()));
        let mut row = revocation::ActiveModel {
            id: NotSet,
            audit_id: Set(None),
            audit_chain_id: Set(None),
            user_id: Set(None),
            project_id: Set(None),
            domain_id: Set(None),
            trust_id: Set(None),
            issued_before: Set(moment),
            revoked_at: Set(moment),
        };
        match what {
            Revoke::User(id) => row.user_id = text(id),
            Revoke::Project(id) => row.project_id = text(id),
            Revoke::Trust(id) => row.trust_id = text(id),
            Revoke::Audit(id) => row.audit_id = text(id),
            Revoke::Chain(id) => row.audit_chain_id = text(id),
        }
        revocation::Entity::insert(row).exec(connection).await?;
        Ok(())
    }

    pub(crate) async fn is_revoked(&self, token: &Token) -> Result<bool> {
        use revocation::Column;
        let auth = &token.auth;
        let mut users = vec![auth.user.id.as_str()];
        let mut any = Condition::any();
        if let Some(trust) = &token.trust {
            users.extend([trust.trustor_user_id.as_str(), trust.trustee_user_id.as_str()]);
            any = any.add(Column::TrustId.eq(&trust.id));
        }
        if let Some(project) = auth.project() {
            any = any.add(Column::ProjectId.eq(&project.id));
        }
        if let Some(own) = auth.audit_ids.first() {
            any = any.add(Column::AuditId.eq(own));
        }
        if let Some(chain) = token.chain() {
            any = any.add(Column::AuditChainId.eq(chain));
        }
        any = any.add(Column::UserId.is_in(users));
        let matching = revocation::Entity::find().filter(Column::IssuedBefore.gte(auth.issued_at)).filter(any);
        Ok(matching.count(self.read()).await? > 0)
    }

    pub(crate) async fn revocation_list(
        &self,
        context: &RequestContext,
        since: Option<&str>,
    ) -> Result<Vec<revocation::Model>> {
        self.enforce(context, "identity:list_revoke_events", &Value::Null)?;
        let mut select = revocation::Entity::find().order_by_asc(revocation::Column::Id);
        if let Some(text) = since {
            let time: DateTime<Utc> = crate::input::parse_time(text)
                .ok_or_else(|| Error::invalid("ValidationError", format!("invalid date format {text}")))?;
            select = select.filter(revocation::Column::RevokedAt.gte(time));
        }
        Ok(select.all(self.read()).await?)
    }
}
