//! How resources look on the wire: flat, extras included, with an absolute link to themselves.

use chrono::{DateTime, Utc};
use sahab_contract::{Auth, Named, Scope, Scoped};
use serde_json::{Map, Value, json};

use crate::{
    db::{
        grant::role,
        principal::{group, user},
        projects::project,
    },
    token::Token,
};

/// `2026-11-22T16:13:04.000000Z`
pub fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// `2026-11-22T16:13:04.000000`: application credentials have no zone.
pub fn time_without_zone(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// The resource with its extras and link. Extras never hide an attribute.
pub fn resource(base: &str, collection: &str, extra: &Value, own: Value) -> Value {
    let mut out = extra.as_object().cloned().unwrap_or_default();
    if let Value::Object(own) = own {
        let link = own.get("id").and_then(Value::as_str).map(|id| format!("{base}/v3/{collection}/{id}"));
        out.extend(own);
        if let Some(link) = link {
            out.insert("links".into(), json!({"self": link}));
        }
    }
    Value::Object(out)
}

/// The former extras with the change laid over; `null` takes one away.
pub fn merged(former: &Value, change: Map<String, Value>) -> Value {
    let mut out = former.as_object().cloned().unwrap_or_default();
    for (key, value) in change {
        if value.is_null() {
            out.shift_remove(&key);
        } else {
            out.insert(key, value);
        }
    }
    Value::Object(out)
}

fn or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { Value::from(text) }
}

pub fn project(base: &str, row: &project::Model, tags: &[String]) -> Value {
    let own = json!({
        "id": row.id, "name": row.name, "domain_id": or_null(&row.domain_id), "description": row.description,
        "enabled": row.enabled, "parent_id": or_null(&row.parent_id), "is_domain": row.is_domain, "tags": tags,
        "options": row.options,
    });
    resource(base, "projects", &row.extra, own)
}

pub fn domain(base: &str, row: &project::Model, tags: &[String]) -> Value {
    let own = json!({
        "id": row.id, "name": row.name, "description": row.description, "enabled": row.enabled, "tags": tags,
        "options": row.options,
    });
    resource(base, "domains", &row.extra, own)
}

pub fn user(base: &str, row: &user::Model) -> Value {
    let mut own = json!({
        "id": row.id, "name": row.name, "domain_id": row.domain_id, "enabled": row.enabled,
        "password_expires_at": row.password_expires_at.map(time), "options": row.options,
    });
    if let Some(project) = &row.default_project_id {
        own["default_project_id"] = Value::from(project.as_str());
    }
    resource(base, "users", &row.extra, own)
}

pub fn group(base: &str, row: &group::Model) -> Value {
    let own = json!({"id": row.id, "name": row.name, "domain_id": row.domain_id, "description": row.description});
    resource(base, "groups", &row.extra, own)
}

pub fn role(base: &str, row: &role::Model) -> Value {
    let own = json!({
        "id": row.id, "name": row.name, "domain_id": or_null(&row.domain_id), "description": row.description,
        "options": row.options,
    });
    resource(base, "roles", &row.extra, own)
}

fn named(value: &Named) -> Value {
    json!({"id": value.id, "name": value.name})
}

fn scoped(value: &Scoped) -> Value {
    json!({"domain": named(&value.domain), "id": value.id, "name": value.name})
}

/// The `token` object. `trust_roles` are the full roles of a trust-scoped token.
pub fn token(token: &Token, catalog: Option<Value>, trust_roles: Option<Value>) -> Value {
    let auth: &Auth = &token.auth;
    let mut user = scoped(&auth.user);
    user["password_expires_at"] = json!(auth.password_expires_at.map(time));
    let mut out = json!({
        "methods": auth.methods, "user": user, "audit_ids": auth.audit_ids,
        "expires_at": time(auth.expires_at),
        "issued_at": auth.issued_at.format("%Y-%m-%dT%H:%M:%S.000000Z").to_string(),
    });
    match &auth.scope {
        Scope::Unscoped => {}
        Scope::Project(project) => {
            out["project"] = scoped(project);
            out["is_domain"] = Value::from(token.is_domain);
        }
        Scope::Domain(domain) => out["domain"] = named(domain),
        Scope::System => out["system"] = json!({"all": true}),
    }
    if let Some(trust) = &token.trust {
        out["OS-TRUST:trust"] = json!({
            "id": trust.id, "trustor_user": {"id": trust.trustor_user_id},
            "trustee_user": {"id": trust.trustee_user_id}, "impersonation": trust.impersonation,
        });
    }
    if let Some(credential) = &auth.app_credential {
        let mut shown = json!({"id": credential.id, "name": credential.name, "restricted": !credential.unrestricted});
        if let Some(rules) = &credential.access_rules {
            shown["access_rules"] = rules.clone();
        }
        out["application_credential"] = shown;
    }
    if !matches!(auth.scope, Scope::Unscoped) {
        out["roles"] = trust_roles.unwrap_or_else(|| auth.roles.iter().map(named).collect());
        if let Some(catalog) = catalog {
            out["catalog"] = catalog;
        }
    }
    json!({"token": out})
}
