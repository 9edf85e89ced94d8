//! Unified limits (flat model): registered defaults, and what a project or domain gets instead (spec section 16).

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sahab_db::is_unique_violation;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, sea_query::Query as SqlQuery,
};
use serde_json::{Value, json};

use crate::{
    db::{
        limits::{limit, registered_limit},
        projects::project,
    },
    input::{Input, not_of_type, wrong},
    listing::{self, Filter, Page},
    service::{IdentityService, conflict, not_found},
};

/// Most limits that one request creates.
const MAX_BATCH: usize = 1000;
const MAX_LIMIT: i64 = i32::MAX as i64;

#[derive(Default)]
pub(crate) struct RegisteredInput {
    pub service_id: Option<String>,
    pub region_id: Option<Option<String>>,
    pub resource_name: Option<String>,
    pub default_limit: Option<i64>,
    pub description: Option<Option<String>>,
}

impl RegisteredInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        let parsed = RegisteredInput {
            service_id: input.id("service_id")?,
            region_id: input.text_or_null("region_id", 255)?,
            resource_name: input.name("resource_name", 255)?,
            default_limit: input.integer("default_limit", -1, MAX_LIMIT)?,
            description: input.text_or_null("description", 65_535)?,
        };
        input.finish()?;
        Ok(parsed)
    }
}

#[derive(Default)]
pub(crate) struct LimitInput {
    pub project_id: Option<Option<String>>,
    pub domain_id: Option<Option<String>>,
    pub service_id: Option<String>,
    pub region_id: Option<Option<String>>,
    pub resource_name: Option<String>,
    pub resource_limit: Option<i64>,
    pub description: Option<Option<String>>,
}

impl LimitInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        let parsed = LimitInput {
            project_id: input.id_or_null("project_id")?,
            domain_id: input.id_or_null("domain_id")?,
            service_id: input.id("service_id")?,
            region_id: input.text_or_null("region_id", 255)?,
            resource_name: input.name("resource_name", 255)?,
            resource_limit: input.integer("resource_limit", -1, MAX_LIMIT)?,
            description: input.text_or_null("description", 65_535)?,
        };
        input.finish()?;
        Ok(parsed)
    }
}

/// A non-empty list of objects below `key`.
pub(crate) fn batch(key: &str, value: Option<Value>, required: &[&str]) -> Result<Vec<Input>> {
    let list = match value {
        Some(Value::Array(list)) if !list.is_empty() && list.len() <= MAX_BATCH => list,
        Some(Value::Array(list)) => {
            let reason = if list.is_empty() { "[] should be non-empty" } else { "the list is too long" };
            return Err(wrong(key, &json!(list.len()), reason));
        }
        Some(other) => return Err(wrong(key, &other, &not_of_type(&other, "array"))),
        None => {
            return Err(Error::invalid("SchemaValidationError", format!("'{key}' is a required property")));
        }
    };
    list.into_iter()
        .map(|value| {
            let input = Input::from_value(key, value)?;
            input.require(required)?;
            Ok(input)
        })
        .collect()
}

/// A limit with the registered limit it replaces.
pub(crate) type Full = (limit::Model, registered_limit::Model);

impl IdentityService {
    async fn find_registered(&self, id: &str) -> Result<registered_limit::Model> {
        let row = registered_limit::Entity::find_by_id(id).one(self.read()).await?;
        row.ok_or_else(|| not_found("registered limit", id))
    }

    async fn check_service_and_region(&self, service_id: &str, region_id: &str) -> Result<()> {
        let fault = |name: &str, id: &str| {
            wrong(name, &json!(id), &format!("there is no such {}", name.trim_end_matches("_id")))
        };
        if self.find_service(service_id).await.is_err_and(|error| error.is_not_found()) {
            return Err(fault("service_id", service_id));
        }
        if !region_id.is_empty() && self.find_region(region_id).await.is_err_and(|error| error.is_not_found()) {
            return Err(fault("region_id", region_id));
        }
        Ok(())
    }

    pub(crate) async fn registered_create(
        &self,
        context: &RequestContext,
        inputs: Vec<RegisteredInput>,
    ) -> Result<Vec<registered_limit::Model>> {
        self.enforce(context, "identity:create_registered_limits", &Value::Null)?;
        let mut rows = Vec::new();
        for input in inputs {
            let row = registered_limit::Model {
                id: uuid::Uuid::new_v4().simple().to_string(),
                service_id: input.service_id.unwrap_or_default(),
                region_id: input.region_id.flatten().unwrap_or_default(),
                resource_name: input.resource_name.unwrap_or_default(),
                default_limit: input.default_limit.unwrap_or_default(),
                description: input.description.flatten(),
            };
            self.check_service_and_region(&row.service_id, &row.region_id).await?;
            rows.push(row);
        }
        let txn = self.begin().await?;
        for row in &rows {
            let insert = registered_limit::Entity::insert(registered_limit::ActiveModel::from(row.clone()));
            if let Err(error) = insert.exec(&*txn).await {
                let duplicate = is_unique_violation(&error);
                return Err(if duplicate { conflict("registered_limit", "Duplicate entry") } else { error.into() });
            }
        }
        txn.commit().await?;
        Ok(rows)
    }

    pub(crate) async fn registered_get(&self, context: &RequestContext, id: &str) -> Result<registered_limit::Model> {
        self.enforce(context, "identity:get_registered_limit", &Value::Null)?;
        self.find_registered(id).await
    }

    pub(crate) async fn registered_list(
        &self,
        context: &RequestContext,
        query: &Query,
    ) -> Result<Page<registered_limit::Model>> {
        use registered_limit::Column;
        self.enforce(context, "identity:list_registered_limits", &Value::Null)?;
        let filters = [
            Filter::Text("service_id", Column::ServiceId),
            Filter::Text("region_id", Column::RegionId),
            Filter::Text("resource_name", Column::ResourceName),
        ];
        let select = listing::filter(registered_limit::Entity::find(), query, &filters);
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id)]).await
    }

    pub(crate) async fn registered_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: RegisteredInput,
    ) -> Result<registered_limit::Model> {
        self.enforce(context, "identity:update_registered_limit", &Value::Null)?;
        let mut row = self.find_registered(id).await?;
        let moves = input.service_id.is_some() || input.region_id.is_some() || input.resource_name.is_some();
        if moves && self.limits_of(id).await? > 0 {
            return Err(in_use(id, "update"));
        }
        if let Some(service) = input.service_id {
            row.service_id = service;
        }
        if let Some(region) = input.region_id {
            row.region_id = region.unwrap_or_default();
        }
        if let Some(name) = input.resource_name {
            row.resource_name = name;
        }
        if let Some(limit) = input.default_limit {
            row.default_limit = limit;
        }
        if let Some(description) = input.description {
            row.description = description;
        }
        self.check_service_and_region(&row.service_id, &row.region_id).await?;
        let txn = self.begin().await?;
        let update = registered_limit::Entity::update(registered_limit::ActiveModel::from(row.clone()).reset_all());
        if let Err(error) = update.exec(&*txn).await {
            let duplicate = is_unique_violation(&error);
            return Err(if duplicate { conflict("registered_limit", "Duplicate entry") } else { error.into() });
        }
        txn.commit().await?;
        Ok(row)
    }

    async fn limits_of(&self, registered: &str) -> Result<u64> {
        let find = limit::Entity::find().filter(limit::Column::RegisteredLimitId.eq(registered));
        Ok(find.count(self.read()).await?)
    }

    pub(crate) async fn registered_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.enforce(context, "identity:delete_registered_limit", &Value::Null)?;
        self.find_registered(id).await?;
        let txn = self.begin().await?;
        let used = limit::Entity::find().filter(limit::Column::RegisteredLimitId.eq(id)).count(&*txn).await?;
        if used > 0 {
            return Err(in_use(id, "delete"));
        }
        registered_limit::Entity::delete_by_id(id).exec(&*txn).await?;
        txn.commit().await
    }

    pub(crate) async fn limit_create(&self, context: &RequestContext, inputs: Vec<LimitInput>) -> Result<Vec<Full>> {
        use registered_limit::Column;
        self.enforce(context, "identity:create_limits", &Value::Null)?;
        let mut rows: Vec<Full> = Vec::new();
        for input in inputs {
            let (project_id, domain_id) = match (input.project_id.flatten(), input.domain_id.flatten()) {
                (Some(id), None) => {
                    self.require_project_row(&id).await?;
                    (id, String::new())
                }
                (None, Some(id)) => {
                    self.require_domain_row(&id).await?;
                    (String::new(), id)
                }
                _ => {
                    let reason = "exactly one of 'project_id' and 'domain_id' is a required property";
                    return Err(wrong("limits", &Value::Null, reason));
                }
            };
            let service = input.service_id.unwrap_or_default();
            let region = input.region_id.flatten().unwrap_or_default();
            let name = input.resource_name.unwrap_or_default();
            let registered = registered_limit::Entity::find()
                .filter(Column::ServiceId.eq(&service))
                .filter(Column::RegionId.eq(&region))
                .filter(Column::ResourceName.eq(&name))
                .one(self.read())
                .await?;
            let Some(registered) = registered else {
                return Err(Error::forbidden(
                    "NoLimitReference",
                    "Unable to create a limit that has no corresponding registered limit.",
                ));
            };
            let row = limit::Model {
                id: uuid::Uuid::new_v4().simple().to_string(),
                project_id,
                domain_id,
                registered_limit_id: registered.id.clone(),
                resource_limit: input.resource_limit.unwrap_or_default(),
                description: input.description.flatten(),
            };
            rows.push((row, registered));
        }
        let txn = self.begin().await?;
        for (row, _) in &rows {
            if let Err(error) = limit::Entity::insert(limit::ActiveModel::from(row.clone())).exec(&*txn).await {
                let duplicate = is_unique_violation(&error);
                return Err(if duplicate { conflict("limit", "Duplicate entry") } else { error.into() });
            }
        }
        txn.commit().await?;
        Ok(rows)
    }

    async fn limit_target(&self, row: &limit::Model) -> Result<Value> {
        let home = match row.project_id.as_str() {
            "" => None,
            id => self.find_project(id).await?.map(|project| project.domain_id),
        };
        let or_null = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        Ok(json!({"target": {"limit": {
            "project_id": or_null(&row.project_id), "domain_id": or_null(&row.domain_id), "project_domain_id": home,
        }}}))
    }

    pub(crate) async fn limit_get(&self, context: &RequestContext, id: &str) -> Result<Full> {
        let row = limit::Entity::find_by_id(id).one(self.read()).await?;
        let target = match &row {
            Some(row) => self.limit_target(row).await?,
            None => Value::Null,
        };
        self.enforce(context, "identity:get_limit", &target)?;
        let row = row.ok_or_else(|| not_found("limit", id))?;
        let registered = self.find_registered(&row.registered_limit_id).await?;
        Ok((row, registered))
    }

    /// Others than administrators and system readers see their own project's or domain's.
    pub(crate) async fn limit_list(&self, context: &RequestContext, query: &Query) -> Result<Page<Full>> {
        use limit::Column;
        self.enforce(context, "identity:list_limits", &Value::Null)?;
        let mut select = limit::Entity::find();
        if !self.policy.allows(context, "identity:get_limit", &Value::Null) {
            let auth = context.auth()?;
            let project = auth.project().map(|project| project.id.clone()).unwrap_or_default();
            let domain = auth.domain_scope().map(|domain| domain.id.clone()).unwrap_or_default();
            let mut inside = SqlQuery::select();
            inside.column(project::Column::Id).from(project::Entity).and_where(project::Column::DomainId.eq(&domain));
            let mut mine = Condition::any();
            if !project.is_empty() {
                mine = mine.add(Column::ProjectId.eq(project));
            }
            if !domain.is_empty() {
                mine = mine.add(Column::DomainId.eq(domain)).add(Column::ProjectId.in_subquery(inside));
            }
            select = if mine.is_empty() { select.filter(Column::Id.is_null()) } else { select.filter(mine) };
        }
        let filters = [Filter::Text("project_id", Column::ProjectId), Filter::Text("domain_id", Column::DomainId)];
        select = listing::filter(select, query, &filters);
        let wanted = ["service_id", "region_id", "resource_name"];
        if wanted.iter().any(|key| query.has(key)) {
            use registered_limit::Column as Registered;
            let mut matching = SqlQuery::select();
            matching.column(Registered::Id).from(registered_limit::Entity);
            for (key, column) in
                wanted.iter().zip([Registered::ServiceId, Registered::RegionId, Registered::ResourceName])
            {
                if let Some(value) = query.get(key) {
                    matching.and_where(column.eq(value));
                }
            }
            select = select.filter(Column::RegisteredLimitId.in_subquery(matching));
        }
        let page = listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id)]).await?;
        let registered = registered_limit::Entity::find().all(self.read()).await?;
        let rows = page.rows.into_iter().filter_map(|row| {
            let registered = registered.iter().find(|other| other.id == row.registered_limit_id)?.clone();
            Some((row, registered))
        });
        Ok(Page { rows: rows.collect(), truncated: page.truncated })
    }

    pub(crate) async fn limit_update(&self, context: &RequestContext, id: &str, input: LimitInput) -> Result<Full> {
        self.enforce(context, "identity:update_limit", &Value::Null)?;
        let mut row = limit::Entity::find_by_id(id).one(self.read()).await?.ok_or_else(|| not_found("limit", id))?;
        if let Some(limit) = input.resource_limit {
            row.resource_limit = limit;
        }
        if let Some(description) = input.description {
            row.description = description;
        }
        let txn = self.begin().await?;
        limit::Entity::update(limit::ActiveModel::from(row.clone()).reset_all()).exec(&*txn).await?;
        txn.commit().await?;
        let registered = self.find_registered(&row.registered_limit_id).await?;
        Ok((row, registered))
    }

    pub(crate) async fn limit_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.enforce(context, "identity:delete_limit", &Value::Null)?;
        let txn = self.begin().await?;
        if limit::Entity::delete_by_id(id).exec(&*txn).await?.rows_affected == 0 {
            return Err(not_found("limit", id));
        }
        txn.commit().await
    }
}

fn in_use(id: &str, verb: &str) -> Error {
    Error::forbidden(
        "RegisteredLimitError",
        format!("Unable to {verb} registered limit {id} because there are project limits associated with it."),
    )
}
