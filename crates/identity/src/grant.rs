//! Giving and taking roles: on projects, domains and the system, for users and groups, directly or inherited.

use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::OnConflict};
use serde_json::{Map, Value, json};

use crate::{
    db::{
        access::application_credential,
        grant::{
            assignment::{self, Actor, Target},
            role,
        },
        principal::membership,
    },
    service::{IdentityService, not_found},
};

/// Who and where, without the role.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub actor: Actor,
    pub actor_id: String,
    pub target: Target,
    pub target_id: String,
    pub inherited: bool,
}

impl Holder {
    fn key(&self, role_id: &str) -> (String, Actor, Target, String, String, bool) {
        (self.actor_id.clone(), self.actor, self.target, self.target_id.clone(), role_id.to_owned(), self.inherited)
    }

    /// Upstream has a rule for grants and others for the system.
    fn rule(&self, verb: &str) -> String {
        if self.target != Target::System {
            let noun = if verb == "list" { "grants" } else { "grant" };
            return format!("identity:{verb}_{noun}");
        }
        let actor = match self.actor {
            Actor::User => "user",
            Actor::Group => "group",
        };
        let noun = if verb == "list" { "grants" } else { "grant" };
        format!("identity:{verb}_system_{noun}_for_{actor}")
    }
}

impl IdentityService {
    /// Asks the policy and checks that everything exists. A missing actor is an error unless the grant is taken.
    async fn holder_for(
        &self,
        context: &RequestContext,
        verb: &str,
        holder: &Holder,
        role_id: Option<&str>,
    ) -> Result<()> {
        let mut target = Map::new();
        let (kind, actor) = match holder.actor {
            Actor::User => ("user", self.find_user(&holder.actor_id).await?.map(|user| (user.id, user.domain_id))),
            Actor::Group => {
                ("group", self.find_group(&holder.actor_id).await?.map(|group| (group.id, group.domain_id)))
            }
        };
        let actor_known = actor.is_some();
        if let Some((id, domain)) = actor {
            target.insert(kind.into(), json!({"id": id, "domain_id": domain}));
        }
        let mut domain_of_target = None;
        let target_known = match holder.target {
            Target::System => true,
            Target::Project => match self.find_project(&holder.target_id).await? {
                None => false,
                Some(row) => {
                    let domain = if row.is_domain { row.id.clone() } else { row.domain_id.clone() };
                    target.insert("project".into(), json!({"id": row.id, "domain_id": domain}));
                    domain_of_target = Some(domain);
                    true
                }
            },
            Target::Domain => match self.find_project(&holder.target_id).await?.filter(|row| row.is_domain) {
                None => false,
                Some(row) => {
                    target.insert("domain".into(), json!({"id": row.id}));
                    domain_of_target = Some(row.id);
                    true
                }
            },
        };
        let role = match role_id {
            None => None,
            Some(id) => self.find_role(id).await?,
        };
        if let Some(role) = &role {
            target.insert("role".into(), json!({"id": role.id, "name": role.name, "domain_id": role.domain_id}));
        }
        self.enforce(context, &holder.rule(verb), &json!({"target": Value::Object(target)}))?;
        if let Some(id) = role_id
            && role.is_none()
        {
            return Err(not_found("role", id));
        }
        if !target_known {
            let kind = if holder.target == Target::Domain { "domain" } else { "project" };
            return Err(not_found(kind, &holder.target_id));
        }
        if !actor_known && verb != "revoke" {
            return Err(not_found(kind, &holder.actor_id));
        }
        match role {
            Some(role) if verb == "create" => check_domain(&role, holder, domain_of_target.as_deref()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn grant_create(&self, context: &RequestContext, holder: Holder, role_id: &str) -> Result<()> {
        self.holder_for(context, "create", &holder, Some(role_id)).await?;
        let txn = self.begin().await?;
        let row = assignment::ActiveModel {
            actor_id: Set(holder.actor_id),
            actor: Set(holder.actor),
            target: Set(holder.target),
            target_id: Set(holder.target_id),
            role_id: Set(role_id.to_owned()),
            inherited: Set(holder.inherited),
        };
        assignment::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&*txn)
            .await?;
        txn.commit().await
    }

    pub(crate) async fn grant_check(&self, context: &RequestContext, holder: Holder, role_id: &str) -> Result<()> {
        self.holder_for(context, "check", &holder, Some(role_id)).await?;
        match assignment::Entity::find_by_id(holder.key(role_id)).one(self.read()).await? {
            Some(_) => Ok(()),
            None => Err(no_grant(&holder, role_id)),
        }
    }

    /// The roles held, without implied ones.
    pub(crate) async fn grant_list(&self, context: &RequestContext, holder: Holder) -> Result<Vec<role::Model>> {
        self.holder_for(context, "list", &holder, None).await?;
        use assignment::Column;
        let rows = assignment::Entity::find()
            .filter(Column::ActorId.eq(&holder.actor_id))
            .filter(Column::Actor.eq(holder.actor))
            .filter(Column::Target.eq(holder.target))
            .filter(Column::TargetId.eq(&holder.target_id))
            .filter(Column::Inherited.eq(holder.inherited))
            .all(self.read())
            .await?;
        let graph = self.role_graph().await?;
        Ok(rows.iter().filter_map(|row| graph.roles.get(&row.role_id).cloned()).collect())
    }

    pub(crate) async fn grant_revoke(&self, context: &RequestContext, holder: Holder, role_id: &str) -> Result<()> {
        self.holder_for(context, "revoke", &holder, Some(role_id)).await?;
        let txn = self.begin().await?;
        if assignment::Entity::delete_by_id(holder.key(role_id)).exec(&*txn).await?.rows_affected == 0 {
            return Err(no_grant(&holder, role_id));
        }
        // Application credentials made with the role end for good, also when the role comes back.
        if holder.target == Target::Project && !holder.inherited {
            use application_credential::Column;
            let gone = application_credential::Entity::delete_many().filter(Column::ProjectId.eq(&holder.target_id));
            let gone = match holder.actor {
                Actor::User => gone.filter(Column::UserId.eq(&holder.actor_id)),
                Actor::Group => {
                    let mut members = sea_orm::sea_query::Query::select();
                    members
                        .column(membership::Column::UserId)
                        .from(membership::Entity)
                        .and_where(membership::Column::GroupId.eq(&holder.actor_id));
                    gone.filter(Column::UserId.in_subquery(members))
                }
            };
            gone.exec(&*txn).await?;
        }
        txn.commit().await
    }
}

fn no_grant(holder: &Holder, role_id: &str) -> Error {
    let actor = match holder.actor {
        Actor::User => "user",
        Actor::Group => "group",
    };
    let target = match holder.target {
        Target::Project => format!("project {}", holder.target_id),
        Target::Domain => format!("domain {}", holder.target_id),
        Target::System => "the system".into(),
    };
    Error::not_found(
        "RoleAssignmentNotFound",
        format!(
            "Could not find role assignment with role: {role_id}, user or group: {} ({actor}), project, domain, or \
             system: {target}.",
            holder.actor_id
        ),
    )
}

/// A domain's own role counts only inside the domain.
fn check_domain(role: &role::Model, holder: &Holder, domain_of_target: Option<&str>) -> Result<()> {
    if role.domain_id.is_empty() {
        return Ok(());
    }
    match holder.target {
        Target::System => Err(Error::invalid(
            "ValidationError",
            format!(
                "Role {} is a domain-specific role. Unable to use a domain-specific role in a system assignment.",
                role.id
            ),
        )),
        _ if domain_of_target == Some(role.domain_id.as_str()) => Ok(()),
        _ => Err(Error::forbidden(
            "DomainSpecificRoleMismatch",
            format!(
                "The target {} is not in the same domain as the role {}, which is not permitted.",
                holder.target_id, role.id
            ),
        )),
    }
}
