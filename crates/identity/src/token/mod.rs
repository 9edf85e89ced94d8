//! Tokens: made from claims, checked against the database as it is now.
//!
//! Invariant: what a token grants is computed when it is validated. Nothing about roles, names or enablement is inside
//! it, so a change counts for the very next request.

pub(crate) mod cache;
pub(crate) mod catalog;
pub(crate) mod payload;

use std::{collections::BTreeSet, sync::Arc};

use base64::{
    Engine,
    engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
};
use chrono::{DateTime, TimeDelta, Utc};
use payload::{Claims, Method, Target, new_audit_id};
use sahab_contract::{AppCredential, Auth, Error, Named, Result, Scope, Scoped, context::now};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::{
    db::{
        access::{application_credential, trust},
        principal::user,
        projects::project,
    },
    effective::{Place, ancestors},
    service::{IdentityService, not_found},
};

/// Longest token that is looked at.
const MAX_TOKEN: usize = 1024;
/// How long after its end a token is still told to services that ask for it (`[token] allow_expired_window`).
const EXPIRED_WINDOW: TimeDelta = TimeDelta::seconds(172_800);

/// A token that was good at the time of its generation.
#[derive(Debug)]
pub(crate) struct Token {
    pub claims: Claims,
    pub auth: Arc<Auth>,
    pub trust: Option<trust::Model>,
    /// The project of the scope is a domain.
    pub is_domain: bool,
}

impl Token {
    /// The id that a whole chain of rescoped tokens shares.
    pub fn chain(&self) -> Option<&str> {
        self.claims.audit_ids.last().map(String::as_str)
    }
}

/// What a new token is made from.
pub(crate) struct NewToken {
    pub user_id: String,
    pub methods: Vec<Method>,
    pub target: Target,
    /// The end of what the token was made from.
    pub not_after: Option<DateTime<Utc>>,
    /// Chain of the token it was made from.
    pub chain: Option<String>,
}

impl IdentityService {
    /// Fails like a validation: with 404 and the reason.
    pub(crate) async fn issue(&self, new: NewToken) -> Result<(String, Arc<Token>)> {
        let generation = self.generation.now();
        let issued_at = now();
        let lifetime = TimeDelta::seconds(i64::try_from(self.settings.token_lifetime).unwrap_or(3600));
        let expires_at = new.not_after.map_or(issued_at + lifetime, |end| end.min(issued_at + lifetime));
        let mut audit_ids = vec![new_audit_id()];
        audit_ids.extend(new.chain);
        let claims = Claims {
            user_id: new.user_id,
            methods: new.methods,
            target: new.target,
            issued_at,
            expires_at: DateTime::from_timestamp(expires_at.timestamp(), 0).unwrap_or(expires_at),
            audit_ids,
        };
        let text = self.token_keys.encrypt(&claims.to_bytes()?)?.trim_end_matches('=').to_owned();
        let token = Arc::new(self.resolve(claims).await?);
        self.tokens.put(&text, generation, token.clone());
        Ok((text, token))
    }

    /// The token as of now. Fails with 404 and the reason, as a validation by a service does.
    pub(crate) async fn token(&self, text: &str) -> Result<Arc<Token>> {
        self.token_within(text, TimeDelta::zero()).await
    }

    /// As [`IdentityService::token`], expired ones included for a while.
    pub(crate) async fn token_or_expired(&self, text: &str) -> Result<Arc<Token>> {
        self.token_within(text, EXPIRED_WINDOW).await
    }

    async fn token_within(&self, text: &str, grace: TimeDelta) -> Result<Arc<Token>> {
        if self.token_keys.refresh()? {
            // Tokens of a pruned key end, cached or not.
            self.generation.bump();
        }
        let generation = self.generation.now();
        let good = |claims: &Claims| claims.expires_at + grace > Utc::now();
        if let Some(token) = self.tokens.get(text, generation) {
            return if good(&token.claims) { Ok(token) } else { Err(failed()) };
        }
        let claims = self.decode(text)?;
        if !good(&claims) {
            return Err(failed());
        }
        let token = Arc::new(self.resolve(claims).await?);
        if self.is_revoked(&token).await? {
            return Err(failed());
        }
        self.tokens.put(text, generation, token.clone());
        Ok(token)
    }

    fn decode(&self, text: &str) -> Result<Claims> {
        let unknown = || Error::not_found("TokenNotFound", "Could not recognize Fernet token");
        if text.len() > MAX_TOKEN {
            return Err(unknown());
        }
        // The encoding must be the one we made: two texts for one token would be two cache entries.
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| unknown())?;
        let payload = self.token_keys.decrypt(&URL_SAFE.encode(&bytes))?.ok_or_else(unknown)?;
        Claims::from_bytes(&payload).map_err(|_| unknown())
    }

    /// Looks everything up that the claims name.
    pub(crate) async fn resolve(&self, claims: Claims) -> Result<Token> {
        let connection = self.read();
        let user = user::Entity::find_by_id(&claims.user_id)
            .one(connection)
            .await?
            .ok_or_else(|| not_found("user", &claims.user_id))?;
        let mut ids = vec![user.domain_id.as_str()];
        match &claims.target {
            Target::Project(id) | Target::Domain(id) => ids.push(id),
            Target::ApplicationCredential { project_id, .. } => ids.push(project_id),
            Target::Trust { project_id: Some(id), .. } => ids.push(id),
            _ => {}
        }
        let projects = project::Entity::find().filter(project::Column::Id.is_in(ids.clone())).all(connection).await?;
        let find = |id: &str| projects.iter().find(|project| project.id == id);
        let user_domain = find(&user.domain_id).filter(|domain| domain.is_domain && domain.enabled);
        let Some(user_domain) = user_domain.filter(|_| user.enabled) else {
            return Err(disabled("user", &user.id));
        };
        let mut found = Found::of(scoped(&user.id, &user.name, user_domain));
        match &claims.target {
            Target::Unscoped => {}
            Target::System => {
                found.scope = Some(Scope::System);
                found.roles = some(self.effective_roles(&user.id, &Place::System).await?)?;
            }
            Target::Domain(id) => {
                let domain = find(id).filter(|domain| domain.is_domain).ok_or_else(|| not_found("domain", id))?;
                if !domain.enabled {
                    return Err(disabled("domain", id));
                }
                found.scope = Some(Scope::Domain(named(domain)));
                found.roles = some(self.effective_roles(&user.id, &Place::Domain(id.clone())).await?)?;
            }
            Target::Project(id) => {
                let place = self.project_scope(find(id), id, &mut found).await?;
                found.roles = some(self.effective_roles(&user.id, &place).await?)?;
            }
            Target::ApplicationCredential { project_id, id } => {
                let place = self.project_scope(find(project_id), project_id, &mut found).await?;
                self.resolve_credential(&user.id, id, &place, &mut found).await?;
            }
            Target::Trust { project_id, trust_id } => {
                let place = match project_id {
                    Some(id) => Some(self.project_scope(find(id), id, &mut found).await?),
                    None => None,
                };
                self.resolve_trust(trust_id, place, &mut found).await?;
            }
        }
        let auth = Auth {
            user: found.user,
            scope: found.scope.unwrap_or(Scope::Unscoped),
            roles: found.roles,
            methods: claims.methods.iter().map(|method| method.name().to_owned()).collect(),
            audit_ids: claims.audit_ids.clone(),
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            app_credential: found.app_credential,
            password_expires_at: user.password_expires_at,
        };
        Ok(Token { claims, auth: Arc::new(auth), trust: found.trust, is_domain: found.is_domain })
    }

    async fn project_scope(&self, row: Option<&project::Model>, id: &str, found: &mut Found) -> Result<Place> {
        let row = row.ok_or_else(|| not_found("project", id))?;
        if !row.enabled {
            return Err(disabled("project", id));
        }
        let domain = if row.is_domain {
            named(row)
        } else {
            let domain = project::Entity::find_by_id(&row.domain_id)
                .one(self.read())
                .await?
                .ok_or_else(|| not_found("domain", &row.domain_id))?;
            if !domain.enabled {
                return Err(disabled("domain", &domain.id));
            }
            named(&domain)
        };
        found.is_domain = row.is_domain;
        found.scope = Some(Scope::Project(Scoped { id: row.id.clone(), name: row.name.clone(), domain }));
        Ok(Place::Project { id: id.to_owned(), ancestors: ancestors(self.read(), row).await? })
    }

    async fn resolve_credential(&self, user_id: &str, id: &str, place: &Place, found: &mut Found) -> Result<()> {
        let row = application_credential::Entity::find_by_id(id)
            .one(self.read())
            .await?
            .filter(|row| row.user_id == user_id && row.expires_at.is_none_or(|end| end > Utc::now()))
            .ok_or_else(failed)?;
        let held = self.effective_role_ids(user_id, place).await?;
        let wanted = crate::application_credential::role_ids(&row.roles);
        if !wanted.is_subset(&held) {
            return Err(failed());
        }
        found.roles = some(self.role_graph().await?.named(wanted))?;
        found.app_credential = Some(AppCredential {
            access_rules: self.rules_of(self.read(), &row).await?,
            id: row.id,
            name: row.name,
            unrestricted: row.unrestricted,
        });
        Ok(())
    }

    async fn resolve_trust(&self, id: &str, place: Option<Place>, found: &mut Found) -> Result<()> {
        let row = trust::Entity::find_by_id(id).one(self.read()).await?.ok_or_else(failed)?;
        let expected = if row.impersonation { &row.trustor_user_id } else { &row.trustee_user_id };
        if *expected != found.user.id {
            return Err(failed());
        }
        for id in [&row.trustor_user_id, &row.trustee_user_id] {
            self.require_enabled_user(id).await?;
        }
        if let Some(place) = place {
            let held = self.effective_role_ids(&row.trustor_user_id, &place).await?;
            let wanted: BTreeSet<String> = crate::application_credential::role_ids(&row.roles);
            if !wanted.is_subset(&held) {
                return Err(failed());
            }
            found.roles = some(self.role_graph().await?.named(wanted))?;
        }
        found.trust = Some(row);
        Ok(())
    }

    async fn require_enabled_user(&self, id: &str) -> Result<()> {
        let user = user::Entity::find_by_id(id).one(self.read()).await?.filter(|user| user.enabled);
        let user = user.ok_or_else(failed)?;
        let domain = project::Entity::find_by_id(&user.domain_id).one(self.read()).await?;
        if domain.is_some_and(|domain| domain.enabled) { Ok(()) } else { Err(failed()) }
    }
}

/// What the look-ups gather.
struct Found {
    user: Scoped,
    scope: Option<Scope>,
    roles: Vec<Named>,
    app_credential: Option<AppCredential>,
    trust: Option<trust::Model>,
    is_domain: bool,
}

impl Found {
    fn of(user: Scoped) -> Self {
        Found { user, scope: None, roles: Vec::new(), app_credential: None, trust: None, is_domain: false }
    }
}

fn scoped(id: &str, name: &str, domain: &project::Model) -> Scoped {
    Scoped { id: id.to_owned(), name: name.to_owned(), domain: named(domain) }
}

fn named(domain: &project::Model) -> Named {
    Named { id: domain.id.clone(), name: domain.name.clone() }
}

/// A scope without any role is none.
fn some(roles: Vec<Named>) -> Result<Vec<Named>> {
    if roles.is_empty() { Err(failed()) } else { Ok(roles) }
}

pub(crate) fn failed() -> Error {
    Error::not_found("TokenNotFound", "Failed to validate token")
}

fn disabled(kind: &str, id: &str) -> Error {
    Error::not_found("TokenNotFound", format!("Unable to validate token because {kind} {id} is disabled"))
}
