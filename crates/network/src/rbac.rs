//! Sharing: which projects may use an object that is not theirs.
//!
//! `shared: true` is one policy `access_as_shared` for `*`; `router:external: true` one `access_as_external` for `*`.

use std::collections::HashSet;

use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::SelectStatement,
};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService,
    attribute::{Attribute, Attributes, Check, Default, Filter, common},
    db::{self, CHUNK, port_table, rbac as table},
    error::{bad_request, invalid_input},
    listing::flag,
    resource::{Change, Resource, View, save_changed},
    view,
};

pub const SHARED: &str = "access_as_shared";
pub const EXTERNAL: &str = "access_as_external";
const TYPES: [&str; 5] = ["network", "address_scope", "subnetpool", "security_group", "address_group"];

pub struct Rbac;

impl Resource for Rbac {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "rbac_policy";
    const PLURAL: &'static str = "rbac_policies";
    const QUOTA: Option<&'static str> = Some("rbac_policy");
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        Attribute::new("object_type").post(Default::Required, Check::Text(255)).filter(Filter::Text).sort(),
        Attribute::new("object_id").post(Default::Required, Check::Uuid).filter(Filter::Text).sort(),
        Attribute::new("target_tenant")
            .post(Default::Required, Check::Text(255))
            .put()
            .filter(Filter::Text)
            .sort()
            .column("target_project"),
        Attribute::new("action").post(Default::Required, Check::Text(255)).filter(Filter::Text).sort(),
        common::TENANT,
        common::PROJECT,
    ];

    fn not_found(id: &str) -> Error {
        Error::not_found("RbacPolicyNotFound", format!("RBAC policy of type rbac_policy with ID {id} not found"))
    }

    async fn create_target(_: &mut Change<'_>, attributes: &Attributes) -> Result<Value> {
        Ok(json!({
            "project_id": attributes.text("project_id"),
            "target_tenant": attributes.text("target_tenant"),
        }))
    }

    async fn target(_: &mut Change<'_>, model: &table::Model) -> Result<Value> {
        Ok(json!({"project_id": model.project_id, "target_tenant": ""}))
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        let object_type = attributes.text("object_type");
        let action = attributes.text("action");
        let object_id = attributes.text("object_id");
        if !TYPES.contains(&object_type.as_str()) {
            return Err(Error::invalid(
                "InvalidInput",
                format!("Invalid input for operation: '{object_type}' is not in {TYPES:?}."),
            ));
        }
        if !(action == SHARED || (action == EXTERNAL && object_type == "network")) {
            return Err(Error::invalid(
                "InvalidActionForType",
                format!("Invalid action '{action}' for object type '{object_type}'. Valid actions: {SHARED}"),
            ));
        }
        let owner = owner_of(&change.txn, &object_type, &object_id)
            .await?
            .ok_or_else(|| bad_request(format!("RBAC object {object_type} {object_id} could not be found.")))?;
        if !change.context.is_admin() && change.context.project_id() != Some(owner.as_str()) {
            return Err(crate::error::not_authorized("create_rbac_policy"));
        }
        if action == EXTERNAL && !change.context.is_admin() {
            return Err(crate::error::not_authorized("create_rbac_policy"));
        }
        let target = attributes.text("target_tenant");
        refuse_duplicate(&change.txn, &object_id, &action, &target).await?;
        let model = table::Model {
            id: change.new_id(),
            project_id: attributes.text("project_id"),
            object_type,
            object_id,
            action,
            target_project: target,
        };
        db::insert(&change.txn, model.clone()).await?;
        sync_external(change, &model.object_id).await?;
        Ok(model)
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        let mut model = before.clone();
        attributes.update_text("target_tenant", &mut model.target_project);
        if model.target_project == "*" && !change.context.is_admin() {
            return Err(crate::error::not_authorized("update_rbac_policy:target_tenant"));
        }
        if model != before {
            refuse_duplicate(&change.txn, &model.object_id, &model.action, &model.target_project).await?;
            refuse_use(&change.txn, &before, &model.target_project).await?;
        }
        save_changed(change, &before, model).await
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        refuse_use(&change.txn, &model, "").await?;
        db::remove(&change.txn, &model).await?;
        sync_external(change, &model.object_id).await
    }

    async fn views(_: &NetworkService, _: &RequestContext, models: &[table::Model]) -> Result<Vec<View>> {
        let views = models.iter().map(|model| {
            let mut out = Map::new();
            view::put(&mut out, "id", &model.id);
            view::owner(&mut out, &model.project_id);
            view::put(&mut out, "object_type", &model.object_type);
            view::put(&mut out, "object_id", &model.object_id);
            view::put(&mut out, "action", &model.action);
            view::put(&mut out, "target_tenant", &model.target_project);
            out
        });
        Ok(views.collect())
    }
}

/// Who owns an object that can be shared.
async fn owner_of(connection: &impl ConnectionTrait, object_type: &str, id: &str) -> Result<Option<String>> {
    macro_rules! owner {
        ($module:ident) => {
            db::$module::Entity::find_by_id(id).one(connection).await?.map(|model| model.project_id)
        };
    }
    Ok(match object_type {
        "network" => owner!(network_table),
        "subnetpool" => owner!(subnetpool),
        "address_scope" => owner!(address_scope),
        "address_group" => owner!(address_group),
        "security_group" => owner!(group),
        _ => None,
    })
}

async fn refuse_duplicate(connection: &impl ConnectionTrait, object: &str, action: &str, target: &str) -> Result<()> {
    let same = table::Entity::find()
        .filter(table::Column::ObjectId.eq(object))
        .filter(table::Column::Action.eq(action))
        .filter(table::Column::TargetProject.eq(target))
        .count(connection)
        .await?;
    if same == 0 {
        return Ok(());
    }
    Err(Error::conflict("DuplicateRbacPolicy", "An RBAC policy already exists with those values."))
}

/// A share that the target uses (ports on the network) stays, unless another one still covers it.
async fn refuse_use(connection: &impl ConnectionTrait, policy: &table::Model, new_target: &str) -> Result<()> {
    if policy.object_type != "network" || policy.action != SHARED || new_target == "*" {
        return Ok(());
    }
    let owner = owner_of(connection, "network", &policy.object_id).await?.unwrap_or_default();
    let others: Vec<String> = table::Entity::find()
        .filter(table::Column::ObjectId.eq(&policy.object_id))
        .filter(table::Column::Action.eq(SHARED))
        .filter(table::Column::Id.ne(&policy.id))
        .all(connection)
        .await?
        .into_iter()
        .map(|row| row.target_project)
        .collect();
    if others.iter().any(|target| target == "*") {
        return Ok(());
    }
    let mut users = port_table::Entity::find()
        .filter(port_table::Column::NetworkId.eq(&policy.object_id))
        .filter(port_table::Column::ProjectId.is_not_in([owner.as_str(), new_target, ""]))
        .filter(port_table::Column::ProjectId.is_not_in(others));
    if policy.target_project != "*" {
        users = users.filter(port_table::Column::ProjectId.eq(&policy.target_project));
    }
    if users.count(connection).await? == 0 {
        return Ok(());
    }
    Err(Error::conflict(
        "RbacPolicyInUse",
        format!("RBAC policy on object {} cannot be removed because other objects depend on it.", policy.object_id),
    ))
}

/// A network is external while any project may use it as such.
async fn sync_external(change: &mut Change<'_>, id: &str) -> Result<()> {
    let Some(mut network) = db::network_table::Entity::find_by_id(id).one(&change.txn).await? else { return Ok(()) };
    let policies = table::Entity::find()
        .filter(table::Column::ObjectId.eq(id))
        .filter(table::Column::Action.eq(EXTERNAL))
        .count(&change.txn)
        .await?;
    if network.external != (policies > 0) {
        network.external = policies > 0;
        db::Stored::touch(&mut network);
        db::save(&change.txn, &network).await?;
        change.effects.network(id);
    }
    Ok(())
}

/// Gives everybody access; no-op when they have it.
pub async fn share(
    connection: &impl ConnectionTrait,
    object_type: &str,
    id: &str,
    action: &str,
    project: &str,
) -> Result<()> {
    if refuse_duplicate(connection, id, action, "*").await.is_err() {
        return Ok(());
    }
    let model = table::Model {
        id: uuid::Uuid::new_v4().to_string(),
        project_id: project.to_owned(),
        object_type: object_type.to_owned(),
        object_id: id.to_owned(),
        action: action.to_owned(),
        target_project: "*".into(),
    };
    db::insert(connection, model).await
}

/// Takes access back, from one target or from all.
pub async fn unshare(connection: &impl ConnectionTrait, id: &str, action: &str, target: Option<&str>) -> Result<()> {
    let mut query =
        table::Entity::delete_many().filter(table::Column::ObjectId.eq(id)).filter(table::Column::Action.eq(action));
    if let Some(target) = target {
        query = query.filter(table::Column::TargetProject.eq(target));
    }
    query.exec(connection).await?;
    Ok(())
}

/// Removes every policy of an object that goes away.
pub async fn forget(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    table::Entity::delete_many().filter(table::Column::ObjectId.eq(id)).exec(connection).await?;
    Ok(())
}

/// Ids of the objects that policies open to a project; by one action or by any.
pub fn granted(object_type: &str, project: &str, action: Option<&str>) -> SelectStatement {
    let mut query = table::Entity::find()
        .select_only()
        .column(table::Column::ObjectId)
        .filter(table::Column::ObjectType.eq(object_type))
        .filter(table::Column::TargetProject.is_in([project, "*"]));
    if let Some(action) = action {
        query = query.filter(table::Column::Action.eq(action));
    }
    query.into_query()
}

/// Own objects and shared ones.
pub fn visible<C: ColumnTrait>(context: &RequestContext, object_type: &str, id: C, project: C) -> Condition {
    let own = crate::resource::owned(context, Some(project));
    match context.project_id().filter(|_| !context.is_admin() && context.has_role("reader")) {
        Some(caller) => Condition::any().add(own).add(id.in_subquery(granted(object_type, caller, Some(SHARED)))),
        None => own,
    }
}

/// The filter `shared=`: whether the caller sees the object through sharing.
pub fn shared_filter<C: ColumnTrait>(
    context: &RequestContext,
    object_type: &str,
    id: C,
    key: &str,
    values: &[&str],
) -> Result<Condition> {
    if key != "shared" {
        return Err(invalid_input(format!("{key} cannot be filtered")));
    }
    let mut any = Condition::any();
    for value in values {
        let shared = granted(object_type, context.project_id().unwrap_or("*"), Some(SHARED));
        any = any.add(if flag(value)? { id.in_subquery(shared) } else { id.not_in_subquery(shared) });
    }
    Ok(any)
}

/// Which of the objects are shared with the caller.
pub async fn shared_with(
    connection: &impl ConnectionTrait,
    context: &RequestContext,
    ids: &[&str],
) -> Result<HashSet<String>> {
    let mut out = HashSet::new();
    for ids in ids.chunks(CHUNK) {
        let rows: Vec<String> = table::Entity::find()
            .select_only()
            .column(table::Column::ObjectId)
            .filter(table::Column::ObjectId.is_in(ids.iter().copied()))
            .filter(table::Column::Action.eq(SHARED))
            .filter(table::Column::TargetProject.is_in([context.project_id().unwrap_or("*"), "*"]))
            .into_tuple()
            .all(connection)
            .await?;
        out.extend(rows);
    }
    Ok(out)
}

/// Applies a changed `shared` of an object that is simply shared with everybody or not.
pub async fn set_shared(
    change: &Change<'_>,
    object_type: &str,
    id: &str,
    project: &str,
    attributes: &Attributes,
) -> Result<()> {
    match attributes.get("shared").and_then(Value::as_bool) {
        Some(true) => share(&change.txn, object_type, id, SHARED, project).await,
        Some(false) => unshare(&change.txn, id, SHARED, Some("*")).await,
        None => Ok(()),
    }
}
