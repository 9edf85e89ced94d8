//! Fakes of the network, container and identity services: just enough REST to hold objects and to be in the way.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use http::Method;
use sahab_api::{Family, JsonBody, Meta, Request, Response, Service, Table};
use sahab_contract::{Error, Result, event::EventBus};
use serde_json::{Value, json};

/// What the neighbours hold, by collection and id, and every request they got.
#[derive(Default)]
pub struct Fakes {
    state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    pub objects: BTreeMap<(String, String), Value>,
    pub calls: Vec<String>,
    bus: Option<EventBus>,
    /// Status that new containers get; `Running` when empty.
    pub container_status: Vec<String>,
    /// Containers stay in `Creating` until told otherwise.
    pub is_slow: bool,
    /// Deletes of ids in here are refused with a conflict that many times.
    pub busy: BTreeMap<String, u32>,
    counter: u32,
}

type Shared = Arc<Fakes>;

impl Fakes {
    pub fn connect(&self, bus: EventBus) {
        self.lock().bus = Some(bus);
    }
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
    pub fn add(&self, collection: &str, object: Value) {
        let id = object["id"].as_str().unwrap().to_owned();
        self.lock().objects.insert((collection.into(), id), object);
    }
    pub fn all(&self, collection: &str) -> Vec<Value> {
        self.lock()
            .objects
            .iter()
            .filter(|((name, _), _)| name == collection)
            .map(|(_, object)| object.clone())
            .collect()
    }
    pub fn calls(&self, prefix: &str) -> usize {
        self.lock().calls.iter().filter(|call| call.starts_with(prefix)).count()
    }
    /// A container changes its state; the news goes round.
    pub fn set_container(&self, id: &str, status: &str) {
        let mut state = self.lock();
        if let Some(object) = state.objects.get_mut(&("containers".into(), id.into())) {
            object["status"] = json!(status);
        }
        if let Some(bus) = &state.bus {
            bus.publish("container.status", id, "p1", json!({"status": status}));
        }
    }
}

struct NeutronLike;
impl Family for NeutronLike {
    fn service_type(&self) -> &'static str {
        "network"
    }
    fn render_error(&self, _: &Meta, error: &Error) -> Response {
        let body = json!({"NeutronError": {"type": error.code(), "message": error.message(), "detail": ""}});
        Response::json(error.kind().status(), body)
    }
}

fn body(request: &mut Request, key: &str) -> Value {
    match request.json() {
        JsonBody::Value(mut value) => value[key].take(),
        _ => Value::Null,
    }
}

impl State {
    fn insert(&mut self, collection: &str, preset: Option<&str>, mut object: Value) -> Result<Value> {
        self.counter += 1;
        let id = preset.map_or_else(|| format!("{collection}-{}", self.counter), str::to_owned);
        let key = (collection.to_owned(), id.clone());
        if self.objects.contains_key(&key) {
            return Err(Error::conflict("Conflict", format!("{id} exists")));
        }
        object["id"] = json!(id);
        self.objects.insert(key, object.clone());
        Ok(object)
    }
    fn find(&mut self, collection: &str, id: &str) -> Result<&mut Value> {
        self.objects
            .get_mut(&(collection.to_owned(), id.to_owned()))
            .ok_or_else(|| Error::not_found("NotFound", format!("{collection} {id} could not be found.")))
    }
}

/// A Neutron-like or Keystone-like collection: list, create, show, change, delete.
fn collection(
    table: &mut Table<Shared>,
    paths: (&'static str, &'static str),
    plural: &'static str,
    singular: &'static str,
) {
    let (all, one) = paths;
    table.get(all, move |fakes: Shared, request: Request| async move {
        let state = fakes.lock();
        let items = state.objects.iter().filter(|((name, _), object)| {
            let wanted = |key: &str, object: &Value| {
                key == "fields" || request.query.all(key).any(|value| object[key] == *value)
            };
            name == plural && request.query.iter().all(|(key, _)| wanted(key, object))
        });
        Ok(Response::ok(json!({plural: items.map(|(_, object)| object.clone()).collect::<Vec<_>>()})))
    });
    table.post(all, move |fakes: Shared, mut request: Request| async move {
        let mut state = fakes.lock();
        state.calls.push(format!("POST {plural}"));
        let preset = request.context.preset_id.clone();
        let JsonBody::Value(mut sent) = request.json() else { return Err(Error::invalid("BadRequest", "no body")) };
        if let Value::Array(items) = sent[plural].take() {
            let made: Result<Vec<Value>> = items.into_iter().map(|item| state.insert(plural, None, item)).collect();
            return Ok(Response::created(json!({plural: made?})));
        }
        let mut object = sent[singular].take();
        if object["status"].is_null() {
            object["status"] = json!("ACTIVE");
        }
        object["project_id"] = json!(request.context.project_id());
        match plural {
            "security_groups" => object["security_group_rules"] = json!([]),
            "ports" if object["fixed_ips"].is_null() => {
                object["fixed_ips"] = json!([{"subnet_id": "s", "ip_address": "10.0.0.5"}]);
            }
            "floatingips" => object["floating_ip_address"] = json!("172.24.4.9"),
            _ => {}
        }
        let object = state.insert(plural, preset.as_deref(), object)?;
        Ok(Response::created(json!({singular: object})))
    });
    table.get(one, move |fakes: Shared, request: Request| async move {
        let mut state = fakes.lock();
        let mut object = state.find(plural, request.param("id"))?.clone();
        if plural == "security_groups" {
            let rules: Vec<Value> = state
                .objects
                .iter()
                .filter(|((name, _), rule)| name == "security_group_rules" && rule["security_group_id"] == object["id"])
                .map(|(_, rule)| rule.clone())
                .collect();
            object["security_group_rules"] = json!(rules);
        }
        Ok(Response::ok(json!({singular: object})))
    });
    for method in [Method::PUT, Method::PATCH] {
        table.route(method, one, move |fakes: Shared, mut request: Request| async move {
            let changes = body(&mut request, singular);
            let mut state = fakes.lock();
            state.calls.push(format!("PUT {plural} {changes}"));
            let object = state.find(plural, request.param("id"))?;
            for (key, value) in changes.as_object().unwrap() {
                object[key] = value.clone();
            }
            Ok(Response::ok(json!({singular: object.clone()})))
        });
    }
    table.delete(one, move |fakes: Shared, request: Request| async move {
        let mut state = fakes.lock();
        state.calls.push(format!("DELETE {plural}"));
        let id = request.param("id").to_owned();
        if let Some(left) = state.busy.get_mut(&id).or(None)
            && *left > 0
        {
            *left -= 1;
            return Err(Error::conflict("InUse", format!("{id} is in use")));
        }
        state.find(plural, &id)?;
        state.objects.remove(&(plural.to_owned(), id));
        Ok(Response::no_content())
    });
}

fn network(fakes: Shared) -> Service {
    let mut table = Table::new(fakes);
    for (paths, plural, singular) in [
        (("/v2.0/networks", "/v2.0/networks/{id}"), "networks", "network"),
        (("/v2.0/subnets", "/v2.0/subnets/{id}"), "subnets", "subnet"),
        (("/v2.0/ports", "/v2.0/ports/{id}"), "ports", "port"),
        (("/v2.0/routers", "/v2.0/routers/{id}"), "routers", "router"),
        (("/v2.0/floatingips", "/v2.0/floatingips/{id}"), "floatingips", "floatingip"),
        (("/v2.0/security-groups", "/v2.0/security-groups/{id}"), "security_groups", "security_group"),
        (
            ("/v2.0/security-group-rules", "/v2.0/security-group-rules/{id}"),
            "security_group_rules",
            "security_group_rule",
        ),
    ] {
        collection(&mut table, paths, plural, singular);
    }
    for (path, verb) in
        [("/v2.0/routers/{id}/add_router_interface", "add"), ("/v2.0/routers/{id}/remove_router_interface", "remove")]
    {
        table.put(path, move |fakes: Shared, request: Request| async move {
            let mut state = fakes.lock();
            state.calls.push(format!("{verb} interface"));
            let router = state.find("routers", request.param("id"))?;
            router["has_interface"] = json!(verb == "add");
            Ok(Response::ok(json!({})))
        });
    }
    for (path, is_add) in
        [("/v2.0/routers/{id}/add_extraroutes", true), ("/v2.0/routers/{id}/remove_extraroutes", false)]
    {
        table.put(path, move |fakes: Shared, mut request: Request| async move {
            let wanted = body(&mut request, "router")["routes"].as_array().cloned().unwrap_or_default();
            let mut state = fakes.lock();
            let router = state.find("routers", request.param("id"))?;
            let mut routes = router["routes"].as_array().cloned().unwrap_or_default();
            routes.retain(|route| !wanted.contains(route));
            if is_add {
                routes.extend(wanted);
            }
            router["routes"] = Value::Array(routes);
            Ok(Response::ok(json!({"router": router})))
        });
    }
    Service { name: "network", port: 1, family: Arc::new(NeutronLike), endpoints: table.finish() }
}

fn identity(fakes: Shared) -> Service {
    let mut table = Table::new(fakes);
    for (paths, plural, singular) in [
        (("/v3/projects", "/v3/projects/{id}"), "projects", "project"),
        (("/v3/users", "/v3/users/{id}"), "users", "user"),
        (("/v3/roles", "/v3/roles/{id}"), "roles", "role"),
        (("/v3/domains", "/v3/domains/{id}"), "domains", "domain"),
        (("/v3/groups", "/v3/groups/{id}"), "groups", "group"),
    ] {
        collection(&mut table, paths, plural, singular);
    }
    for method in [Method::PUT, Method::DELETE] {
        let verb = method.to_string();
        table.route(
            method,
            "/v3/projects/{project}/users/{user}/roles/{role}",
            move |fakes: Shared, request: Request| {
                let verb = verb.clone();
                async move {
                    let names = ["project", "user", "role"].map(|name| request.param(name).to_owned());
                    fakes.lock().calls.push(format!("{verb} assignment {}", names.join(" ")));
                    Ok(Response::no_content())
                }
            },
        );
    }
    Service { name: "identity", port: 3, family: Arc::new(NeutronLike), endpoints: table.finish() }
}

struct ZunLike;
impl Family for ZunLike {
    fn service_type(&self) -> &'static str {
        "container"
    }
    fn render_error(&self, _: &Meta, error: &Error) -> Response {
        let body = json!({"errors": [{"code": error.code(), "detail": error.message()}]});
        Response::json(error.kind().status(), body)
    }
}

fn container(fakes: Shared) -> Service {
    let mut table = Table::new(fakes);
    table.post("/v1/containers", |fakes: Shared, mut request: Request| async move {
        let JsonBody::Value(mut object) = request.json() else { return Err(Error::invalid("BadRequest", "no body")) };
        let mut state = fakes.lock();
        state
            .calls
            .push(format!("POST containers {} {object}", request.header("openstack-api-version").unwrap_or("-")));
        let values = object["environment"].as_object().into_iter().flatten();
        if values.clone().any(|(_, value)| !value.is_string()) {
            return Err(Error::invalid("SchemaValidationError", "environment: not a string"));
        }
        let number = state.counter + 1;
        let network =
            state.objects.values().find(|object| object["name"] == "ext-net").map(|object| object["id"].clone());
        let network = network.as_ref().and_then(Value::as_str).unwrap_or("none").to_owned();
        let port = format!("port-{number}");
        object["addresses"] = json!({network: [{"addr": format!("172.24.4.{number}"), "port": port, "version": 4}]});
        if object["name"].is_null() {
            object["name"] = json!(format!("sigma-{number}-container"));
        }
        let status = if state.is_slow {
            "Creating".to_owned()
        } else if state.container_status.is_empty() {
            "Running".to_owned()
        } else {
            state.container_status.remove(0)
        };
        object["status"] = json!(status);
        object["status_reason"] = json!("no such image");
        let mut object = state.insert("containers", request.context.preset_id.as_deref(), object)?;
        object["uuid"] = object["id"].clone();
        Ok(Response::accepted(object))
    });
    table.get("/v1/containers/{id}", |fakes: Shared, request: Request| async move {
        let mut state = fakes.lock();
        let mut object = state.find("containers", request.param("id"))?.clone();
        object["uuid"] = object["id"].clone();
        Ok(Response::ok(object))
    });
    table.patch("/v1/containers/{id}", |fakes: Shared, mut request: Request| async move {
        let JsonBody::Value(changes) = request.json() else { return Err(Error::invalid("BadRequest", "no body")) };
        let mut state = fakes.lock();
        state.calls.push(format!("PATCH containers {changes}"));
        let object = state.find("containers", request.param("id"))?;
        for (key, value) in changes.as_object().unwrap() {
            object[key] = value.clone();
        }
        Ok(Response::ok(object.clone()))
    });
    table.delete("/v1/containers/{id}", |fakes: Shared, request: Request| async move {
        let mut state = fakes.lock();
        state.calls.push("DELETE containers".into());
        let id = request.param("id").to_owned();
        state.find("containers", &id)?;
        state.objects.remove(&("containers".into(), id.clone()));
        if let Some(bus) = &state.bus {
            bus.publish("container.deleted", &id, "p1", json!({}));
        }
        Ok(Response::no_content())
    });
    Service { name: "container", port: 2, family: Arc::new(ZunLike), endpoints: table.finish() }
}

pub fn services(fakes: Shared) -> Vec<Service> {
    vec![network(fakes.clone()), container(fakes.clone()), identity(fakes)]
}
