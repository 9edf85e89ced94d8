//! Software configs and deployments.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Map, Value, json};

use super::{State, body, flag, number};
use crate::{
    db::Status,
    software::{self as domain, DeploymentChange, NewConfig, NewDeployment},
    template::error,
    view::software as view,
};

const CONFIGS: &str = "/v1/{tenant}/software_configs";
const CONFIG: &str = "/v1/{tenant}/software_configs/{config}";
const DEPLOYMENTS: &str = "/v1/{tenant}/software_deployments";
const DEPLOYMENT: &str = "/v1/{tenant}/software_deployments/{deployment}";

pub fn routes(table: &mut Table<State>) {
    table.get(CONFIGS, list_configs);
    table.post(CONFIGS, create_config);
    table.get(CONFIG, show_config);
    table.delete(CONFIG, delete_config);
    table.get(DEPLOYMENTS, list_deployments);
    table.post(DEPLOYMENTS, create_deployment);
    table.get("/v1/{tenant}/software_deployments/metadata/{server}", metadata);
    table.get(DEPLOYMENT, show_deployment);
    table.put(DEPLOYMENT, update_deployment);
    table.delete(DEPLOYMENT, delete_deployment);
}

/// A short text, or none.
fn text(body: &Value, key: &str) -> Result<Option<String>> {
    match &body[key] {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() <= 255 => Ok(Some(text.clone())),
        Value::String(_) => Err(error::bad_request(format!("{key} is longer than 255 characters"))),
        _ => Err(error::bad_request(format!("{key} must be a string"))),
    }
}

fn required(body: &Value, key: &str) -> Result<String> {
    text(body, key)?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| error::bad_request(format!("{key} must be specified")))
}

fn map(body: &Value, key: &str) -> Result<Option<Value>> {
    match &body[key] {
        Value::Null => Ok(None),
        value @ Value::Object(_) => Ok(Some(value.clone())),
        _ => Err(error::bad_request(format!("{key} must be a map"))),
    }
}

fn status(body: &Value) -> Result<Option<Status>> {
    let Some(text) = text(body, "status")? else { return Ok(None) };
    let status = Status::parse(&text);
    status.map(Some).ok_or_else(|| error::bad_request("status must be one of IN_PROGRESS, COMPLETE, FAILED"))
}

/// Flag of inputs: a new value asks for a new deployment.
const REPLACES: &str = "replace_on_change";
/// Flag of outputs: any value means that the deployment failed.
const FAILS: &str = "error_output";

/// What a config's script takes or gives: maps with a name, a type and some more.
fn declarations(body: &Value, key: &str, flag: &str) -> Result<Value> {
    let items = match &body[key] {
        Value::Null => return Ok(json!([])),
        Value::Array(items) => items,
        _ => return Err(error::bad_request(format!("{key} must be a list of maps"))),
    };
    let declared = items.iter().map(|item| {
        let Value::Object(item) = item else { return Err(error::bad_request(format!("{key} must be a list of maps"))) };
        let known = ["name", "type", "description", "default", "value", flag];
        if let Some(unknown) = item.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(error::bad_request(format!("{key}: unknown key {unknown}")));
        }
        let mut out: Map<String, Value> = item.clone();
        out.retain(|_, value| !value.is_null());
        if !out.get("name").is_some_and(Value::is_string) {
            return Err(error::bad_request(format!("{key}: each needs a name")));
        }
        let kinds = ["String", "Number", "CommaDelimitedList", "Json", "Boolean"];
        let kind = out.entry("type").or_insert_with(|| json!("String"));
        if !kind.as_str().is_some_and(|kind| kinds.contains(&kind)) {
            return Err(error::bad_request(format!("{key}: type must be one of {}", kinds.join(", "))));
        }
        if out.get(flag).is_some_and(|value| !value.is_boolean()) {
            return Err(error::bad_request(format!("{key}: {flag} must be true or false")));
        }
        // As upstream writes them down.
        if flag == REPLACES && out.get(flag) == Some(&json!(false)) {
            out.shift_remove(flag);
        } else if flag == FAILS {
            out.entry(flag).or_insert_with(|| json!(false));
        }
        Ok(Value::Object(out))
    });
    declared.collect::<Result<Vec<Value>>>().map(Value::Array)
}

async fn list_configs(core: State, request: Request) -> Result<Response> {
    let of_all = flag(&request, "global_tenant")?;
    let limit = number(&request, "limit")?.filter(|limit| *limit > 0);
    let marker = request.query.get("marker");
    let rows = domain::list_configs(&core, &request.context, request.param("tenant"), of_all, marker, limit).await?;
    let items: Vec<Value> = rows.iter().map(|row| view::listed(row, of_all)).collect();
    Ok(Response::ok(json!({"software_configs": items})))
}

async fn create_config(core: State, mut request: Request) -> Result<Response> {
    core.enforce(&request.context, "software_configs:create", request.param("tenant"))?;
    let body = body(&mut request)?;
    let new = NewConfig {
        name: text(&body, "name")?,
        tool: text(&body, "group")?,
        config: body["config"].clone(),
        inputs: declarations(&body, "inputs", REPLACES)?,
        outputs: declarations(&body, "outputs", FAILS)?,
        options: map(&body, "options")?.unwrap_or_else(|| json!({})),
    };
    let limit = core.settings.max_template_size;
    if new.config.to_string().len() > limit {
        return Err(error::limit(format!("config exceeds maximum allowed size ({limit} bytes)")));
    }
    let row = domain::create_config(&core, &request.context, request.param("tenant"), new).await?;
    Ok(Response::ok(json!({"software_config": view::config(&row)})))
}

async fn show_config(core: State, request: Request) -> Result<Response> {
    let row = domain::show_config(&core, &request.context, request.param("tenant"), request.param("config")).await?;
    Ok(Response::ok(json!({"software_config": view::config(&row)})))
}

async fn delete_config(core: State, request: Request) -> Result<Response> {
    domain::delete_config(&core, &request.context, request.param("tenant"), request.param("config")).await?;
    Ok(Response::no_content())
}

async fn list_deployments(core: State, request: Request) -> Result<Response> {
    let server = request.query.get("server_id");
    let rows = domain::list_deployments(&core, &request.context, request.param("tenant"), server).await?;
    let items: Vec<Value> = rows.iter().map(view::deployment).collect();
    Ok(Response::ok(json!({"software_deployments": items})))
}

async fn metadata(core: State, request: Request) -> Result<Response> {
    let rows = domain::metadata(&core, &request.context, request.param("tenant"), request.param("server")).await?;
    let items: Vec<Value> = rows.iter().map(view::config).collect();
    Ok(Response::ok(json!({"metadata": items})))
}

async fn create_deployment(core: State, mut request: Request) -> Result<Response> {
    core.enforce(&request.context, "software_deployments:create", request.param("tenant"))?;
    let body = body(&mut request)?;
    let stack_user_project_id = text(&body, "stack_user_project_id")?;
    if stack_user_project_id.as_ref().is_some_and(|id| id.chars().count() > 64) {
        return Err(error::bad_request("\"stack_user_project_id\" should be no more than 64 characters"));
    }
    let new = NewDeployment {
        config_id: required(&body, "config_id")?,
        server_id: required(&body, "server_id")?,
        stack_user_project_id,
        input_values: map(&body, "input_values")?,
        action: text(&body, "action")?.unwrap_or_else(|| "INIT".into()),
        status: status(&body)?.unwrap_or(Status::Complete),
        status_reason: text(&body, "status_reason")?.unwrap_or_default(),
    };
    let row = domain::create_deployment(&core, &request.context, request.param("tenant"), new).await?;
    Ok(Response::ok(json!({"software_deployment": view::deployment(&row)})))
}

async fn show_deployment(core: State, request: Request) -> Result<Response> {
    let id = request.param("deployment");
    let row = domain::show_deployment(&core, &request.context, request.param("tenant"), id).await?;
    Ok(Response::ok(json!({"software_deployment": view::deployment(&row)})))
}

async fn update_deployment(core: State, mut request: Request) -> Result<Response> {
    core.enforce(&request.context, "software_deployments:update", request.param("tenant"))?;
    let body = body(&mut request)?;
    let change = DeploymentChange {
        config_id: text(&body, "config_id")?.filter(|id| !id.is_empty()),
        input_values: map(&body, "input_values")?,
        output_values: map(&body, "output_values")?,
        action: text(&body, "action")?,
        status: status(&body)?,
        status_reason: text(&body, "status_reason")?,
    };
    let id = request.param("deployment");
    let row = domain::update_deployment(&core, &request.context, request.param("tenant"), id, change).await?;
    Ok(Response::ok(json!({"software_deployment": view::deployment(&row)})))
}

async fn delete_deployment(core: State, request: Request) -> Result<Response> {
    let id = request.param("deployment");
    domain::delete_deployment(&core, &request.context, request.param("tenant"), id).await?;
    Ok(Response::no_content())
}
