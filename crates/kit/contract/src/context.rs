//! Who asks, on whose behalf, under which request id. Every domain function takes a [`RequestContext`] first.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An id with its name: a domain or a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub id: String,
    pub name: String,
}

/// A user or project with the domain that owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scoped {
    pub id: String,
    pub name: String,
    pub domain: Named,
}

/// What a token gives access to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    Unscoped,
    Project(Scoped),
    Domain(Named),
    System,
}

/// The application credential a token was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppCredential {
    pub id: String,
    pub name: String,
    pub unrestricted: bool,
    /// `None`: no access rules. `Some([])`: none of them allows anything.
    pub access_rules: Option<serde_json::Value>,
}

/// A validated identity. Made only by the identity service.
#[derive(Clone, Debug)]
pub struct Auth {
    pub user: Scoped,
    pub scope: Scope,
    /// Effective roles, implied ones included.
    pub roles: Vec<Named>,
    pub methods: Vec<String>,
    pub audit_ids: Vec<String>,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub app_credential: Option<AppCredential>,
    pub password_expires_at: Option<DateTime<Utc>>,
}

impl Auth {
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.name.eq_ignore_ascii_case(name))
    }
    pub fn project(&self) -> Option<&Scoped> {
        match &self.scope {
            Scope::Project(project) => Some(project),
            _ => None,
        }
    }
    pub fn domain_scope(&self) -> Option<&Named> {
        match &self.scope {
            Scope::Domain(domain) => Some(domain),
            _ => None,
        }
    }
}

/// One request, from the edge to the database.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// `req-<uuid>`, in every log line and in every answer.
    pub request_id: String,
    /// The caller's own id (`X-OpenStack-Request-ID`), only logged.
    pub global_request_id: Option<String>,
    /// Public URL of the service that was called, without trailing slash: `http://host:5000/network`.
    pub base_url: String,
    /// Nobody on unauthenticated endpoints.
    pub auth: Option<Arc<Auth>>,
    /// The program itself acts for the user: quotas and ownership of the project apply, rights are an administrator's.
    /// Can only be set in process; never derived from anything on the wire.
    pub elevated: bool,
    /// The id the next created object must take. A durable task records the id first and creates second, so that a crash
    /// between the two neither loses nor doubles the object. In process only.
    pub preset_id: Option<String>,
}

impl RequestContext {
    pub fn new(auth: Option<Arc<Auth>>) -> Self {
        RequestContext {
            request_id: new_request_id(),
            global_request_id: None,
            base_url: String::new(),
            auth,
            elevated: false,
            preset_id: None,
        }
    }
    /// The same caller with the program's own rights.
    pub fn elevated(&self) -> Self {
        RequestContext { elevated: true, preset_id: None, ..self.clone() }
    }
    pub fn with_preset_id(&self, id: impl Into<String>) -> Self {
        RequestContext { preset_id: Some(id.into()), ..self.clone() }
    }
    pub fn auth(&self) -> Result<&Arc<Auth>> {
        self.auth.as_ref().ok_or_else(|| Error::unauthenticated("The request you have made requires authentication."))
    }
    pub fn user_id(&self) -> &str {
        self.auth.as_ref().map_or("", |auth| &auth.user.id)
    }
    pub fn project_id(&self) -> Option<&str> {
        self.auth.as_ref().and_then(|auth| auth.project()).map(|project| project.id.as_str())
    }
    /// The project of a project-scoped token; 403 for any other scope.
    pub fn require_project(&self) -> Result<&str> {
        self.auth()?;
        self.project_id().ok_or_else(|| Error::forbidden("", "A project-scoped token is required for this request."))
    }
    pub fn has_role(&self, name: &str) -> bool {
        self.elevated || self.auth.as_ref().is_some_and(|auth| auth.has_role(name))
    }
    /// Role `admin` in any scope, as upstream's `context_is_admin`, or the program itself.
    pub fn is_admin(&self) -> bool {
        self.has_role("admin")
    }
    /// The preset id, or a new dashed UUID (network, container, orchestration).
    pub fn new_uuid(&self) -> String {
        self.preset_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
    }
    /// The preset id, or 32 hexadecimal digits (identity).
    pub fn new_hex_id(&self) -> String {
        self.preset_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string())
    }
}

pub fn new_request_id() -> String {
    format!("req-{}", uuid::Uuid::new_v4())
}

/// Now, cut to microseconds: what every supported database stores exactly.
pub fn now() -> DateTime<Utc> {
    let now = Utc::now();
    DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
}
