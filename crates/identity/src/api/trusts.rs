//! `/v3/OS-TRUST/trusts`

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, auth::own_token, list, whole, wrapped};
use crate::{
    application_credential::role_ids, db::access::trust, effective::RoleGraph, input::Input, trust::NewTrust, view,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/OS-TRUST/trusts", index);
    table.post("/v3/OS-TRUST/trusts", create);
    table.get("/v3/OS-TRUST/trusts/{trust_id}", show);
    table.delete("/v3/OS-TRUST/trusts/{trust_id}", delete);
    table.get("/v3/OS-TRUST/trusts/{trust_id}/roles", roles);
    table.get("/v3/OS-TRUST/trusts/{trust_id}/roles/{role_id}", role);
}

fn short(base: &str, row: &trust::Model) -> Value {
    let own = json!({
        "id": row.id, "trustor_user_id": row.trustor_user_id, "trustee_user_id": row.trustee_user_id,
        "project_id": row.project_id, "impersonation": row.impersonation,
        "expires_at": row.expires_at.map(view::time), "remaining_uses": row.remaining_uses, "deleted_at": null,
        "redelegated_trust_id": row.redelegated_trust_id, "redelegation_count": row.redelegation_count,
    });
    view::resource(base, "OS-TRUST/trusts", &row.extra, own)
}

fn roles_of(base: &str, row: &trust::Model, graph: &RoleGraph) -> Vec<Value> {
    role_ids(&row.roles).iter().filter_map(|id| graph.roles.get(id)).map(|role| view::role(base, role)).collect()
}

fn full(base: &str, row: &trust::Model, graph: &RoleGraph) -> Value {
    let mut out = short(base, row);
    out["roles"] = Value::Array(roles_of(base, row, graph));
    let link = format!("{base}/v3/OS-TRUST/trusts/{}/roles", row.id);
    out["roles_links"] = json!({"self": link, "next": null, "previous": null});
    out
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.trust_list(&request.context, &request.query).await?;
    list(&request, "trusts", page, |row| &row.id, short)
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let new = NewTrust::parse(Input::read(&mut request, "trust")?)?;
    let token = own_token(&service, &request).await?;
    let row = service.trust_create(&request.context, new, token.as_deref()).await?;
    let graph = service.role_graph().await?;
    Ok(Response::created(wrapped("trust", full(&request.meta.base_url, &row, &graph))))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let row = service.trust_get(&request.context, "identity:get_trust", request.param("trust_id")).await?;
    let graph = service.role_graph().await?;
    Ok(Response::ok(wrapped("trust", full(&request.meta.base_url, &row, &graph))))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.trust_delete(&request.context, request.param("trust_id")).await?;
    Ok(Response::no_content())
}

async fn roles(service: State, request: Request) -> Result<Response> {
    let id = request.param("trust_id");
    let row = service.trust_get(&request.context, "identity:list_roles_for_trust", id).await?;
    let graph = service.role_graph().await?;
    Ok(whole(&request, "roles", roles_of(&request.meta.base_url, &row, &graph)))
}

async fn role(service: State, request: Request) -> Result<Response> {
    let (id, role_id) = (request.param("trust_id"), request.param("role_id"));
    let row = service.trust_get(&request.context, "identity:get_role_for_trust", id).await?;
    service.trust_role(&row, role_id)?;
    let graph = service.role_graph().await?;
    let role = graph.roles.get(role_id).ok_or_else(|| crate::service::not_found("role", role_id))?;
    Ok(Response::ok(wrapped("role", view::role(&request.meta.base_url, role))))
}
