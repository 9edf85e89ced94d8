//! Registries with the credentials that pulls use. Passwords are encrypted at rest and never shown.

use sahab_contract::{Error, RequestContext, Result, container::RegistryLogin, context::now};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use crate::{
    ContainerService,
    db::{
        page::{self, Page},
        registry::{self, Column, Entity, Model},
    },
    texts,
};

/// `None` leaves a field as it is.
#[derive(Clone, Default)]
pub struct RegistryFields {
    pub name: Option<String>,
    pub domain: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
}

impl ContainerService {
    fn cipher(&self) -> Result<fernet::Fernet> {
        let key = self.settings.secret_key.as_deref().and_then(fernet::Fernet::new);
        key.ok_or_else(|| {
            texts::invalid_value("This cloud has no secret key set, so it cannot keep a registry's password.")
        })
    }

    fn seal(&self, password: Option<String>) -> Result<Option<String>> {
        password.map(|password| Ok(self.cipher()?.encrypt(password.as_bytes()))).transpose()
    }

    pub async fn registry_create(&self, context: &RequestContext, fields: RegistryFields) -> Result<Model> {
        let project = context.require_project()?.to_owned();
        self.enforce(context, "registry:create", &project)?;
        let row = Model {
            id: 0,
            uuid: context.new_uuid(),
            name: fields.name,
            project_id: project,
            user_id: context.user_id().to_owned(),
            domain: fields.domain.ok_or_else(|| texts::missing("domain"))?,
            username: fields.username,
            password: self.seal(fields.password)?,
            created_at: now(),
            updated_at: None,
        };
        let txn = self.database.begin().await?;
        let row = registry::insert(&txn, row).await?;
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn find_registry(&self, context: &RequestContext, ident: &str) -> Result<Model> {
        let project = if context.is_admin() { None } else { context.project_id().or(Some("")) };
        let mut rows = registry::find(self.database.read(), ident, project).await?;
        if rows.len() > 1 {
            rows.retain(|row| Some(row.project_id.as_str()) == context.project_id());
            if rows.len() != 1 {
                return Err(texts::ambiguous("registry", ident));
            }
        }
        rows.pop().ok_or_else(|| not_found(ident))
    }

    pub async fn registry_show(&self, context: &RequestContext, ident: &str) -> Result<Model> {
        let row = self.find_registry(context, ident).await?;
        self.enforce(context, "registry:get_one", &row.project_id)?;
        Ok(row)
    }

    /// `filters` are column names with exact values.
    pub async fn registry_page(
        &self,
        context: &RequestContext,
        all_projects: bool,
        filters: &[(Column, String)],
        page: &Page<Column>,
        marker: Option<&str>,
    ) -> Result<Vec<Model>> {
        self.enforce_own(context, "registry:get_all")?;
        let mut query = Entity::find();
        if all_projects {
            self.enforce_own(context, "registry:get_all_all_projects")?;
        } else {
            query = query.filter(Column::ProjectId.eq(context.require_project()?));
        }
        for (column, value) in filters {
            query = query.filter(column.eq(value.as_str()));
        }
        let marker = match marker {
            Some(ident) => Some(self.find_registry(context, ident).await?),
            None => None,
        };
        page::fetch(self.database.read(), query, page, Column::Id, marker.as_ref()).await
    }

    pub async fn registry_update(
        &self,
        context: &RequestContext,
        ident: &str,
        fields: RegistryFields,
    ) -> Result<Model> {
        let mut row = self.find_registry(context, ident).await?;
        self.enforce(context, "registry:update", &row.project_id)?;
        row.name = fields.name.or(row.name);
        row.domain = fields.domain.unwrap_or(row.domain);
        row.username = fields.username.or(row.username);
        row.password = self.seal(fields.password)?.or(row.password);
        row.updated_at = Some(now());
        let txn = self.database.begin().await?;
        let row = row.into_active_model().reset_all().update(&txn).await?;
        txn.commit().await?;
        Ok(row)
    }

    pub async fn registry_delete(&self, context: &RequestContext, ident: &str) -> Result<()> {
        let row = self.find_registry(context, ident).await?;
        self.enforce(context, "registry:delete", &row.project_id)?;
        let txn = self.database.begin().await?;
        registry::delete(&txn, &row.uuid).await?;
        txn.commit().await?;
        Ok(())
    }

    /// What to pull and as whom: the registry's domain comes in front of a name that has none.
    pub(crate) async fn pull_source(
        &self,
        registry: Option<&str>,
        image: &str,
    ) -> Result<(String, Option<RegistryLogin>)> {
        let Some(uuid) = registry else { return Ok((image.to_owned(), None)) };
        let mut rows = registry::find(self.database.read(), uuid, None).await?;
        let row = rows.pop().ok_or_else(|| not_found(uuid))?;
        let (first, rest) = image.split_once('/').unwrap_or(("", image));
        let has_domain = !rest.is_empty() && (first.contains(['.', ':']) || first == "localhost");
        let reference = if has_domain { image.to_owned() } else { format!("{}/{image}", row.domain) };
        let login = match (row.username, row.password) {
            // Another registry must not get this one's password.
            _ if has_domain && first != row.domain => None,
            (Some(username), Some(sealed)) => {
                let plain = self.cipher()?.decrypt(&sealed).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let password = plain.ok_or_else(|| {
                    texts::conflict("The registry's password was stored under another secret key; set it again.")
                })?;
                Some(RegistryLogin { server: row.domain, username, password })
            }
            _ => None,
        };
        Ok((reference, login))
    }
}

fn not_found(ident: &str) -> Error {
    texts::not_found("registry-not-found", "Registry", ident)
}
