//! `OS::Neutron::RouterGateway` (hidden): sets a router's external network. Its id is `ROUTER:NET`.

use async_trait::async_trait;
use sahab_contract::Result;
use serde_json::json;

use super::{
    common::{describe, has, interfaces_where, subnets_on},
    router::ROUTERS,
};
use crate::{
    properties::{PropertySchema, ResolvedProperties},
    resources::{Act, Description, Neighbour, Object, Progress, ResourceType},
    template::error,
};

pub struct RouterGateway {
    description: Description,
}

impl RouterGateway {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let description = describe("OS::Neutron::RouterGateway", "Ties a router to an external network.")
            .properties([
                ("router_id", text("ID of the router.").required().custom("neutron.router")),
                ("network", text("external network for the gateway.").custom("neutron.network")),
                ("network_id", text("ID of the external network.").alias_of("network")),
            ])
            .hidden();
        RouterGateway { description }
    }
}

#[async_trait]
impl ResourceType for RouterGateway {
    fn description(&self) -> &Description {
        &self.description
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        if has(properties, "network") { Ok(()) } else { Err(error::validation("Property network not assigned")) }
    }
    fn hidden_requirements(&self, own: &Neighbour<'_>, all: &[Neighbour<'_>]) -> Vec<String> {
        let router = own.raw(&["router_id"]);
        let mut names = interfaces_where(all, &|other| other.raw(&["router", "router_id"]) == router);
        names.extend(subnets_on(own.raw(&["network", "network_id"]), all));
        names
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let router = object.text("router_id").unwrap_or_default();
        let network = object.text("network").unwrap_or_default();
        let physical = format!("{router}:{network}");
        ROUTERS.put(act, router, json!({"external_gateway_info": {"network_id": network}})).await?;
        object.physical_id = Some(physical);
        Ok(Progress::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let router = object.text("router_id").unwrap_or_default();
        match ROUTERS.put(act, router, json!({"external_gateway_info": {}})).await {
            Ok(_) => Ok(Progress::Done),
            Err(error) if error.is_not_found() => Ok(Progress::Done),
            Err(error) => Err(error),
        }
    }
}
