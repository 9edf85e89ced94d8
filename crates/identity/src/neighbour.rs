//! What the other services ask of identity, in process.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use sahab_contract::{Auth, Error, Kind, Result, context::now, identity::Identity};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::{
    bootstrap::{SERVICE_PROJECT, SERVICE_USER},
    db::{principal::user, projects::project},
    login::unauthorized,
    service::IdentityService,
    token::payload::{Claims, Method, Target, new_audit_id},
};

#[async_trait]
impl Identity for IdentityService {
    async fn validate(&self, token: &str) -> Result<Arc<Auth>> {
        match self.token(token).await {
            Ok(token) => Ok(token.auth.clone()),
            Err(error) if error.kind() == Kind::NotFound => Err(unauthorized()),
            Err(error) => Err(error),
        }
    }

    async fn delegate(&self, user_id: &str, project_id: &str) -> Result<Arc<Auth>> {
        let issued_at = now();
        let claims = Claims {
            user_id: user_id.to_owned(),
            methods: vec![Method::Password],
            target: Target::Project(project_id.to_owned()),
            issued_at,
            expires_at: issued_at + TimeDelta::seconds(i64::try_from(self.settings.token_lifetime).unwrap_or(3600)),
            audit_ids: vec![new_audit_id()],
        };
        match self.resolve(claims).await {
            Ok(token) => Ok(token.auth),
            Err(error) if error.kind() == Kind::NotFound => Err(Error::unauthenticated(error.message().to_owned())),
            Err(error) => Err(error),
        }
    }

    async fn service(&self) -> Result<Arc<Auth>> {
        let load = async {
            let missing = || Error::internal("the service user is missing: bootstrap has not run");
            let user = user::Entity::find()
                .filter(user::Column::DomainId.eq("default"))
                .filter(user::Column::Name.eq(SERVICE_USER))
                .one(self.read())
                .await?
                .ok_or_else(missing)?;
            let project = project::Entity::find()
                .filter(project::Column::DomainId.eq("default"))
                .filter(project::Column::Name.eq(SERVICE_PROJECT))
                .one(self.read())
                .await?
                .ok_or_else(missing)?;
            Ok((*self.delegate(&user.id, &project.id).await?).clone())
        };
        self.own.get(&self.generation, load).await
    }

    async fn project_exists(&self, project_id: &str) -> Result<bool> {
        Ok(self.find_project(project_id).await?.is_some_and(|project| project.enabled))
    }
}
