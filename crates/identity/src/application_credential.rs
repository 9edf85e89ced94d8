//! Application credentials and the access rules that narrow them (spec section 14).

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sahab_api::Query;
use sahab_contract::{Error, Named, RequestContext, Result};
use sahab_db::is_unique_violation;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::{
    db::access::{access_rule, application_credential},
    input::{Input, wrong},
    listing::{self, Filter, Page},
    service::{IdentityService, conflict, not_allowed, not_found},
};

/// Most access rules of one credential.
const MAX_RULES: usize = 256;
const METHODS: [&str; 8] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

pub(crate) struct NewCredential {
    pub name: String,
    pub description: Option<String>,
    pub secret: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    /// Ids and names as the caller gave them; `None`: all of the caller's.
    pub roles: Option<Vec<RoleReference>>,
    pub unrestricted: bool,
    pub access_rules: Option<Vec<RuleReference>>,
}

pub(crate) enum RoleReference {
    Id(String),
    Name(String),
}

pub(crate) enum RuleReference {
    Id(String),
    New { service: String, path: String, method: String },
}

impl NewCredential {
    pub fn parse(mut input: Input) -> Result<Self> {
        input.require(&["name"])?;
        let roles = match input.list("roles")? {
            None => None,
            Some(list) => Some(list.into_iter().map(role_reference).collect::<Result<Vec<_>>>()?),
        };
        let access_rules = match input.list("access_rules")? {
            None => None,
            Some(list) if list.len() > MAX_RULES => {
                return Err(wrong("access_rules", &json!(list.len()), &format!("more than {MAX_RULES} access rules")));
            }
            Some(list) => Some(list.into_iter().map(rule_reference).collect::<Result<Vec<_>>>()?),
        };
        let new = NewCredential {
            name: input.name("name", 255)?.unwrap_or_default(),
            description: input.text_or_null("description", 65_535)?.flatten(),
            secret: input.text_or_null("secret", 4096)?.flatten(),
            expires_at: input.time_or_null("expires_at")?.flatten(),
            unrestricted: input.boolean("unrestricted")?.unwrap_or(false),
            roles,
            access_rules,
        };
        input.take("project_id");
        input.finish()?;
        Ok(new)
    }
}

/// `{"id"}` or `{"name"}`
pub(crate) fn role_reference(value: Value) -> Result<RoleReference> {
    let mut named = Input::from_value("roles", value)?;
    if let Some(id) = named.text("id", 64)? {
        return Ok(RoleReference::Id(id));
    }
    named.require(&["name"])?;
    Ok(RoleReference::Name(named.text("name", 255)?.unwrap_or_default()))
}

fn rule_reference(value: Value) -> Result<RuleReference> {
    let mut rule = Input::from_value("access_rules", value)?;
    if let Some(id) = rule.text("id", 64)? {
        return Ok(RuleReference::Id(id));
    }
    rule.require(&["path", "method", "service"])?;
    let path = rule.text("path", 128)?.unwrap_or_default();
    if !path.starts_with('/') {
        return Err(wrong("path", &json!(path), &format!("'{path}' does not match '^\\\\/.*'")));
    }
    let method = rule.text("method", 16)?.unwrap_or_default();
    if !METHODS.contains(&method.as_str()) {
        return Err(wrong("method", &json!(method), &format!("'{method}' does not match the pattern of methods")));
    }
    let service = rule.text("service", 64)?.unwrap_or_default();
    rule.finish()?;
    Ok(RuleReference::New { service, path, method })
}

/// The role ids that a row holds as JSON.
pub(crate) fn role_ids(roles: &Value) -> BTreeSet<String> {
    roles.as_array().into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

pub(crate) fn rule_view(rule: &access_rule::Model) -> Value {
    json!({"id": rule.id, "path": rule.path, "method": rule.method, "service": rule.service})
}

/// Resolves what the caller may delegate: each of the references must be among `held`.
pub(crate) fn delegated(references: &[RoleReference], held: &[Named]) -> Result<Vec<String>> {
    references
        .iter()
        .map(|reference| {
            let (found, text) = match reference {
                RoleReference::Id(id) => (held.iter().find(|role| role.id == *id), id),
                RoleReference::Name(name) => (held.iter().find(|role| role.name == *name), name),
            };
            found.map(|role| role.id.clone()).ok_or_else(|| not_found("role", text))
        })
        .collect()
}

/// A restricted credential must not make another that outlives it.
pub(crate) fn refuse_restricted(context: &RequestContext) -> Result<()> {
    let restricted = context.auth.as_ref().and_then(|auth| auth.app_credential.as_ref());
    if restricted.is_some_and(|credential| !credential.unrestricted) {
        return Err(not_allowed(
            "Using method 'application_credential' is not allowed for managing additional application credentials",
        ));
    }
    Ok(())
}

impl IdentityService {
    /// Access rules of a credential as tokens show them; `None` when it has none at all.
    pub(crate) async fn rules_of(
        &self,
        connection: &impl ConnectionTrait,
        row: &application_credential::Model,
    ) -> Result<Option<Value>> {
        let Some(ids) = row.access_rules.as_array() else { return Ok(None) };
        let ids = ids.iter().filter_map(Value::as_str);
        let rules = access_rule::Entity::find().filter(access_rule::Column::Id.is_in(ids)).all(connection).await?;
        Ok(Some(rules.iter().map(rule_view).collect()))
    }

    pub(crate) async fn rules_of_user(&self, user_id: &str) -> Result<Vec<access_rule::Model>> {
        let find = access_rule::Entity::find().filter(access_rule::Column::UserId.eq(user_id));
        Ok(find.all(self.read()).await?)
    }

    /// The new row and its secret, which is never shown again.
    pub(crate) async fn app_credential_create(
        &self,
        context: &RequestContext,
        user_id: &str,
        new: NewCredential,
    ) -> Result<(application_credential::Model, String)> {
        refuse_restricted(context)?;
        self.user_for(context, "identity:create_application_credential", user_id).await?;
        let auth = context.auth()?;
        let project = auth.project().ok_or_else(|| {
            Error::invalid("ValidationError", "Application credentials can only be made with a project-scoped token.")
        })?;
        if new.expires_at.is_some_and(|end| end <= Utc::now()) {
            return Err(Error::invalid(
                "ValidationExpirationError",
                "The 'expires_at' must not be before now. The server could not comply with the request since it is \
                 either malformed or otherwise incorrect. The client is assumed to be in error.",
            ));
        }
        let roles = match &new.roles {
            Some(references) if !references.is_empty() => delegated(references, &auth.roles)?,
            _ => auth.roles.iter().map(|role| role.id.clone()).collect(),
        };
        let secret = new.secret.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(rand::random::<[u8; 64]>()));
        let secret_hash = self.hasher.hash(&secret).await?;
        let txn = self.begin().await?;
        let access_rules = match new.access_rules {
            None => Value::Null,
            Some(rules) => self.store_rules(&*txn, user_id, rules).await?,
        };
        let row = application_credential::Model {
            id: context.new_hex_id(),
            user_id: user_id.to_owned(),
            name: new.name,
            project_id: project.id.clone(),
            description: new.description,
            secret_hash,
            expires_at: new.expires_at,
            unrestricted: new.unrestricted,
            roles: json!(roles),
            access_rules,
        };
        let stored = application_credential::Entity::insert(application_credential::ActiveModel::from(row.clone()));
        if let Err(error) = stored.exec(&*txn).await {
            let duplicate = is_unique_violation(&error);
            return Err(if duplicate {
                conflict("application_credential", format!("Duplicate entry found with name {}", row.name))
            } else {
                error.into()
            });
        }
        txn.commit().await?;
        Ok((row, secret))
    }

    /// Ids of the rules, made as far as the user does not have them yet.
    async fn store_rules(
        &self,
        connection: &impl ConnectionTrait,
        user_id: &str,
        rules: Vec<RuleReference>,
    ) -> Result<Value> {
        use access_rule::Column;
        let mut ids: Vec<String> = Vec::new();
        for rule in rules {
            let mine = access_rule::Entity::find().filter(Column::UserId.eq(user_id));
            let id = match rule {
                RuleReference::Id(id) => {
                    let row = mine.filter(Column::Id.eq(&id)).one(connection).await?;
                    row.ok_or_else(|| not_found("access_rule", &id))?.id
                }
                RuleReference::New { service, path, method } => {
                    let same = mine
                        .filter(Column::Service.eq(&service))
                        .filter(Column::Path.eq(&path))
                        .filter(Column::Method.eq(&method));
                    match same.one(connection).await? {
                        Some(row) => row.id,
                        None => {
                            let row = access_rule::Model {
                                id: uuid::Uuid::new_v4().simple().to_string(),
                                user_id: user_id.to_owned(),
                                service,
                                path,
                                method,
                            };
                            access_rule::Entity::insert(access_rule::ActiveModel::from(row.clone()))
                                .exec(connection)
                                .await?;
                            row.id
                        }
                    }
                }
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(json!(ids))
    }

    pub(crate) async fn app_credential_list(
        &self,
        context: &RequestContext,
        user_id: &str,
        query: &Query,
    ) -> Result<Page<application_credential::Model>> {
        use application_credential::Column;
        self.user_for(context, "identity:list_application_credentials", user_id).await?;
        let select = application_credential::Entity::find().filter(Column::UserId.eq(user_id));
        let select = listing::filter(select, query, &[Filter::Text("name", Column::Name)]);
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id), ("name", Column::Name)]).await
    }

    pub(crate) async fn app_credential_get(
        &self,
        context: &RequestContext,
        user_id: &str,
        id: &str,
    ) -> Result<application_credential::Model> {
        self.user_for(context, "identity:get_application_credential", user_id).await?;
        self.find_app_credential(user_id, id).await
    }

    async fn find_app_credential(&self, user_id: &str, id: &str) -> Result<application_credential::Model> {
        let row = application_credential::Entity::find_by_id(id).one(self.read()).await?;
        row.filter(|row| row.user_id == user_id).ok_or_else(|| not_found("application credential", id))
    }

    pub(crate) async fn app_credential_delete(&self, context: &RequestContext, user_id: &str, id: &str) -> Result<()> {
        refuse_restricted(context)?;
        self.user_for(context, "identity:delete_application_credential", user_id).await?;
        self.find_app_credential(user_id, id).await?;
        let txn = self.begin().await?;
        application_credential::Entity::delete_by_id(id).exec(&*txn).await?;
        txn.commit().await
    }

    pub(crate) async fn access_rule_list(
        &self,
        context: &RequestContext,
        user_id: &str,
        query: &Query,
    ) -> Result<Page<access_rule::Model>> {
        use access_rule::Column;
        self.user_for(context, "identity:list_access_rules", user_id).await?;
        let filters = [
            Filter::Text("service", Column::Service),
            Filter::Text("path", Column::Path),
            Filter::Text("method", Column::Method),
        ];
        let select = access_rule::Entity::find().filter(Column::UserId.eq(user_id));
        let select = listing::filter(select, query, &filters);
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id)]).await
    }

    pub(crate) async fn access_rule_get(
        &self,
        context: &RequestContext,
        rule: &str,
        user_id: &str,
        id: &str,
    ) -> Result<access_rule::Model> {
        self.user_for(context, rule, user_id).await?;
        let row = access_rule::Entity::find_by_id(id).one(self.read()).await?;
        row.filter(|row| row.user_id == user_id).ok_or_else(|| not_found("access rule", id))
    }

    pub(crate) async fn access_rule_delete(&self, context: &RequestContext, user_id: &str, id: &str) -> Result<()> {
        let row = self.access_rule_get(context, "identity:delete_access_rule", user_id, id).await?;
        let txn = self.begin().await?;
        let mine = application_credential::Entity::find()
            .filter(application_credential::Column::UserId.eq(user_id))
            .all(&*txn)
            .await?;
        let used = |credential: &application_credential::Model| {
            credential.access_rules.as_array().is_some_and(|ids| ids.iter().any(|used| *used == row.id.as_str()))
        };
        if mine.iter().any(used) {
            return Err(not_allowed("May not delete access rule in use by an application credential"));
        }
        access_rule::Entity::delete_by_id(id).exec(&*txn).await?;
        txn.commit().await
    }
}
