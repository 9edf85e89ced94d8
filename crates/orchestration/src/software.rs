//! Software configs and deployments (spec 1.18): records that agents inside servers read and report to. This cloud keeps
//! them for whoever runs such agents; nothing here acts on a server.
//!
//! Every function enforces its policy rule and sees one project only. A config never changes, and stays while a deployment
//! uses it.

use sahab_contract::{Error, RequestContext, Result, context::now};
use serde_json::Value;

use crate::{
    core::Core,
    db::{Status, software_config, software_deployment},
    template::error,
};

/// Upstream's `max_software_configs_per_tenant` and `max_software_deployments_per_tenant`.
const MAX_PER_PROJECT: u64 = 4096;

/// A new config, checked.
pub struct NewConfig {
    pub name: Option<String>,
    pub tool: Option<String>,
    pub config: Value,
    pub inputs: Value,
    pub outputs: Value,
    pub options: Value,
}

/// A new deployment, checked.
pub struct NewDeployment {
    pub config_id: String,
    pub server_id: String,
    pub stack_user_project_id: Option<String>,
    pub input_values: Option<Value>,
    pub action: String,
    pub status: Status,
    pub status_reason: String,
}

/// What a deployment's agent, or its user, has to report.
#[derive(Default)]
pub struct DeploymentChange {
    pub config_id: Option<String>,
    pub input_values: Option<Value>,
    pub output_values: Option<Value>,
    pub action: Option<String>,
    pub status: Option<Status>,
    pub status_reason: Option<String>,
}

fn no_config(id: &str) -> Error {
    Error::not_found("NotFound", format!("Software config with id {id} not found"))
}

fn no_deployment(id: &str) -> Error {
    Error::not_found("NotFound", format!("Deployment with id {id} not found"))
}

fn exists_already(id: &str) -> Error {
    Error::conflict("Conflict", format!("{id} exists already."))
}

fn check_quota(count: u64, what: &str) -> Result<()> {
    if count < MAX_PER_PROJECT {
        return Ok(());
    }
    Err(error::limit(format!(
        "You have reached the maximum {what} per tenant, {MAX_PER_PROJECT}. Please delete some {what}."
    )))
}

/// `of_all`: of every project, for whom the policy lets.
pub async fn list_configs(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    of_all: bool,
    marker: Option<&str>,
    limit: Option<u64>,
) -> Result<Vec<software_config::Model>> {
    core.enforce(context, "software_configs:index", project_id)?;
    if of_all {
        core.enforce(context, "software_configs:global_index", project_id)?;
    }
    let read = core.database.read();
    let after = match marker {
        Some(marker) => software_config::find(read, project_id, marker).await?,
        None => None,
    };
    software_config::list(read, (!of_all).then_some(project_id), after.as_ref(), limit).await
}

pub async fn show_config(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    id: &str,
) -> Result<software_config::Model> {
    core.enforce(context, "software_configs:show", project_id)?;
    software_config::find(core.database.read(), project_id, id).await?.ok_or_else(|| no_config(id))
}

pub async fn create_config(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    new: NewConfig,
) -> Result<software_config::Model> {
    core.enforce(context, "software_configs:create", project_id)?;
    let row = software_config::Model {
        id: context.new_uuid(),
        project_id: project_id.to_owned(),
        name: new.name,
        tool: new.tool,
        config: new.config,
        inputs: new.inputs,
        outputs: new.outputs,
        options: new.options,
        created_at: now(),
    };
    let txn = core.database.begin().await?;
    check_quota(software_config::count(&txn, project_id).await?, "software configs")?;
    match software_config::insert(&txn, row.clone()).await {
        Ok(()) => {}
        Err(cause) if sahab_db::is_unique_violation(&cause) => return Err(exists_already(&row.id)),
        Err(cause) => return Err(cause.into()),
    }
    txn.commit().await?;
    Ok(row)
}

pub async fn delete_config(core: &Core, context: &RequestContext, project_id: &str, id: &str) -> Result<()> {
    core.enforce(context, "software_configs:delete", project_id)?;
    let txn = core.database.begin().await?;
    if software_config::find(&txn, project_id, id).await?.is_none() {
        return Err(no_config(id));
    }
    if software_deployment::uses(&txn, id).await? {
        // Upstream answers 500 to this mistake of the user's.
        return Err(Error::conflict(
            "InvalidRestrictedAction",
            format!("Software config with id {id} can not be deleted as it is referenced."),
        ));
    }
    software_config::delete(&txn, id).await?;
    txn.commit().await?;
    Ok(())
}

pub async fn list_deployments(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    server_id: Option<&str>,
) -> Result<Vec<software_deployment::Model>> {
    core.enforce(context, "software_deployments:index", project_id)?;
    software_deployment::list(core.database.read(), project_id, server_id).await
}

/// The configs meant for a server, by name: what its agent has to do.
pub async fn metadata(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    server_id: &str,
) -> Result<Vec<software_config::Model>> {
    core.enforce(context, "software_deployments:metadata", project_id)?;
    let read = core.database.read();
    let deployments = software_deployment::list(read, project_id, Some(server_id)).await?;
    let ids = deployments.iter().map(|deployment| deployment.config_id.clone()).collect();
    let known = software_config::find_all(read, ids).await?;
    let of = |deployment: &software_deployment::Model| known.iter().find(|config| config.id == deployment.config_id);
    let mut configs: Vec<software_config::Model> = deployments.iter().filter_map(of).cloned().collect();
    configs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(configs)
}

pub async fn show_deployment(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    id: &str,
) -> Result<software_deployment::Model> {
    core.enforce(context, "software_deployments:show", project_id)?;
    software_deployment::find(core.database.read(), project_id, id).await?.ok_or_else(|| no_deployment(id))
}

pub async fn create_deployment(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    new: NewDeployment,
) -> Result<software_deployment::Model> {
    core.enforce(context, "software_deployments:create", project_id)?;
    let row = software_deployment::Model {
        id: context.new_uuid(),
        project_id: project_id.to_owned(),
        config_id: new.config_id,
        server_id: new.server_id,
        stack_user_project_id: new.stack_user_project_id,
        input_values: new.input_values,
        output_values: None,
        action: new.action,
        status: new.status,
        status_reason: new.status_reason,
        created_at: now(),
        updated_at: None,
    };
    let txn = core.database.begin().await?;
    check_quota(software_deployment::count(&txn, project_id).await?, "software deployments")?;
    if software_config::find(&txn, project_id, &row.config_id).await?.is_none() {
        return Err(no_config(&row.config_id));
    }
    match software_deployment::insert(&txn, row.clone()).await {
        Ok(()) => {}
        Err(cause) if sahab_db::is_unique_violation(&cause) => return Err(exists_already(&row.id)),
        Err(cause) => return Err(cause.into()),
    }
    txn.commit().await?;
    Ok(row)
}

pub async fn update_deployment(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    id: &str,
    change: DeploymentChange,
) -> Result<software_deployment::Model> {
    core.enforce(context, "software_deployments:update", project_id)?;
    let txn = core.database.begin().await?;
    let Some(mut row) = software_deployment::find(&txn, project_id, id).await? else { return Err(no_deployment(id)) };
    if let Some(config_id) = change.config_id {
        if software_config::find(&txn, project_id, &config_id).await?.is_none() {
            return Err(no_config(&config_id));
        }
        row.config_id = config_id;
    }
    row.input_values = change.input_values.or(row.input_values);
    row.output_values = change.output_values.or(row.output_values);
    row.action = change.action.unwrap_or(row.action);
    row.status = change.status.unwrap_or(row.status);
    row.status_reason = change.status_reason.unwrap_or(row.status_reason);
    row.updated_at = Some(now());
    software_deployment::save(&txn, &row).await?;
    txn.commit().await?;
    Ok(row)
}

pub async fn delete_deployment(core: &Core, context: &RequestContext, project_id: &str, id: &str) -> Result<()> {
    core.enforce(context, "software_deployments:delete", project_id)?;
    let txn = core.database.begin().await?;
    if software_deployment::find(&txn, project_id, id).await?.is_none() {
        return Err(no_deployment(id));
    }
    software_deployment::delete(&txn, id).await?;
    txn.commit().await?;
    Ok(())
}
