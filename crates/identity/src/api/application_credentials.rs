//! `/v3/users/{user_id}/application_credentials` and access rules.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, list, wrapped};
use crate::{
    application_credential::{NewCredential, role_ids, rule_view},
    db::access::{access_rule, application_credential},
    effective::RoleGraph,
    input::Input,
    view,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/users/{user_id}/application_credentials", index);
    table.post("/v3/users/{user_id}/application_credentials", create);
    table.get("/v3/users/{user_id}/application_credentials/{credential_id}", show);
    table.delete("/v3/users/{user_id}/application_credentials/{credential_id}", delete);
    table.get("/v3/users/{user_id}/access_rules", rule_index);
    table.get("/v3/users/{user_id}/access_rules/{rule_id}", rule_show);
    table.delete("/v3/users/{user_id}/access_rules/{rule_id}", rule_delete);
}

fn credential_view(base: &str, row: &application_credential::Model, graph: &RoleGraph, rules: Option<Value>) -> Value {
    let roles: Value = role_ids(&row.roles)
        .iter()
        .filter_map(|id| graph.roles.get(id))
        .map(|role| {
            let domain = Some(&role.domain_id).filter(|id| !id.is_empty());
            json!({
                "id": role.id, "name": role.name, "domain_id": domain, "description": role.description,
                "options": role.options,
            })
        })
        .collect();
    let mut own = json!({
        "id": row.id, "name": row.name, "description": row.description, "user_id": row.user_id,
        "project_id": row.project_id, "system": null, "expires_at": row.expires_at.map(view::time_without_zone),
        "unrestricted": row.unrestricted, "roles": roles,
        "links": {"self": format!("{base}/v3/application_credentials/{}", row.id)},
    });
    if let Some(rules) = rules {
        own["access_rules"] = rules;
    }
    own
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.app_credential_list(&request.context, request.param("user_id"), &request.query).await?;
    let graph = service.role_graph().await?;
    let rules = service.rules_of_user(request.param("user_id")).await?;
    list(
        &request,
        "application_credentials",
        page,
        |row| &row.id,
        |base, row| {
            let own = row.access_rules.as_array().map(|ids| {
                ids.iter().filter_map(|id| rules.iter().find(|rule| *id == rule.id.as_str())).map(rule_view).collect()
            });
            credential_view(base, row, &graph, own)
        },
    )
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let new = NewCredential::parse(Input::read(&mut request, "application_credential")?)?;
    let (row, secret) = service.app_credential_create(&request.context, request.param("user_id"), new).await?;
    let graph = service.role_graph().await?;
    let rules = service.rules_of(service.read(), &row).await?;
    let mut body = credential_view(&request.meta.base_url, &row, &graph, rules);
    body["secret"] = Value::from(secret);
    Ok(Response::created(wrapped("application_credential", body)))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let (user_id, id) = (request.param("user_id"), request.param("credential_id"));
    let row = service.app_credential_get(&request.context, user_id, id).await?;
    let graph = service.role_graph().await?;
    let rules = service.rules_of(service.read(), &row).await?;
    let body = credential_view(&request.meta.base_url, &row, &graph, rules);
    Ok(Response::ok(wrapped("application_credential", body)))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    let (user_id, id) = (request.param("user_id"), request.param("credential_id"));
    service.app_credential_delete(&request.context, user_id, id).await?;
    Ok(Response::no_content())
}

fn linked(base: &str, row: &access_rule::Model) -> Value {
    let mut rule = rule_view(row);
    rule["links"] = json!({"self": format!("{base}/v3/users/{}/access_rules/{}", row.user_id, row.id)});
    rule
}

async fn rule_index(service: State, request: Request) -> Result<Response> {
    let page = service.access_rule_list(&request.context, request.param("user_id"), &request.query).await?;
    list(&request, "access_rules", page, |row| &row.id, linked)
}

async fn rule_show(service: State, request: Request) -> Result<Response> {
    let (user_id, id) = (request.param("user_id"), request.param("rule_id"));
    let row = service.access_rule_get(&request.context, "identity:get_access_rule", user_id, id).await?;
    Ok(Response::ok(wrapped("access_rule", linked(&request.meta.base_url, &row))))
}

async fn rule_delete(service: State, request: Request) -> Result<Response> {
    service.access_rule_delete(&request.context, request.param("user_id"), request.param("rule_id")).await?;
    Ok(Response::no_content())
}
