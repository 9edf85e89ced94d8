//! A network service in a dispatcher with five callers, over a real database.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use chrono::TimeDelta;
use http::Method;
use http_body_util::BodyExt;
use sahab_api::{Dispatcher, Mount};
use sahab_contract::{Auth, Error, Named, Result, Scope, Scoped, context::now, event::EventBus, identity::Identity};
use sahab_db::Database;
use serde_json::{Value, json};

use crate::{NetworkService, Settings, migrations};

/// Tokens are `<project>:<role>`; roles imply downwards.
struct Tokens;

pub fn auth(project: &str, role: &str) -> Auth {
    let chain: &[&str] = match role {
        "admin" => &["admin", "manager", "member", "reader"],
        "manager" => &["manager", "member", "reader"],
        "member" => &["member", "reader"],
        "service" => &["service"],
        _ => &["reader"],
    };
    let domain = Named { id: "default".into(), name: "Default".into() };
    Auth {
        user: Scoped { id: format!("user-{project}"), name: project.into(), domain: domain.clone() },
        scope: Scope::Project(Scoped { id: project.into(), name: project.into(), domain }),
        roles: chain.iter().map(|name| Named { id: (*name).into(), name: (*name).into() }).collect(),
        methods: vec!["password".into()],
        audit_ids: vec![],
        issued_at: now(),
        expires_at: now() + TimeDelta::hours(1),
        app_credential: None,
        password_expires_at: None,
    }
}

#[async_trait]
impl Identity for Tokens {
    async fn validate(&self, token: &str) -> Result<Arc<Auth>> {
        match token.split_once(':') {
            Some((project, role)) => Ok(Arc::new(auth(project, role))),
            None => Err(Error::unauthenticated("no such token")),
        }
    }
    async fn delegate(&self, _: &str, project: &str) -> Result<Arc<Auth>> {
        Ok(Arc::new(auth(project, "member")))
    }
    async fn service(&self) -> Result<Arc<Auth>> {
        Ok(Arc::new(auth("service", "admin")))
    }
    async fn project_exists(&self, _: &str) -> Result<bool> {
        Ok(true)
    }
}

pub const ADMIN: &str = "adm:admin";
pub const MEMBER: &str = "demo:member";
pub const READER: &str = "demo:reader";
pub const OTHER: &str = "other:member";
pub const SERVICE: &str = "svc:service";
pub const HOST: &str = "host-1";

pub struct TestCloud {
    pub service: Arc<NetworkService>,
    pub dispatcher: Arc<Dispatcher>,
    pub events: EventBus,
}

impl TestCloud {
    pub async fn new() -> Self {
        let database = Database::temporary().await.unwrap();
        database.migrate(&[migrations()]).await.unwrap();
        let dispatcher = Dispatcher::new();
        let events = EventBus::new();
        let settings = Settings { host: HOST.into(), ..Settings::default() };
        let service =
            NetworkService::new(database.clone(), dispatcher.clone(), Arc::new(Tokens), events.clone(), settings)
                .unwrap();
        dispatcher.install(vec![service.service()], Arc::new(Tokens)).unwrap();
        TestCloud { service, dispatcher, events }
    }

    pub async fn send(&self, token: &str, method: Method, path: &str, body: Option<&str>) -> (u16, Value) {
        self.send_with(token, method, path, body, &[]).await
    }

    pub async fn send_with(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("/network{path}"))
            .header("host", "cloud:5000")
            .header("x-auth-token", token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.unwrap_or_default().to_owned())).unwrap();
        let response = self.dispatcher.answer(Mount::All, "http", request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        self.send(token, Method::GET, path, None).await
    }
    pub async fn post(&self, token: &str, path: &str, body: Value) -> (u16, Value) {
        self.send(token, Method::POST, path, Some(&body.to_string())).await
    }
    pub async fn put(&self, token: &str, path: &str, body: Value) -> (u16, Value) {
        self.send(token, Method::PUT, path, Some(&body.to_string())).await
    }
    pub async fn delete(&self, token: &str, path: &str) -> (u16, Value) {
        self.send(token, Method::DELETE, path, None).await
    }

    /// Creates one object; `path` is the collection. Answers the object.
    pub async fn make(&self, token: &str, path: &str, singular: &str, body: Value) -> Value {
        let (status, answer) = self.post(token, &format!("/v2.0/{path}"), json!({ singular: body })).await;
        assert_eq!(status, 201, "{path}: {answer}");
        answer[singular].clone()
    }
    pub async fn network(&self, token: &str, body: Value) -> String {
        text(&self.make(token, "networks", "network", body).await["id"])
    }
    pub async fn subnet(&self, token: &str, network: &str, cidr: &str) -> String {
        let version = if cidr.contains(':') { 6 } else { 4 };
        let body = json!({"network_id": network, "cidr": cidr, "ip_version": version});
        text(&self.make(token, "subnets", "subnet", body).await["id"])
    }
    pub async fn port(&self, token: &str, body: Value) -> Value {
        self.make(token, "ports", "port", body).await
    }
    pub async fn router(&self, token: &str, body: Value) -> String {
        text(&self.make(token, "routers", "router", body).await["id"])
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Status and error type of an answer.
#[track_caller]
pub fn fails(answer: &(u16, Value), status: u16, kind: &str) {
    assert_eq!(
        (answer.0, answer.1["NeutronError"]["type"].as_str().unwrap_or_default()),
        (status, kind),
        "{}",
        answer.1
    );
}

pub fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| text(&item["id"])).collect()
}
