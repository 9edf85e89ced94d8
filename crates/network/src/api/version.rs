//! Discovery: versions and the resources of the version.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::json;

use super::State;

pub fn register(table: &mut Table<State>) {
    table.get("/", versions).open();
    table.get("/v2.0/", resources);
}

async fn versions(_: State, request: Request) -> Result<Response> {
    let href = format!("{}/v2.0/", request.context.base_url);
    Ok(Response::ok(json!({
        "versions": [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": href}]}]
    })))
}

async fn resources(_: State, request: Request) -> Result<Response> {
    let resource = |name: &str, collection: &str| {
        let href = format!("{}/v2.0/{collection}", request.context.base_url);
        json!({"name": name, "collection": collection, "links": [{"rel": "self", "href": href}]})
    };
    Ok(Response::ok(json!({"resources": [
        resource("network", "networks"),
        resource("subnet", "subnets"),
        resource("subnetpool", "subnetpools"),
        resource("port", "ports"),
    ]})))
}
