//! Acting for somebody: application credentials, access rules, trusts, EC2 keys, and the limits of each.

use http::Method;
use serde_json::{Value, json};

use super::{Answer, Cloud, scope};

async fn ann(cloud: &Cloud) -> (String, String, String) {
    let (user, project) = cloud.member("ann", "member").await;
    (cloud.login("ann", "secret", scope("ann")).await.token(), user, project)
}

async fn credential(cloud: &Cloud, token: &str, user: &str, body: Value) -> Answer {
    let path = format!("/v3/users/{user}/application_credentials");
    cloud.call(token, Method::POST, &path, json!({"application_credential": body})).await
}

fn by_credential(id: &str, secret: &str) -> Value {
    json!({"identity": {"methods": ["application_credential"],
        "application_credential": {"id": id, "secret": secret}}})
}

#[tokio::test]
async fn application_credentials() {
    let cloud = Cloud::new().await;
    let (token, user, project) = ann(&cloud).await;
    let body = json!({"name": "app", "expires_at": "2099-01-01T00:00:00", "roles": [{"name": "reader"}]});
    let made = credential(&cloud, &token, &user, body.clone()).await.expect(201)["application_credential"].clone();
    assert_eq!(made["expires_at"], "2099-01-01T00:00:00.000000", "no zone");
    assert_eq!((&made["project_id"], &made["unrestricted"]), (&json!(project), &json!(false)));
    credential(&cloud, &token, &user, body).await.expect(409);
    credential(&cloud, &token, &user, json!({"name": "x", "roles": [{"name": "admin"}]})).await.expect(404);
    credential(&cloud, &token, &user, json!({"name": "x", "expires_at": "2001-01-01T00:00:00"})).await.expect(400);
    credential(&cloud, &token, &user, json!({"name": "x", "bogus": 1})).await.expect(400);
    credential(&cloud, &cloud.admin, &user, json!({"name": "x"})).await.expect(403);
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!(secret.len(), 86);
    let path = format!("/v3/users/{user}/application_credentials");
    let list = cloud.call(&token, Method::GET, &path, Value::Null).await.expect(200);
    assert!(list["application_credentials"][0].get("secret").is_none());

    cloud.authenticate(by_credential(id, "wrong")).await.expect(401);
    cloud.authenticate(by_credential("unknown", secret)).await.expect(401);
    let mut scoped = by_credential(id, secret);
    scoped["scope"] = scope("ann");
    cloud.authenticate(scoped).await.expect(401);
    let answer = cloud.authenticate(by_credential(id, secret)).await;
    let app = answer.token();
    let body = answer.expect(201);
    assert_eq!(body["token"]["application_credential"]["restricted"], true);
    assert_eq!(body["token"]["roles"].as_array().unwrap().len(), 1);
    credential(&cloud, &app, &user, json!({"name": "child"})).await.expect(403);
    let again = json!({"identity": {"methods": ["token"], "token": {"id": app}}, "scope": scope("ann")});
    cloud.authenticate(again).await.expect(403);
    let by_name = json!({"identity": {"methods": ["application_credential"], "application_credential":
        {"name": "app", "user": {"name": "ann", "domain": {"id": "default"}}, "secret": secret}}});
    cloud.authenticate(by_name).await.expect(201);

    // It ends with the role, for good.
    let grant = format!("/v3/projects/{project}/users/{user}/roles/{}", cloud.role("member").await);
    cloud.delete(&grant).await.expect(204);
    assert_eq!(cloud.usage(&app).await, 401);
    cloud.put(&grant).await.expect(204);
    assert_eq!(cloud.usage(&app).await, 401);
    cloud.authenticate(by_credential(id, secret)).await.expect(401);
}

#[tokio::test]
async fn access_rules_narrow_a_credential() {
    let cloud = Cloud::new().await;
    let (token, user, _) = ann(&cloud).await;
    let rule = json!({"service": "identity", "method": "GET", "path": "/v3/auth/projects"});
    let made = credential(&cloud, &token, &user, json!({"name": "app", "access_rules": [rule]})).await.expect(201);
    let made = &made["application_credential"];
    let rule = made["access_rules"][0]["id"].as_str().unwrap();
    let app =
        cloud.authenticate(by_credential(made["id"].as_str().unwrap(), made["secret"].as_str().unwrap())).await.token();
    assert_eq!(cloud.usage(&app).await, 200);
    cloud.call(&app, Method::GET, "/v3/regions", Value::Null).await.expect(401);
    assert_eq!(cloud.validation(&app).await, 404, "a validator that does not know of rules");
    let headers = [
        ("x-auth-token", cloud.admin.as_str()),
        ("x-subject-token", app.as_str()),
        ("openstack-identity-access-rules", "1.0"),
    ];
    assert_eq!(cloud.send(Method::GET, "/v3/auth/tokens", &headers, "").await.status, 200);
    let path = format!("/v3/users/{user}/access_rules");
    let rules = cloud.call(&token, Method::GET, &path, Value::Null).await.expect(200);
    assert_eq!(rules["access_rules"].as_array().unwrap().len(), 1);
    cloud.call(&token, Method::DELETE, &format!("{path}/{rule}"), Value::Null).await.expect(403);
    let own = format!("/v3/users/{user}/application_credentials/{}", made["id"].as_str().unwrap());
    cloud.call(&token, Method::DELETE, &own, Value::Null).await.expect(204);
    assert_eq!(cloud.usage(&app).await, 401);
    cloud.call(&token, Method::DELETE, &format!("{path}/{rule}"), Value::Null).await.expect(204);
}

#[tokio::test]
async fn trusts() {
    let cloud = Cloud::new().await;
    let (token, user, project) = ann(&cloud).await;
    let (bob, _) = cloud.member("bob", "member").await;
    let trust = |extra: Value| {
        let mut trust = json!({"trustor_user_id": user, "trustee_user_id": bob, "impersonation": true,
            "project_id": project, "roles": [{"name": "member"}]});
        for (key, value) in extra.as_object().unwrap() {
            trust[key] = value.clone();
        }
        json!({"trust": trust})
    };
    let create = async |extra: Value| cloud.call(&token, Method::POST, "/v3/OS-TRUST/trusts", trust(extra)).await;
    create(json!({"roles": []})).await.expect(403);
    create(json!({"roles": [{"name": "admin"}]})).await.expect(404);
    create(json!({"trustor_user_id": bob})).await.expect(403);
    create(json!({"remaining_uses": 0})).await.expect(400);
    create(json!({"expires_at": "2001-01-01T00:00:00Z"})).await.expect(400);
    create(json!({"allow_redelegation": true})).await.expect(403);
    let made = create(json!({"remaining_uses": 1})).await.expect(201)["trust"].clone();
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["roles"].as_array().unwrap().len(), 1);
    let login = async |name: &str, id: &str| cloud.login(name, "secret", json!({"OS-TRUST:trust": {"id": id}})).await;
    login("ann", id).await.expect(401);
    let answer = login("bob", id).await;
    let acting = answer.token();
    let body = answer.expect(201);
    assert_eq!((&body["token"]["user"]["id"], &body["token"]["project"]["id"]), (&json!(user), &json!(project)));
    assert_eq!(body["token"]["OS-TRUST:trust"]["trustee_user"]["id"], bob.as_str());
    login("bob", id).await.expect(401);
    cloud.call(&token, Method::GET, &format!("/v3/OS-TRUST/trusts/{id}"), Value::Null).await.expect(404);
    assert_eq!(cloud.usage(&acting).await, 200, "the last use is still a use");
    let again = json!({"identity": {"methods": ["token"], "token": {"id": acting}}, "scope": scope("ann")});
    cloud.authenticate(again).await.expect(403);

    let made = create(json!({"impersonation": false})).await.expect(201)["trust"].clone();
    let id = made["id"].as_str().unwrap();
    let stranger = cloud.login("bob", "secret", scope("bob")).await.token();
    let path = format!("/v3/OS-TRUST/trusts/{id}");
    cloud.call(&stranger, Method::GET, &path, Value::Null).await.expect(200);
    cloud.call(&stranger, Method::DELETE, &path, Value::Null).await.expect(403);
    cloud.call(&stranger, Method::GET, "/v3/OS-TRUST/trusts", Value::Null).await.expect(403);
    let mine = format!("/v3/OS-TRUST/trusts?trustee_user_id={bob}");
    let list = cloud.call(&stranger, Method::GET, &mine, Value::Null).await.expect(200);
    assert!(list["trusts"][0].get("roles").is_none());
    let acting = login("bob", id).await.token();
    assert_eq!(cloud.usage(&acting).await, 200);
    cloud.call(&token, Method::DELETE, &path, Value::Null).await.expect(204);
    assert_eq!(cloud.usage(&acting).await, 401, "its tokens die with it");
}

#[tokio::test]
async fn credentials_are_sealed_and_personal() {
    let cloud = Cloud::new().await;
    let (token, user, project) = ann(&cloud).await;
    let body = json!({"credential": {"type": "cert", "blob": "topsecretblob", "user_id": user}});
    let made = cloud.call(&token, Method::POST, "/v3/credentials", body).await.expect(201);
    let id = made["credential"]["id"].as_str().unwrap();
    assert_eq!(made["credential"]["blob"], "topsecretblob");
    use sea_orm::EntityTrait;
    let rows = crate::db::access::credential::Entity::find().all(cloud.database.read()).await.unwrap();
    assert!(!rows[0].sealed_blob.contains("topsecretblob"));
    cloud.member("bob", "member").await;
    let bob = cloud.login("bob", "secret", scope("bob")).await.token();
    cloud.call(&bob, Method::GET, &format!("/v3/credentials/{id}"), Value::Null).await.expect(403);
    let none = cloud.call(&bob, Method::GET, "/v3/credentials", Value::Null).await.expect(200);
    assert_eq!(none["credentials"], json!([]));
    let foreign = json!({"credential": {"type": "cert", "blob": "x", "user_id": user}});
    cloud.call(&bob, Method::POST, "/v3/credentials", foreign).await.expect(403);
    let path = format!("/v3/credentials/{id}");
    cloud.call(&token, Method::PATCH, &path, json!({"credential": {"user_id": "other"}})).await.expect(400);
    let patched = cloud.call(&token, Method::PATCH, &path, json!({"credential": {"blob": "b2"}})).await.expect(200);
    assert_eq!(patched["credential"]["blob"], "b2");
    let bad = json!({"credential": {"type": "ec2", "blob": "{\"access\": \"a\", \"secret\": \"b\"}", "user_id": user}});
    cloud.call(&token, Method::POST, "/v3/credentials", bad).await.expect(400);

    let path = format!("/v3/users/{user}/credentials/OS-EC2");
    let made = cloud.call(&token, Method::POST, &path, json!({"tenant_id": project})).await.expect(201);
    let access = made["credential"]["access"].as_str().unwrap();
    let list = cloud.call(&token, Method::GET, &path, Value::Null).await.expect(200);
    assert_eq!(list["credentials"][0]["secret"], made["credential"]["secret"]);
    cloud.call(&bob, Method::GET, &format!("{path}/{access}"), Value::Null).await.expect(403);
    cloud.call(&token, Method::DELETE, &format!("{path}/{access}"), Value::Null).await.expect(204);
    cloud.call(&token, Method::GET, &format!("{path}/{access}"), Value::Null).await.expect(404);
}

#[tokio::test]
async fn locking_and_password_rules_when_switched_on() {
    let cloud = Cloud::with(|settings| {
        settings.compliance.lockout_failure_attempts = Some(2);
        settings.compliance.unique_last_password_count = 2;
        settings.compliance.password_regex = Some("^.{3,}$".into());
    })
    .await;
    let (_, user, _) = ann(&cloud).await;
    let path = format!("/v3/users/{user}/password");
    let change = async |old: &str, new: &str| {
        let body = json!({"user": {"original_password": old, "password": new}}).to_string();
        cloud.send(Method::POST, &path, &[("content-type", "application/json")], &body).await.status
    };
    assert_eq!(change("secret", "x").await, 400, "too short");
    assert_eq!(change("secret", "secret").await, 400, "the same again");
    assert_eq!(change("secret", "second").await, 204);
    assert_eq!(change("second", "secret").await, 400, "the one before");
    for _ in 0..2 {
        cloud.login("ann", "wrong", Value::Null).await.expect(401);
    }
    cloud.login("ann", "second", Value::Null).await.expect(401);
    cloud.patch(&format!("/v3/users/{user}"), json!({"user": {"enabled": true}})).await.expect(200);
    cloud.login("ann", "second", Value::Null).await.expect(201);
}
