//! What a new cloud starts with (spec section 25), through the same functions as API calls. Can run on every start.

use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Map, Value};

use crate::{
    catalog::{EndpointInput, RegionInput, ServiceInput},
    db::{
        catalog::{endpoint, service},
        grant::{
            assignment::{Actor, Target},
            role,
        },
        principal::user,
        projects::project,
    },
    grant::Holder,
    project::ProjectInput,
    role::RoleInput,
    service::IdentityService,
    user::UserInput,
};

pub(crate) const SERVICE_PROJECT: &str = "service";
pub(crate) const SERVICE_USER: &str = "sahab";
const DOMAIN: &str = "default";

/// Each role with the one it implies.
const ROLES: [(&str, Option<&str>); 5] = [
    ("reader", None),
    ("member", Some("reader")),
    ("manager", Some("member")),
    ("admin", Some("manager")),
    ("service", None),
];

/// One service of the catalogue; all three interfaces get the URL.
#[derive(Clone, Debug)]
pub struct ServiceEntry {
    /// `container`
    pub kind: String,
    /// `zun`
    pub name: String,
    /// May contain `$(project_id)s`.
    pub url: String,
}

#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// `None` keeps the password there is. A given one that already holds changes nothing.
    pub admin_password: Option<String>,
    pub region: String,
    pub services: Vec<ServiceEntry>,
}

fn program() -> RequestContext {
    RequestContext::new(None).elevated()
}

impl IdentityService {
    /// Creates what is missing and corrects the catalogue's URLs; what exists stays as it is.
    pub async fn bootstrap(&self, wanted: &Bootstrap) -> Result<()> {
        let context = program();
        if self.find_project(DOMAIN).await?.is_none() {
            let input = ProjectInput {
                name: Some("Default".into()),
                description: Some(Some("The default domain".into())),
                ..ProjectInput::default()
            };
            self.domain_create(&context, input, Some(DOMAIN.into())).await?;
        }
        self.ensure_roles(&context).await?;
        self.ensure_project("admin", "Bootstrap project for initializing the cloud.").await?;
        self.ensure_project(SERVICE_PROJECT, "The cloud's own services.").await?;
        let admin = self.ensure_user("admin", wanted.admin_password.as_deref()).await?;
        self.ensure_grant("admin", "admin", "admin").await?;
        self.ensure_system_grant(&admin, "admin").await?;
        // Without a password nobody can log in as it; the program acts as it in process.
        self.ensure_user(SERVICE_USER, None).await?;
        self.ensure_grant(SERVICE_USER, SERVICE_PROJECT, "admin").await?;
        self.ensure_grant(SERVICE_USER, SERVICE_PROJECT, "service").await?;
        self.ensure_catalog(&context, wanted).await
    }

    async fn ensure_roles(&self, context: &RequestContext) -> Result<()> {
        for (name, implied) in ROLES {
            let prior = match self.role_named(name).await? {
                Some(row) => row,
                None => {
                    let input = RoleInput {
                        name: Some(name.into()),
                        options: Some(Map::from_iter([("immutable".to_owned(), Value::Bool(true))])),
                        ..RoleInput::default()
                    };
                    self.role_create(context, input).await?
                }
            };
            if let Some(implied) = implied
                && let Some(implied) = self.role_named(implied).await?
                && !self.role_graph().await?.implied.get(&prior.id).is_some_and(|ids| ids.contains(&implied.id))
            {
                self.implication_create(context, &prior.id, &implied.id).await?;
            }
        }
        Ok(())
    }

    async fn role_named(&self, name: &str) -> Result<Option<role::Model>> {
        let find = role::Entity::find().filter(role::Column::DomainId.eq("")).filter(role::Column::Name.eq(name));
        Ok(find.one(self.read()).await?)
    }

    async fn project_in_default(&self, name: &str) -> Result<Option<project::Model>> {
        let find =
            project::Entity::find().filter(project::Column::DomainId.eq(DOMAIN)).filter(project::Column::Name.eq(name));
        Ok(find.one(self.read()).await?)
    }

    async fn user_in_default(&self, name: &str) -> Result<Option<user::Model>> {
        let find = user::Entity::find().filter(user::Column::DomainId.eq(DOMAIN)).filter(user::Column::Name.eq(name));
        Ok(find.one(self.read()).await?)
    }

    /// A project of the default domain; its id.
    pub async fn ensure_project(&self, name: &str, description: &str) -> Result<String> {
        if let Some(row) = self.project_in_default(name).await? {
            return Ok(row.id);
        }
        let input = ProjectInput {
            name: Some(name.into()),
            domain_id: Some(Some(DOMAIN.into())),
            description: Some(Some(description.into())),
            ..ProjectInput::default()
        };
        Ok(self.project_create(&program(), input).await?.id)
    }

    /// A user of the default domain, enabled, with the password if one is given; its id.
    pub async fn ensure_user(&self, name: &str, password: Option<&str>) -> Result<String> {
        let context = program();
        let Some(row) = self.user_in_default(name).await? else {
            let input = UserInput {
                name: Some(name.into()),
                domain_id: Some(Some(DOMAIN.into())),
                password: Some(password.map(str::to_owned)),
                ..UserInput::default()
            };
            return Ok(self.user_create(&context, input).await?.id);
        };
        let mut change = UserInput::default();
        if !row.enabled {
            change.enabled = Some(true);
        }
        if let Some(password) = password
            && !self.hasher.verify(password, row.password_hash.as_deref()).await?
        {
            change.password = Some(Some(password.to_owned()));
        }
        if change.enabled.is_some() || change.password.is_some() {
            self.user_update(&context, &row.id, change).await?;
        }
        Ok(row.id)
    }

    /// The role for the user on the project, all by name, in the default domain.
    pub async fn ensure_grant(&self, user: &str, project: &str, role: &str) -> Result<()> {
        let missing = |kind: &str, name: &str| Error::internal(format!("there is no {kind} {name}"));
        let user_id = self.user_in_default(user).await?.ok_or_else(|| missing("user", user))?.id;
        let project_id = self.project_in_default(project).await?.ok_or_else(|| missing("project", project))?.id;
        let holder = Holder {
            actor: Actor::User,
            actor_id: user_id,
            target: Target::Project,
            target_id: project_id,
            inherited: false,
        };
        self.ensure_held(holder, role).await
    }

    async fn ensure_system_grant(&self, user_id: &str, role: &str) -> Result<()> {
        let holder = Holder {
            actor: Actor::User,
            actor_id: user_id.to_owned(),
            target: Target::System,
            target_id: "system".into(),
            inherited: false,
        };
        self.ensure_held(holder, role).await
    }

    async fn ensure_held(&self, holder: Holder, role: &str) -> Result<()> {
        let role = self.role_named(role).await?.ok_or_else(|| Error::internal(format!("there is no role {role}")))?;
        match self.grant_check(&program(), holder.clone(), &role.id).await {
            Err(error) if error.is_not_found() => self.grant_create(&program(), holder, &role.id).await,
            other => other,
        }
    }

    async fn ensure_catalog(&self, context: &RequestContext, wanted: &Bootstrap) -> Result<()> {
        if self.find_region(&wanted.region).await.is_err_and(|error| error.is_not_found()) {
            let input =
                RegionInput { id: Some(wanted.region.clone()), parent_id: None, description: None, extra: Map::new() };
            self.region_create(context, input).await?;
        }
        for entry in &wanted.services {
            let known = service::Entity::find()
                .filter(service::Column::Kind.eq(&entry.kind))
                .filter(service::Column::Name.eq(&entry.name))
                .one(self.read())
                .await?;
            let service_id = match known {
                Some(row) => row.id,
                None => {
                    let input = ServiceInput {
                        kind: Some(entry.kind.clone()),
                        name: Some(entry.name.clone()),
                        ..ServiceInput::default()
                    };
                    self.service_create(context, input).await?.id
                }
            };
            self.ensure_endpoints(context, &service_id, &wanted.region, &entry.url).await?;
        }
        Ok(())
    }

    async fn ensure_endpoints(
        &self,
        context: &RequestContext,
        service_id: &str,
        region: &str,
        url: &str,
    ) -> Result<()> {
        let known = endpoint::Entity::find()
            .filter(endpoint::Column::ServiceId.eq(service_id))
            .filter(endpoint::Column::RegionId.eq(region))
            .all(self.read())
            .await?;
        for interface in ["public", "internal", "admin"] {
            let mut input = EndpointInput { url: Some(url.to_owned()), ..EndpointInput::default() };
            match known.iter().find(|row| row.interface == interface) {
                Some(row) if row.url == url => {}
                Some(row) => {
                    self.endpoint_update(context, &row.id, input).await?;
                }
                None => {
                    input.interface = Some(interface.into());
                    input.service_id = Some(service_id.to_owned());
                    input.region_id = Some(Some(region.to_owned()));
                    self.endpoint_create(context, input).await?;
                }
            }
        }
        Ok(())
    }
}
