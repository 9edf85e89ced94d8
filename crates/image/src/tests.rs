//! The service through its endpoint table, with a real database and real files.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use http::Method;
use http_body_util::BodyExt;
use sahab_api::{Dispatcher, Mount};
use sahab_contract::{Auth, Error, Named, Result, Scope, Scoped, context::now, identity::Identity};
use sahab_db::Database;
use serde_json::{Value, json};

use crate::{ImageService, Settings, migrations};

/// Tokens are `role@project`.
struct Tokens;
#[async_trait]
impl Identity for Tokens {
    async fn validate(&self, token: &str) -> Result<Arc<Auth>> {
        let (role, project) = token.split_once('@').ok_or_else(|| Error::unauthenticated("no"))?;
        let domain = Named { id: "default".into(), name: "Default".into() };
        let named = |id: &str| Scoped { id: id.into(), name: id.into(), domain: domain.clone() };
        let roles = match role {
            "admin" => &["admin", "member", "reader"][..],
            "member" => &["member", "reader"],
            _ => &["reader"],
        };
        Ok(Arc::new(Auth {
            user: named("u"),
            scope: Scope::Project(named(project)),
            roles: roles.iter().map(|role| Named { id: (*role).into(), name: (*role).into() }).collect(),
            methods: vec![],
            audit_ids: vec![],
            issued_at: now(),
            expires_at: now(),
            app_credential: None,
            password_expires_at: None,
        }))
    }
    async fn delegate(&self, _: &str, _: &str) -> Result<Arc<Auth>> {
        Err(Error::unauthenticated("no"))
    }
    async fn service(&self) -> Result<Arc<Auth>> {
        Err(Error::unauthenticated("no"))
    }
    async fn project_exists(&self, _: &str) -> Result<bool> {
        Ok(true)
    }
}

struct Bench {
    dispatcher: Arc<Dispatcher>,
    database: Database,
    folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    bytes: Vec<u8>,
    json: Value,
}

impl Bench {
    async fn new() -> Self {
        let database = Database::temporary().await.unwrap();
        database.migrate(&[migrations()]).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { folder: folder.path().to_owned(), size_cap: 1000 };
        let service = ImageService::open(database.clone(), settings).await.unwrap();
        let dispatcher = Dispatcher::new();
        dispatcher.install(vec![service.service()], Arc::new(Tokens)).unwrap();
        Bench { dispatcher, database, folder }
    }

    async fn send(&self, token: &str, method: Method, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("/image{path}"))
            .header("x-auth-token", token)
            .header("content-type", content_type)
            .header("host", "cloud")
            .body(body.into())
            .unwrap();
        let response = self.dispatcher.answer(Mount::All, "http", request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, bytes, json }
    }
    async fn json(&self, token: &str, method: Method, path: &str, body: Value) -> Answer {
        self.send(token, method, path, "application/json", body.to_string()).await
    }
    async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(token, Method::GET, path, "application/json", "").await
    }
    async fn patch(&self, token: &str, id: &str, body: Value) -> Answer {
        self.send(token, Method::PATCH, &format!("/v2/images/{id}"), crate::patch::V21, body.to_string()).await
    }
    async fn image(&self, token: &str, body: Value) -> String {
        let made = self.json(token, Method::POST, "/v2/images", body).await;
        assert_eq!(made.status, 201, "{}", made.json);
        made.json["id"].as_str().unwrap().to_owned()
    }
    async fn upload(&self, token: &str, id: &str, data: &str) -> Answer {
        let path = format!("/v2/images/{id}/file");
        self.send(token, Method::PUT, &path, "application/octet-stream", data.to_owned()).await
    }
    async fn names(&self, token: &str, query: &str) -> Vec<String> {
        let listed = self.get(token, &format!("/v2/images{query}")).await;
        assert_eq!(listed.status, 200, "{}", listed.json);
        listed.json["images"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }
}

fn docker(name: &str) -> Value {
    json!({"name": name, "disk_format": "raw", "container_format": "docker"})
}

#[tokio::test]
async fn data_goes_in_and_comes_out() {
    let bench = Bench::new().await;
    let id = bench.image("member@p1", docker("app")).await;
    let file = format!("/v2/images/{id}/file");
    assert_eq!(bench.get("member@p1", &file).await.status, 204, "no data yet");
    assert_eq!(bench.upload("member@p1", &id, "hello world").await.status, 204);
    let shown = bench.get("member@p1", &format!("/v2/images/{id}")).await.json;
    assert_eq!((&shown["status"], &shown["size"]), (&json!("active"), &json!(11)));
    assert_eq!(shown["checksum"], "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert_eq!(shown["os_hash_algo"], "sha512");
    let whole = bench.get("member@p1", &file).await;
    assert_eq!((whole.status, whole.bytes.as_slice()), (200, &b"hello world"[..]));
    assert_eq!(whole.headers["content-md5"], "5eb63bbbe01eeed093cb22bb8f5acdc3");
    let request = http::Request::get(format!("/image{file}"))
        .header("x-auth-token", "member@p1")
        .header("range", "bytes=6-8")
        .body(Body::empty())
        .unwrap();
    let part = bench.dispatcher.answer(Mount::All, "http", request).await;
    assert_eq!(
        (part.status().as_u16(), part.headers()["content-range"].clone()),
        (206, "bytes 6-8/11".parse().unwrap())
    );
    assert_eq!(part.into_body().collect().await.unwrap().to_bytes(), "wor");
    assert_eq!(bench.upload("member@p1", &id, "again").await.status, 409);
    assert_eq!(bench.send("member@p1", Method::DELETE, &format!("/v2/images/{id}"), "", "").await.status, 204);
    assert_eq!(bench.get("member@p1", &format!("/v2/images/{id}")).await.status, 404);
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 0);
    let again = bench.json("member@p1", Method::POST, "/v2/images", json!({"id": id})).await;
    assert_eq!(again.status, 409, "a deleted id is never used again");
}

#[tokio::test]
async fn a_failed_upload_leaves_a_queued_image_and_no_file() {
    let bench = Bench::new().await;
    let id = bench.image("member@p1", docker("big")).await;
    assert_eq!(bench.upload("member@p1", &id, &"x".repeat(1001)).await.status, 413);
    assert_eq!(bench.get("member@p1", &format!("/v2/images/{id}")).await.json["status"], "queued");
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 0);
    let bare = bench.image("member@p1", json!({"name": "unformatted"})).await;
    assert_eq!(bench.upload("member@p1", &bare, "x").await.status, 400);
}

#[tokio::test]
async fn a_crash_during_an_upload_is_taken_back_at_the_next_start() {
    let bench = Bench::new().await;
    let id = bench.image("member@p1", docker("half")).await;
    let txn = bench.database.begin().await.unwrap();
    let mut row = crate::db::image::find(&txn, &id).await.unwrap().unwrap();
    row.status = "saving".into();
    crate::db::image::save(&txn, row).await.unwrap();
    txn.commit().await.unwrap();
    std::fs::write(bench.folder.path().join(format!("{id}.part")), "half").unwrap();
    let settings = Settings { folder: bench.folder.path().to_owned(), size_cap: 1000 };
    ImageService::open(bench.database.clone(), settings).await.unwrap();
    assert_eq!(bench.get("member@p1", &format!("/v2/images/{id}")).await.json["status"], "queued");
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn who_sees_what() {
    let bench = Bench::new().await;
    for visibility in ["private", "shared", "community"] {
        bench.image("member@p1", json!({"name": visibility, "visibility": visibility})).await;
    }
    let public = json!({"name": "public", "visibility": "public"});
    assert_eq!(bench.json("member@p1", Method::POST, "/v2/images", public.clone()).await.status, 403);
    bench.image("admin@p0", public).await;
    assert_eq!(bench.names("member@p2", "").await, ["public"]);
    assert_eq!(bench.names("member@p2", "?visibility=community").await, ["community"]);
    assert_eq!(bench.names("reader@p1", "?sort=name:asc").await, ["community", "private", "public", "shared"]);
    assert_eq!(bench.names("admin@p0", "?visibility=all").await.len(), 4);
    let private = bench.get("member@p1", "/v2/images?name=private").await.json["images"][0]["id"].clone();
    let path = format!("/v2/images/{}", private.as_str().unwrap());
    assert_eq!(bench.get("member@p2", &path).await.status, 404);
    assert_eq!(bench.send("reader@p1", Method::DELETE, &path, "", "").await.status, 403);
}

#[tokio::test]
async fn sharing_needs_the_members_consent() {
    let bench = Bench::new().await;
    let id = bench.image("member@p1", docker("app")).await;
    bench.upload("member@p1", &id, "data").await;
    let members = format!("/v2/images/{id}/members");
    assert_eq!(bench.json("member@p2", Method::POST, &members, json!({"member": "p2"})).await.status, 404);
    assert_eq!(bench.json("member@p1", Method::POST, &members, json!({"member": "p2"})).await.status, 200);
    assert_eq!(bench.json("member@p1", Method::POST, &members, json!({"member": "p2"})).await.status, 409);
    assert!(bench.names("member@p2", "").await.is_empty());
    let one = format!("{members}/p2");
    assert_eq!(bench.json("member@p1", Method::PUT, &one, json!({"status": "accepted"})).await.status, 403);
    assert_eq!(bench.json("member@p2", Method::PUT, &one, json!({"status": "accepted"})).await.status, 200);
    assert_eq!(bench.names("member@p2", "").await, ["app"]);
    assert_eq!(bench.get("member@p2", &format!("/v2/images/{id}/file")).await.bytes, b"data");
    assert_eq!(bench.send("member@p1", Method::DELETE, &one, "", "").await.status, 204);
    assert_eq!(bench.get("member@p2", &format!("/v2/images/{id}")).await.status, 404);
}

#[tokio::test]
async fn patches_follow_the_rules() {
    let bench = Bench::new().await;
    let id = bench.image("member@p1", json!({"name": "a", "colour": "red"})).await;
    let replace = |path: &str, value: Value| json!([{"op": "replace", "path": path, "value": value}]);
    assert_eq!(bench.patch("member@p1", &id, replace("/name", json!("b"))).await.json["name"], "b");
    assert_eq!(bench.patch("member@p1", &id, replace("/status", json!("active"))).await.status, 403);
    assert_eq!(bench.patch("member@p1", &id, replace("/missing", json!("x"))).await.status, 409);
    assert_eq!(bench.patch("member@p1", &id, replace("/min_ram", json!("x"))).await.status, 400);
    assert_eq!(bench.patch("member@p1", &id, replace("/visibility", json!("public"))).await.status, 403);
    assert_eq!(bench.patch("member@p1", &id, json!([{"op": "remove", "path": "/name"}])).await.status, 403);
    let removed = bench.patch("member@p1", &id, json!([{"op": "remove", "path": "/colour"}])).await;
    assert_eq!((removed.status, removed.json.get("colour")), (200, None));
    let plain = bench.json("member@p1", Method::PATCH, &format!("/v2/images/{id}"), json!([])).await;
    assert_eq!(plain.status, 415);
    assert!(plain.headers.contains_key("accept-patch"));
    bench.patch("member@p1", &id, replace("/protected", json!(true))).await;
    assert_eq!(bench.send("member@p1", Method::DELETE, &format!("/v2/images/{id}"), "", "").await.status, 403);
}

#[tokio::test]
async fn lists_page_filter_and_sort() {
    let bench = Bench::new().await;
    for (index, tag) in ["x", "y", "x", "y", "x"].iter().enumerate() {
        bench.image("member@p1", json!({"name": format!("i{index}"), "tags": [tag], "rank": index.to_string()})).await;
    }
    let mut names = Vec::new();
    let mut next = Some("/v2/images?limit=2&sort=name:asc".to_owned());
    while let Some(path) = next {
        let page = bench.get("member@p1", &path).await.json;
        names.extend(page["images"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(names, ["i0", "i1", "i2", "i3", "i4"]);
    assert_eq!(bench.names("member@p1", "?tag=y&sort=name:desc").await, ["i3", "i1"]);
    assert_eq!(bench.names("member@p1", "?rank=4").await, ["i4"]);
    assert_eq!(bench.names("member@p1", "?name=in:i0,i2&sort=name:asc").await, ["i0", "i2"]);
    assert_eq!(bench.names("member@p1", "?created_at=gt:2100-01-01T00:00:00Z").await.len(), 0);
    for bad in
        ["limit=-1", "limit=x", "sort_key=nope", "visibility=nope", "marker=nope", "created_at=gt:x", "size_min=a"]
    {
        assert_eq!(bench.get("member@p1", &format!("/v2/images?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn bad_bodies_are_the_callers_fault() {
    let bench = Bench::new().await;
    for body in [
        "[",
        "[]",
        "{\"name\": 1}",
        "{\"min_disk\": -1}",
        "{\"tags\": \"x\"}",
        "{\"disk_format\": \"zip\"}",
        "{\"x\": {}}",
        "{\"id\": \"../x\"}",
    ] {
        let answer = bench.send("member@p1", Method::POST, "/v2/images", "application/json", body.to_owned()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.json);
    }
    assert_eq!(bench.json("member@p1", Method::POST, "/v2/images", json!({"status": "active"})).await.status, 403);
}

#[tokio::test]
async fn discovery_needs_no_token_and_everything_else_does() {
    let bench = Bench::new().await;
    assert_eq!(bench.get("", "/").await.status, 300);
    for (_, method, path, open) in bench.dispatcher.endpoints() {
        let path = path.replace("{id}", "x").replace("{tag}", "x").replace("{member}", "x").replace("{name}", "image");
        let status = bench.send("", method.clone(), &path, "application/json", "").await.status;
        assert!(if open { status < 400 } else { status == 401 }, "{method} {path}: {status}");
    }
}
