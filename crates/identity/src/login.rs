//! From `POST /v3/auth/tokens` to a token: who proves what, and which scope follows (spec section 3.1 and 3.4).
//!
//! Invariant: whoever fails to log in learns nothing about why: an unknown user, a wrong password, a locked account and
//! a scope without roles give the same answer, and the first two take the same time.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sahab_contract::{Error, Kind, Result, context::now};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Map, Value, json};

use crate::{
    db::{
        access::{application_credential, trust},
        principal::user,
        projects::project,
    },
    input::{Input, not_of_type, wrong},
    service::{IdentityService, not_allowed},
    token::{
        NewToken, Token,
        payload::{Method, Target},
    },
};

pub(crate) const UNAUTHORIZED: &str = "The request you have made requires authentication.";

pub(crate) fn unauthorized() -> Error {
    Error::unauthenticated(UNAUTHORIZED)
}

/// `Expecting to find <what> in <place>. …`
pub(crate) fn expecting(what: &str, place: &str) -> Error {
    Error::invalid(
        "ValidationError",
        format!(
            "Expecting to find {what} in {place}. The server could not comply with the request since it is either \
             malformed or otherwise incorrect. The client is assumed to be in error."
        ),
    )
}

/// What the methods proved so far.
#[derive(Default)]
struct Proof {
    user_id: Option<String>,
    methods: Vec<Method>,
    not_after: Option<DateTime<Utc>>,
    chain: Option<String>,
    /// An application credential brings its own scope.
    credential: Option<application_credential::Model>,
    /// The token that was given as proof.
    source: Option<Arc<Token>>,
}

/// What the caller asks access to.
enum Wanted {
    /// Nothing was said: the user's default project if possible.
    Default,
    Unscoped,
    System,
    Domain(Reference),
    Project {
        project: Reference,
        domain: Option<Reference>,
    },
    Trust(String),
}

/// An object named by the caller.
enum Reference {
    Id(String),
    Name(String),
}

impl IdentityService {
    /// A new token for the `auth` object of the body.
    pub(crate) async fn authenticate(&self, mut body: Map<String, Value>) -> Result<(String, Arc<Token>)> {
        let Some(auth) = body.remove("auth") else {
            return Err(Error::invalid("SchemaValidationError", "'auth' is a required property"));
        };
        let mut auth = Input::from_value("auth", auth)?;
        auth.require(&["identity"])?;
        let mut identity = Input::from_value("identity", auth.take("identity").unwrap_or_default())?;
        identity.require(&["methods"])?;
        let wanted = wanted(auth.take("scope"))?;
        let mut names = Vec::new();
        for name in identity.list("methods")?.unwrap_or_default() {
            match name {
                Value::String(name) if !names.contains(&name) => names.push(name),
                Value::String(_) => {}
                other => return Err(wrong("methods", &other, &not_of_type(&other, "string"))),
            }
        }
        if names.is_empty() {
            return Err(wrong("methods", &json!([]), "[] is too short"));
        }
        let mut proof = Proof::default();
        for name in &names {
            if !matches!(name.as_str(), "password" | "token" | "application_credential") {
                return Err(Error::unauthenticated("Attempted to authenticate with an unsupported method.")
                    .with_extra(json!({"identity": {"methods": ["password", "token", "application_credential"]}})));
            }
        }
        for name in &names {
            let Some(payload) = identity.take(name) else {
                return Err(expecting(name, "identity"));
            };
            let payload = Input::from_value(name, payload)?;
            let user_id = match name.as_str() {
                "password" => self.by_password(payload, &mut proof).await?,
                "token" => self.by_token(payload, &wanted, &mut proof).await?,
                _ => self.by_application_credential(payload, &mut proof).await?,
            };
            if proof.user_id.as_ref().is_some_and(|known| *known != user_id) {
                return Err(unauthorized());
            }
            proof.user_id = Some(user_id);
        }
        self.scoped_token(proof, wanted).await
    }

    async fn scoped_token(&self, proof: Proof, wanted: Wanted) -> Result<(String, Arc<Token>)> {
        let user_id = proof.user_id.ok_or_else(unauthorized)?;
        let mut new = NewToken {
            user_id,
            methods: proof.methods,
            target: Target::Unscoped,
            not_after: proof.not_after,
            chain: proof.chain,
        };
        if let Some(credential) = proof.credential {
            if !matches!(wanted, Wanted::Default) {
                return Err(Error::unauthenticated(
                    "Error authenticating with application credential: Application credentials cannot request a scope.",
                ));
            }
            new.target = Target::ApplicationCredential { project_id: credential.project_id, id: credential.id };
            return self.issue(new).await.map_err(hide);
        }
        new.target = match wanted {
            Wanted::Unscoped => Target::Unscoped,
            Wanted::System => Target::System,
            Wanted::Domain(domain) => Target::Domain(self.domain_named(domain).await?.id),
            Wanted::Project { project, domain } => Target::Project(self.project_named(project, domain).await?.id),
            Wanted::Trust(id) => self.use_trust(&id, &mut new).await?,
            Wanted::Default => match self.default_project(&new.user_id).await? {
                None => Target::Unscoped,
                Some(id) => {
                    let attempt = NewToken {
                        user_id: new.user_id.clone(),
                        methods: new.methods.clone(),
                        target: Target::Project(id),
                        not_after: new.not_after,
                        chain: new.chain.clone(),
                    };
                    match self.issue(attempt).await {
                        Err(error) if error.is_not_found() => Target::Unscoped,
                        other => return other.map_err(hide),
                    }
                }
            },
        };
        self.issue(new).await.map_err(hide)
    }

    async fn default_project(&self, user_id: &str) -> Result<Option<String>> {
        Ok(user::Entity::find_by_id(user_id).one(self.read()).await?.and_then(|user| user.default_project_id))
    }

    async fn by_password(&self, mut payload: Input, proof: &mut Proof) -> Result<String> {
        payload.require(&["user"])?;
        let mut named = Input::from_value("user", payload.take("user").unwrap_or_default())?;
        let password = match named.take("password") {
            Some(Value::String(password)) => password,
            Some(Value::Null) | None => return Err(expecting("password", "user")),
            Some(other) => return Err(wrong("password", &other, &not_of_type(&other, "string"))),
        };
        let user = self.user_named(&mut named).await?;
        let user = self.check_password(user, &password).await?;
        proof.methods.push(Method::Password);
        Ok(user.id)
    }

    /// Compares the password and counts failures. The same time and answer whether the user exists or not.
    pub(crate) async fn check_password(&self, user: Option<user::Model>, password: &str) -> Result<user::Model> {
        let user = self.check_password_only(user, password).await?;
        if user.password_expires_at.is_some_and(|end| end < Utc::now()) {
            return Err(Error::unauthenticated(format!(
                "The password is expired and needs to be changed for user: {}.",
                user.id
            )));
        }
        Ok(user)
    }

    /// As [`IdentityService::check_password`] for somebody who wants to change an expired one.
    pub(crate) async fn check_password_only(&self, user: Option<user::Model>, password: &str) -> Result<user::Model> {
        let compliance = &self.settings.compliance;
        let window = TimeDelta::seconds(i64::try_from(compliance.lockout_duration).unwrap_or(1800));
        let locked = user.as_ref().is_some_and(|user| {
            let exempt = user.options["ignore_lockout_failure_attempts"] == true;
            compliance.lockout_failure_attempts.is_some_and(|limit| {
                !exempt
                    && u32::try_from(user.failures).unwrap_or(0) >= limit
                    && user.failed_at.is_some_and(|at| at + window > Utc::now())
            })
        });
        let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
        let right = self.hasher.verify(password, if locked { None } else { hash }).await?;
        let user = user.ok_or_else(unauthorized)?;
        if compliance.lockout_failure_attempts.is_some() && !locked && (!right || user.failures > 0) {
            let expired = user.failed_at.is_none_or(|at| at + window <= Utc::now());
            let failures = if right {
                0
            } else if expired {
                1
            } else {
                user.failures + 1
            };
            let txn = self.begin().await?;
            user::Entity::update(user::ActiveModel {
                id: Set(user.id.clone()),
                failures: Set(failures),
                failed_at: Set((!right).then(now)),
                ..Default::default()
            })
            .exec(&*txn)
            .await?;
            txn.commit().await?;
        }
        if right { Ok(user) } else { Err(unauthorized()) }
    }

    async fn by_token(&self, mut payload: Input, wanted: &Wanted, proof: &mut Proof) -> Result<String> {
        payload.require(&["id"])?;
        let text = payload.text("id", 1024)?.unwrap_or_default();
        // Upstream answers 404 here, as to any validation of a bad token, and its suite insists on it.
        let token = self.token(&text).await?;
        if token.trust.is_some() {
            return Err(not_allowed(
                "Using trust-scoped token to create another token. Create a new trust-scoped token instead",
            ));
        }
        if token.auth.app_credential.is_some() || token.claims.methods.contains(&Method::Ec2) {
            return Err(not_allowed("Using a delegated token to create another token is not allowed."));
        }
        if token.claims.target == Target::System && matches!(wanted, Wanted::Project { .. } | Wanted::Domain(_)) {
            return Err(not_allowed("Using a system-scoped token to create a project-scoped or domain-scoped token."));
        }
        proof.methods.extend(token.claims.methods.iter().filter(|method| **method != Method::Token));
        proof.methods.push(Method::Token);
        proof.methods.dedup();
        proof.not_after = Some(token.claims.expires_at);
        proof.chain = token.chain().map(str::to_owned);
        let user_id = token.claims.user_id.clone();
        proof.source = Some(token);
        Ok(user_id)
    }

    async fn by_application_credential(&self, mut payload: Input, proof: &mut Proof) -> Result<String> {
        let secret = match payload.take("secret") {
            Some(Value::String(secret)) => secret,
            Some(other) => return Err(wrong("secret", &other, &not_of_type(&other, "string"))),
            None => return Err(expecting("secret", "application_credential")),
        };
        let find = application_credential::Entity::find();
        let row = if let Some(id) = payload.text("id", 64)? {
            find.filter(application_credential::Column::Id.eq(id)).one(self.read()).await?
        } else {
            let Some(name) = payload.text("name", 255)? else {
                return Err(expecting("id", "application_credential"));
            };
            let Some(user) = payload.take("user") else {
                return Err(expecting("user", "application_credential"));
            };
            let user = self.user_named(&mut Input::from_value("user", user)?).await?;
            match user {
                None => None,
                Some(user) => {
                    find.filter(application_credential::Column::UserId.eq(user.id))
                        .filter(application_credential::Column::Name.eq(name))
                        .one(self.read())
                        .await?
                }
            }
        };
        let right = self.hasher.verify(&secret, row.as_ref().map(|row| row.secret_hash.as_str())).await?;
        let row = row.filter(|_| right).ok_or_else(unauthorized)?;
        proof.methods.push(Method::ApplicationCredential);
        proof.not_after = row.expires_at;
        let user_id = row.user_id.clone();
        proof.credential = Some(row);
        Ok(user_id)
    }

    /// The user that `{"id"}` or `{"name", "domain"}` names; `None` when there is none.
    pub(crate) async fn user_named(&self, named: &mut Input) -> Result<Option<user::Model>> {
        let id = named.text("id", 64)?;
        let name = named.text("name", 255)?;
        let domain = named.take("domain");
        if let Some(id) = id {
            return Ok(user::Entity::find_by_id(id).one(self.read()).await?);
        }
        let Some(name) = name else { return Err(expecting("id or name", "user")) };
        let domain = reference(domain.ok_or_else(|| expecting("domain", "user"))?, "domain")?;
        let domain = match self.domain_named(domain).await {
            Ok(domain) => domain,
            Err(error) if error.kind() == Kind::Unauthenticated => return Ok(None),
            Err(error) => return Err(error),
        };
        let find =
            user::Entity::find().filter(user::Column::DomainId.eq(domain.id)).filter(user::Column::Name.eq(name));
        Ok(find.one(self.read()).await?)
    }

    async fn domain_named(&self, domain: Reference) -> Result<project::Model> {
        let find = project::Entity::find().filter(project::Column::IsDomain.eq(true));
        let find = match domain {
            Reference::Id(id) => find.filter(project::Column::Id.eq(id)),
            Reference::Name(name) => find.filter(project::Column::Name.eq(name)),
        };
        find.one(self.read()).await?.ok_or_else(unauthorized)
    }

    async fn project_named(&self, project: Reference, domain: Option<Reference>) -> Result<project::Model> {
        let find = match project {
            Reference::Id(id) => project::Entity::find_by_id(id),
            Reference::Name(name) => {
                let domain = self.domain_named(domain.ok_or_else(|| expecting("domain", "project"))?).await?;
                project::Entity::find()
                    .filter(project::Column::Name.eq(name))
                    .filter(project::Column::DomainId.eq(domain.id))
            }
        };
        find.one(self.read()).await?.ok_or_else(unauthorized)
    }

    /// Checks that the trust may be used by the user, and uses it up by one.
    async fn use_trust(&self, id: &str, new: &mut NewToken) -> Result<Target> {
        let txn = self.begin().await?;
        let row = trust::Entity::find_by_id(id).one(&*txn).await?.ok_or_else(unauthorized)?;
        if row.trustee_user_id != new.user_id {
            return Err(unauthorized());
        }
        if row.expires_at.is_some_and(|end| end <= Utc::now()) || row.remaining_uses.is_some_and(|left| left <= 0) {
            return Err(unauthorized());
        }
        if let Some(end) = row.expires_at {
            new.not_after = Some(new.not_after.map_or(end, |known| known.min(end)));
        }
        if row.impersonation {
            new.user_id.clone_from(&row.trustor_user_id);
        }
        let target = Target::Trust { project_id: row.project_id.clone(), trust_id: row.id.clone() };
        if let Some(left) = row.remaining_uses {
            let used =
                trust::ActiveModel { id: Set(row.id), remaining_uses: Set(Some(left - 1)), ..Default::default() };
            trust::Entity::update(used).exec(&*txn).await?;
            txn.commit().await?;
        }
        Ok(target)
    }
}

/// Why a token could not be made is nobody's business.
fn hide(error: Error) -> Error {
    match error.kind() {
        Kind::NotFound => unauthorized(),
        _ => error,
    }
}

fn reference(value: Value, kind: &str) -> Result<Reference> {
    let mut named = Input::from_value(kind, value)?;
    if let Some(id) = named.text("id", 64)? {
        return Ok(Reference::Id(id));
    }
    match named.text("name", 255)? {
        Some(name) => Ok(Reference::Name(name)),
        None => Err(expecting("id or name", kind)),
    }
}

fn wanted(scope: Option<Value>) -> Result<Wanted> {
    let scope = match scope {
        None | Some(Value::Null) => return Ok(Wanted::Default),
        Some(Value::String(text)) if text == "unscoped" => return Ok(Wanted::Unscoped),
        Some(Value::Object(scope)) => scope,
        Some(other) => return Err(wrong("scope", &other, &not_of_type(&other, "object"))),
    };
    if scope.is_empty() {
        return Ok(Wanted::Default);
    }
    let mut kinds = scope.into_iter();
    let (Some((kind, value)), None) = (kinds.next(), kinds.next()) else {
        return Err(Error::invalid(
            "ValidationError",
            "Expecting to find exactly one of: project, domain, OS-TRUST:trust, unscoped or system scope. The server \
             could not comply with the request since it is either malformed or otherwise incorrect. The client is \
             assumed to be in error.",
        ));
    };
    match kind.as_str() {
        "unscoped" => Ok(Wanted::Unscoped),
        "system" => match value.get("all") {
            Some(Value::Bool(true)) => Ok(Wanted::System),
            _ => Err(wrong("system", &value, "{'all': True} was expected")),
        },
        "domain" => Ok(Wanted::Domain(reference(value, "domain")?)),
        "OS-TRUST:trust" => {
            let mut named = Input::from_value("OS-TRUST:trust", value)?;
            named.require(&["id"])?;
            Ok(Wanted::Trust(named.text("id", 64)?.unwrap_or_default()))
        }
        "project" => {
            let domain = match value.get("domain") {
                None => None,
                Some(domain) => Some(reference(domain.clone(), "domain")?),
            };
            Ok(Wanted::Project { project: reference(value, "project")?, domain })
        }
        other => {
            let reason = format!("Additional properties are not allowed ('{other}' was unexpected)");
            Err(wrong("scope", &value, &reason))
        }
    }
}
