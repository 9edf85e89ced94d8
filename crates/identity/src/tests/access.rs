//! Who may do what: personas, and a walk over the whole endpoint table.

use http::Method;
use serde_json::{Value, json};

use super::{Cloud, scope};

/// What a plain member of a project may do with a 2xx answer.
const FOR_MEMBERS: &[&str] = &[
    "/v3/auth/projects",
    "/v3/auth/domains",
    "/v3/auth/system",
    "/v3/auth/catalog",
    "/v3/OS-FEDERATION/projects",
    "/v3/OS-FEDERATION/domains",
    "/v3/regions",
    "/v3/limits",
    "/v3/limits/model",
    "/v3/registered_limits",
    "/v3/credentials",
    "/v3/domains/{domain_id}",
    "/v3/domains/{domain_id}/config/security_compliance",
    "/v3/domains/{domain_id}/config/security_compliance/{option}",
];

#[tokio::test]
async fn the_whole_table_without_a_token_and_as_a_stranger() {
    let cloud = Cloud::new().await;
    cloud.member("ann", "member").await;
    let member = cloud.login("ann", "secret", scope("ann")).await.token();
    let endpoints = cloud.dispatcher.endpoints();
    assert!(endpoints.len() > 100);
    for (_, method, pattern, open) in endpoints {
        // Ids that exist but are not the caller's where that matters.
        let path = pattern.replace("{domain_id}", "default");
        let path: String = path
            .split('/')
            .map(|segment| if segment.starts_with('{') { "00000000000000000000000000000000" } else { segment })
            .collect::<Vec<_>>()
            .join("/");
        for body in [Value::Null, json!({}), json!([]), json!({"user": 7})] {
            let text = if body.is_null() { String::new() } else { body.to_string() };
            let nobody = cloud.send(method.clone(), &path, &[("content-type", "application/json")], &text).await;
            assert!(nobody.status < 500, "{method} {path} {}", nobody.body);
            if !open {
                assert_eq!(nobody.status, 401, "{method} {path}");
            }
            let answer = cloud.call(&member, method.clone(), &path, body).await;
            assert!(answer.status < 500, "{method} {path} {}", answer.body);
            let allowed = open || (FOR_MEMBERS.contains(&pattern) && method == Method::GET);
            assert!(allowed || answer.status >= 400, "{method} {path} gave {}", answer.status);
            let admin = cloud.call(&cloud.admin, Method::OPTIONS, &path, Value::Null).await;
            assert_eq!(admin.status, 405);
        }
    }
}

#[tokio::test]
async fn client_sent_identity_headers_mean_nothing() {
    let cloud = Cloud::new().await;
    let forged = [("x-user-id", "admin"), ("x-roles", "admin"), ("x-identity-status", "Confirmed")];
    assert_eq!(cloud.send(Method::GET, "/v3/users", &forged, "").await.status, 401);
}

#[tokio::test]
async fn members_see_themselves_only() {
    let cloud = Cloud::new().await;
    let (ann, project) = cloud.member("ann", "member").await;
    let (bob, _) = cloud.member("bob", "member").await;
    let token = cloud.login("ann", "secret", scope("ann")).await.token();
    let get = async |path: String| cloud.call(&token, Method::GET, &path, Value::Null).await.status;
    assert_eq!(get(format!("/v3/users/{ann}")).await, 200);
    assert_eq!(get(format!("/v3/users/{bob}")).await, 403);
    assert_eq!(get("/v3/users/ann".into()).await, 403, "the command line asks by name first");
    assert_eq!(get("/v3/users".into()).await, 403);
    assert_eq!(get("/v3/projects".into()).await, 403);
    assert_eq!(get(format!("/v3/projects/{project}")).await, 200);
    assert_eq!(get(format!("/v3/users/{ann}/projects")).await, 200);
    assert_eq!(get(format!("/v3/users/{bob}/projects")).await, 403);
    let denied = cloud.call(&token, Method::GET, "/v3/projects", Value::Null).await;
    assert_eq!(denied.message(), "You are not authorized to perform the requested action: identity:list_projects.");
}

#[tokio::test]
async fn domain_managers_stay_in_their_domain() {
    let cloud = Cloud::new().await;
    let domain = cloud.make("domain", "domains", json!({"name": "d1"})).await;
    let boss = cloud.make("user", "users", json!({"name": "boss", "password": "secret", "domain_id": domain})).await;
    let manager = cloud.role("manager").await;
    cloud.put(&format!("/v3/domains/{domain}/users/{boss}/roles/{manager}")).await.expect(204);
    let auth = json!({"identity": {"methods": ["password"], "password": {"user": {"id": boss, "password": "secret"}}},
        "scope": {"domain": {"id": domain}}});
    let token = cloud.authenticate(auth).await.token();
    let call = async |method: Method, path: String, body: Value| cloud.call(&token, method, &path, body).await;
    let user = json!({"user": {"name": "worker", "domain_id": domain}});
    let worker = call(Method::POST, "/v3/users".into(), user).await.expect(201);
    let worker = worker["user"]["id"].as_str().unwrap();
    call(Method::POST, "/v3/users".into(), json!({"user": {"name": "x", "domain_id": "default"}})).await.expect(403);
    let project = call(Method::POST, "/v3/projects".into(), json!({"project": {"name": "p"}})).await.expect(201);
    assert_eq!(project["project"]["domain_id"], domain.as_str(), "the token's domain");
    let project = project["project"]["id"].as_str().unwrap();
    let grant = |role: &str| format!("/v3/projects/{project}/users/{worker}/roles/{role}");
    call(Method::PUT, grant(&cloud.role("member").await), Value::Null).await.expect(204);
    call(Method::PUT, grant(&cloud.role("admin").await), Value::Null).await.expect(403);
    let users = call(Method::GET, "/v3/users".into(), Value::Null).await.expect(200);
    assert_eq!(users["users"].as_array().unwrap().len(), 2, "only those of the domain");
    call(Method::GET, "/v3/users?domain_id=default".into(), Value::Null).await.expect(403);
    call(Method::DELETE, format!("/v3/domains/{domain}"), Value::Null).await.expect(403);
}

#[tokio::test]
async fn system_readers_read_and_do_not_write() {
    let cloud = Cloud::new().await;
    let user = cloud.make("user", "users", json!({"name": "auditor", "password": "secret"})).await;
    let reader = cloud.role("reader").await;
    cloud.put(&format!("/v3/system/users/{user}/roles/{reader}")).await.expect(204);
    let token = cloud.login("auditor", "secret", json!({"system": {"all": true}})).await.token();
    for path in ["users", "projects", "groups", "roles", "services", "endpoints", "domains", "role_inferences"] {
        cloud.call(&token, Method::GET, &format!("/v3/{path}"), Value::Null).await.expect(200);
    }
    cloud.call(&token, Method::POST, "/v3/users", json!({"user": {"name": "x"}})).await.expect(403);
    cloud.call(&token, Method::DELETE, &format!("/v3/users/{user}"), Value::Null).await.expect(403);
}
