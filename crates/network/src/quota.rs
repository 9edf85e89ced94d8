//! How many objects a project may have. Usage is counted, never stored, so it cannot drift.

use std::collections::BTreeMap;

use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, sea_query::OnConflict};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService,
    attribute::check,
    db::{self, quota},
    error::{bad_request, invalid_attribute, invalid_input, over_quota},
    resource::Change,
};

/// Upstream's names and defaults; -1 is unlimited.
pub const DEFAULTS: [(&str, i32); 10] = [
    ("network", 100),
    ("subnet", 100),
    ("subnetpool", -1),
    ("port", 500),
    ("router", 10),
    ("floatingip", 50),
    ("security_group", 10),
    ("security_group_rule", 100),
    ("rbac_policy", 10),
    ("router_route", 30),
];

pub type Limits = BTreeMap<String, i32>;

pub fn defaults(service: &NetworkService) -> Limits {
    let mut limits: Limits = DEFAULTS.iter().map(|(name, limit)| ((*name).to_owned(), *limit)).collect();
    for (name, limit) in &service.settings.quotas {
        if let Some(slot) = limits.get_mut(name) {
            *slot = *limit;
        }
    }
    limits
}

pub async fn limits(service: &NetworkService, connection: &impl ConnectionTrait, project: &str) -> Result<Limits> {
    let mut limits = defaults(service);
    for row in quota::Entity::find().filter(quota::Column::ProjectId.eq(project)).all(connection).await? {
        limits.insert(row.resource, row.quota_limit);
    }
    Ok(limits)
}

/// How many objects of a kind the project has.
pub async fn used(connection: &impl ConnectionTrait, project: &str, resource: &str) -> Result<i64> {
    macro_rules! count {
        ($module:ident) => {
            db::$module::Entity::find().filter(db::$module::Column::ProjectId.eq(project)).count(connection).await?
        };
    }
    let count = match resource {
        "network" => count!(network_table),
        "subnet" => count!(subnet),
        "subnetpool" => count!(subnetpool),
        "port" => count!(port_table),
        "router" => count!(router_table),
        "floatingip" => count!(floatingip),
        "security_group" => count!(group),
        "security_group_rule" => count!(rule),
        "rbac_policy" => count!(rbac),
        _ => 0,
    };
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

/// 409 when the project would have more than it may.
pub async fn check(change: &Change<'_>, project: &str, wanted: &[(&'static str, i64)]) -> Result<()> {
    let limits = limits(change.service, &change.txn, project).await?;
    let mut over = Vec::new();
    for (resource, count) in wanted {
        let limit = i64::from(limits.get(*resource).copied().unwrap_or(-1));
        if limit >= 0 && used(&change.txn, project, resource).await? + count > limit {
            over.push(*resource);
        }
    }
    if over.is_empty() { Ok(()) } else { Err(over_quota(&over)) }
}

fn may_see(service: &NetworkService, context: &RequestContext, project: &str) -> Result<()> {
    context.auth()?;
    if service.enforcer.allows(context, "get_quota", &json!({"project_id": project})) {
        Ok(())
    } else {
        Err(Error::forbidden(
            "AdminRequired",
            "User does not have admin privileges: Only admin can view or configure quota.",
        ))
    }
}

fn admin(service: &NetworkService, context: &RequestContext, rule: &'static str, project: &str) -> Result<()> {
    context.auth()?;
    if service.enforcer.allows(context, rule, &json!({"project_id": project})) {
        Ok(())
    } else {
        Err(Error::forbidden(
            "AdminRequired",
            "User does not have admin privileges: Only admin can view or configure quota.",
        ))
    }
}

pub async fn show(service: &NetworkService, context: &RequestContext, project: &str) -> Result<Value> {
    may_see(service, context, project)?;
    Ok(json!(limits(service, service.database.read(), project).await?))
}

pub fn show_defaults(service: &NetworkService, context: &RequestContext, project: &str) -> Result<Value> {
    may_see(service, context, project)?;
    Ok(json!(defaults(service)))
}

pub async fn details(service: &NetworkService, context: &RequestContext, project: &str) -> Result<Value> {
    may_see(service, context, project)?;
    let connection = service.database.read();
    let mut out = Map::new();
    for (resource, limit) in limits(service, connection, project).await? {
        let used = used(connection, project, &resource).await?;
        out.insert(resource, json!({"limit": limit, "used": used, "reserved": 0}));
    }
    Ok(Value::Object(out))
}

/// Projects that have limits of their own.
pub async fn list(service: &NetworkService, context: &RequestContext) -> Result<Vec<Value>> {
    admin(service, context, "get_quotas", "")?;
    let mut projects: BTreeMap<String, Limits> = BTreeMap::new();
    for row in quota::Entity::find().all(service.database.read()).await? {
        projects.entry(row.project_id).or_insert_with(|| defaults(service)).insert(row.resource, row.quota_limit);
    }
    let render = |(project, limits): (String, Limits)| {
        let mut out = json!(limits);
        out["project_id"] = json!(project);
        out["tenant_id"] = json!(project);
        out
    };
    Ok(projects.into_iter().map(render).collect())
}

pub async fn update(
    service: &NetworkService,
    context: &RequestContext,
    project: &str,
    mut body: Map<String, Value>,
) -> Result<Value> {
    admin(service, context, "update_quota", project)?;
    let truth = |value: Option<Value>| value.and_then(|value| check::boolean(value).ok()) == Some(json!(true));
    let force = truth(body.shift_remove("force"));
    body.shift_remove("check_limit");
    body.shift_remove("tenant_id");
    body.shift_remove("project_id");
    let change = Change::begin(service, context).await?;
    let known = defaults(service);
    for (name, value) in body {
        if !known.contains_key(&name) {
            return Err(bad_request(format!("Unrecognized attribute(s) '{name}'")));
        }
        let limit = check::integer(&value)
            .map_err(|_| invalid_input(format!("'{}' is not an integer", check::shown(&value))))?;
        if !(-1..=2_147_483_647).contains(&limit) {
            return Err(invalid_attribute(&name, format!("'{limit}' is not in range -1 through 2147483647")));
        }
        let used = used(&change.txn, project, &name).await?;
        if !force && limit >= 0 && limit < used {
            return Err(bad_request(format!(
                "Quota limit {limit} for {name} must be greater than or equal to already used {used}"
            )));
        }
        let row = quota::Model {
            project_id: project.to_owned(),
            resource: name,
            quota_limit: i32::try_from(limit).unwrap_or(i32::MAX),
        };
        let key = OnConflict::columns([quota::Column::ProjectId, quota::Column::Resource])
            .update_column(quota::Column::QuotaLimit)
            .to_owned();
        quota::Entity::insert(sea_orm::IntoActiveModel::<quota::ActiveModel>::into_active_model(row))
            .on_conflict(key)
            .exec_without_returning(&change.txn)
            .await?;
    }
    change.commit().await?;
    show(service, &context.elevated(), project).await
}

pub async fn reset(service: &NetworkService, context: &RequestContext, project: &str) -> Result<()> {
    admin(service, context, "delete_quota", project)?;
    let change = Change::begin(service, context).await?;
    let gone = quota::Entity::delete_many().filter(quota::Column::ProjectId.eq(project)).exec(&change.txn).await?;
    if gone.rows_affected == 0 {
        return Err(Error::not_found("TenantQuotaNotFound", format!("Quota for tenant {project} could not be found.")));
    }
    change.commit().await
}
