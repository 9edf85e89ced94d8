//! A cloud for one test.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::body::Body as HttpBody;
use chrono::TimeDelta;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use sahab_api::{Dispatcher, Mount};
use sahab_contract::{Auth, Error, Named, Result, Scope, Scoped, context::now, event::EventBus, identity::Identity};
use sahab_db::Database;
use sahab_docker::FakeDriver;
use sahab_task::Queue;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::network::FakeNetwork;
use crate::{ContainerService, Settings};

/// Tokens are `<role>` for the project `p1` and `<role>@<project>` for another.
pub struct Tokens;

fn auth(role: &str, project: &str) -> Arc<Auth> {
    let domain = Named { id: "default".into(), name: "Default".into() };
    let mut roles = vec![role];
    // What identity's implied roles give.
    match role {
        "admin" => roles.extend(["member", "reader"]),
        "member" => roles.push("reader"),
        _ => {}
    }
    Arc::new(Auth {
        user: Scoped { id: format!("user-{role}"), name: role.into(), domain: domain.clone() },
        scope: Scope::Project(Scoped { id: project.into(), name: project.into(), domain }),
        roles: roles.into_iter().map(|name| Named { id: name.into(), name: name.into() }).collect(),
        methods: vec![],
        audit_ids: vec![],
        issued_at: now(),
        expires_at: now() + TimeDelta::hours(1),
        app_credential: None,
        password_expires_at: None,
    })
}

#[async_trait]
impl Identity for Tokens {
    async fn validate(&self, token: &str) -> Result<Arc<Auth>> {
        let (role, project) = token.split_once('@').unwrap_or((token, "p1"));
        match role {
            "admin" | "member" | "reader" => Ok(auth(role, project)),
            _ => Err(Error::unauthenticated("bad token")),
        }
    }
    async fn delegate(&self, _: &str, _: &str) -> Result<Arc<Auth>> {
        Err(Error::unauthenticated("no"))
    }
    async fn service(&self) -> Result<Arc<Auth>> {
        Ok(auth("admin", "service"))
    }
    async fn project_exists(&self, _: &str) -> Result<bool> {
        Ok(true)
    }
}

pub struct Bench {
    pub dispatcher: Arc<Dispatcher>,
    pub service: Arc<ContainerService>,
    pub queue: Queue,
    pub network: FakeNetwork,
    pub host: Arc<FakeDriver>,
    pub events: EventBus,
    pub database: Database,
    stop: watch::Sender<bool>,
    runners: Vec<tokio::task::JoinHandle<()>>,
}

pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: HeaderMap,
}

impl Answer {
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
    /// Status, code and text of an error.
    pub fn refused(self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let error = &self.body["errors"][0];
        assert_eq!(error["code"], format!("container.{code}"), "{}", self.body);
        assert_eq!(error["title"], error["detail"]);
        error["title"].as_str().unwrap().to_owned()
    }
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let database = Database::temporary().await.unwrap();
        database.migrate(&[sahab_task::migrations(), crate::migrations()]).await.unwrap();
        let network = FakeNetwork::default();
        network.add_network("private", "p1", false, false);
        network.add_network("ext-net", "admin-project", true, true);
        Self::start(settings, database, network, Arc::new(FakeDriver::new())).await
    }

    /// The same cloud after the program was killed and started again.
    pub async fn restarted(self) -> Self {
        for runner in &self.runners {
            runner.abort();
        }
        Self::start(Settings::default(), self.database.clone(), self.network.clone(), self.host.clone()).await
    }

    pub async fn start(settings: Settings, database: Database, network: FakeNetwork, host: Arc<FakeDriver>) -> Self {
        let queue_settings = sahab_task::Settings { parallel: 16, idle: Duration::from_millis(50) };
        let queue = Queue::new(database.clone(), queue_settings);
        let dispatcher = Dispatcher::new();
        let events = EventBus::new();
        let service = ContainerService::new(
            database.clone(),
            queue.clone(),
            dispatcher.clone(),
            Arc::new(Tokens),
            events.clone(),
            settings,
        )
        .await
        .unwrap();
        service.add_host("node1", host.clone());
        dispatcher.install(vec![service.service(), network.service()], Arc::new(Tokens)).unwrap();
        let (stop, stopped) = watch::channel(false);
        let (runner, handlers, watcher) = (queue.clone(), service.handlers(), service.clone());
        let stopped_too = stopped.clone();
        let runners = vec![
            tokio::spawn(async move { runner.run(handlers, stopped).await }),
            tokio::spawn(async move { watcher.run(stopped_too).await }),
        ];
        Bench { dispatcher, service, queue, network, host, events, database, stop, runners }
    }

    pub async fn ask(&self, token: &str, version: &str, method: Method, path: &str, body: Value) -> Answer {
        let mut request = http::Request::builder().method(method).uri(format!("/container{path}")).header("host", "c");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        if !version.is_empty() {
            request = request.header("openstack-api-version", format!("container {version}"));
        }
        let body = if body.is_null() { HttpBody::empty() } else { HttpBody::from(body.to_string()) };
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let response = self.dispatcher.answer(Mount::All, "http", request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            headers: parts.headers,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("member", "1.40", Method::GET, path, Value::Null).await
    }
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("member", "1.40", Method::POST, path, body).await
    }
    pub async fn delete(&self, path: &str) -> Answer {
        self.ask("member", "1.40", Method::DELETE, path, Value::Null).await
    }
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask("member", "1.40", Method::PATCH, path, body).await
    }

    /// Runs a container and waits until it runs.
    pub async fn running(&self, mut body: Value) -> String {
        if body.get("image").is_none() {
            body["image"] = json!("nginx");
        }
        let created = self.post("/v1/containers?run=true", body).await.expect(202);
        self.idle().await;
        let uuid = created["uuid"].as_str().unwrap().to_owned();
        let shown = self.show(&uuid).await;
        assert_eq!(shown["status"], "Running", "{shown}");
        uuid
    }

    pub async fn show(&self, id: &str) -> Value {
        self.ask("admin", "1.40", Method::GET, &format!("/v1/containers/{id}"), Value::Null).await.expect(200)
    }

    pub async fn idle(&self) {
        self.queue.wait_idle(Duration::from_secs(30)).await.unwrap();
    }

    /// Waits until the container's field has the value.
    pub async fn until(&self, id: &str, field: &str, value: &str) -> Value {
        let mut last = Value::Null;
        for _ in 0..600 {
            last = self.show(id).await;
            if last[field] == value {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{field} never became {value}: {last}");
    }

    pub async fn until_gone(&self, id: &str) {
        let path = format!("/v1/containers/{id}");
        for _ in 0..600 {
            if self.ask("admin", "1.40", Method::GET, &path, Value::Null).await.status == 404 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{id} was never gone");
    }

    /// Nothing of any container is left on the host or in the network.
    pub fn assert_clean(&self) {
        let store = self.network.store();
        let ours: Vec<_> = store.ports.iter().filter(|port| port["device_owner"] == "compute:kuryr").collect();
        assert!(ours.is_empty(), "ports are left: {ours:?}");
        let groups: Vec<_> =
            store.groups.iter().filter(|group| group["name"].as_str().unwrap().starts_with("zun-")).collect();
        assert!(groups.is_empty(), "groups are left: {groups:?}");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
