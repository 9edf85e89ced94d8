use serde_json::{Value, json};

use super::cloud::*;

fn names(list: &Value) -> Vec<String> {
    list["networks"].as_array().unwrap().iter().map(|item| text(&item["name"])).collect()
}

async fn five() -> TestCloud {
    let cloud = TestCloud::new().await;
    let items: Vec<Value> = ["a", "b", "c", "d", "e"].iter().map(|name| json!({"name": name})).collect();
    assert_eq!(cloud.post(MEMBER, "/v2.0/networks", json!({"networks": items})).await.0, 201);
    cloud
}

#[tokio::test]
async fn pages_follow_their_links_both_ways() {
    let cloud = five().await;
    let sort = "sort_key=name&sort_dir=asc";
    let (_, page) = cloud.get(MEMBER, &format!("/v2.0/networks?limit=2&{sort}")).await;
    assert_eq!(names(&page), ["a", "b"]);
    let next = page["networks_links"].as_array().unwrap().iter().find(|link| link["rel"] == "next").unwrap();
    let href = text(&next["href"]);
    assert!(href.starts_with("http://cloud:5000/network/v2.0/networks?"), "{href}");
    let path = href.strip_prefix("http://cloud:5000/network").unwrap();
    let (_, page) = cloud.get(MEMBER, path).await;
    assert_eq!(names(&page), ["c", "d"]);
    let last = ids(&page["networks"]).pop().unwrap();
    let (_, page) = cloud.get(MEMBER, &format!("/v2.0/networks?limit=2&{sort}&marker={last}")).await;
    assert_eq!(names(&page), ["e"]);
    let rels: Vec<_> = page["networks_links"].as_array().unwrap().iter().map(|link| text(&link["rel"])).collect();
    assert_eq!(rels, ["previous"]);
    let first = ids(&page["networks"]).remove(0);
    let (_, page) = cloud.get(MEMBER, &format!("/v2.0/networks?limit=2&{sort}&marker={first}&page_reverse=True")).await;
    assert_eq!(names(&page), ["c", "d"]);
    let (_, page) = cloud.get(MEMBER, &format!("/v2.0/networks?limit=2&{sort}&page_reverse=true")).await;
    assert_eq!(names(&page), ["d", "e"], "without a marker: the last page");
    let (_, page) = cloud.get(MEMBER, "/v2.0/networks?sort_key=name&sort_dir=desc").await;
    assert_eq!(names(&page), ["e", "d", "c", "b", "a"]);
    assert_eq!(names(&cloud.get(MEMBER, "/v2.0/networks?limit=0").await.1).len(), 5);
}

#[tokio::test]
async fn bad_queries_are_refused() {
    let cloud = five().await;
    for query in ["bogus=1", "sort_key=bogus&sort_dir=asc", "sort_key=name", "sort_key=name&sort_dir=up", "subnets=x"] {
        fails(&cloud.get(MEMBER, &format!("/v2.0/networks?{query}")).await, 400, "HTTPBadRequest");
    }
    fails(&cloud.get(MEMBER, "/v2.0/networks?limit=-1").await, 400, "BadRequest");
    fails(&cloud.get(MEMBER, "/v2.0/networks?limit=x").await, 400, "BadRequest");
    fails(&cloud.get(MEMBER, "/v2.0/networks?admin_state_up=maybe").await, 400, "InvalidInput");
    fails(&cloud.get(MEMBER, "/v2.0/networks?marker=none").await, 404, "NetworkNotFound");
}

#[tokio::test]
async fn filters_and_fields() {
    let cloud = five().await;
    assert_eq!(
        names(&cloud.get(MEMBER, "/v2.0/networks?name=a&name=c&sort_key=name&sort_dir=asc").await.1),
        ["a", "c"]
    );
    assert!(names(&cloud.get(MEMBER, "/v2.0/networks?name=A").await.1).is_empty());
    assert!(names(&cloud.get(MEMBER, "/v2.0/networks?name=").await.1).is_empty());
    assert!(names(&cloud.get(MEMBER, "/v2.0/networks?project_id=other").await.1).is_empty());
    let (_, list) = cloud.get(MEMBER, "/v2.0/networks?fields=name&fields=tenant_id&name=a").await;
    assert_eq!(list["networks"], json!([{"name": "a", "tenant_id": "demo"}]));
    let (_, list) = cloud.get(MEMBER, "/v2.0/networks?fields=nothing&name=a").await;
    assert_eq!(list["networks"], json!([{}]));
}

#[tokio::test]
async fn tags_are_kept_and_filter() {
    let cloud = five().await;
    let (_, list) = cloud.get(MEMBER, "/v2.0/networks?sort_key=name&sort_dir=asc").await;
    let all = ids(&list["networks"]);
    let tags = |index: usize| format!("/v2.0/networks/{}/tags", all[index]);
    let (status, body) = cloud.put(MEMBER, &tags(0), json!({"tags": ["red", "blue"]})).await;
    assert_eq!((status, body), (200, json!({"tags": ["blue", "red"]})));
    cloud.put(MEMBER, &tags(1), json!({"tags": ["red"]})).await;
    let named = |query: &'static str| {
        let cloud = &cloud;
        async move { names(&cloud.get(MEMBER, &format!("/v2.0/networks?sort_key=name&sort_dir=asc&{query}")).await.1) }
    };
    assert_eq!(named("tags=red,blue").await, ["a"]);
    assert_eq!(named("tags-any=red,blue").await, ["a", "b"]);
    assert_eq!(named("not-tags=red,blue").await, ["b", "c", "d", "e"]);
    assert_eq!(named("not-tags-any=red,blue").await, ["c", "d", "e"]);
    assert_eq!(cloud.put(MEMBER, &format!("{}/green", tags(1)), json!({})).await.0, 201);
    assert_eq!(cloud.get(MEMBER, &format!("{}/green", tags(1))).await.0, 204);
    fails(&cloud.get(MEMBER, &format!("{}/none", tags(1))).await, 404, "TagNotFound");
    assert_eq!(cloud.delete(MEMBER, &format!("{}/green", tags(1))).await.0, 204);
    fails(&cloud.delete(MEMBER, &format!("{}/green", tags(1))).await, 404, "TagNotFound");
    fails(&cloud.put(READER, &tags(1), json!({"tags": []})).await, 403, "PolicyNotAuthorized");
    fails(&cloud.put(MEMBER, &tags(1), json!({"tags": ["a", "a"]})).await, 400, "InvalidInput");
    assert_eq!(cloud.delete(MEMBER, &tags(0)).await.0, 204);
    assert_eq!(cloud.get(MEMBER, &tags(0)).await.1, json!({"tags": []}));
}
