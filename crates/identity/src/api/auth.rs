//! `/v3/auth`: tokens and what can be read with any of them.

use std::sync::Arc;

use sahab_api::{Request, Response, Table};
use sahab_contract::{Error, Kind, Result};
use serde_json::{Value, json};

use super::{State, list, whole};
use crate::{
    application_credential::role_ids,
    input,
    listing::{flag, self_url},
    revocation::Revoke,
    service::{IdentityService, not_allowed},
    token::{Token, failed},
    view,
};

pub fn routes(table: &mut Table<State>) {
    table.post("/v3/auth/tokens", issue).open();
    table.get("/v3/auth/tokens", validate);
    table.delete("/v3/auth/tokens", revoke);
    table.get("/v3/auth/catalog", catalog);
    table.get("/v3/auth/projects", projects);
    table.get("/v3/auth/domains", domains);
    table.get("/v3/auth/system", system);
    table.get("/v3/OS-FEDERATION/projects", projects);
    table.get("/v3/OS-FEDERATION/domains", domains);
    table.get("/v3/OS-REVOKE/events", events);
    // Public keys of the tokens of long ago.
    table.get("/v3/OS-SIMPLE-CERT/ca", gone).open();
    table.get("/v3/OS-SIMPLE-CERT/certificates", gone).open();
}

async fn issue(service: State, mut request: Request) -> Result<Response> {
    let body = input::object(&mut request)?;
    let (text, token) = service.authenticate(body).await?;
    let body = render(&service, &request, &token).await?;
    let mut response = Response::created(body);
    response.set("x-subject-token", text);
    Ok(response)
}

pub(super) async fn render(service: &State, request: &Request, token: &Token) -> Result<Value> {
    let catalog = if request.query.has("nocatalog") { None } else { Some(service.catalog_of(&token.auth).await?) };
    let trust_roles = match &token.trust {
        None => None,
        Some(trust) => {
            let graph = service.role_graph().await?;
            let roles = graph.expand(role_ids(&trust.roles));
            let base = &request.meta.base_url;
            Some(roles.iter().filter_map(|id| graph.roles.get(id)).map(|role| view::role(base, role)).collect())
        }
    };
    Ok(view::token(token, catalog, trust_roles))
}

/// The token that the request is about, if the caller may see it.
async fn subject(service: &IdentityService, request: &Request, rule: &str) -> Result<(String, Arc<Token>)> {
    let text = request
        .header("x-subject-token")
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Error::not_found("TokenNotFound", "No token in the request"))?
        .to_owned();
    // Keystone reads the token before it asks the policy: a bad one is "not found" to everybody.
    let token = if flag(&request.query, "allow_expired") {
        service.token_or_expired(&text).await?
    } else {
        service.token(&text).await?
    };
    service.enforce(&request.context, rule, &json!({"target": {"token": {"user_id": token.auth.user.id}}}))?;
    Ok((text, token))
}

async fn validate(service: State, request: Request) -> Result<Response> {
    let rule =
        if request.meta.method == http::Method::HEAD { "identity:check_token" } else { "identity:validate_token" };
    let (text, token) = subject(&service, &request, rule).await?;
    let ruled = token.auth.app_credential.as_ref().is_some_and(|credential| credential.access_rules.is_some());
    if ruled && request.header("openstack-identity-access-rules").is_none_or(|version| version != "1.0") {
        // A validator that does not know of access rules would ignore them.
        return Err(failed());
    }
    let mut response = Response::ok(render(&service, &request, &token).await?);
    response.set("x-subject-token", text);
    Ok(response)
}

async fn revoke(service: State, request: Request) -> Result<Response> {
    let (_, token) = subject(&service, &request, "identity:revoke_token").await?;
    let cascade = request.query.get("cascade").is_none_or(crate::listing::is_true);
    let txn = service.begin().await?;
    let own = token.auth.audit_ids.first().map(String::as_str).unwrap_or_default();
    // Whatever was made from a login ends with it; a token made from another takes nothing else along, since all of one
    // login share its chain and cannot be told apart.
    let is_login = token.auth.audit_ids.len() == 1;
    let what = if cascade && is_login { Revoke::Chain(own) } else { Revoke::Audit(own) };
    service.revoke(&*txn, what).await?;
    txn.commit().await?;
    Ok(Response::no_content())
}

async fn catalog(service: State, request: Request) -> Result<Response> {
    let auth = request.context.auth()?;
    if auth.project().is_none() {
        return Err(not_allowed("identity:get_auth_catalog"));
    }
    let catalog = service.catalog_of(auth).await?;
    let url = self_url(&request.meta, &request.query);
    Ok(Response::ok(json!({"catalog": catalog, "links": {"self": url}})))
}

async fn projects(service: State, request: Request) -> Result<Response> {
    let page = service.own_projects(&request.context, &request.query).await?;
    let ids: Vec<&str> = page.rows.iter().map(|row| row.id.as_str()).collect();
    let tags = service.tags_of(&ids).await?;
    list(
        &request,
        "projects",
        page,
        |row| &row.id,
        |base, row| view::project(base, row, tags.get(&row.id).map_or(&[], Vec::as_slice)),
    )
}

async fn domains(service: State, request: Request) -> Result<Response> {
    let rows = service.own_domains(&request.context).await?;
    let base = &request.meta.base_url;
    Ok(whole(&request, "domains", rows.iter().map(|row| view::domain(base, row, &[])).collect()))
}

async fn system(service: State, request: Request) -> Result<Response> {
    let has = service.has_system_role(&request.context).await?;
    let system = if has { json!([{"all": true}]) } else { json!([]) };
    let url = self_url(&request.meta, &request.query);
    Ok(Response::ok(json!({"system": system, "links": {"self": url}})))
}

async fn gone(_: State, _: Request) -> Result<Response> {
    Err(Error::new(Kind::Gone, "Gone", "This resource is no longer available. No forwarding address is known."))
}

async fn events(service: State, request: Request) -> Result<Response> {
    let rows = service.revocation_list(&request.context, request.query.get("since")).await?;
    let events = rows
        .iter()
        .map(|row| {
            let mut event = json!({
                "issued_before": view::time(row.issued_before), "revoked_at": view::time(row.revoked_at),
            });
            let attributes = [
                ("audit_id", &row.audit_id),
                ("audit_chain_id", &row.audit_chain_id),
                ("user_id", &row.user_id),
                ("project_id", &row.project_id),
                ("domain_id", &row.domain_id),
                ("OS-TRUST:trust_id", &row.trust_id),
            ];
            for (key, value) in attributes {
                if let Some(value) = value {
                    event[key] = Value::from(value.as_str());
                }
            }
            event
        })
        .collect();
    Ok(whole(&request, "events", events))
}

/// The caller's own token with everything about it; `None` for the program itself.
pub(super) async fn own_token(service: &State, request: &Request) -> Result<Option<Arc<Token>>> {
    match request.header("x-auth-token") {
        Some(text) if !request.context.elevated => match service.token(text).await {
            Ok(token) => Ok(Some(token)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        },
        _ => Ok(None),
    }
}
