use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body as HttpBody;
use chrono::TimeDelta;
use http::Method;
use http_body_util::BodyExt;
use sahab_contract::{
    AppCredential, Auth, Error, Kind, Named, RequestContext, Result, Scope, Scoped,
    cloud::{Call, Cloud},
    context::now,
    identity::Identity,
};
use serde_json::{Value, json};

use crate::{Dispatcher, Family, JsonBody, Meta, Mount, Request, Response, Service, Table};

fn auth(rules: Option<Value>) -> Auth {
    let domain = Named { id: "default".into(), name: "Default".into() };
    Auth {
        user: Scoped { id: "u".into(), name: "demo".into(), domain: domain.clone() },
        scope: Scope::Project(Scoped { id: "p".into(), name: "demo".into(), domain }),
        roles: vec![Named { id: "r".into(), name: "member".into() }],
        methods: vec!["password".into()],
        audit_ids: vec![],
        issued_at: now(),
        expires_at: now() + TimeDelta::hours(1),
        app_credential: rules.map(|rules| AppCredential {
            id: "a".into(),
            name: "a".into(),
            unrestricted: false,
            access_rules: Some(rules),
        }),
        password_expires_at: None,
    }
}

struct OneToken;
#[async_trait]
impl Identity for OneToken {
    async fn validate(&self, token: &str) -> Result<Arc<Auth>> {
        match token {
            "good" => Ok(Arc::new(auth(None))),
            "ruled" => Ok(Arc::new(auth(Some(json!([{"service": "toy", "method": "GET", "path": "/things/*"}]))))),
            _ => Err(Error::unauthenticated("bad token")),
        }
    }
    async fn delegate(&self, _: &str, _: &str) -> Result<Arc<Auth>> {
        Err(Error::unauthenticated("no"))
    }
    async fn service(&self) -> Result<Arc<Auth>> {
        Ok(Arc::new(auth(None)))
    }
    async fn project_exists(&self, _: &str) -> Result<bool> {
        Ok(true)
    }
}

struct Toy;
impl Family for Toy {
    fn service_type(&self) -> &'static str {
        "toy"
    }
    fn body_limit(&self) -> usize {
        64
    }
    fn head_as_get(&self) -> bool {
        true
    }
    fn render_error(&self, _: &Meta, error: &Error) -> Response {
        let status = error.kind().status();
        Response::json(status, json!({"error": {"code": status, "title": error.code(), "message": error.message()}}))
    }
}

async fn show(_: (), request: Request) -> Result<Response> {
    match request.param("id") {
        "boom" => Err(Error::from(std::io::Error::other("secret cause"))),
        "panic" => panic!("handler bug"),
        id => Ok(Response::ok(json!({
            "id": id, "user": request.context.user_id(), "preset": request.context.preset_id,
            "base": request.context.base_url, "q": request.query.get("q"),
        }))),
    }
}

async fn create(_: (), mut request: Request) -> Result<Response> {
    match request.json() {
        JsonBody::Value(value) => Ok(Response::created(value)),
        JsonBody::Absent => Err(Error::invalid("Empty", "no body")),
        JsonBody::Malformed(reason) => Err(Error::invalid("NotJson", reason)),
    }
}

fn dispatcher() -> Arc<Dispatcher> {
    let mut table = Table::new(());
    table.get("/things/{id}", show);
    table.get("/open", |_, _| async { Ok(Response::ok(json!({}))) }).open();
    table.post("/things", create);
    let dispatcher = Dispatcher::new();
    let toy = Service { name: "toy", port: 1, family: Arc::new(Toy), endpoints: table.finish() };
    dispatcher.install(vec![toy], Arc::new(OneToken)).unwrap();
    dispatcher
}

async fn ask(method: Method, path: &str, token: Option<&str>, body: &str) -> (u16, Value, http::HeaderMap) {
    let mut request = http::Request::builder().method(method).uri(path).header("host", "cloud:5000");
    if let Some(token) = token {
        request = request.header("x-auth-token", token);
    }
    let request = request.body(HttpBody::from(body.to_owned())).unwrap();
    let response = dispatcher().answer(Mount::All, "http", request).await;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or(Value::Null), parts.headers)
}

#[tokio::test]
async fn routing_and_links() {
    let (status, body, headers) = ask(Method::GET, "/toy/things/a%2Fb?q=1", Some("good"), "").await;
    assert_eq!(status, 200);
    assert_eq!(body["id"], "a/b");
    assert_eq!(body["base"], "http://cloud:5000/toy");
    assert!(headers["x-openstack-request-id"].to_str().unwrap().starts_with("req-"));
    assert_eq!(ask(Method::GET, "/toy/none", Some("good"), "").await.0, 404);
    assert_eq!(ask(Method::DELETE, "/toy/things/1", Some("good"), "").await.0, 405);
    assert_eq!(ask(Method::HEAD, "/toy/things/1", Some("good"), "").await.0, 200);
    assert_eq!(ask(Method::GET, "/elsewhere", None, "").await.0, 404);
}

#[tokio::test]
async fn without_a_valid_token_only_open_endpoints_answer() {
    assert_eq!(ask(Method::GET, "/toy/things/1", None, "").await.0, 401);
    let (status, _, headers) = ask(Method::GET, "/toy/things/1", Some("forged"), "").await;
    assert_eq!(status, 401);
    assert_eq!(headers["www-authenticate"], "Keystone uri=\"http://cloud:5000/identity\"");
    assert_eq!(ask(Method::GET, "/toy/open", None, "").await.0, 200);
}

#[tokio::test]
async fn access_rules_bind_the_token() {
    assert_eq!(ask(Method::GET, "/toy/things/1", Some("ruled"), "").await.0, 200);
    assert_eq!(ask(Method::POST, "/toy/things", Some("ruled"), "{}").await.0, 401);
}

#[tokio::test]
async fn bodies_are_bounded_and_parsed() {
    assert_eq!(ask(Method::POST, "/toy/things", Some("good"), "{\"a\": 1}").await.0, 201);
    assert_eq!(ask(Method::POST, "/toy/things", Some("good"), &"x".repeat(65)).await.0, 413);
    assert_eq!(ask(Method::POST, "/toy/things", Some("good"), "{").await.1["error"]["title"], "NotJson");
    assert_eq!(ask(Method::POST, "/toy/things", Some("good"), " ").await.1["error"]["title"], "Empty");
}

/// Over a socket: the refusal reaches a client that sends first and reads then.
#[tokio::test]
async fn a_refusal_reaches_who_is_still_sending() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = crate::Listener::bind(([127, 0, 0, 1], 0).into(), Mount::All).await.unwrap();
    let address = listener.address().unwrap();
    let (_running, stop) = tokio::sync::watch::channel(false);
    tokio::spawn(listener.serve(dispatcher(), crate::ServerSettings::default(), stop));
    for (path, token, status) in
        [("/toy/things", "good", 413), ("/toy/things", "forged", 401), ("/toy/none", "good", 404)]
    {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: cloud\r\nx-auth-token: {token}\r\ncontent-length: 2000000\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&[b' '; 2_000_000]).await.unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"), "{path}");
    }
    // Who announces a body and sends none is answered all the same.
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /toy/none HTTP/1.1\r\nhost: cloud\r\ncontent-length: 2000000\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");
}

#[tokio::test]
async fn faults_of_ours_stay_private() {
    let (status, body, _) = ask(Method::GET, "/toy/things/boom", Some("good"), "").await;
    assert_eq!(status, 500);
    assert!(!body.to_string().contains("secret"));
    assert_eq!(ask(Method::GET, "/toy/things/panic", Some("good"), "").await.0, 500);
}

#[tokio::test]
async fn neighbours_call_without_a_socket() {
    let context = RequestContext::new(Some(Arc::new(auth(None)))).with_preset_id("chosen");
    let dispatcher = dispatcher();
    let reply = dispatcher.call(&context, Call::get("toy", "/things/7?q=x")).await.unwrap();
    assert_eq!((reply.status, &reply.body["preset"], &reply.body["q"]), (200, &json!("chosen"), &json!("x")));
    let error = dispatcher.call(&context, Call::get("toy", "/none")).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::NotFound, "HTTPNotFound"));
    assert_eq!(dispatcher.call(&context, Call::get("nowhere", "/")).await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn the_one_port_is_identitys_classic_port_too() {
    let mut table = Table::new(());
    table
        .get("/v3", |_, request: Request| async move { Ok(Response::ok(json!({"base": request.meta.base_url}))) })
        .open();
    let dispatcher = Dispatcher::new();
    let identity = Service { name: "identity", port: 5000, family: Arc::new(Toy), endpoints: table.finish() };
    dispatcher.install(vec![identity], Arc::new(OneToken)).unwrap();
    for (path, base) in [("/v3", "http://cloud:5000"), ("/identity/v3", "http://cloud:5000/identity")] {
        let request = http::Request::get(path).header("host", "cloud:5000").body(HttpBody::empty()).unwrap();
        let body = dispatcher.answer(Mount::All, "http", request).await.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["base"], base);
    }
}
