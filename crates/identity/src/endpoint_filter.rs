//! Which endpoints a project's catalogue is confined to (OS-EP-FILTER, spec section 18).

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sahab_db::is_unique_violation;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::OnConflict};
use serde_json::{Map, Value, json};

use crate::{
    db::{
        catalog::{endpoint, endpoint_group, project_endpoint, project_endpoint_group},
        projects::project,
    },
    input::{Input, wrong},
    listing::{self, Filter, Page},
    service::{IdentityService, conflict, not_found},
};

/// Whether an endpoint group's filters select the endpoint.
pub(crate) fn selects(filters: &Value, endpoint: &endpoint::Model) -> bool {
    filters.as_object().is_some_and(|filters| {
        filters.iter().all(|(key, value)| match key.as_str() {
            "interface" => value == endpoint.interface.as_str(),
            "service_id" => value == endpoint.service_id.as_str(),
            "region_id" => value.as_str() == endpoint.region_id.as_deref(),
            "enabled" => value.as_bool() == Some(endpoint.enabled),
            _ => false,
        })
    })
}

pub(crate) struct GroupInput {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub filters: Option<Map<String, Value>>,
}

impl GroupInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        let filters = input.map("filters")?;
        for key in filters.iter().flat_map(Map::keys) {
            if !matches!(key.as_str(), "interface" | "service_id" | "region_id" | "enabled") {
                return Err(Error::invalid(
                    "ValidationError",
                    "Expecting to find valid filter in endpoint group: service_id, region_id, enabled or interface. The \
                     server could not comply with the request since it is either malformed or otherwise incorrect. The \
                     client is assumed to be in error.",
                ));
            }
        }
        if let Some(interface) = filters.as_ref().and_then(|filters| filters.get("interface"))
            && !matches!(interface.as_str(), Some("admin" | "internal" | "public"))
        {
            let reason = format!("{} is not one of ['admin', 'internal', 'public']", crate::input::repr(interface));
            return Err(wrong("interface", interface, &reason));
        }
        let parsed = GroupInput {
            name: input.name("name", 255)?,
            description: input.text_or_null("description", 65_535)?,
            filters,
        };
        input.extras()?;
        Ok(parsed)
    }
}

impl IdentityService {
    /// The rule asked and both ends there.
    async fn filter_for(&self, context: &RequestContext, rule: &str, project: &str, endpoint: &str) -> Result<()> {
        self.enforce(context, rule, &Value::Null)?;
        self.find_endpoint(endpoint).await?;
        self.require_project_row(project).await?;
        Ok(())
    }

    pub(crate) async fn filter_add(&self, context: &RequestContext, project: &str, endpoint: &str) -> Result<()> {
        self.filter_for(context, "identity:add_endpoint_to_project", project, endpoint).await?;
        let txn = self.begin().await?;
        let row = project_endpoint::ActiveModel {
            project_id: Set(project.to_owned()),
            endpoint_id: Set(endpoint.to_owned()),
        };
        project_endpoint::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&*txn)
            .await?;
        txn.commit().await
    }

    pub(crate) async fn filter_check(&self, context: &RequestContext, project: &str, endpoint: &str) -> Result<()> {
        self.filter_for(context, "identity:check_endpoint_in_project", project, endpoint).await?;
        let key = (project.to_owned(), endpoint.to_owned());
        let row = project_endpoint::Entity::find_by_id(key).one(self.read()).await?;
        row.map(|_| ()).ok_or_else(|| unassociated(project, endpoint))
    }

    pub(crate) async fn filter_remove(&self, context: &RequestContext, project: &str, endpoint: &str) -> Result<()> {
        self.filter_for(context, "identity:remove_endpoint_from_project", project, endpoint).await?;
        let txn = self.begin().await?;
        let key = (project.to_owned(), endpoint.to_owned());
        if project_endpoint::Entity::delete_by_id(key).exec(&*txn).await?.rows_affected == 0 {
            return Err(unassociated(project, endpoint));
        }
        txn.commit().await
    }

    /// Endpoints of a project, by group too.
    pub(crate) async fn endpoints_of_project(
        &self,
        context: &RequestContext,
        project: &str,
    ) -> Result<Vec<endpoint::Model>> {
        self.enforce(context, "identity:list_endpoints_for_project", &Value::Null)?;
        self.require_project_row(project).await?;
        let direct = project_endpoint::Entity::find()
            .filter(project_endpoint::Column::ProjectId.eq(project))
            .all(self.read())
            .await?;
        let groups = self.groups_of_project(project).await?;
        let all = endpoint::Entity::find().all(self.read()).await?;
        let belongs = |endpoint: &endpoint::Model| {
            direct.iter().any(|row| row.endpoint_id == endpoint.id)
                || groups.iter().any(|group| selects(&group.filters, endpoint))
        };
        Ok(all.into_iter().filter(|endpoint| belongs(endpoint)).collect())
    }

    pub(crate) async fn projects_of_endpoint(
        &self,
        context: &RequestContext,
        endpoint: &str,
    ) -> Result<Vec<project::Model>> {
        self.enforce(context, "identity:list_projects_for_endpoint", &Value::Null)?;
        self.find_endpoint(endpoint).await?;
        let rows = project_endpoint::Entity::find()
            .filter(project_endpoint::Column::EndpointId.eq(endpoint))
            .all(self.read())
            .await?;
        let ids = rows.into_iter().map(|row| row.project_id);
        Ok(project::Entity::find().filter(project::Column::Id.is_in(ids)).all(self.read()).await?)
    }

    async fn find_endpoint_group(&self, id: &str) -> Result<endpoint_group::Model> {
        let row = endpoint_group::Entity::find_by_id(id).one(self.read()).await?;
        row.ok_or_else(|| not_found("endpoint group", id))
    }

    pub(crate) async fn endpoint_group_get(
        &self,
        context: &RequestContext,
        rule: &str,
        id: &str,
    ) -> Result<endpoint_group::Model> {
        self.enforce(context, rule, &Value::Null)?;
        self.find_endpoint_group(id).await
    }

    pub(crate) async fn endpoint_group_list(
        &self,
        context: &RequestContext,
        query: &Query,
    ) -> Result<Page<endpoint_group::Model>> {
        use endpoint_group::Column;
        self.enforce(context, "identity:list_endpoint_groups", &Value::Null)?;
        let select = listing::filter(endpoint_group::Entity::find(), query, &[Filter::Text("name", Column::Name)]);
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id)]).await
    }

    pub(crate) async fn endpoint_group_create(
        &self,
        context: &RequestContext,
        input: GroupInput,
    ) -> Result<endpoint_group::Model> {
        self.enforce(context, "identity:create_endpoint_group", &Value::Null)?;
        let row = endpoint_group::Model {
            id: context.new_hex_id(),
            name: input.name.unwrap_or_default(),
            description: input.description.flatten(),
            filters: Value::Object(input.filters.unwrap_or_default()),
        };
        let txn = self.begin().await?;
        let insert = endpoint_group::Entity::insert(endpoint_group::ActiveModel::from(row.clone()));
        if let Err(error) = insert.exec(&*txn).await {
            let duplicate = is_unique_violation(&error);
            return Err(if duplicate { conflict("endpoint_group", "Duplicate entry") } else { error.into() });
        }
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn endpoint_group_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: GroupInput,
    ) -> Result<endpoint_group::Model> {
        let mut row = self.endpoint_group_get(context, "identity:update_endpoint_group", id).await?;
        if let Some(name) = input.name {
            row.name = name;
        }
        if let Some(description) = input.description {
            row.description = description;
        }
        if let Some(filters) = input.filters {
            row.filters = Value::Object(filters);
        }
        let txn = self.begin().await?;
        endpoint_group::Entity::update(endpoint_group::ActiveModel::from(row.clone()).reset_all()).exec(&*txn).await?;
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn endpoint_group_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.endpoint_group_get(context, "identity:delete_endpoint_group", id).await?;
        let txn = self.begin().await?;
        endpoint_group::Entity::delete_by_id(id).exec(&*txn).await?;
        project_endpoint_group::Entity::delete_many()
            .filter(project_endpoint_group::Column::EndpointGroupId.eq(id))
            .exec(&*txn)
            .await?;
        txn.commit().await
    }

    async fn groups_of_project(&self, project: &str) -> Result<Vec<endpoint_group::Model>> {
        let rows = project_endpoint_group::Entity::find()
            .filter(project_endpoint_group::Column::ProjectId.eq(project))
            .all(self.read())
            .await?;
        let ids = rows.into_iter().map(|row| row.endpoint_group_id);
        Ok(endpoint_group::Entity::find().filter(endpoint_group::Column::Id.is_in(ids)).all(self.read()).await?)
    }

    pub(crate) async fn endpoint_groups_of_project(
        &self,
        context: &RequestContext,
        project: &str,
    ) -> Result<Vec<endpoint_group::Model>> {
        self.enforce(context, "identity:list_endpoint_groups_for_project", &Value::Null)?;
        self.require_project_row(project).await?;
        self.groups_of_project(project).await
    }

    pub(crate) async fn endpoints_of_group(&self, context: &RequestContext, id: &str) -> Result<Vec<endpoint::Model>> {
        let rule = "identity:list_endpoints_associated_with_endpoint_group";
        let group = self.endpoint_group_get(context, rule, id).await?;
        let all = endpoint::Entity::find().all(self.read()).await?;
        Ok(all.into_iter().filter(|endpoint| selects(&group.filters, endpoint)).collect())
    }

    pub(crate) async fn projects_of_group(&self, context: &RequestContext, id: &str) -> Result<Vec<project::Model>> {
        self.endpoint_group_get(context, "identity:list_projects_associated_with_endpoint_group", id).await?;
        let rows = project_endpoint_group::Entity::find()
            .filter(project_endpoint_group::Column::EndpointGroupId.eq(id))
            .all(self.read())
            .await?;
        let ids = rows.into_iter().map(|row| row.project_id);
        Ok(project::Entity::find().filter(project::Column::Id.is_in(ids)).all(self.read()).await?)
    }

    pub(crate) async fn group_filter_add(&self, context: &RequestContext, project: &str, group: &str) -> Result<()> {
        self.endpoint_group_get(context, "identity:add_endpoint_group_to_project", group).await?;
        self.require_project_row(project).await?;
        let txn = self.begin().await?;
        let row = project_endpoint_group::ActiveModel {
            project_id: Set(project.to_owned()),
            endpoint_group_id: Set(group.to_owned()),
        };
        project_endpoint_group::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&*txn)
            .await?;
        txn.commit().await
    }

    pub(crate) async fn group_filter_check(
        &self,
        context: &RequestContext,
        project: &str,
        group: &str,
    ) -> Result<endpoint_group::Model> {
        let row = self.endpoint_group_get(context, "identity:get_endpoint_group_in_project", group).await?;
        let key = (project.to_owned(), group.to_owned());
        let found = project_endpoint_group::Entity::find_by_id(key).one(self.read()).await?;
        found.map(|_| row).ok_or_else(|| unassociated(project, group))
    }

    pub(crate) async fn group_filter_remove(&self, context: &RequestContext, project: &str, group: &str) -> Result<()> {
        self.endpoint_group_get(context, "identity:remove_endpoint_group_from_project", group).await?;
        let txn = self.begin().await?;
        let key = (project.to_owned(), group.to_owned());
        if project_endpoint_group::Entity::delete_by_id(key).exec(&*txn).await?.rows_affected == 0 {
            return Err(unassociated(project, group));
        }
        txn.commit().await
    }
}

fn unassociated(project: &str, endpoint: &str) -> Error {
    Error::not_found("NotFound", format!("Endpoint {endpoint} not found in project {project}."))
}

pub(crate) fn group_view(base: &str, row: &endpoint_group::Model) -> Value {
    let link = format!("{base}/v3/OS-EP-FILTER/endpoint_groups/{}", row.id);
    json!({
        "id": row.id, "name": row.name, "description": row.description, "filters": row.filters,
        "links": {"self": link},
    })
}
