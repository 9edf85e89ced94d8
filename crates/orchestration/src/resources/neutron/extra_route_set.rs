//! `OS::Neutron::ExtraRouteSet`: static routes of a router, added to and taken from those of others. Its id is the
//! router's: a set of routes has none of its own.

use async_trait::async_trait;
use sahab_contract::{Error, Result, cloud::Call};
use serde_json::{Value, json};

use super::{
    common::{SERVICE, describe, interfaces_where},
    router::ROUTERS,
};
use crate::{
    properties::{PropertyDiff, PropertySchema},
    resources::{Act, Description, Neighbour, Object, Progress, ResourceType, Update},
};

/// Key of `data`: the routes that the router has because of this resource.
const ROUTES: &str = "routes";

pub struct ExtraRouteSet {
    description: Description,
}

impl ExtraRouteSet {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let description =
            describe("OS::Neutron::ExtraRouteSet", "Resource for specifying extra routes for a Neutron router.")
                .properties([
                    ("router", text("The router id.").required().custom("neutron.router")),
                    (
                        "routes",
                        PropertySchema::list("A set of route dictionaries for the router.")
                            .default_value(json!([]))
                            .updatable()
                            .of(PropertySchema::map("A route.").with([
                                (
                                    "destination",
                                    text("The destination network in CIDR notation.").required().custom("net_cidr"),
                                ),
                                ("nexthop", text("The next hop for the destination.").required().custom("ip_addr")),
                            ])),
                    ),
                ]);
        ExtraRouteSet { description }
    }
}

fn router(object: &Object) -> &str {
    object.text("router").unwrap_or_default()
}

fn known(object: &Object) -> Vec<Value> {
    object.data.get(ROUTES).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Those of `routes` that are not among `others`, each once.
fn without(routes: &[Value], others: &[Value]) -> Vec<Value> {
    let mut left: Vec<Value> = Vec::new();
    for route in routes {
        if !others.contains(route) && !left.contains(route) {
            left.push(route.clone());
        }
    }
    left
}

/// Sends a set of routes; nothing is sent when it is empty.
async fn send(act: &Act, router: &str, verb: &str, routes: Vec<Value>) -> Result<()> {
    if routes.is_empty() {
        return Ok(());
    }
    let path = format!("{}/{verb}", ROUTERS.member(router));
    act.cloud.call(&act.context, Call::put(SERVICE, path, json!({"router": {"routes": routes}}))).await?;
    Ok(())
}

/// Adds routes that nobody else has added. They are noted first: what may have been added is taken away again with the
/// resource, what was there before is not.
async fn add(act: &Act, object: &mut Object, routes: Vec<Value>) -> Result<()> {
    let router = router(object).to_owned();
    if !object.is_repeat && !routes.is_empty() {
        let found = ROUTERS.show_of(act, &router).await?;
        let present = found["routes"].as_array().cloned().unwrap_or_default();
        if let Some(route) = routes.iter().find(|route| present.contains(route)) {
            let text = |key: &str| route[key].as_str().unwrap_or_default();
            let name = format!("{router},{}={}", text("destination"), text("nexthop"));
            return Err(Error::invalid(
                "PhysicalResourceExists",
                format!("The physical resource for ({name}) exists."),
            ));
        }
    }
    let mut all = known(object);
    all.extend(routes.iter().cloned());
    object.data.insert(ROUTES.into(), all.into());
    send(act, &router, "add_extraroutes", routes).await
}

#[async_trait]
impl ResourceType for ExtraRouteSet {
    fn description(&self) -> &Description {
        &self.description
    }
    /// A next hop must lie in a subnet that the router is tied to.
    fn hidden_requirements(&self, own: &Neighbour<'_>, all: &[Neighbour<'_>]) -> Vec<String> {
        let router = own.raw(&["router"]);
        interfaces_where(all, &|other| other.raw(&["router", "router_id"]) == router)
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let routes = without(object.list("routes"), &known(object));
        // Whoever looks from now on finds out whether anything of this resource is there: `data` tells.
        object.data.entry(ROUTES).or_insert_with(|| json!([]));
        add(act, object, routes).await?;
        object.physical_id = Some(router(object).to_owned());
        Ok(Progress::Done)
    }
    async fn update(&self, act: &Act, object: &mut Object, _: &PropertyDiff) -> Result<Update> {
        let before = known(object);
        let wanted = without(object.list("routes"), &[]);
        let obsolete = without(&before, &wanted);
        send(act, router(object), "remove_extraroutes", obsolete.clone()).await?;
        object.data.insert(ROUTES.into(), without(&before, &obsolete).into());
        add(act, object, without(&wanted, &before)).await?;
        Ok(Update::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        // A create that was cut off has noted nothing: all that was wanted may be there.
        let routes = if object.data.contains_key(ROUTES) { known(object) } else { object.list("routes").to_vec() };
        match send(act, router(object), "remove_extraroutes", routes).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Progress::Done),
        }
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        ROUTERS.show_of(act, router(object)).await.map(|_| Some(()))
    }
    async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        self.check(act, object).await.is_ok()
    }
}
