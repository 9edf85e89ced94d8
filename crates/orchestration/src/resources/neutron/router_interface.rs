//! `OS::Neutron::RouterInterface`: ties a subnet or a port to a router. Its id is `ROUTER:subnet_id=SUBNET`.

use async_trait::async_trait;
use sahab_contract::{Result, cloud::Call};
use serde_json::{Value, json};

use super::{
    common::{SERVICE, conflicting, describe, has, query, unspecified},
    router::ROUTERS,
};
use crate::{
    properties::{PropertySchema, ResolvedProperties},
    resources::{Act, Description, Object, Progress, ResourceType, rest},
};

pub struct RouterInterface {
    description: Description,
}

impl RouterInterface {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let description =
            describe("OS::Neutron::RouterInterface", "A resource for managing Neutron router interfaces.").properties(
                [
                    ("router", text("The router.").required().custom("neutron.router")),
                    ("router_id", text("ID of the router.").alias_of("router")),
                    ("subnet", text("The subnet, either subnet or port should be specified.").custom("neutron.subnet")),
                    ("subnet_id", text("The subnet, either subnet or port should be specified.").alias_of("subnet")),
                    ("port", text("The port, either subnet or port should be specified.").custom("neutron.port")),
                    ("port_id", text("The port, either subnet or port should be specified.").alias_of("port")),
                ],
            );
        RouterInterface { description }
    }
}

/// The router and what is tied to it.
fn tie(object: &Object) -> (&str, &'static str, &str) {
    let router = object.text("router").unwrap_or_default();
    match object.text("port") {
        Some(port) => (router, "port_id", port),
        None => (router, "subnet_id", object.text("subnet").unwrap_or_default()),
    }
}

async fn is_tied(act: &Act, object: &Object) -> Result<bool> {
    let (router, key, id) = tie(object);
    let path = query("/v2.0/ports", &[("device_id", router)]);
    let found = act.cloud.call(&act.context, Call::get(SERVICE, path)).await?.body;
    let ports = found["ports"].as_array().cloned().unwrap_or_default();
    Ok(ports.iter().any(|port| match key {
        "port_id" => port["id"] == id,
        _ => port["fixed_ips"].as_array().into_iter().flatten().any(|fixed| fixed["subnet_id"] == id),
    }))
}

#[async_trait]
impl ResourceType for RouterInterface {
    fn description(&self) -> &Description {
        &self.description
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        match (has(properties, "subnet"), has(properties, "port")) {
            (true, true) => Err(conflicting("subnet", "port")),
            (false, false) => Err(unspecified("subnet", "port")),
            _ => Ok(()),
        }
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let (router, key, id) = tie(object);
        let path = format!("{}/add_router_interface", ROUTERS.member(router));
        let physical = format!("{router}:{key}={id}");
        if let Err(error) = act.cloud.call(&act.context, Call::put(SERVICE, path, json!({key: id}))).await {
            // An earlier try may have succeeded without being heard.
            if !is_tied(act, object).await.unwrap_or(false) {
                return Err(error);
            }
        }
        object.physical_id = Some(physical);
        Ok(Progress::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        if object.physical_id.is_none() && !is_tied(act, object).await? {
            return Ok(Progress::Done);
        }
        let (router, key, id) = tie(object);
        let path = format!("{}/remove_router_interface", ROUTERS.member(router));
        rest::delete(act, Call::put(SERVICE, path, json!({key: id}))).await?;
        Ok(Progress::Done)
    }
    async fn show(&self, _: &Act, _: &Object) -> Result<Value> {
        Ok(Value::Null)
    }
}
