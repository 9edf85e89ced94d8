//! Domains: projects that hold users, groups and projects.

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::{Value, json};

use crate::{
    db::{
        grant::{
            assignment::{self, Target},
            implied, role,
        },
        limits::limit,
        principal::{group, user},
        projects::{domain_option, project},
    },
    listing::{self, Filter, Page},
    project::{ProjectInput, check_mutable, delete_projects},
    service::{IdentityService, conflict, not_found},
    view::merged,
};

fn target(id: &str) -> Value {
    json!({"target": {"domain": {"id": id}}})
}

impl IdentityService {
    pub(crate) async fn domain_create(
        &self,
        context: &RequestContext,
        input: ProjectInput,
        explicit_id: Option<String>,
    ) -> Result<project::Model> {
        self.enforce(context, "identity:create_domain", &Value::Null)?;
        let name = input.name.ok_or_else(|| Error::invalid("ValidationError", "'name' is a required property"))?;
        let id = explicit_id.unwrap_or_else(|| context.new_hex_id());
        if self.find_project(&id).await?.is_some() {
            return Err(conflict("domain", format!("Duplicate ID, {id}.")));
        }
        let row = project::Model {
            id,
            name,
            domain_id: String::new(),
            parent_id: String::new(),
            is_domain: true,
            enabled: input.enabled.unwrap_or(true),
            description: input.description.flatten().unwrap_or_default(),
            options: merged(&json!({}), input.options.unwrap_or_default()),
            extra: Value::Object(input.extra),
        };
        self.store_project(row, input.tags).await
    }

    pub(crate) async fn domain_get(&self, context: &RequestContext, id: &str) -> Result<project::Model> {
        self.enforce(context, "identity:get_domain", &target(id))?;
        self.require_domain_row(id).await
    }

    pub(crate) async fn domain_list(&self, context: &RequestContext, query: &Query) -> Result<Page<project::Model>> {
        use project::Column;
        let own = context.auth.as_ref().and_then(|auth| auth.domain_scope()).map(|domain| domain.id.clone());
        self.enforce(context, "identity:list_domains", &json!({"target": {"domain": {"id": own}}}))?;
        let mut select = project::Entity::find().filter(Column::IsDomain.eq(true));
        if let (Some(own), false) = (own, context.is_admin()) {
            select = select.filter(Column::Id.eq(own));
        }
        let filters = [Filter::Text("name", Column::Name), Filter::Flag("enabled", Column::Enabled)];
        let select = listing::filter(select, query, &filters);
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id), ("name", Column::Name)]).await
    }

    pub(crate) async fn domain_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: ProjectInput,
    ) -> Result<project::Model> {
        self.enforce(context, "identity:update_domain", &target(id))?;
        let row = self.require_domain_row(id).await?;
        self.change_project(row, input, "domain").await
    }

    pub(crate) async fn domain_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.enforce(context, "identity:delete_domain", &target(id))?;
        let row = self.find_project(id).await?.filter(|row| row.is_domain).ok_or_else(|| not_found("domain", id))?;
        self.delete_domain_row(row).await
    }

    /// With its projects, users, groups, own roles and settings, in one transaction.
    pub(crate) async fn delete_domain_row(&self, row: project::Model) -> Result<()> {
        check_mutable(&row.options, "domain", &row.id, None)?;
        if row.enabled {
            return Err(Error::forbidden(
                "ForbiddenAction",
                "Cannot delete a domain that is enabled, please disable it first.",
            ));
        }
        let id = row.id;
        let txn = self.begin().await?;
        let ids = |entity: sea_orm::Select<project::Entity>| entity.select_only().column(project::Column::Id);
        let mut projects: Vec<String> =
            ids(project::Entity::find().filter(project::Column::DomainId.eq(&id))).into_tuple().all(&*txn).await?;
        projects.push(id.clone());
        delete_projects(&*txn, &projects).await?;
        let users: Vec<String> = user::Entity::find()
            .select_only()
            .column(user::Column::Id)
            .filter(user::Column::DomainId.eq(&id))
            .into_tuple()
            .all(&*txn)
            .await?;
        crate::user::delete_users(&*txn, &users).await?;
        let groups: Vec<String> = group::Entity::find()
            .select_only()
            .column(group::Column::Id)
            .filter(group::Column::DomainId.eq(&id))
            .into_tuple()
            .all(&*txn)
            .await?;
        crate::group::delete_groups(&*txn, &groups).await?;
        let roles: Vec<String> = role::Entity::find()
            .select_only()
            .column(role::Column::Id)
            .filter(role::Column::DomainId.eq(&id))
            .into_tuple()
            .all(&*txn)
            .await?;
        role::Entity::delete_many().filter(role::Column::Id.is_in(roles.clone())).exec(&*txn).await?;
        implied::Entity::delete_many().filter(implied::Column::PriorId.is_in(roles.clone())).exec(&*txn).await?;
        assignment::Entity::delete_many().filter(assignment::Column::RoleId.is_in(roles)).exec(&*txn).await?;
        assignment::Entity::delete_many()
            .filter(assignment::Column::Target.eq(Target::Domain))
            .filter(assignment::Column::TargetId.eq(&id))
            .exec(&*txn)
            .await?;
        domain_option::Entity::delete_many().filter(domain_option::Column::DomainId.eq(&id)).exec(&*txn).await?;
        limit::Entity::delete_many().filter(limit::Column::DomainId.eq(&id)).exec(&*txn).await?;
        txn.commit().await
    }
}
