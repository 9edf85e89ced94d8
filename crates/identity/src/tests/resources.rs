//! CRUD as clients use it, and the pitfalls that the specification lists.

use http::Method;
use serde_json::{Value, json};

use super::{Cloud, PASSWORD, scope};

#[tokio::test]
async fn discovery() {
    let cloud = Cloud::new().await;
    let root = cloud.send(Method::GET, "/", &[], "").await;
    assert_eq!(root.headers["location"], "http://cloud/identity/v3/");
    let root = root.expect(300);
    assert_eq!(root["versions"]["values"][0]["links"][0]["href"], "http://cloud/identity/v3/");
    for path in ["/v3", "/v3/"] {
        let version = cloud.send(Method::GET, path, &[], "").await.expect(200);
        assert_eq!((&version["version"]["id"], &version["version"]["status"]), (&json!("v3.14"), &json!("stable")));
    }
    let home = cloud.send(Method::GET, "/v3", &[("accept", "application/json-home")], "").await;
    assert_eq!(home.headers["content-type"], "application/json-home");
    let home = home.expect(200);
    let user = &home["resources"]["https://docs.openstack.org/api/openstack-identity/3/rel/user"];
    assert_eq!(user["href-template"], "/users/{user_id}");
    assert_eq!(cloud.send(Method::GET, "/v2.0", &[], "").await.status, 404);
    let wrong = cloud.send(Method::PUT, "/v3/users", &[("x-auth-token", &cloud.admin)], "").await;
    assert_eq!(wrong.headers["allow"], "GET, HEAD, POST");
    assert_eq!(wrong.expect(405), json!({"message": "The method is not allowed for the requested URL."}));
}

#[tokio::test]
async fn head_is_get_without_a_body_but_204_where_it_checks() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.member("ann", "member").await;
    let role = cloud.role("member").await;
    let headers = [("x-auth-token", cloud.admin.as_str()), ("x-subject-token", cloud.admin.as_str())];
    let token = cloud.send(Method::HEAD, "/v3/auth/tokens", &headers, "").await;
    assert_eq!((token.status, token.body), (200, Value::Null));
    assert_eq!(cloud.head("/v3/users").await.status, 200);
    let grant = format!("/v3/projects/{project}/users/{user}/roles/{role}");
    assert_eq!((cloud.head(&grant).await.status, cloud.get(&grant).await.status), (204, 204));
    cloud.put(&grant).await.expect(204);
    cloud.delete(&grant).await.expect(204);
    assert_eq!((cloud.delete(&grant).await.status, cloud.head(&grant).await.status), (404, 404));
    let tag = format!("/v3/projects/{project}/tags/blue");
    let made = cloud.put(&tag).await;
    assert!(made.headers.contains_key("location"));
    made.expect(201);
    assert_eq!((cloud.head(&tag).await.status, cloud.get(&tag).await.status), (204, 204));
    cloud.delete(&tag).await.expect(204);
    cloud.delete(&tag).await.expect(404);
}

#[tokio::test]
async fn users() {
    let cloud = Cloud::new().await;
    let body = json!({"user": {"name": "ann", "domain_id": "default", "password": "p", "email": "a@b", "nick": null}});
    let user = cloud.post("/v3/users", body.clone()).await.expect(201)["user"].clone();
    assert_eq!(
        (&user["email"], &user["password_expires_at"], &user["options"]),
        (&json!("a@b"), &Value::Null, &json!({}))
    );
    assert!(user.get("password").is_none() && user.get("default_project_id").is_none() && user.get("extra").is_none());
    let id = user["id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    let again = cloud.post("/v3/users", body).await;
    assert_eq!(
        again.message(),
        "Conflict occurred attempting to store user - Duplicate entry found with name ann at domain ID default."
    );
    again.expect(409);
    let patched = cloud.patch(&format!("/v3/users/{id}"), json!({"user": {"email": "c@d"}})).await.expect(200);
    assert_eq!(patched["user"]["extra"]["email"], "c@d");
    for (body, text) in [
        (json!({"user": {"domain_id": "default"}}), "'name' is a required property"),
        (json!({"user": {"name": ""}}), "Invalid input for field/attribute name. Value: . '' should be non-empty"),
        (json!({"user": {"name": "x".repeat(256)}}), "is too long"),
        (json!({"user": {"name": "x", "enabled": "true"}}), "'true' is not of type 'boolean'"),
        (json!({"user": {"name": "x", "options": {"bogus": true}}}), "('bogus' was unexpected)"),
        (json!({"user": {"name": "x", "domain_id": "../x"}}), "does not match"),
        (json!({"user": []}), "[] is not of type 'object'"),
        (json!({}), "'user' is a required property"),
    ] {
        let answer = cloud.post("/v3/users", body).await;
        assert!(answer.message().replace("''. ''", ". ''").contains(text), "{}", answer.body);
        answer.expect(400);
    }
    let secret = cloud.post("/v3/users", json!({"user": {"name": "x", "password": 424_242}})).await;
    assert!(!secret.message().contains("424242"));
    secret.expect(400);
    cloud.post("/v3/users", json!({"user": {"name": "x", "domain_id": "nowhere"}})).await.expect(404);
    let moved = cloud.patch(&format!("/v3/users/{id}"), json!({"user": {"domain_id": "other"}})).await;
    moved.expect(400);
    cloud.delete(&format!("/v3/users/{id}")).await.expect(204);
    assert_eq!(cloud.get(&format!("/v3/users/{id}")).await.message(), format!("Could not find user: {id}."));
    let plain = cloud.send(Method::POST, "/v3/users", &[("x-auth-token", &cloud.admin)], "{}").await;
    assert!(plain.message().starts_with("Expecting to find application/json in Content-Type header."));
    let headers = [("x-auth-token", cloud.admin.as_str()), ("content-type", "application/json")];
    assert_eq!(cloud.send(Method::POST, "/v3/users", &headers, "{").await.status, 400);
    assert_eq!(cloud.send(Method::POST, "/v3/users", &headers, &" ".repeat(200_000)).await.status, 413);
}

#[tokio::test]
async fn lists_filter_sort_and_page() {
    let cloud = Cloud::new().await;
    for name in ["pear", "Apple", "apple_pie", "100%", "fig"] {
        cloud.make("user", "users", json!({"name": name, "enabled": name != "fig"})).await;
    }
    let names = async |query: &str| {
        let list = cloud.get(&format!("/v3/users?{query}")).await.expect(200);
        let mut names: Vec<String> = list["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["name"].as_str().unwrap().to_owned())
            .filter(|name| name != "admin" && name != "sahab")
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("name=pear").await, ["pear"]);
    assert_eq!(names("name=PEAR").await, [""; 0]);
    assert_eq!(names("name__icontains=APPLE").await, ["Apple", "apple_pie"]);
    assert_eq!(names("name__contains=pp").await, ["Apple", "apple_pie"]);
    assert_eq!(names("name__startswith=a").await, ["apple_pie"]);
    assert_eq!(names("name__istartswith=A").await, ["Apple", "apple_pie"]);
    assert_eq!(names("name__endswith=%25").await, ["100%"]);
    assert_eq!(names("name__contains=_").await, ["apple_pie"], "no wildcard");
    assert_eq!(names("enabled=false").await, ["fig"]);
    assert_eq!(names("enabled").await.len(), 4);
    assert_eq!(names("bogus=1").await.len(), 5, "unknown filters mean nothing");
    assert_eq!(names("name=x%27%20OR%20%271%27=%271").await, [""; 0]);

    let mut seen = Vec::new();
    let mut path = "/v3/users?limit=2&sort_key=name&sort_dir=desc".to_owned();
    loop {
        let page = cloud.get(&path).await.expect(200);
        let users = page["users"].as_array().unwrap();
        assert!(users.len() <= 2);
        seen.extend(users.iter().map(|user| user["name"].as_str().unwrap().to_owned()));
        match page["links"]["next"].as_str() {
            None => break,
            Some(next) => {
                assert_eq!(page["truncated"], true);
                next.strip_prefix("http://cloud/identity").unwrap().clone_into(&mut path);
            }
        }
    }
    assert_eq!(seen, ["sahab", "pear", "fig", "apple_pie", "admin", "Apple", "100%"]);
    assert_eq!(cloud.get("/v3/users?marker=nope").await.message(), "Marker nope could not be found.");
    cloud.get("/v3/users?limit=-1").await.expect(400);
    cloud.get("/v3/users?sort_key=password").await.expect(400);
    let list = cloud.get("/v3/users?limit=0&name=fig").await.expect(200);
    assert_eq!(list["links"]["self"], "http://cloud/identity/v3/users?limit=0&name=fig");
    assert!(list.get("truncated").is_none());
}

#[tokio::test]
async fn projects_form_a_tree() {
    let cloud = Cloud::new().await;
    let top = cloud.make("project", "projects", json!({"name": "top"})).await;
    let shown = cloud.get(&format!("/v3/projects/{top}")).await.expect(200)["project"].clone();
    assert_eq!((&shown["description"], &shown["parent_id"]), (&json!(""), &json!("default")));
    assert_eq!((&shown["is_domain"], &shown["tags"]), (&json!(false), &json!([])));
    let mut parent = top.clone();
    for level in 1..=3 {
        let name = format!("level{level}");
        parent = cloud.make("project", "projects", json!({"name": name, "parent_id": parent})).await;
    }
    let deep = cloud.post("/v3/projects", json!({"project": {"name": "deep", "parent_id": parent}})).await;
    assert!(matches!(deep.status, 201), "a domain and four levels make five");
    let deep = deep.body["project"]["id"].as_str().unwrap().to_owned();
    cloud.post("/v3/projects", json!({"project": {"name": "x", "parent_id": deep}})).await.expect(403);
    let ids = cloud.get(&format!("/v3/projects/{top}?subtree_as_ids&parents_as_ids")).await.expect(200);
    assert_eq!(ids["project"]["parents"], json!({"default": null}));
    assert!(ids["project"]["subtree"].to_string().contains(&deep));
    let lists = cloud.get(&format!("/v3/projects/{top}?subtree_as_list")).await.expect(200);
    assert_eq!(lists["project"]["subtree"], json!([]), "the administrator has no role on them");
    let both = cloud.get(&format!("/v3/projects/{top}?subtree_as_list&subtree_as_ids")).await;
    assert!(both.message().starts_with("Cannot use subtree_as_list and subtree_as_ids query params at the same time."));
    cloud.delete(&format!("/v3/projects/{top}")).await.expect(403);
    let set = async |id: &str, enabled: bool| {
        cloud.patch(&format!("/v3/projects/{id}"), json!({"project": {"enabled": enabled}})).await.status
    };
    assert_eq!(set(&top, false).await, 403, "it has enabled children");
    assert_eq!(set(&deep, false).await, 200);
    let patched = cloud.patch(&format!("/v3/projects/{top}"), json!({"project": {"color": "red"}})).await.expect(200);
    assert_eq!(patched["project"]["extra"], json!({"color": "red"}));
    let path = format!("/v3/projects/{top}");
    cloud.patch(&path, json!({"project": {"parent_id": deep}})).await.expect(403);
    cloud.patch(&path, json!({"project": {"domain_id": "x"}})).await.expect(400);
    cloud.post("/v3/projects", json!({"project": {"name": "top", "domain_id": "default"}})).await.expect(409);
    cloud.post("/v3/projects", json!({"project": {"name": "  "}})).await.expect(400);
}

#[tokio::test]
async fn tags() {
    let cloud = Cloud::new().await;
    let a = cloud.make("project", "projects", json!({"name": "a", "tags": ["red", "Blue"]})).await;
    cloud.make("project", "projects", json!({"name": "b", "tags": ["red"]})).await;
    cloud.make("project", "projects", json!({"name": "c"})).await;
    let names = async |query: &str| {
        let list = cloud.get(&format!("/v3/projects?{query}&sort_key=name")).await.expect(200);
        let names: Vec<String> =
            list["projects"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect();
        names.into_iter().filter(|name| name.len() == 1).collect::<Vec<_>>()
    };
    assert_eq!(names("tags=red,Blue").await, ["a"]);
    assert_eq!(names("tags-any=red,Blue").await, ["a", "b"]);
    assert_eq!(names("not-tags=red,Blue").await, ["b", "c"]);
    assert_eq!(names("not-tags-any=Blue").await, ["b", "c"]);
    assert_eq!(names("tags=blue").await, [""; 0]);
    let path = format!("/v3/projects/{a}/tags");
    let put = async |tags: Value| cloud.call(&cloud.admin, Method::PUT, &path, json!({"tags": tags})).await;
    assert_eq!(put(json!(["x"])).await.expect(200)["tags"], json!(["x"]));
    for bad in [json!(["a/b"]), json!([""]), json!(["x", "x"]), json!([7]), json!("x")] {
        put(bad).await.expect(400);
    }
    cloud.delete(&path).await.expect(204);
    assert_eq!(cloud.get(&path).await.expect(200)["tags"], json!([]));
}

#[tokio::test]
async fn a_domain_goes_with_everything_inside() {
    let cloud = Cloud::new().await;
    let domain = cloud.make("domain", "domains", json!({"name": "d1"})).await;
    let project = cloud.make("project", "projects", json!({"name": "p", "domain_id": domain})).await;
    let user = cloud.make("user", "users", json!({"name": "u", "domain_id": domain, "password": "x"})).await;
    let group = cloud.make("group", "groups", json!({"name": "g", "domain_id": domain})).await;
    let member = cloud.role("member").await;
    cloud.put(&format!("/v3/projects/{project}/groups/{group}/roles/{member}")).await.expect(204);
    cloud.put(&format!("/v3/domains/{domain}/users/{user}/roles/{member}")).await.expect(204);
    let refused = cloud.delete(&format!("/v3/domains/{domain}")).await;
    assert_eq!(refused.message(), "Cannot delete a domain that is enabled, please disable it first.");
    refused.expect(403);
    cloud.delete("/v3/domains/default").await.expect(403);
    let as_project = cloud.get("/v3/projects?is_domain=true").await.expect(200);
    assert_eq!(as_project["projects"].as_array().unwrap().len(), 2);
    let clash = cloud.post("/v3/domains", json!({"domain": {"name": "d1"}})).await;
    assert!(clash.message().contains("two projects acting as domains with the same name"));
    cloud.patch(&format!("/v3/domains/{domain}"), json!({"domain": {"enabled": false}})).await.expect(200);
    let login = json!({"identity": {"methods": ["password"], "password": {"user": {"id": user, "password": "x"}}}});
    cloud.authenticate(login).await.expect(401);
    cloud.delete(&format!("/v3/domains/{domain}")).await.expect(204);
    for path in
        [format!("domains/{domain}"), format!("projects/{project}"), format!("users/{user}"), format!("groups/{group}")]
    {
        cloud.get(&format!("/v3/{path}")).await.expect(404);
    }
    let rows = cloud.get("/v3/role_assignments").await.expect(200);
    assert!(!rows.to_string().contains(&domain) && !rows.to_string().contains(&group));
    let explicit = json!({"domain": {"name": "d2", "explicit_domain_id": "0123456789abcdef0123456789abcdef"}});
    assert_eq!(
        cloud.post("/v3/domains", explicit.clone()).await.expect(201)["domain"]["id"],
        "0123456789abcdef0123456789abcdef"
    );
    cloud.post("/v3/domains", json!({"domain": {"name": "d3", "explicit_domain_id": "no"}})).await.expect(400);
}

#[tokio::test]
async fn roles_and_implications() {
    let cloud = Cloud::new().await;
    let (admin, member) = (cloud.role("admin").await, cloud.role("member").await);
    let immutable = cloud.delete(&format!("/v3/roles/{member}")).await;
    assert_eq!(
        immutable.message(),
        format!(
            "Unable to delete immutable role resource: `{member}. Set resource option \"immutable\" to false first."
        )
    );
    immutable.expect(403);
    let role = cloud.make("role", "roles", json!({"name": "cook"})).await;
    let shown = cloud.get(&format!("/v3/roles/{role}")).await.expect(200)["role"].clone();
    assert_eq!(
        (&shown["description"], &shown["domain_id"], &shown["options"]),
        (&Value::Null, &Value::Null, &json!({}))
    );
    let imply = |prior: &str, implied: &str| format!("/v3/roles/{prior}/implies/{implied}");
    let made = cloud.put(&imply(&role, &member)).await.expect(201);
    assert_eq!(made["role_inference"]["implies"]["name"], "member");
    cloud.put(&imply(&role, &admin)).await.expect(403);
    assert_eq!(cloud.head(&imply(&role, &member)).await.status, 204);
    let list = cloud.get(&format!("/v3/roles/{role}/implies")).await.expect(200);
    assert_eq!(list["role_inference"]["implies"].as_array().unwrap().len(), 1);
    let rules = cloud.get("/v3/role_inferences").await.expect(200);
    assert_eq!(rules["role_inferences"].as_array().unwrap().len(), 4);
    assert!(rules.get("links").is_none());
    cloud.delete(&imply(&role, &member)).await.expect(204);
    assert_eq!(cloud.get(&imply(&role, &member)).await.message(), format!("{role} does not imply {member}."));

    // A domain's own role counts by what it implies, and inside its domain only.
    let own = cloud.make("role", "roles", json!({"name": "local", "domain_id": "default"})).await;
    cloud.put(&imply(&member, &own)).await.expect(403);
    cloud.put(&imply(&own, &role)).await.expect(201);
    let (user, project) = cloud.member("ann", "reader").await;
    cloud.put(&format!("/v3/system/users/{user}/roles/{own}")).await.expect(400);
    let domain = cloud.make("domain", "domains", json!({"name": "d1"})).await;
    cloud.put(&format!("/v3/domains/{domain}/users/{user}/roles/{own}")).await.expect(403);
    cloud.put(&format!("/v3/projects/{project}/users/{user}/roles/{own}")).await.expect(204);
    let token = cloud.login("ann", "secret", scope("ann")).await.expect(201);
    let mut names: Vec<_> =
        token["token"]["roles"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["cook", "reader"]);
    let effective =
        cloud.get(&format!("/v3/role_assignments?user.id={user}&effective&include_names")).await.expect(200);
    assert!(!effective.to_string().contains("local"));
    let global = cloud.get("/v3/roles").await.expect(200);
    assert!(!global.to_string().contains("local"));
    assert_eq!(cloud.get("/v3/roles?domain_id=default").await.expect(200)["roles"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn assignments_as_granted_and_as_they_take_effect() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.member("ann", "member").await;
    let child = cloud.make("project", "projects", json!({"name": "child", "parent_id": project})).await;
    let group = cloud.make("group", "groups", json!({"name": "g"})).await;
    cloud.put(&format!("/v3/groups/{group}/users/{user}")).await.expect(204);
    let manager = cloud.role("manager").await;
    let inherit = format!("/v3/OS-INHERIT/projects/{project}/groups/{group}/roles/{manager}/inherited_to_projects");
    cloud.put(&inherit).await.expect(204);
    assert_eq!(cloud.head(&inherit).await.status, 204);
    let list = async |query: String| {
        let list = cloud.get(&format!("/v3/role_assignments?{query}")).await.expect(200);
        list["role_assignments"].as_array().unwrap().clone()
    };
    let plain = list(format!("user.id={user}")).await;
    assert_eq!(plain.len(), 1, "explicit grants only");
    assert_eq!(plain[0]["scope"], json!({"project": {"id": project}}));
    let inherited = list(format!("group.id={group}&scope.OS-INHERIT:inherited_to=projects")).await;
    assert_eq!(inherited[0]["scope"]["OS-INHERIT:inherited_to"], "projects");
    assert!(inherited[0]["links"]["assignment"].as_str().unwrap().ends_with(&inherit["/v3".len()..]));
    let effective = list(format!("user.id={user}&effective&include_names")).await;
    let line = |row: &Value| {
        let place = row["scope"]["project"]["name"].as_str().unwrap();
        format!("{place} {}", row["role"]["name"].as_str().unwrap())
    };
    let mut lines: Vec<_> = effective.iter().map(line).collect();
    lines.sort();
    assert_eq!(lines, ["ann member", "ann reader", "child manager", "child member", "child reader"]);
    assert!(effective.iter().any(|row| row["links"]["membership"].is_string()));
    assert!(effective.iter().any(|row| row["links"]["prior_role"].is_string()));
    assert_eq!(effective[0]["user"]["domain"], json!({"id": "default", "name": "Default"}));
    assert_eq!(list(format!("scope.project.id={child}&effective")).await.len(), 3);
    assert_eq!(list(format!("scope.project.id={project}&include_subtree")).await.len(), 2);
    assert_eq!(list("scope.system=all".into()).await.len(), 1);
    for bad in ["user.id=a&group.id=b", "effective&group.id=b", "include_subtree", "scope.system=all&scope.domain.id=d"]
    {
        cloud.get(&format!("/v3/role_assignments?{bad}")).await.expect(400);
    }
    // The inherited role works on the child and not on the project itself.
    let token = cloud.login("ann", "secret", scope("child")).await.expect(201);
    assert!(token["token"]["roles"].to_string().contains("manager"));
    let token = cloud.login("ann", "secret", scope("ann")).await.expect(201);
    assert!(!token["token"]["roles"].to_string().contains("manager"));
    let mine = cloud.get(&format!("/v3/users/{user}/projects")).await.expect(200);
    assert_eq!(mine["projects"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_catalogue() {
    let cloud = Cloud::new().await;
    cloud.post("/v3/regions", json!({"region": {"id": "R2", "parent_region_id": "RegionOne"}})).await.expect(201);
    cloud.post("/v3/regions", json!({"region": {"id": "R2"}})).await.expect(409);
    cloud.post("/v3/regions", json!({"region": {"parent_region_id": "none"}})).await.expect(404);
    cloud.patch("/v3/regions/RegionOne", json!({"region": {"parent_region_id": "R2"}})).await.expect(400);
    cloud.call(&cloud.admin, Method::PUT, "/v3/regions/R3", json!({"region": {}})).await.expect(201);
    cloud.delete("/v3/regions/R3").await.expect(204);
    cloud.delete("/v3/regions/RegionOne").await.expect(403);
    let service = cloud.make("service", "services", json!({"type": "toy", "name": "toys"})).await;
    let endpoint =
        |url: &str| json!({"endpoint": {"interface": "public", "service_id": service, "url": url, "region": "New"}});
    for bad in ["no url", "http://h/$(bogus)s", "http://h/%(project_id", ""] {
        cloud.post("/v3/endpoints", endpoint(bad)).await.expect(400);
    }
    let made = cloud.post("/v3/endpoints", endpoint("http://h/$(project_id)s")).await.expect(201);
    assert_eq!(made["endpoint"]["region_id"], "New", "made on the fly");
    let id = made["endpoint"]["id"].as_str().unwrap();
    let unknown = json!({"endpoint": {"interface": "public", "service_id": "nope", "url": "http://h"}});
    let unknown = cloud.post("/v3/endpoints", unknown).await;
    assert!(unknown.message().starts_with("Expecting to find endpoint service_id in service table."));
    let interface = json!({"endpoint": {"interface": "bogus", "service_id": service, "url": "http://h"}});
    let interface = cloud.post("/v3/endpoints", interface).await;
    assert!(interface.message().contains("'bogus' is not one of ['admin', 'internal', 'public']"));

    // One association hides every other endpoint from the project.
    let token = cloud.login("admin", PASSWORD, scope("admin")).await.expect(201);
    assert_eq!(token["token"]["catalog"].as_array().unwrap().len(), 3);
    let project = token["token"]["project"]["id"].as_str().unwrap();
    let filter = format!("/v3/OS-EP-FILTER/projects/{project}/endpoints/{id}");
    cloud.put(&filter).await.expect(204);
    let catalog = cloud.get("/v3/auth/catalog").await.expect(200)["catalog"].clone();
    assert_eq!(catalog.as_array().unwrap().len(), 1);
    assert_eq!(catalog[0]["endpoints"][0]["url"], format!("http://h/{project}"));
    cloud.delete(&filter).await.expect(204);
    cloud.delete(&filter).await.expect(404);
    cloud.patch(&format!("/v3/services/{service}"), json!({"service": {"enabled": false}})).await.expect(200);
    assert_eq!(cloud.get("/v3/auth/catalog").await.expect(200)["catalog"].as_array().unwrap().len(), 2);
    cloud.delete(&format!("/v3/services/{service}")).await.expect(204);
    cloud.get(&format!("/v3/endpoints/{id}")).await.expect(404);
}

#[tokio::test]
async fn bootstrap_again_changes_urls_and_nothing_else() {
    let cloud = Cloud::new().await;
    let before = cloud.get("/v3/endpoints").await.expect(200);
    let mut wanted = super::bootstrap();
    wanted.services[0].url = "https://new/identity/v3".into();
    cloud.service.bootstrap(&wanted).await.unwrap();
    assert_eq!(cloud.usage(&cloud.admin).await, 200, "the same password revokes nothing");
    let after = cloud.get("/v3/endpoints").await.expect(200);
    assert_eq!(before["endpoints"].as_array().unwrap().len(), after["endpoints"].as_array().unwrap().len());
    assert_eq!(after.to_string().matches("https://new/identity/v3").count(), 3);
    wanted.admin_password = Some("another".into());
    cloud.service.bootstrap(&wanted).await.unwrap();
    assert_eq!(cloud.usage(&cloud.admin).await, 401);
    cloud.login("admin", "another", scope("admin")).await.expect(201);
    cloud.service.ensure_project("demo", "").await.unwrap();
    cloud.service.ensure_user("demo", Some("demo")).await.unwrap();
    cloud.service.ensure_grant("demo", "demo", "member").await.unwrap();
    cloud.login("demo", "demo", scope("demo")).await.expect(201);
    cloud.login("sahab", "", scope("service")).await.expect(401);
}

#[tokio::test]
async fn limits_and_policies_and_domain_settings() {
    let cloud = Cloud::new().await;
    let service = cloud.make("service", "services", json!({"type": "toy"})).await;
    let (_, project) = cloud.member("ann", "member").await;
    let registered =
        json!({"registered_limits": [{"service_id": service, "resource_name": "cores", "default_limit": 4}]});
    let made = cloud.post("/v3/registered_limits", registered.clone()).await.expect(201);
    let id = made["registered_limits"][0]["id"].as_str().unwrap().to_owned();
    cloud.post("/v3/registered_limits", registered).await.expect(409);
    let limit = |name: &str| json!({"limits": [{"service_id": service, "resource_name": name, "resource_limit": 9, "project_id": project}]});
    cloud.post("/v3/limits", limit("disks")).await.expect(403);
    cloud.post("/v3/limits", limit("cores")).await.expect(201);
    cloud.delete(&format!("/v3/registered_limits/{id}")).await.expect(403);
    let token = cloud.login("ann", "secret", scope("ann")).await.token();
    let mine = cloud.call(&token, Method::GET, "/v3/limits", Value::Null).await.expect(200);
    assert_eq!(mine["limits"][0]["resource_limit"], 9);
    let foreign = cloud.login("admin", PASSWORD, scope("admin")).await.token();
    cloud.call(&foreign, Method::GET, "/v3/limits/model", Value::Null).await.expect(200);

    let policy = cloud.make("policy", "policies", json!({"type": "application/json", "blob": "{}"})).await;
    let endpoints = cloud.get("/v3/endpoints").await.expect(200);
    let (endpoint, owner) =
        (endpoints["endpoints"][0]["id"].as_str().unwrap(), endpoints["endpoints"][0]["service_id"].as_str().unwrap());
    let of = format!("/v3/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy");
    cloud.get(&of).await.expect(404);
    cloud.put(&format!("/v3/policies/{policy}/OS-ENDPOINT-POLICY/services/{owner}")).await.expect(204);
    assert_eq!(cloud.get(&of).await.expect(200)["policy"]["id"], policy.as_str());

    let path = "/v3/domains/default/config";
    cloud.get(path).await.expect(404);
    let open = cloud.call(&token, Method::GET, &format!("{path}/security_compliance"), Value::Null).await.expect(200);
    assert_eq!(open["config"]["security_compliance"]["password_regex"], Value::Null);
    let put = async |config: Value| cloud.call(&cloud.admin, Method::PUT, path, json!({"config": config})).await;
    put(json!({"bogus": {"a": 1}})).await.expect(403);
    let config = put(json!({"ldap": {"url": "ldap://x", "password": "hidden"}})).await.expect(201);
    assert_eq!(config["config"], json!({"ldap": {"url": "ldap://x"}}));
    let one = cloud.get(&format!("{path}/ldap/url")).await.expect(200);
    assert_eq!(one["config"], json!({"url": "ldap://x"}));
    let default = cloud.get("/v3/domains/config/ldap/url/default").await.expect(200);
    assert_eq!(default["config"], json!({"url": "ldap://localhost"}));
    cloud.delete(path).await.expect(204);
}

#[tokio::test]
async fn an_update_leaves_what_others_changed_meanwhile() {
    use sea_orm::EntityTrait;

    use crate::db::{changes, principal::user};
    let cloud = Cloud::new().await;
    let (id, project) = cloud.member("ann", "member").await;
    let before = user::Entity::find_by_id(&id).one(cloud.database.read()).await.unwrap().unwrap();
    cloud.patch(&format!("/v3/users/{id}"), json!({"user": {"enabled": false}})).await.expect(200);
    let mut after = before.clone();
    after.password_hash = Some("new".into());
    let txn = cloud.service.begin().await.unwrap();
    user::Entity::update(changes::<user::Entity>(&before, &after)).exec(&*txn).await.unwrap();
    txn.commit().await.unwrap();
    let user = cloud.get(&format!("/v3/users/{id}")).await.expect(200);
    assert_eq!(user["user"]["enabled"], false);
    cloud.patch(&format!("/v3/users/{id}"), json!({"user": {}})).await.expect(200);
    cloud.patch(&format!("/v3/projects/{project}"), json!({"project": {}})).await.expect(200);
}
