//! The service through its endpoint table, on a real database: each test has a cloud of its own.

mod access;
mod delegation;
mod resources;
mod tokens;

use std::sync::Arc;

use axum::body::Body as HttpBody;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use sahab_api::{Dispatcher, Mount};
use sahab_db::Database;
use serde_json::{Value, json};

use crate::{Bootstrap, IdentityService, ServiceEntry, Settings};

pub const PASSWORD: &str = "admin secret";

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: HeaderMap,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }
    pub fn token(&self) -> String {
        self.headers.get("x-subject-token").and_then(|text| text.to_str().ok()).unwrap_or_default().to_owned()
    }
}

/// A cloud with identity only.
pub struct Cloud {
    pub service: Arc<IdentityService>,
    pub dispatcher: Arc<Dispatcher>,
    pub admin: String,
    pub database: Database,
    pub folder: tempfile::TempDir,
}

pub fn settings(folder: &tempfile::TempDir) -> Settings {
    Settings { bcrypt_cost: 4, ..Settings::new(folder.path()) }
}

pub fn bootstrap() -> Bootstrap {
    let entry =
        |kind: &str, name: &str, url: &str| ServiceEntry { kind: kind.into(), name: name.into(), url: url.into() };
    Bootstrap {
        admin_password: Some(PASSWORD.into()),
        region: "RegionOne".into(),
        services: vec![
            entry("identity", "keystone", "http://cloud/identity/v3"),
            entry("orchestration", "heat", "http://cloud/orchestration/v1/$(project_id)s"),
        ],
    }
}

impl Cloud {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder);
        change(&mut settings);
        let database = Database::temporary().await.unwrap();
        database.migrate(&[crate::migrations()]).await.unwrap();
        Self::start(database, settings, folder).await
    }

    pub async fn start(database: Database, settings: Settings, folder: tempfile::TempDir) -> Self {
        let service = IdentityService::open(database.clone(), settings).await.unwrap();
        service.bootstrap(&bootstrap()).await.unwrap();
        let dispatcher = Dispatcher::new();
        dispatcher.install(vec![service.service()], service.clone()).unwrap();
        let mut cloud = Cloud { service, dispatcher, admin: String::new(), database, folder };
        cloud.admin = cloud.login("admin", PASSWORD, scope("admin")).await.token();
        assert!(!cloud.admin.is_empty());
        cloud
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request =
            http::Request::builder().method(method).uri(format!("/identity{path}")).header("host", "cloud");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(HttpBody::from(body.to_owned())).unwrap();
        let (parts, body) = self.dispatcher.answer(Mount::All, "http", request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            headers: parts.headers,
        }
    }

    pub async fn call(&self, token: &str, method: Method, path: &str, body: Value) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &[("x-auth-token", token), ("content-type", "application/json")], &text).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(&self.admin, Method::GET, path, Value::Null).await
    }
    pub async fn head(&self, path: &str) -> Answer {
        self.call(&self.admin, Method::HEAD, path, Value::Null).await
    }
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(&self.admin, Method::POST, path, body).await
    }
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(&self.admin, Method::PATCH, path, body).await
    }
    pub async fn put(&self, path: &str) -> Answer {
        self.call(&self.admin, Method::PUT, path, Value::Null).await
    }
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(&self.admin, Method::DELETE, path, Value::Null).await
    }

    pub async fn authenticate(&self, auth: Value) -> Answer {
        let body = json!({"auth": auth}).to_string();
        self.send(Method::POST, "/v3/auth/tokens", &[("content-type", "application/json")], &body).await
    }

    pub async fn login(&self, name: &str, password: &str, scope: Value) -> Answer {
        let user = json!({"name": name, "domain": {"id": "default"}, "password": password});
        let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
        if !scope.is_null() {
            auth["scope"] = scope;
        }
        self.authenticate(auth).await
    }

    /// Status of a validation of `subject` by the administrator.
    pub async fn validation(&self, subject: &str) -> u16 {
        let headers = [("x-auth-token", self.admin.as_str()), ("x-subject-token", subject)];
        self.send(Method::GET, "/v3/auth/tokens", &headers, "").await.status
    }

    /// Status of a use of `token` that any token may do.
    pub async fn usage(&self, token: &str) -> u16 {
        self.call(token, Method::GET, "/v3/auth/projects", Value::Null).await.status
    }

    pub async fn role(&self, name: &str) -> String {
        let roles = self.get(&format!("/v3/roles?name={name}")).await.expect(200);
        roles["roles"][0]["id"].as_str().unwrap().to_owned()
    }

    pub async fn make(&self, kind: &str, plural: &str, mut body: Value) -> String {
        if body.get("domain_id").is_none() && matches!(kind, "user" | "project" | "group") {
            body["domain_id"] = json!("default");
        }
        let made = self.post(&format!("/v3/{plural}"), json!({kind: body})).await.expect(201);
        made[kind]["id"].as_str().unwrap().to_owned()
    }

    /// A project and a user `name` with the password `secret` and the role on it; (user, project).
    pub async fn member(&self, name: &str, role: &str) -> (String, String) {
        let project = self.make("project", "projects", json!({"name": name})).await;
        let user = self.make("user", "users", json!({"name": name, "password": "secret"})).await;
        let role = self.role(role).await;
        self.put(&format!("/v3/projects/{project}/users/{user}/roles/{role}")).await.expect(204);
        (user, project)
    }
}

/// Scope of a project of the default domain.
pub fn scope(project: &str) -> Value {
    json!({"project": {"name": project, "domain": {"id": "default"}}})
}
