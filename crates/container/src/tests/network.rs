//! As much of a network service as the container service asks for.

use std::sync::{Arc, Mutex, MutexGuard};

use sahab_api::{Family, JsonBody, Meta, Request, Response, Service, Table};
use sahab_contract::{Error, Result, context::now};
use serde_json::{Map, Value, json};

#[derive(Default)]
pub struct Store {
    pub networks: Vec<Value>,
    pub subnets: Vec<Value>,
    pub ports: Vec<Value>,
    pub groups: Vec<Value>,
    pub rules: Vec<Value>,
    /// The next creates of a port fail so.
    pub port_failures: Vec<Error>,
}

#[derive(Clone, Default)]
pub struct FakeNetwork(Arc<Mutex<Store>>);

struct Neutron;
impl Family for Neutron {
    fn service_type(&self) -> &'static str {
        "network"
    }
    fn render_error(&self, _: &Meta, error: &Error) -> Response {
        let body = json!({"NeutronError": {"type": error.code(), "message": error.message(), "detail": ""}});
        Response::json(error.kind().status(), body)
    }
}

impl FakeNetwork {
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap()
    }

    pub fn add_network(&self, name: &str, project: &str, shared: bool, external: bool) -> String {
        let mut store = self.store();
        let id = uuid::Uuid::new_v4().to_string();
        let subnet = uuid::Uuid::new_v4().to_string();
        let number = store.networks.len() + 1;
        store.networks.push(json!({
            "id": id, "name": name, "project_id": project, "shared": shared, "router:external": external,
            "created_at": format!("2026-01-01T00:00:{number:02}Z"), "subnets": [subnet],
        }));
        store.subnets.push(json!({
            "id": subnet, "network_id": id, "cidr": format!("10.0.{number}.0/24"), "dns_nameservers": ["10.9.9.9"],
        }));
        id
    }

    pub fn add_group(&self, name: &str, project: &str) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        self.store().groups.push(json!({"id": id, "name": name, "project_id": project}));
        id
    }

    pub fn add_port(&self, network: &str, project: &str, name: &str) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        self.store().ports.push(json!({
            "id": id, "name": name, "network_id": network, "project_id": project, "device_id": "", "device_owner": "",
            "binding:host_id": "", "binding:vif_type": "unbound", "status": "DOWN", "mac_address": "fa:16:3e:00:00:99",
            "fixed_ips": [{"subnet_id": "s", "ip_address": "10.0.1.77"}], "security_groups": [],
        }));
        id
    }

    pub fn port(&self, id: &str) -> Option<Value> {
        self.store().ports.iter().find(|port| port["id"] == id).cloned()
    }

    pub fn service(&self) -> Service {
        let mut table = Table::new(self.clone());
        table.get("/v2.0/networks", |net: FakeNetwork, request| async move { net.list(request, "networks") });
        table.get("/v2.0/networks/{id}", |net: FakeNetwork, request| async move { net.show(request, "networks") });
        table.get("/v2.0/subnets", |net: FakeNetwork, request| async move { net.list(request, "subnets") });
        table.get("/v2.0/ports", |net: FakeNetwork, request| async move { net.list(request, "ports") });
        table.get("/v2.0/ports/{id}", |net: FakeNetwork, request| async move { net.show(request, "ports") });
        table.post("/v2.0/ports", |net: FakeNetwork, request| async move { net.create_port(request) });
        table.put("/v2.0/ports/{id}", |net: FakeNetwork, request| async move { net.update_port(request) });
        table.delete("/v2.0/ports/{id}", |net: FakeNetwork, request| async move { net.delete(request, "ports") });
        table.get(
            "/v2.0/security-groups",
            |net: FakeNetwork, request| async move { net.list(request, "security_groups") },
        );
        table.get("/v2.0/security-groups/{id}", |net: FakeNetwork, request| async move {
            net.show(request, "security_groups")
        });
        table.post("/v2.0/security-groups", |net: FakeNetwork, request| async move {
            net.create(request, "security_groups")
        });
        table.delete("/v2.0/security-groups/{id}", |net: FakeNetwork, request| async move {
            net.delete(request, "security_groups")
        });
        table.get("/v2.0/security-group-rules/{id}", |net: FakeNetwork, request| async move {
            net.show(request, "security_group_rules")
        });
        table.post("/v2.0/security-group-rules", |net: FakeNetwork, request| async move {
            net.create(request, "security_group_rules")
        });
        Service { name: "network", port: 9696, family: Arc::new(Neutron), endpoints: table.finish() }
    }

    fn list(&self, request: Request, kind: &str) -> Result<Response> {
        let mut store = self.store();
        let own = request.context.project_id().unwrap_or_default().to_owned();
        let admin = request.context.is_admin();
        let found: Vec<Value> = list_of(&mut store, kind)
            .iter()
            .filter(|item| admin || item["shared"] == true || item["project_id"] == own.as_str() || kind == "subnets")
            .filter(|item| request.query.get("name").is_none_or(|name| item["name"] == name))
            .filter(|item| request.query.get("project_id").is_none_or(|id| item["project_id"] == id))
            .filter(|item| request.query.get("shared").is_none_or(|flag| item["shared"] == (flag == "true")))
            .filter(|item| !request.query.has("id") || request.query.all("id").any(|id| item["id"] == id))
            .cloned()
            .collect();
        Ok(Response::ok(json!({ kind: found })))
    }

    fn show(&self, request: Request, kind: &str) -> Result<Response> {
        let mut store = self.store();
        let own = request.context.project_id().unwrap_or_default().to_owned();
        let admin = request.context.is_admin();
        let found = list_of(&mut store, kind).iter().find(|item| item["id"] == request.param("id"));
        let found = found.filter(|item| admin || item["shared"] == true || item["project_id"] == own.as_str());
        let found = found.ok_or_else(|| Error::not_found("NotFound", "no such thing"))?;
        Ok(Response::ok(json!({ kind.trim_end_matches('s'): found })))
    }

    fn delete(&self, request: Request, kind: &str) -> Result<Response> {
        let mut store = self.store();
        let list = list_of(&mut store, kind);
        let before = list.len();
        list.retain(|item| item["id"] != request.param("id"));
        if list.len() == before {
            Err(Error::not_found("NotFound", "no such thing"))
        } else {
            Ok(Response::no_content())
        }
    }

    fn create(&self, mut request: Request, kind: &str) -> Result<Response> {
        assert!(request.context.elevated, "the program itself must make it");
        let member = kind.trim_end_matches('s');
        let JsonBody::Value(mut body) = request.json() else { panic!("no body") };
        let mut item = body[member].take();
        let id = request.context.preset_id.clone().expect("an id chosen before");
        item["id"] = json!(id);
        let mut store = self.store();
        let list = list_of(&mut store, kind);
        if list.iter().any(|other| other["id"] == id.as_str()) {
            return Err(Error::conflict("Exists", "it exists already"));
        }
        list.push(item.clone());
        Ok(Response::created(json!({ member: item })))
    }

    fn create_port(&self, mut request: Request) -> Result<Response> {
        assert!(request.context.elevated, "the program itself must make it");
        let JsonBody::Value(mut body) = request.json() else { panic!("no body") };
        let mut port = body["port"].take();
        let id = request.context.preset_id.clone().expect("an id chosen before");
        let mut store = self.store();
        if let Some(error) = store.port_failures.pop() {
            return Err(error);
        }
        if store.ports.iter().any(|other| other["id"] == id.as_str()) {
            return Err(Error::conflict("Exists", "it exists already"));
        }
        let number = store.ports.len() + 10;
        let subnet = store.subnets.iter().find(|subnet| subnet["network_id"] == port["network_id"]);
        let subnet = subnet.expect("a known network")["id"].clone();
        let address = match port["fixed_ips"][0]["ip_address"].as_str() {
            Some(address) => address.to_owned(),
            None => format!("10.0.1.{number}"),
        };
        port["id"] = json!(id);
        port["status"] = json!("DOWN");
        port["created_at"] = json!(now().to_rfc3339());
        port["mac_address"] = json!(format!("fa:16:3e:00:00:{number:02x}"));
        port["fixed_ips"] = json!([{"subnet_id": subnet, "ip_address": address}]);
        if port["security_groups"].is_null() {
            port["security_groups"] = json!(["default"]);
        }
        store.ports.push(port.clone());
        Ok(Response::created(json!({ "port": port })))
    }

    fn update_port(&self, mut request: Request) -> Result<Response> {
        let JsonBody::Value(mut body) = request.json() else { panic!("no body") };
        let mut store = self.store();
        let port = store.ports.iter_mut().find(|port| port["id"] == request.param("id"));
        let port = port.ok_or_else(|| Error::not_found("PortNotFound", "no such port"))?;
        let Value::Object(changes) = body["port"].take() else { panic!("no port") };
        let fields: &mut Map<String, Value> = port.as_object_mut().unwrap();
        fields.extend(changes);
        Ok(Response::ok(json!({ "port": port })))
    }
}

fn list_of<'a>(store: &'a mut Store, kind: &str) -> &'a mut Vec<Value> {
    match kind {
        "networks" => &mut store.networks,
        "subnets" => &mut store.subnets,
        "ports" => &mut store.ports,
        "security_groups" => &mut store.groups,
        _ => &mut store.rules,
    }
}
