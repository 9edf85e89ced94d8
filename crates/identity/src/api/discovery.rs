//! Version documents; open to everybody.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Map, Value, json};

use super::State;

pub fn routes(table: &mut Table<State>) {
    table.get("/", versions).open();
    table.get("/v3", version).open();
    table.get("/healthcheck", |_, _| async { Ok(Response::text(200, "text/plain; charset=UTF-8", "OK")) }).open();
}

fn document(base: &str) -> Value {
    json!({
        "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{base}/v3/")}],
        "media-types": [{
            "base": "application/json", "type": "application/vnd.openstack.identity-v3+json",
        }],
    })
}

async fn versions(_: State, request: Request) -> Result<Response> {
    let base = &request.meta.base_url;
    let mut response = Response::json(300, json!({"versions": {"values": [document(base)]}}));
    response.set("location", format!("{base}/v3/"));
    Ok(response)
}

async fn version(_: State, request: Request) -> Result<Response> {
    if request.header("accept").is_some_and(|accept| accept.starts_with("application/json-home")) {
        return Ok(Response::ok(json_home()).header(http::header::CONTENT_TYPE, "application/json-home"));
    }
    Ok(Response::ok(json!({"version": document(&request.meta.base_url)})))
}

/// Relation, path, and the names of the path's parameters as upstream's relations call them.
const RELATIONS: &[(&str, &str)] = &[
    ("auth_tokens", "/auth/tokens"),
    ("auth_catalog", "/auth/catalog"),
    ("auth_projects", "/auth/projects"),
    ("auth_domains", "/auth/domains"),
    ("auth_system", "/auth/system"),
    ("users", "/users"),
    ("user", "/users/{user_id}"),
    ("user_change_password", "/users/{user_id}/password"),
    ("user_groups", "/users/{user_id}/groups"),
    ("user_projects", "/users/{user_id}/projects"),
    ("application_credentials", "/users/{user_id}/application_credentials"),
    ("application_credential", "/users/{user_id}/application_credentials/{application_credential_id}"),
    ("access_rules", "/users/{user_id}/access_rules"),
    ("access_rule", "/users/{user_id}/access_rules/{access_rule_id}"),
    ("groups", "/groups"),
    ("group", "/groups/{group_id}"),
    ("group_users", "/groups/{group_id}/users"),
    ("group_user", "/groups/{group_id}/users/{user_id}"),
    ("projects", "/projects"),
    ("project", "/projects/{project_id}"),
    ("project_tags", "/projects/{project_id}/tags"),
    ("project_user_role", "/projects/{project_id}/users/{user_id}/roles/{role_id}"),
    ("project_user_roles", "/projects/{project_id}/users/{user_id}/roles"),
    ("project_group_role", "/projects/{project_id}/groups/{group_id}/roles/{role_id}"),
    ("project_group_roles", "/projects/{project_id}/groups/{group_id}/roles"),
    ("domains", "/domains"),
    ("domain", "/domains/{domain_id}"),
    ("domain_user_role", "/domains/{domain_id}/users/{user_id}/roles/{role_id}"),
    ("domain_user_roles", "/domains/{domain_id}/users/{user_id}/roles"),
    ("domain_group_role", "/domains/{domain_id}/groups/{group_id}/roles/{role_id}"),
    ("domain_group_roles", "/domains/{domain_id}/groups/{group_id}/roles"),
    ("domain_config", "/domains/{domain_id}/config"),
    ("roles", "/roles"),
    ("role", "/roles/{role_id}"),
    ("implied_roles", "/roles/{prior_role_id}/implies"),
    ("implied_role", "/roles/{prior_role_id}/implies/{implied_role_id}"),
    ("role_inferences", "/role_inferences"),
    ("role_assignments", "/role_assignments"),
    ("services", "/services"),
    ("service", "/services/{service_id}"),
    ("endpoints", "/endpoints"),
    ("endpoint", "/endpoints/{endpoint_id}"),
    ("regions", "/regions"),
    ("region", "/regions/{region_id}"),
    ("credentials", "/credentials"),
    ("credential", "/credentials/{credential_id}"),
    ("policies", "/policies"),
    ("policy", "/policies/{policy_id}"),
    ("limits", "/limits"),
    ("limit", "/limits/{limit_id}"),
    ("limit_model", "/limits/model"),
    ("registered_limits", "/registered_limits"),
    ("registered_limit", "/registered_limits/{registered_limit_id}"),
];

fn json_home() -> Value {
    const REL: &str = "https://docs.openstack.org/api/openstack-identity/3/rel/";
    const PARAM: &str = "https://docs.openstack.org/api/openstack-identity/3/param/";
    let mut resources = Map::new();
    for (name, path) in RELATIONS {
        let parameters: Map<String, Value> = path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| (name.to_owned(), Value::from(format!("{PARAM}{name}"))))
            .collect();
        let resource = if parameters.is_empty() {
            json!({"href": path})
        } else {
            json!({"href-template": path, "href-vars": parameters})
        };
        resources.insert(format!("{REL}{name}"), resource);
    }
    json!({"resources": resources})
}
