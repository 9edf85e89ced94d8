//! Security groups: named sets of rules that ports are put into.

use std::collections::HashMap;

use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde_json::{Map, Value};

use crate::{
    NetworkService,
    attribute::{Attribute, Attributes, Check, Default, Filter, check::Fault, common},
    db::{self, CHUNK, group as table, port_group, rule},
    default_rule,
    error::group_not_found,
    quota, rbac,
    resource::{Change, Resource, View, save_changed},
    security_rule, view,
};

pub struct SecurityGroup;

/// The name of the group that every project has.
const DEFAULT: &str = "default";

impl Resource for SecurityGroup {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "security_group";
    const PLURAL: &'static str = "security_groups";
    const TAGGED: bool = true;
    const QUOTA: Option<&'static str> = Some("security_group");
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        Attribute::new("name").post(Default::Text(""), Check::Custom(not_default)).put().filter(Filter::Text).sort(),
        common::DESCRIPTION,
        common::TENANT,
        common::PROJECT,
        Attribute::new("stateful").post(Default::Bool(true), Check::Bool).put().filter(Filter::Bool),
        Attribute::new("shared").filter(Filter::Special),
        Attribute::new("security_group_rules"),
        common::CREATED,
        common::UPDATED,
        common::REVISION,
        common::TAGS,
    ];

    fn not_found(id: &str) -> Error {
        group_not_found(id)
    }

    fn visible(context: &RequestContext) -> Condition {
        rbac::visible(context, "security_group", table::Column::Id, table::Column::ProjectId)
    }

    fn special_filter(context: &RequestContext, key: &str, values: &[&str]) -> Result<Condition> {
        rbac::shared_filter(context, "security_group", table::Column::Id, key, values)
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        let project = attributes.text("project_id");
        ensure_default(change, &project).await?;
        let templates = default_rule::templates(&change.txn, false).await?;
        let count = i64::try_from(templates.len()).unwrap_or(i64::MAX);
        quota::check(change, &project, &[("security_group_rule", count)]).await?;
        let now = now();
        let model = table::Model {
            id: change.new_id(),
            project_id: project,
            name: attributes.text("name"),
            description: attributes.text("description"),
            stateful: attributes.flag("stateful"),
            is_default: false,
            created_at: now,
            updated_at: now,
            revision_number: 1,
        };
        db::insert(&change.txn, model.clone()).await?;
        default_rule::apply(change, &model, templates).await?;
        Ok(model)
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        let mut model = before.clone();
        if before.is_default && attributes.was_given("name") {
            return Err(Error::conflict(
                "SecurityGroupCannotUpdateDefault",
                "Updating default security group not allowed.",
            ));
        }
        attributes.update_text("name", &mut model.name);
        attributes.update_text("description", &mut model.description);
        attributes.update_flag("stateful", &mut model.stateful);
        if model.stateful != before.stateful {
            refuse_used(&change.txn, &model.id).await?;
        }
        save_changed(change, &before, model).await
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        refuse_used(&change.txn, &model.id).await?;
        if model.is_default && !change.context.is_admin() {
            return Err(Error::conflict(
                "SecurityGroupCannotRemoveDefault",
                "Insufficient rights for removing default security group.",
            ));
        }
        change.effects.groups([model.id.clone()]);
        rule::Entity::delete_many()
            .filter(
                Condition::any()
                    .add(rule::Column::SecurityGroupId.eq(&model.id))
                    .add(rule::Column::RemoteGroupId.eq(&model.id)),
            )
            .exec(&change.txn)
            .await?;
        rbac::forget(&change.txn, &model.id).await?;
        db::remove(&change.txn, &model).await
    }

    async fn views(service: &NetworkService, context: &RequestContext, models: &[table::Model]) -> Result<Vec<View>> {
        let connection = service.database.read();
        let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        let shared = rbac::shared_with(connection, context, &ids).await?;
        let defaults: HashMap<&str, bool> = models.iter().map(|model| (model.id.as_str(), model.is_default)).collect();
        let mut rules: HashMap<String, Vec<Value>> = HashMap::new();
        for ids in ids.chunks(CHUNK) {
            let rows = rule::Entity::find()
                .filter(rule::Column::SecurityGroupId.is_in(ids.iter().copied()))
                .order_by_asc(rule::Column::CreatedAt)
                .all(connection)
                .await?;
            for row in rows {
                let default = defaults.get(row.security_group_id.as_str()).copied().unwrap_or_default();
                let rendered = Value::Object(security_rule::render(&row, default));
                rules.entry(row.security_group_id).or_default().push(rendered);
            }
        }
        let views = models.iter().map(|model| {
            let mut out = Map::new();
            view::put(&mut out, "id", &model.id);
            view::put(&mut out, "name", &model.name);
            view::put(&mut out, "description", &model.description);
            view::owner(&mut out, &model.project_id);
            view::put(&mut out, "stateful", model.stateful);
            view::put(&mut out, "shared", shared.contains(&model.id));
            view::put(&mut out, "security_group_rules", rules.remove(&model.id).unwrap_or_default());
            view::times(&mut out, model.created_at, model.updated_at, model.revision_number);
            out
        });
        Ok(views.collect())
    }
}

/// Any name but the default group's.
fn not_default(name: &str, value: Value) -> std::result::Result<Value, Fault> {
    let value = Check::Name(255).apply(name, value)?;
    if value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(DEFAULT)) {
        return Err(Fault::Error(Error::conflict(
            "SecurityGroupDefaultAlreadyExists",
            "Default security group already exists.",
        )));
    }
    Ok(value)
}

pub async fn get(connection: &impl ConnectionTrait, id: &str) -> Result<table::Model> {
    table::Entity::find_by_id(id).one(connection).await?.ok_or_else(|| group_not_found(id))
}

async fn default_of(connection: &impl ConnectionTrait, project: &str) -> Result<Option<String>> {
    let row = table::Entity::find()
        .filter(table::Column::ProjectId.eq(project))
        .filter(table::Column::IsDefault.eq(true))
        .one(connection)
        .await?;
    Ok(row.map(|row| row.id))
}

/// The project's default group, made when it is missing. Quotas do not apply to it.
pub async fn ensure_default(change: &mut Change<'_>, project: &str) -> Result<String> {
    if project.is_empty() {
        return Ok(String::new());
    }
    if let Some(id) = default_of(&change.txn, project).await? {
        return Ok(id);
    }
    let now = now();
    let model = table::Model {
        id: uuid::Uuid::new_v4().to_string(),
        project_id: project.to_owned(),
        name: DEFAULT.into(),
        description: "Default security group".into(),
        stateful: true,
        is_default: true,
        created_at: now,
        updated_at: now,
        revision_number: 1,
    };
    db::insert(&change.txn, model.clone()).await?;
    let templates = default_rule::templates(&change.txn, true).await?;
    default_rule::apply(change, &model, templates).await?;
    Ok(model.id)
}

/// Lists make the default group of the caller's project, or of the one that an administrator asks for.
pub async fn ensure_listed(service: &NetworkService, context: &RequestContext, asked: Option<&str>) -> Result<()> {
    let project = match (asked, context.project_id()) {
        (Some(asked), own) if context.is_admin() || own == Some(asked) => asked,
        (_, Some(own)) => own,
        (_, None) => return Ok(()),
    };
    if default_of(service.database.read(), project).await?.is_some() {
        return Ok(());
    }
    let mut change = Change::begin(service, context).await?;
    ensure_default(&mut change, project).await?;
    change.commit().await
}

/// 404 for a group that neither the caller nor the port's project sees.
pub async fn require_visible(change: &Change<'_>, ids: &[String], project: &str) -> Result<()> {
    for id in ids {
        let visible =
            Condition::any().add(SecurityGroup::visible(change.context)).add(table::Column::ProjectId.eq(project));
        let row = table::Entity::find_by_id(id).filter(visible).one(&change.txn).await?;
        let Some(row) = row else { return Err(group_not_found(id)) };
        // An administrator may not mix projects by accident: upstream looks with the port's owner.
        let foreign = row.project_id != project
            && !change.context.is_admin()
            && change.context.project_id() != Some(row.project_id.as_str())
            && !rbac::shared_with(&change.txn, change.context, &[id]).await?.contains(id);
        if foreign {
            return Err(group_not_found(id));
        }
    }
    Ok(())
}

async fn refuse_used(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    let ports = port_group::Entity::find().filter(port_group::Column::GroupId.eq(id)).count(connection).await?;
    if ports == 0 {
        return Ok(());
    }
    Err(Error::conflict("SecurityGroupInUse", format!("Security Group {id} in use.")))
}

/// Marks a rule's change on its group.
pub async fn bump(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    if let Some(mut model) = table::Entity::find_by_id(id).one(connection).await? {
        db::Stored::touch(&mut model);
        db::save(connection, &model).await?;
    }
    Ok(())
}
