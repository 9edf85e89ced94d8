//! Credentials: secrets that other services look up, sealed at rest; EC2 key pairs are credentials of type `ec2`.

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sahab_db::is_unique_violation;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    db::access::credential,
    input::{Input, not_of_type, wrong},
    listing::{self, Filter, Page},
    login::expecting,
    service::{IdentityService, conflict, not_found},
    token::Token,
    view::merged,
};

/// Members of an EC2 blob that tell what the key was made from; they bind it and never change.
const DELEGATION: [&str; 3] = ["access_token_id", "app_cred_id", "trust_id"];

#[derive(Default)]
pub(crate) struct CredentialInput {
    pub kind: Option<String>,
    pub blob: Option<String>,
    pub user_id: Option<String>,
    pub project_id: Option<Option<String>>,
    pub extra: Map<String, Value>,
}

impl CredentialInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        let blob = match input.take("blob") {
            None => None,
            Some(Value::String(text)) => Some(text),
            // Upstream's own clients send objects for some types; what is stored is a text.
            Some(value @ Value::Object(_)) => Some(value.to_string()),
            Some(other) => return Err(wrong("blob", &other, &not_of_type(&other, "string"))),
        };
        Ok(CredentialInput {
            kind: input.text("type", 255)?,
            blob,
            user_id: input.id("user_id")?,
            project_id: input.id_or_null("project_id")?,
            extra: input.extras()?,
        })
    }
}

/// A credential with its blob in the clear.
pub(crate) struct Opened {
    pub row: credential::Model,
    pub blob: String,
}

fn target(user_id: Option<&str>) -> Value {
    user_id.map_or(Value::Null, |id| json!({"target": {"credential": {"user_id": id}}}))
}

/// Id of an EC2 key pair's credential.
pub(crate) fn ec2_id(access: &str) -> String {
    Sha256::digest(access.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl IdentityService {
    pub(crate) fn open_credential(&self, row: credential::Model) -> Result<Opened> {
        let bytes = self
            .credential_keys
            .decrypt(&row.sealed_blob)?
            .ok_or_else(|| Error::internal(format!("no key opens credential {}", row.id)))?;
        Ok(Opened { blob: String::from_utf8(bytes)?, row })
    }

    async fn credential_for(&self, context: &RequestContext, rule: &str, id: &str) -> Result<credential::Model> {
        let row = credential::Entity::find_by_id(id).one(self.read()).await?;
        self.enforce(context, rule, &target(row.as_ref().map(|row| row.user_id.as_str())))?;
        row.ok_or_else(|| not_found("credential", id))
    }

    pub(crate) async fn credential_get(&self, context: &RequestContext, id: &str) -> Result<Opened> {
        let row = self.credential_for(context, "identity:get_credential", id).await?;
        self.open_credential(row)
    }

    /// Those the caller may see: all for administrators and system readers, else its own.
    pub(crate) async fn credential_list(&self, context: &RequestContext, query: &Query) -> Result<Page<Opened>> {
        use credential::Column;
        let rule = "identity:list_credentials";
        self.enforce(context, rule, &target(Some(context.user_id())))?;
        let all = self.policy.allows(context, rule, &target(query.get("user_id").or(Some(""))));
        let mut select = credential::Entity::find();
        if !all {
            select = select.filter(Column::UserId.eq(context.user_id()));
        }
        let filters = [Filter::Text("type", Column::Kind), Filter::Text("user_id", Column::UserId)];
        let select = listing::filter(select, query, &filters);
        let page = listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id)]).await?;
        let rows = page.rows.into_iter().map(|row| self.open_credential(row)).collect::<Result<_>>()?;
        Ok(Page { rows, truncated: page.truncated })
    }

    /// `token` is the caller's own, whose delegation binds an EC2 key pair.
    pub(crate) async fn credential_create(
        &self,
        context: &RequestContext,
        input: CredentialInput,
        token: Option<&Token>,
    ) -> Result<Opened> {
        let user_id = input.user_id.unwrap_or_else(|| context.user_id().to_owned());
        self.enforce(context, "identity:create_credential", &target(Some(&user_id)))?;
        let kind = input.kind.unwrap_or_default();
        let mut blob = input.blob.unwrap_or_default();
        let project_id = input.project_id.flatten();
        let mut id = context.new_hex_id();
        if kind == "ec2" {
            if project_id.is_none() {
                return Err(expecting("project_id", "credential"));
            }
            let mut parts = ec2_blob(&blob)?;
            let Some(access) = parts.get("access").and_then(Value::as_str) else {
                return Err(invalid_blob("Could not find 'access' in credential."));
            };
            id = ec2_id(access);
            for key in DELEGATION {
                parts.shift_remove(key);
            }
            bind(&mut parts, token);
            blob = Value::Object(parts).to_string();
        }
        let row = credential::Model {
            id,
            kind,
            sealed_blob: self.credential_keys.encrypt(blob.as_bytes())?,
            user_id,
            project_id,
            extra: Value::Object(input.extra),
        };
        let txn = self.begin().await?;
        if let Err(error) = credential::Entity::insert(credential::ActiveModel::from(row.clone())).exec(&*txn).await {
            let duplicate = is_unique_violation(&error);
            return Err(if duplicate { conflict("credential", "Duplicate entry found") } else { error.into() });
        }
        txn.commit().await?;
        Ok(Opened { row, blob })
    }

    pub(crate) async fn credential_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: CredentialInput,
    ) -> Result<Opened> {
        let row = self.credential_for(context, "identity:update_credential", id).await?;
        let mut opened = self.open_credential(row)?;
        let immutable = |name: &str| {
            Err(Error::invalid(
                "ValidationError",
                format!(
                    "{name} cannot be updated. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error."
                ),
            ))
        };
        if input.user_id.is_some_and(|user| user != opened.row.user_id) {
            return immutable("user_id");
        }
        if input.project_id.is_some_and(|project| project != opened.row.project_id) {
            return immutable("project_id");
        }
        if let Some(kind) = input.kind {
            if kind == "ec2" && opened.row.project_id.is_none() {
                return Err(expecting("project_id", "credential"));
            }
            opened.row.kind = kind;
        }
        if let Some(blob) = input.blob {
            if opened.row.kind == "ec2" {
                let (before, after) = (ec2_blob(&opened.blob).unwrap_or_default(), ec2_blob(&blob)?);
                for key in DELEGATION {
                    if before.get(key) != after.get(key) {
                        return immutable(key);
                    }
                }
            }
            opened.row.sealed_blob = self.credential_keys.encrypt(blob.as_bytes())?;
            opened.blob = blob;
        }
        opened.row.extra = merged(&opened.row.extra, input.extra);
        let txn = self.begin().await?;
        credential::Entity::insert(credential::ActiveModel::from(opened.row.clone()))
            .on_conflict(
                sea_orm::sea_query::OnConflict::column(credential::Column::Id)
                    .update_columns([
                        credential::Column::Kind,
                        credential::Column::SealedBlob,
                        credential::Column::Extra,
                    ])
                    .to_owned(),
            )
            .exec_without_returning(&*txn)
            .await?;
        txn.commit().await?;
        Ok(opened)
    }

    pub(crate) async fn credential_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.credential_for(context, "identity:delete_credential", id).await?;
        let txn = self.begin().await?;
        credential::Entity::delete_by_id(id).exec(&*txn).await?;
        txn.commit().await
    }

    /// A key pair for the user on the project, made here.
    pub(crate) async fn ec2_create(
        &self,
        context: &RequestContext,
        user_id: &str,
        project_id: &str,
        token: Option<&Token>,
    ) -> Result<Value> {
        self.user_for(context, "identity:ec2_create_credential", user_id).await?;
        self.find_project(project_id).await?.ok_or_else(|| not_found("project", project_id))?;
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let (access, secret) = (random(), random());
        let mut parts = Map::new();
        parts.insert("access".into(), access.clone().into());
        parts.insert("secret".into(), secret.into());
        parts.insert("trust_id".into(), Value::Null);
        bind(&mut parts, token);
        let blob = Value::Object(parts).to_string();
        let row = credential::Model {
            id: ec2_id(&access),
            kind: "ec2".into(),
            sealed_blob: self.credential_keys.encrypt(blob.as_bytes())?,
            user_id: user_id.to_owned(),
            project_id: Some(project_id.to_owned()),
            extra: json!({}),
        };
        let txn = self.begin().await?;
        credential::Entity::insert(credential::ActiveModel::from(row.clone())).exec(&*txn).await?;
        txn.commit().await?;
        ec2_view(&Opened { row, blob }, &context.base_url)
    }

    pub(crate) async fn ec2_list(&self, context: &RequestContext, user_id: &str) -> Result<Vec<Value>> {
        self.user_for(context, "identity:ec2_list_credentials", user_id).await?;
        let rows = credential::Entity::find()
            .filter(credential::Column::UserId.eq(user_id))
            .filter(credential::Column::Kind.eq("ec2"))
            .all(self.read())
            .await?;
        rows.into_iter().map(|row| ec2_view(&self.open_credential(row)?, &context.base_url)).collect()
    }

    async fn ec2_for(
        &self,
        context: &RequestContext,
        rule: &str,
        user_id: &str,
        access: &str,
    ) -> Result<credential::Model> {
        self.user_for(context, rule, user_id).await?;
        let row = credential::Entity::find_by_id(ec2_id(access)).one(self.read()).await?;
        row.filter(|row| row.kind == "ec2" && row.user_id == user_id).ok_or_else(|| not_found("credential", access))
    }

    pub(crate) async fn ec2_get(&self, context: &RequestContext, user_id: &str, access: &str) -> Result<Value> {
        let row = self.ec2_for(context, "identity:ec2_get_credential", user_id, access).await?;
        ec2_view(&self.open_credential(row)?, &context.base_url)
    }

    pub(crate) async fn ec2_delete(&self, context: &RequestContext, user_id: &str, access: &str) -> Result<()> {
        let row = self.ec2_for(context, "identity:ec2_delete_credential", user_id, access).await?;
        let txn = self.begin().await?;
        credential::Entity::delete_by_id(row.id).exec(&*txn).await?;
        txn.commit().await
    }
}

fn bind(parts: &mut Map<String, Value>, token: Option<&Token>) {
    let Some(token) = token else { return };
    if let Some(trust) = &token.trust {
        parts.insert("trust_id".into(), trust.id.clone().into());
    }
    if let Some(credential) = &token.auth.app_credential {
        parts.insert("app_cred_id".into(), credential.id.clone().into());
    }
}

fn invalid_blob(reason: &str) -> Error {
    Error::invalid(
        "ValidationError",
        format!(
            "Invalid blob in credential: {reason} The server could not comply with the request since it is either \
             malformed or otherwise incorrect. The client is assumed to be in error."
        ),
    )
}

fn ec2_blob(blob: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(blob) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(invalid_blob("it is not a JSON object.")),
    }
}

fn ec2_view(opened: &Opened, base: &str) -> Result<Value> {
    let parts = ec2_blob(&opened.blob)?;
    let access = parts.get("access").and_then(Value::as_str).unwrap_or_default();
    let link = format!("{base}/v3/users/{}/credentials/OS-EC2/{access}", opened.row.user_id);
    Ok(json!({
        "user_id": opened.row.user_id, "tenant_id": opened.row.project_id, "access": access,
        "secret": parts.get("secret"), "trust_id": parts.get("trust_id"), "links": {"self": link},
    }))
}
