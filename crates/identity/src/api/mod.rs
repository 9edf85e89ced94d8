//! The endpoint table: parse, call the domain, render. Nothing is decided here.

mod application_credentials;
mod assignments;
mod auth;
mod catalog;
mod credentials;
mod discovery;
mod domain_config;
mod domains;
mod endpoint_filter;
mod grants;
mod groups;
mod limits;
mod policies;
mod projects;
mod roles;
mod trusts;
mod users;

use std::sync::Arc;

use sahab_api::{Request, Response, Service, Table};
use sahab_contract::Result;
use serde_json::Value;

use crate::{family::Keystone, listing, listing::Page, service::IdentityService};

pub(crate) type State = Arc<IdentityService>;

impl IdentityService {
    /// The service, ready to be mounted.
    pub fn service(self: &Arc<Self>) -> Service {
        let mut table = Table::new(self.clone());
        discovery::routes(&mut table);
        auth::routes(&mut table);
        users::routes(&mut table);
        groups::routes(&mut table);
        projects::routes(&mut table);
        domains::routes(&mut table);
        roles::routes(&mut table);
        grants::routes(&mut table);
        catalog::routes(&mut table);
        assignments::routes(&mut table);
        credentials::routes(&mut table);
        application_credentials::routes(&mut table);
        trusts::routes(&mut table);
        limits::routes(&mut table);
        policies::routes(&mut table);
        endpoint_filter::routes(&mut table);
        domain_config::routes(&mut table);
        Service { name: "identity", port: 5000, family: Arc::new(Keystone), endpoints: table.finish() }
    }
}

/// A page of rows as a list answer.
fn list<M>(
    request: &Request,
    key: &str,
    page: Page<M>,
    id: impl Fn(&M) -> &str,
    view: impl Fn(&str, &M) -> Value,
) -> Result<Response> {
    let base = request.meta.base_url.as_str();
    let items = page.rows.iter().map(|row| view(base, row)).collect();
    let last = page.rows.last().filter(|_| page.truncated).map(&id);
    Ok(Response::ok(listing::render(&request.meta, &request.query, key, items, last)))
}

/// A whole list that is never paged.
fn whole(request: &Request, key: &str, items: Vec<Value>) -> Response {
    Response::ok(listing::render(&request.meta, &request.query, key, items, None))
}

/// `{key: value}`
fn wrapped(key: &str, value: Value) -> Value {
    Value::Object([(key.to_owned(), value)].into_iter().collect())
}
