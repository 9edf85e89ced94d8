//! Glance's wire: error bodies, versions and the endpoint table.

mod images;
mod info;
mod members;

use std::sync::Arc;

use sahab_api::{Endpoint, Family, JsonBody, Meta, Request, Response, Table};
use sahab_contract::{Error, Result};
use serde_json::{Value, json};

use crate::ImageService;

pub struct Glance;

impl Family for Glance {
    fn service_type(&self) -> &'static str {
        "image"
    }

    /// webob's two shapes: JSON when asked for, else a page. The message of the JSON one carries webob's line breaks.
    fn render_error(&self, meta: &Meta, error: &Error) -> Response {
        let status = error.kind().status();
        let title = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("Error");
        let accept = meta.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok());
        let mut response = if accept.is_some_and(|accept| accept.contains("text/html")) {
            let text = error.message().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let page = format!(
                "<html>\n <head>\n  <title>{status} {title}</title>\n </head>\n <body>\n  <h1>{status} {title}</h1>\n  \
                 {text}<br /><br />\n\n\n </body>\n</html>"
            );
            Response::text(status, "text/html; charset=UTF-8", page)
        } else {
            let message = format!("{}<br /><br />\n\n\n", error.message());
            Response::json(status, json!({"message": message, "code": format!("{status} {title}"), "title": title}))
        };
        if status == 415 {
            response.set("accept-patch", format!("{}, {}", crate::patch::V20, crate::patch::V21));
        }
        response
    }
}

/// The body as an object; absent is an empty one.
fn object(request: &mut Request) -> Result<serde_json::Map<String, Value>> {
    match request.json() {
        JsonBody::Absent => Ok(serde_json::Map::new()),
        JsonBody::Value(Value::Object(object)) => Ok(object),
        JsonBody::Value(_) => Err(Error::invalid("BadRequest", "The request body must be a JSON object.")),
        JsonBody::Malformed(reason) => {
            Err(Error::invalid("BadRequest", format!("Malformed JSON in request body: {reason}")))
        }
    }
}

pub fn table(service: Arc<ImageService>) -> Vec<Endpoint> {
    let mut table = Table::new(service);
    table.get("/", info::versions_multiple).open();
    table.get("/versions", info::versions).open();
    table.get("/healthcheck", info::healthcheck).open();
    table.get("/v2/images", images::list);
    table.post("/v2/images", images::create);
    table.get("/v2/images/{id}", images::show);
    table.patch("/v2/images/{id}", images::update);
    table.delete("/v2/images/{id}", images::delete);
    table.put("/v2/images/{id}/file", images::upload).streaming();
    table.get("/v2/images/{id}/file", images::download);
    table.post("/v2/images/{id}/actions/deactivate", images::deactivate);
    table.post("/v2/images/{id}/actions/reactivate", images::reactivate);
    table.put("/v2/images/{id}/tags/{tag}", images::tag_add);
    table.delete("/v2/images/{id}/tags/{tag}", images::tag_remove);
    table.get("/v2/images/{id}/members", members::list);
    table.post("/v2/images/{id}/members", members::add);
    table.get("/v2/images/{id}/members/{member}", members::show);
    table.put("/v2/images/{id}/members/{member}", members::answer);
    table.delete("/v2/images/{id}/members/{member}", members::remove);
    table.get("/v2/info/import", info::import_methods);
    table.get("/v2/info/usage", info::usage);
    table.get("/v2/schemas/{name}", info::schema);
    table.finish()
}
