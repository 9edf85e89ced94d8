//! Projects: rules of names, the tree, and what goes when one goes. A domain is a project with `is_domain`.

use std::collections::HashMap;

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sahab_db::is_unique_violation;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
};
use serde_json::{Map, Value, json};

use crate::{
    db::{
        access::{application_credential, credential, trust},
        catalog::{project_endpoint, project_endpoint_group},
        changes,
        grant::assignment::{self, Target},
        limits::limit,
        projects::{project, tag},
    },
    effective::{MAX_DEPTH, ancestors},
    input::{Input, wrong},
    listing::{self, Filter, Page},
    revocation::Revoke,
    service::{IdentityService, conflict, not_found},
    view::merged,
};

/// Most tags of one project, and the longest.
pub(crate) const MAX_TAGS: usize = 80;
const MAX_TAG: usize = 255;

/// Attributes of a create or an update, as far as they were sent.
#[derive(Default)]
pub(crate) struct ProjectInput {
    pub name: Option<String>,
    pub domain_id: Option<Option<String>>,
    pub parent_id: Option<Option<String>>,
    pub is_domain: Option<bool>,
    pub enabled: Option<bool>,
    pub description: Option<Option<String>>,
    pub tags: Option<Vec<String>>,
    pub options: Option<Map<String, Value>>,
    pub extra: Map<String, Value>,
}

impl ProjectInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        Ok(ProjectInput {
            name: input.name("name", 64)?,
            domain_id: input.id_or_null("domain_id")?,
            parent_id: input.id_or_null("parent_id")?,
            is_domain: input.boolean("is_domain")?,
            enabled: input.boolean("enabled")?,
            description: input.text_or_null("description", 65_535)?,
            tags: input.list("tags")?.map(tags).transpose()?,
            options: input.map("options")?.map(immutable_only).transpose()?,
            extra: input.extras()?,
        })
    }
}

/// The tags of a request, each valid and once.
pub(crate) fn tags(list: Vec<Value>) -> Result<Vec<String>> {
    if list.len() > MAX_TAGS {
        let value = Value::Array(list);
        return Err(wrong("tags", &value, &format!("{} is too long", crate::input::repr(&value))));
    }
    let mut found: Vec<String> = Vec::new();
    for value in list {
        let Value::String(text) = &value else {
            return Err(wrong("tags", &value, &crate::input::not_of_type(&value, "string")));
        };
        check_tag(text)?;
        if found.contains(text) {
            let value = Value::from(text.as_str());
            return Err(wrong("tags", &value, &format!("{} has non-unique elements", crate::input::repr(&value))));
        }
        found.push(text.clone());
    }
    Ok(found)
}

pub(crate) fn check_tag(text: &str) -> Result<()> {
    let length = text.chars().count();
    if length == 0 || length > MAX_TAG || text.contains(['/', ',']) {
        let value = Value::from(text);
        let reason = match length {
            0 => "'' should be non-empty".to_owned(),
            _ if length > MAX_TAG => format!("{} is too long", crate::input::repr(&value)),
            _ => format!("{} does not match '^[^,/]*$'", crate::input::repr(&value)),
        };
        return Err(wrong("tags", &value, &reason));
    }
    Ok(())
}

/// The only option that projects, domains and roles have.
pub(crate) fn immutable_only(options: Map<String, Value>) -> Result<Map<String, Value>> {
    for (key, value) in &options {
        let known = key == "immutable" && (value.is_boolean() || value.is_null());
        if !known {
            let whole = Value::Object(options.clone());
            let reason = format!("Additional properties are not allowed ('{key}' was unexpected)");
            return Err(wrong("options", &whole, &reason));
        }
    }
    Ok(options)
}

pub(crate) fn is_immutable(options: &Value) -> bool {
    options["immutable"] == true
}

/// An immutable thing can only be changed by a request that makes it mutable.
pub(crate) fn check_mutable(options: &Value, kind: &str, id: &str, change: Option<&Map<String, Value>>) -> Result<()> {
    let frees = change.and_then(|change| change.get("immutable")).is_some_and(|value| *value != true);
    if !is_immutable(options) || frees {
        return Ok(());
    }
    let verb = if change.is_some() { "update" } else { "delete" };
    Err(Error::forbidden(
        "ResourceUpdateForbidden",
        format!("Unable to {verb} immutable {kind} resource: `{id}. Set resource option \"immutable\" to false first."),
    ))
}

impl IdentityService {
    pub(crate) async fn find_project(&self, id: &str) -> Result<Option<project::Model>> {
        Ok(project::Entity::find_by_id(id).one(self.read()).await?)
    }

    pub(crate) async fn require_project_row(&self, id: &str) -> Result<project::Model> {
        self.find_project(id).await?.ok_or_else(|| not_found("project", id))
    }

    pub(crate) async fn require_domain_row(&self, id: &str) -> Result<project::Model> {
        self.find_project(id).await?.filter(|row| row.is_domain).ok_or_else(|| not_found("domain", id))
    }

    /// The domain of new objects when the request names none: the caller's.
    pub(crate) fn home_domain(&self, context: &RequestContext) -> Result<String> {
        let Some(auth) = &context.auth else { return Ok("default".into()) };
        match (auth.domain_scope(), auth.project()) {
            (Some(domain), _) => Ok(domain.id.clone()),
            (_, Some(project)) => Ok(project.domain.id.clone()),
            // Upstream takes the default domain for system tokens.
            _ => Ok("default".into()),
        }
    }

    pub(crate) async fn project_get(&self, context: &RequestContext, id: &str) -> Result<project::Model> {
        let row = self.find_project(id).await?;
        self.enforce(context, "identity:get_project", &project_target(row.as_ref()))?;
        row.ok_or_else(|| not_found("project", id))
    }

    pub(crate) async fn project_list(&self, context: &RequestContext, query: &Query) -> Result<Page<project::Model>> {
        let own = context.auth.as_ref().and_then(|auth| auth.domain_scope()).map(|domain| domain.id.clone());
        let domain = query.get("domain_id").map(str::to_owned).or(own.clone());
        self.enforce(context, "identity:list_projects", &json!({"target": {"domain_id": domain}}))?;
        let mut select = project::Entity::find();
        if let (Some(domain), false) = (own, context.is_admin()) {
            select = select.filter(project::Column::DomainId.eq(domain));
        }
        if !query.has("is_domain") {
            select = select.filter(project::Column::IsDomain.eq(false));
        }
        let select = filter_by_tags(select, query);
        self.project_page(select, query).await
    }

    pub(crate) async fn project_page(
        &self,
        select: Select<project::Entity>,
        query: &Query,
    ) -> Result<Page<project::Model>> {
        use project::Column;
        let filters = [
            Filter::Text("domain_id", Column::DomainId),
            Filter::Text("name", Column::Name),
            Filter::Text("parent_id", Column::ParentId),
            Filter::Flag("enabled", Column::Enabled),
            Filter::Flag("is_domain", Column::IsDomain),
        ];
        let select = listing::filter(select, query, &filters);
        let sortable = [
            ("id", Column::Id),
            ("name", Column::Name),
            ("domain_id", Column::DomainId),
            ("parent_id", Column::ParentId),
            ("enabled", Column::Enabled),
            ("description", Column::Description),
        ];
        listing::page(self.read(), select, query, Column::Id, &sortable).await
    }

    pub(crate) async fn project_create(&self, context: &RequestContext, input: ProjectInput) -> Result<project::Model> {
        if input.is_domain == Some(true) {
            if input.domain_id.as_ref().is_some_and(Option::is_some)
                || input.parent_id.as_ref().is_some_and(Option::is_some)
            {
                return Err(Error::invalid(
                    "ValidationError",
                    "only root projects are allowed to act as domains. The server could not comply with the request \
                     since it is either malformed or otherwise incorrect. The client is assumed to be in error.",
                ));
            }
            return self.domain_create(context, input, None).await;
        }
        let name = input.name.ok_or_else(|| Error::invalid("ValidationError", "'name' is a required property"))?;
        let mut parent = None;
        let parent_id = input.parent_id.flatten();
        if let Some(id) = &parent_id {
            parent = self.find_project(id).await?;
        }
        let domain_id = match (input.domain_id.flatten(), &parent) {
            (Some(id), _) => id,
            (None, Some(parent)) if parent.is_domain => parent.id.clone(),
            (None, Some(parent)) => parent.domain_id.clone(),
            (None, None) => self.home_domain(context)?,
        };
        self.enforce(
            context,
            "identity:create_project",
            &json!({"target": {"project": {"domain_id": domain_id, "parent_id": parent_id}}}),
        )?;
        if let Some(id) = &parent_id
            && parent.is_none()
        {
            return Err(not_found("project", id));
        }
        let domain = self.require_domain_row(&domain_id).await?;
        let parent = match parent {
            Some(parent) => parent,
            None => domain.clone(),
        };
        let parents_domain = if parent.is_domain { &parent.id } else { &parent.domain_id };
        if *parents_domain != domain_id {
            return Err(Error::invalid(
                "ValidationError",
                format!(
                    "Cannot create project, since it specifies its domain_id {domain_id}, but specifies a parent in a different domain ({parents_domain})."
                ),
            ));
        }
        if !parent.enabled || !domain.enabled {
            return Err(Error::forbidden(
                "ForbiddenAction",
                format!("Cannot create project since its parent {} is disabled.", parent.id),
            ));
        }
        // The new project counts as a level, its domain does not.
        if ancestors(self.read(), &parent).await?.len() + 1 > MAX_DEPTH {
            return Err(Error::forbidden(
                "ForbiddenAction",
                "Max hierarchy depth reached for this branch. You are not authorized to perform the requested action.",
            ));
        }
        let row = project::Model {
            id: context.new_hex_id(),
            name,
            domain_id,
            parent_id: parent.id,
            is_domain: false,
            enabled: input.enabled.unwrap_or(true),
            description: input.description.flatten().unwrap_or_default(),
            options: merged(&json!({}), input.options.unwrap_or_default()),
            extra: Value::Object(input.extra),
        };
        self.store_project(row, input.tags).await
    }

    pub(crate) async fn store_project(&self, row: project::Model, tags: Option<Vec<String>>) -> Result<project::Model> {
        let txn = self.begin().await?;
        let stored = project::Entity::insert(project::ActiveModel::from(row.clone())).exec(&*txn).await;
        if let Err(error) = stored {
            return Err(if is_unique_violation(&error) { project_conflict(&row) } else { error.into() });
        }
        set_tags(&*txn, &row.id, tags.unwrap_or_default()).await?;
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn project_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: ProjectInput,
    ) -> Result<project::Model> {
        let row = self.find_project(id).await?;
        self.enforce(context, "identity:update_project", &project_target(row.as_ref()))?;
        let row = row.ok_or_else(|| not_found("project", id))?;
        self.change_project(row, input, "project").await
    }

    pub(crate) async fn change_project(
        &self,
        row: project::Model,
        input: ProjectInput,
        kind: &str,
    ) -> Result<project::Model> {
        check_mutable(&row.options, kind, &row.id, Some(input.options.as_ref().unwrap_or(&Map::new())))?;
        if input.domain_id.as_ref().is_some_and(|id| id.as_deref().unwrap_or_default() != row.domain_id) {
            return Err(Error::invalid("ValidationError", "Cannot change Domain ID"));
        }
        if input.parent_id.as_ref().is_some_and(|id| id.as_deref().unwrap_or_default() != row.parent_id) {
            return Err(Error::forbidden("ForbiddenAction", "Update of `parent_id` is not allowed."));
        }
        if input.is_domain.is_some_and(|is_domain| is_domain != row.is_domain) {
            return Err(Error::invalid("ValidationError", "Update of `is_domain` is not allowed."));
        }
        if let Some(enabled) = input.enabled
            && enabled != row.enabled
            && !row.is_domain
        {
            self.check_enabling(&row, enabled).await?;
        }
        let mut changed = row.clone();
        if let Some(name) = input.name {
            changed.name = name;
        }
        if let Some(enabled) = input.enabled {
            changed.enabled = enabled;
        }
        if let Some(description) = input.description {
            changed.description = description.unwrap_or_default();
        }
        if let Some(options) = input.options {
            changed.options = merged(&row.options, options);
        }
        changed.extra = merged(&row.extra, input.extra);
        let txn = self.begin().await?;
        let active = changes::<project::Entity>(&row, &changed);
        if let Err(error) = project::Entity::update(active).exec(&*txn).await {
            return Err(if is_unique_violation(&error) { project_conflict(&changed) } else { error.into() });
        }
        if let Some(tags) = input.tags {
            set_tags(&*txn, &row.id, tags).await?;
        }
        txn.commit().await?;
        Ok(changed)
    }

    async fn check_enabling(&self, row: &project::Model, enabled: bool) -> Result<()> {
        use project::Column;
        if enabled {
            let parent = self.find_project(&row.parent_id).await?;
            if parent.is_some_and(|parent| !parent.enabled) {
                return Err(Error::forbidden(
                    "ForbiddenAction",
                    format!("Cannot enable project {} since it has disabled parents.", row.id),
                ));
            }
        } else {
            let below = project::Entity::find().filter(Column::ParentId.eq(&row.id)).filter(Column::Enabled.eq(true));
            if below.count(self.read()).await? > 0 {
                return Err(Error::forbidden(
                    "ForbiddenAction",
                    format!("Cannot disable project {} since its subtree contains enabled projects.", row.id),
                ));
            }
        }
        Ok(())
    }

    pub(crate) async fn project_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        let row = self.find_project(id).await?;
        self.enforce(context, "identity:delete_project", &project_target(row.as_ref()))?;
        let row = row.ok_or_else(|| not_found("project", id))?;
        if row.is_domain {
            return self.delete_domain_row(row).await;
        }
        check_mutable(&row.options, "project", &row.id, None)?;
        let txn = self.begin().await?;
        let below = project::Entity::find().filter(project::Column::ParentId.eq(id)).count(&*txn).await?;
        if below > 0 {
            return Err(Error::forbidden(
                "ForbiddenAction",
                format!(
                    "Cannot delete the project {id} since it is not a leaf in the hierarchy. Use the cascade option if \
                     you want to delete a whole subtree."
                ),
            ));
        }
        delete_projects(&*txn, &[id.to_owned()]).await?;
        self.revoke(&*txn, Revoke::Project(id)).await?;
        txn.commit().await
    }

    /// Tags of many projects in one query.
    pub(crate) async fn tags_of(&self, ids: &[&str]) -> Result<HashMap<String, Vec<String>>> {
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        // Below the number of variables a statement may have.
        for part in ids.chunks(1000) {
            let rows = tag::Entity::find()
                .filter(tag::Column::ProjectId.is_in(part.iter().copied()))
                .order_by_asc(tag::Column::Name)
                .all(self.read())
                .await?;
            for row in rows {
                found.entry(row.project_id).or_default().push(row.name);
            }
        }
        Ok(found)
    }
}

pub(crate) fn project_target(row: Option<&project::Model>) -> Value {
    match row {
        None => Value::Null,
        // A domain seen as a project is inside itself.
        Some(row) if row.is_domain => json!({"target": {"project": {"id": row.id, "domain_id": row.id}}}),
        Some(row) => json!({"target": {"project": {"id": row.id, "domain_id": row.domain_id}}}),
    }
}

fn project_conflict(row: &project::Model) -> Error {
    if row.is_domain {
        return conflict(
            "project",
            format!("it is not permitted to have two projects acting as domains with the same name: {}", row.name),
        );
    }
    conflict(
        "project",
        format!(
            "it is not permitted to have two projects with either the same name or same id in the same domain: name is \
             {}, project id {}",
            row.name, row.id
        ),
    )
}

pub(crate) async fn set_tags(connection: &impl ConnectionTrait, project_id: &str, tags: Vec<String>) -> Result<()> {
    tag::Entity::delete_many().filter(tag::Column::ProjectId.eq(project_id)).exec(connection).await?;
    if tags.is_empty() {
        return Ok(());
    }
    let rows =
        tags.into_iter().map(|name| tag::ActiveModel { project_id: Set(project_id.to_owned()), name: Set(name) });
    tag::Entity::insert_many(rows).exec(connection).await?;
    Ok(())
}

/// Removes projects with everything that hangs on them.
pub(crate) async fn delete_projects(connection: &impl ConnectionTrait, ids: &[String]) -> Result<()> {
    for part in ids.chunks(1000) {
        let part = || part.iter().cloned();
        project::Entity::delete_many().filter(project::Column::Id.is_in(part())).exec(connection).await?;
        tag::Entity::delete_many().filter(tag::Column::ProjectId.is_in(part())).exec(connection).await?;
        assignment::Entity::delete_many()
            .filter(assignment::Column::Target.eq(Target::Project))
            .filter(assignment::Column::TargetId.is_in(part()))
            .exec(connection)
            .await?;
        credential::Entity::delete_many().filter(credential::Column::ProjectId.is_in(part())).exec(connection).await?;
        application_credential::Entity::delete_many()
            .filter(application_credential::Column::ProjectId.is_in(part()))
            .exec(connection)
            .await?;
        trust::Entity::delete_many().filter(trust::Column::ProjectId.is_in(part())).exec(connection).await?;
        project_endpoint::Entity::delete_many()
            .filter(project_endpoint::Column::ProjectId.is_in(part()))
            .exec(connection)
            .await?;
        project_endpoint_group::Entity::delete_many()
            .filter(project_endpoint_group::Column::ProjectId.is_in(part()))
            .exec(connection)
            .await?;
        limit::Entity::delete_many().filter(limit::Column::ProjectId.is_in(part())).exec(connection).await?;
        crate::user::forget_default_project(connection, part()).await?;
    }
    Ok(())
}

/// `tags` (all), `tags-any`, `not-tags` (not all), `not-tags-any`.
fn filter_by_tags(mut select: Select<project::Entity>, query: &Query) -> Select<project::Entity> {
    use project::Column;
    let having = |names: Vec<String>| {
        let mut sub = sea_orm::sea_query::Query::select();
        sub.column(tag::Column::ProjectId).from(tag::Entity).and_where(tag::Column::Name.is_in(names));
        sub
    };
    let list = |key: &str| -> Option<Vec<String>> {
        query.get(key).map(|text| text.split(',').take(MAX_TAGS).map(str::to_owned).collect())
    };
    for name in list("tags").into_iter().flatten() {
        select = select.filter(Column::Id.in_subquery(having(vec![name])));
    }
    if let Some(names) = list("tags-any") {
        select = select.filter(Column::Id.in_subquery(having(names)));
    }
    if let Some(names) = list("not-tags") {
        let mut all = sea_orm::Condition::all();
        for name in names {
            all = all.add(Column::Id.in_subquery(having(vec![name])));
        }
        select = select.filter(all.not());
    }
    if let Some(names) = list("not-tags-any") {
        select = select.filter(Column::Id.not_in_subquery(having(names)));
    }
    select
}

/// Ids of the projects whose parent is one of `ids`.
pub(crate) async fn children(connection: &impl ConnectionTrait, ids: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for part in ids.chunks(1000) {
        let rows: Vec<String> = project::Entity::find()
            .select_only()
            .column(project::Column::Id)
            .filter(project::Column::ParentId.is_in(part.iter().cloned()))
            .into_tuple()
            .all(connection)
            .await?;
        found.extend(rows);
    }
    Ok(found)
}
