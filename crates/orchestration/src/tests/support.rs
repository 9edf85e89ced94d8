//! A cloud in one process: this service with a real database and a real queue, and small fakes of its neighbours.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::body::Body as HttpBody;
use chrono::TimeDelta;
use http::Method;
use http_body_util::BodyExt;
use sahab_api::{Dispatcher, Mount};
use sahab_contract::{
    Auth, Error, Named, Result, Scope, Scoped, cloud::Cloud, context::now, event::EventBus, identity::Identity,
};
use sahab_db::Database;
use sahab_task::Queue;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::watch};

use super::fakes::Fakes;
use crate::{OrchestrationService, Settings};

pub const PROJECT: &str = "p1";

fn auth(user: &str, project: &str, roles: &[&str]) -> Arc<Auth> {
    let domain = Named { id: "default".into(), name: "Default".into() };
    Arc::new(Auth {
        user: Scoped { id: user.into(), name: user.into(), domain: domain.clone() },
        scope: Scope::Project(Scoped { id: project.into(), name: project.into(), domain }),
        roles: roles.iter().map(|role| Named { id: (*role).into(), name: (*role).into() }).collect(),
        methods: vec!["password".into()],
        audit_ids: vec![],
        issued_at: now(),
        expires_at: now() + TimeDelta::hours(1),
        app_credential: None,
        password_expires_at: None,
    })
}

/// A token is `user` or `user@project`; the user's name is their role.
struct Tokens;

#[async_trait]
impl Identity for Tokens {
    async fn validate(&self, token: &str) -> Result<Arc<Auth>> {
        let (user, project) = token.split_once('@').unwrap_or((token, PROJECT));
        match user {
            "member" => Ok(auth(user, project, &["member", "reader"])),
            "reader" => Ok(auth(user, project, &["reader"])),
            "admin" => Ok(auth(user, project, &["admin", "member", "reader"])),
            _ => Err(Error::unauthenticated("no such token")),
        }
    }
    async fn delegate(&self, user: &str, project: &str) -> Result<Arc<Auth>> {
        self.validate(&format!("{user}@{project}")).await
    }
    async fn service(&self) -> Result<Arc<Auth>> {
        Ok(auth("admin", "service", &["admin", "service"]))
    }
    async fn project_exists(&self, _: &str) -> Result<bool> {
        Ok(true)
    }
}

pub struct World {
    pub database: Database,
    pub dispatcher: Arc<Dispatcher>,
    pub fakes: Arc<Fakes>,
    pub settings: Settings,
    stop: watch::Sender<bool>,
    /// Runs the background work, so that all of it can be killed at once.
    runtime: Option<Runtime>,
}

pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Value,
}

pub fn quick_settings() -> Settings {
    Settings {
        retry_pause: Duration::from_millis(5),
        wait_fallback: Duration::from_millis(200),
        error_wait_time: Duration::from_secs(5),
        ..Default::default()
    }
}

impl World {
    pub async fn new() -> World {
        Self::with(quick_settings()).await
    }

    pub async fn with(settings: Settings) -> World {
        let database = Database::temporary().await.unwrap();
        database.migrate(&[sahab_task::migrations(), crate::migrations()]).await.unwrap();
        Self::start(database, Arc::new(Fakes::default()), settings)
    }

    fn start(database: Database, fakes: Arc<Fakes>, settings: Settings) -> World {
        let dispatcher = Dispatcher::new();
        let queue = Queue::new(
            database.clone(),
            sahab_task::Settings { idle: Duration::from_millis(50), ..Default::default() },
        );
        let bus = EventBus::new();
        fakes.connect(bus.clone());
        let cloud: Arc<dyn Cloud> = dispatcher.clone();
        let service =
            OrchestrationService::new(database.clone(), queue.clone(), cloud, Arc::new(Tokens), bus, settings.clone())
                .unwrap();
        let mut services = super::fakes::services(fakes.clone());
        services.push(service.service());
        dispatcher.install(services, Arc::new(Tokens)).unwrap();
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (runner, handlers, ended) = (queue.clone(), service.handlers(), stopped.clone());
        runtime.spawn(async move { runner.run(handlers, ended).await });
        runtime.spawn(async move { service.run(stopped).await });
        World { database, dispatcher, fakes, settings, stop, runtime: Some(runtime) }
    }

    /// The process is killed: whatever ran is gone. A new one starts on the same database and the same neighbours.
    pub async fn crash(mut self) -> World {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        // Every task is dropped at its next await.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Self::start(self.database.clone(), self.fakes.clone(), self.settings.clone())
    }

    pub async fn ask(&self, token: &str, method: Method, path: &str, body: Value) -> Answer {
        let mut request = http::Request::builder().method(method).uri(path).header("host", "cloud:5000");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        let bytes = if body.is_null() { String::new() } else { body.to_string() };
        let request = request.header("content-type", "application/json").body(HttpBody::from(bytes)).unwrap();
        let response = self.dispatcher.answer(Mount::All, "http", request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// A member's request below the project's root.
    pub async fn member(&self, method: Method, path: &str, body: Value) -> Answer {
        self.ask("member", method, &format!("/orchestration/v1/{PROJECT}{path}"), body).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.member(Method::GET, path, Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Creates a stack and returns its canonical path.
    pub async fn create(&self, name: &str, body: Value) -> String {
        let mut body = body;
        body["stack_name"] = json!(name);
        let answer = self.member(Method::POST, "/stacks", body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        format!("/stacks/{name}/{}", answer.body["stack"]["id"].as_str().unwrap())
    }

    /// Creates a stack from a template and waits for its end.
    pub async fn deploy(&self, name: &str, template: Value) -> String {
        let path = self.create(name, json!({"template": template})).await;
        self.settle(&path).await;
        path
    }

    pub async fn update(&self, path: &str, body: Value) -> Value {
        let answer = self.member(Method::PUT, path, body).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        self.settle(path).await
    }

    /// Waits until nothing is in progress and shows the stack.
    pub async fn settle(&self, path: &str) -> Value {
        for _ in 0..600 {
            let stack = self.get(path).await["stack"].take();
            if !stack["stack_status"].as_str().unwrap().ends_with("IN_PROGRESS") {
                return stack;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} did not settle: {}", self.get(path).await);
    }

    pub async fn status(&self, path: &str) -> String {
        self.get(path).await["stack"]["stack_status"].as_str().unwrap().to_owned()
    }

    pub async fn resource(&self, path: &str, name: &str) -> Value {
        self.get(&format!("{path}/resources/{name}")).await["resource"].take()
    }

    pub async fn delete(&self, path: &str) -> Value {
        let answer = self.member(Method::DELETE, path, Value::Null).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
        self.settle(path).await
    }

    /// `resource: status reason` of each event, oldest first.
    pub async fn history(&self, path: &str) -> Vec<String> {
        let events = self.get(&format!("{path}/events?sort_dir=asc")).await;
        let text = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
        let lines = events["events"].as_array().unwrap().iter().map(|event| {
            format!(
                "{}: {} {}",
                text(event, "resource_name"),
                text(event, "resource_status"),
                text(event, "resource_status_reason")
            )
        });
        lines.collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A template of the newest version used here.
pub fn hot(resources: Value) -> Value {
    json!({"heat_template_version": "rocky", "resources": resources})
}
