//! The life of a token, and every way it must end.

use http::Method;
use sahab_contract::identity::Identity;
use serde_json::{Value, json};

use super::{Cloud, PASSWORD, scope, settings};

#[tokio::test]
async fn a_token_says_who_where_and_what() {
    let cloud = Cloud::new().await;
    let answer = cloud.login("admin", PASSWORD, scope("admin")).await;
    assert!(answer.token().len() < 255 && !answer.token().contains('='));
    assert_eq!(answer.headers["vary"], "X-Auth-Token");
    let token = &answer.body["token"];
    assert_eq!(token["project"]["domain"], json!({"id": "default", "name": "Default"}));
    assert_eq!((&token["user"]["name"], &token["is_domain"]), (&json!("admin"), &json!(false)));
    let mut roles: Vec<_> =
        token["roles"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["admin", "manager", "member", "reader"], "implied roles are in the token");
    assert_eq!(token["catalog"].as_array().unwrap().len(), 2);
    let project = token["project"]["id"].as_str().unwrap();
    assert!(token["catalog"].to_string().contains(&format!("/orchestration/v1/{project}")));
    assert!(token["expires_at"].as_str().unwrap().ends_with(".000000Z"));
    assert_eq!(token["audit_ids"][0].as_str().unwrap().len(), 22);
    let without = cloud
        .send(
            Method::GET,
            "/v3/auth/tokens?nocatalog",
            &[("x-auth-token", &cloud.admin), ("x-subject-token", &cloud.admin)],
            "",
        )
        .await;
    assert_eq!(without.headers["x-subject-token"], cloud.admin.as_str());
    assert!(without.expect(200)["token"].get("catalog").is_none());
}

#[tokio::test]
async fn every_scope() {
    let cloud = Cloud::new().await;
    let unscoped = cloud.login("admin", PASSWORD, json!("unscoped")).await.expect(201);
    for key in ["roles", "catalog", "project", "domain", "system"] {
        assert!(unscoped["token"].get(key).is_none(), "{key}");
    }
    let system = cloud.login("admin", PASSWORD, json!({"system": {"all": true}})).await.expect(201);
    assert_eq!(system["token"]["system"], json!({"all": true}));
    assert!(!system["token"]["catalog"].to_string().contains("heat"), "its URL needs a project");
    let domain = json!({"domain": {"id": "default"}});
    cloud.login("admin", PASSWORD, domain.clone()).await.expect(401);
    let (admin, admin_user) = (cloud.role("admin").await, cloud.get("/v3/users?name=admin").await.expect(200));
    let user = admin_user["users"][0]["id"].as_str().unwrap();
    cloud.put(&format!("/v3/domains/default/users/{user}/roles/{admin}")).await.expect(204);
    let domain = cloud.login("admin", PASSWORD, domain).await.expect(201);
    assert_eq!(domain["token"]["domain"]["id"], "default");
    for (bad, status) in [
        (json!({"project": {"name": "nowhere", "domain": {"id": "default"}}}), 401),
        (json!({"project": {"name": "admin"}}), 400),
        (json!({"project": {"id": "x"}, "domain": {"id": "y"}}), 400),
        (json!({"galaxy": {}}), 400),
        (json!(7), 400),
    ] {
        cloud.login("admin", PASSWORD, bad).await.expect(status);
    }
}

#[tokio::test]
async fn failed_logins_look_alike() {
    let cloud = Cloud::new().await;
    let wrong = cloud.login("admin", "wrong", Value::Null).await;
    let unknown = cloud.login("nobody", "wrong", Value::Null).await;
    let elsewhere = json!({"identity": {"methods": ["password"], "password": {"user": {
        "name": "admin", "domain": {"id": "nowhere"}, "password": PASSWORD}}}});
    let elsewhere = cloud.authenticate(elsewhere).await;
    for answer in [&wrong, &unknown, &elsewhere] {
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body, wrong.body);
        assert_eq!(answer.headers["www-authenticate"], "Keystone uri=\"http://cloud/identity/v3\"");
    }
    let method = cloud.authenticate(json!({"identity": {"methods": ["magic"], "magic": {}}})).await;
    assert_eq!(method.status, 401);
    assert!(method.body["error"]["identity"]["methods"].is_array());
    for (bad, text) in [
        (json!({"identity": {"methods": ["password"]}}), "Expecting to find password in identity"),
        (
            json!({"identity": {"methods": ["password"], "password": {"user": {"name": "a", "password": "b"}}}}),
            "Expecting to find domain in user",
        ),
        (json!({}), "'identity' is a required property"),
    ] {
        let answer = cloud.authenticate(bad).await;
        assert_eq!(answer.status, 400);
        assert!(answer.message().contains(text), "{}", answer.body);
    }
}

#[tokio::test]
async fn forged_cut_and_foreign_tokens_are_refused() {
    let cloud = Cloud::new().await;
    let other = Cloud::new().await;
    let mut forged = cloud.admin.clone().into_bytes();
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let long = "A".repeat(100_000);
    let padded = format!("{}=", cloud.admin);
    for bad in [&forged, &cloud.admin[..cloud.admin.len() - 4], &other.admin, "x", "../../etc/passwd", &long, &padded] {
        assert_eq!(cloud.validation(bad).await, 404, "a bad subject is not found");
        assert_eq!(cloud.usage(bad).await, 401, "a bad caller is unauthorised");
    }
    let missing = cloud.get("/v3/auth/tokens").await;
    assert_eq!((missing.status, missing.message()), (404, "No token in the request"));
}

#[tokio::test]
async fn an_expired_token_is_only_told_to_those_who_ask() {
    let cloud = Cloud::with(|settings| settings.token_lifetime = 1).await;
    let token = cloud.login("admin", PASSWORD, scope("admin")).await.token();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(cloud.usage(&token).await, 401);
    let caller = cloud.login("admin", PASSWORD, scope("admin")).await.token();
    let headers = [("x-auth-token", caller.as_str()), ("x-subject-token", token.as_str())];
    let path = "/v3/auth/tokens";
    let strict = cloud.send(Method::GET, path, &headers, "").await.status;
    let lenient = cloud.send(Method::GET, &format!("{path}?allow_expired=1"), &headers, "").await.status;
    assert!((strict, lenient) == (404, 200) || strict == 401, "the caller's own token may have ended too: {strict}");
}

#[tokio::test]
async fn revoked_tokens_die_with_their_chain() {
    let cloud = Cloud::new().await;
    let first = cloud.login("admin", PASSWORD, scope("admin")).await.token();
    let rescope = json!({"identity": {"methods": ["token"], "token": {"id": first}}, "scope": scope("admin")});
    let answer = cloud.authenticate(rescope.clone()).await;
    let second = answer.token();
    let body = answer.expect(201);
    assert_eq!(body["token"]["methods"], json!(["password", "token"]));
    assert_eq!(body["token"]["audit_ids"].as_array().unwrap().len(), 2);
    let third = cloud.authenticate(rescope.clone()).await.token();
    let revoke = async |token: &str, query: &str| {
        let headers = [("x-auth-token", cloud.admin.as_str()), ("x-subject-token", token)];
        cloud.send(Method::DELETE, &format!("/v3/auth/tokens{query}"), &headers, "").await.expect(204)
    };
    revoke(&third, "?cascade=false").await;
    assert_eq!((cloud.usage(&third).await, cloud.usage(&second).await, cloud.usage(&first).await), (401, 200, 200));
    let fourth = cloud.authenticate(rescope.clone()).await.token();
    revoke(&second, "").await;
    assert_eq!((cloud.usage(&second).await, cloud.usage(&first).await), (401, 200), "a child takes nothing along");
    revoke(&first, "").await;
    assert_eq!((cloud.usage(&first).await, cloud.usage(&fourth).await), (401, 401), "a login takes its children along");
    cloud.authenticate(rescope).await.expect(404);
    assert_eq!(cloud.usage(&cloud.admin).await, 200);
    let events = cloud.get("/v3/OS-REVOKE/events").await.expect(200);
    assert_eq!(events["events"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_change_counts_for_the_next_request() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.member("ann", "member").await;
    let login = async || cloud.login("ann", "secret", scope("ann")).await.token();
    let grant = format!("/v3/projects/{project}/users/{user}/roles/{}", cloud.role("member").await);

    // A role taken away, and given back.
    let token = login().await;
    assert_eq!(cloud.usage(&token).await, 200);
    cloud.delete(&grant).await.expect(204);
    assert_eq!((cloud.usage(&token).await, cloud.validation(&token).await), (401, 404));
    cloud.put(&grant).await.expect(204);
    assert_eq!(cloud.usage(&token).await, 200);

    // A project disabled, and enabled.
    let enable = async |path: String, kind: &str, enabled: bool| {
        cloud.patch(&path, json!({kind: {"enabled": enabled}})).await.expect(200)
    };
    enable(format!("/v3/projects/{project}"), "project", false).await;
    assert_eq!(cloud.usage(&token).await, 401);
    enable(format!("/v3/projects/{project}"), "project", true).await;
    assert_eq!(cloud.usage(&token).await, 200);

    // A user disabled: gone for good.
    enable(format!("/v3/users/{user}"), "user", false).await;
    assert_eq!(cloud.usage(&token).await, 401);
    cloud.login("ann", "secret", scope("ann")).await.expect(401);
    enable(format!("/v3/users/{user}"), "user", true).await;
    assert_eq!(cloud.usage(&token).await, 401);

    // A password changed without a token, and a login in the same second.
    let token = login().await;
    let path = format!("/v3/users/{user}/password");
    let change = |old: &str, new: &str| json!({"user": {"original_password": old, "password": new}});
    let json_only = [("content-type", "application/json")];
    cloud.send(Method::POST, &path, &json_only, &change("wrong", "new").to_string()).await.expect(401);
    cloud.send(Method::POST, &path, &json_only, &change("secret", "new").to_string()).await.expect(204);
    assert_eq!(cloud.usage(&token).await, 401);
    let token = cloud.login("ann", "new", scope("ann")).await.token();
    assert_eq!(cloud.usage(&token).await, 200, "a token issued right after the change is good");

    // A group's role.
    let group = cloud.make("group", "groups", json!({"name": "g"})).await;
    cloud.delete(&grant).await.expect(204);
    let role = cloud.role("reader").await;
    cloud.put(&format!("/v3/projects/{project}/groups/{group}/roles/{role}")).await.expect(204);
    cloud.put(&format!("/v3/groups/{group}/users/{user}")).await.expect(204);
    assert_eq!(cloud.usage(&token).await, 200);
    cloud.delete(&format!("/v3/groups/{group}/users/{user}")).await.expect(204);
    assert_eq!(cloud.usage(&token).await, 401);

    // A user deleted.
    cloud.put(&grant).await.expect(204);
    assert_eq!(cloud.usage(&token).await, 200);
    cloud.delete(&format!("/v3/users/{user}")).await.expect(204);
    assert_eq!(cloud.usage(&token).await, 401);
}

#[tokio::test]
async fn a_restart_and_a_rotation_keep_tokens_and_revocations() {
    let cloud = Cloud::new().await;
    cloud.member("ann", "member").await;
    let kept = cloud.login("ann", "secret", scope("ann")).await.token();
    let lost = cloud.login("ann", "secret", scope("ann")).await.token();
    let headers = [("x-auth-token", cloud.admin.as_str()), ("x-subject-token", lost.as_str())];
    cloud.send(Method::DELETE, "/v3/auth/tokens", &headers, "").await.expect(204);
    cloud.service.rotate_keys().unwrap();
    assert_eq!(cloud.usage(&kept).await, 200);
    let Cloud { database, folder, .. } = cloud;
    let settings = settings(&folder);
    let cloud = Cloud::start(database, settings, folder).await;
    assert_eq!((cloud.usage(&kept).await, cloud.usage(&lost).await), (200, 401));
}

#[tokio::test]
async fn default_project_and_rescoping() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.member("ann", "member").await;
    cloud.patch(&format!("/v3/users/{user}"), json!({"user": {"default_project_id": project}})).await.expect(200);
    let answer = cloud.login("ann", "secret", Value::Null).await.expect(201);
    assert_eq!(answer["token"]["project"]["id"], project.as_str());
    cloud.patch(&format!("/v3/projects/{project}"), json!({"project": {"enabled": false}})).await.expect(200);
    let answer = cloud.login("ann", "secret", Value::Null).await;
    let unscoped = answer.token();
    assert!(answer.expect(201)["token"].get("project").is_none(), "unusable default: unscoped");
    cloud.patch(&format!("/v3/projects/{project}"), json!({"project": {"enabled": true}})).await.expect(200);
    let mine = cloud.call(&unscoped, Method::GET, "/v3/auth/projects", Value::Null).await.expect(200);
    assert_eq!(mine["projects"][0]["id"], project.as_str());
    let rescope = json!({"identity": {"methods": ["token"], "token": {"id": unscoped}},
        "scope": {"project": {"id": project}}});
    let scoped = cloud.authenticate(rescope).await;
    assert_eq!(cloud.call(&scoped.token(), Method::GET, "/v3/auth/catalog", Value::Null).await.status, 200);
    assert_eq!(cloud.call(&unscoped, Method::GET, "/v3/auth/catalog", Value::Null).await.status, 403);
    let system = cloud.login("admin", PASSWORD, json!({"system": {"all": true}})).await.token();
    let narrow = json!({"identity": {"methods": ["token"], "token": {"id": system}}, "scope": scope("admin")});
    cloud.authenticate(narrow).await.expect(403);
}

#[tokio::test]
async fn neighbours_get_current_rights() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.member("ann", "member").await;
    let auth = cloud.service.delegate(&user, &project).await.unwrap();
    assert!(auth.has_role("member") && auth.has_role("reader"));
    assert!(cloud.service.project_exists(&project).await.unwrap());
    let own = Identity::service(cloud.service.as_ref()).await.unwrap();
    assert!(own.has_role("admin") && own.has_role("service"));
    assert_eq!((own.user.name.as_str(), own.project().unwrap().name.as_str()), ("sahab", "service"));
    cloud.delete(&format!("/v3/projects/{project}")).await.expect(204);
    assert!(cloud.service.delegate(&user, &project).await.is_err());
    assert!(!cloud.service.project_exists(&project).await.unwrap());
}
