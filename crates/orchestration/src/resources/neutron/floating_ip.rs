//! `OS::Neutron::FloatingIP`

use async_trait::async_trait;
use sahab_contract::Result;
use serde_json::Value;

use super::common::{
    Collection, body_of, changes_of, check_value_specs, describe, interfaces_for_port, value_specs_schema,
};
use crate::{
    properties::{AttributeSchema, PropertyDiff, PropertyKind, PropertySchema, ResolvedProperties},
    resources::{Act, Description, Neighbour, Object, Progress, ResourceType, Update},
};

pub const FLOATING_IPS: Collection = Collection { path: "/v2.0/floatingips", key: "floatingip", word: "FloatingIP" };
const NAMES: &[(&str, &str)] = &[
    ("floating_network", "floating_network_id"),
    ("floating_subnet", "subnet_id"),
    ("port_id", "port_id"),
    ("fixed_ip_address", "fixed_ip_address"),
    ("floating_ip_address", "floating_ip_address"),
    ("dns_name", "dns_name"),
    ("dns_domain", "dns_domain"),
];

pub struct FloatingIp {
    description: Description,
}

impl FloatingIp {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let attribute = |about: &'static str| AttributeSchema::typed(PropertyKind::String, about);
        let description = describe("OS::Neutron::FloatingIP", "A resource for managing Neutron floating ip.")
            .properties([
                ("floating_network", text("Network to allocate floating IP from.").required().custom("neutron.network")),
                ("floating_network_id", text("Network to allocate floating IP from.").alias_of("floating_network")),
                ("floating_subnet", text("Subnet to allocate floating IP from.").custom("neutron.subnet")),
                ("value_specs", value_specs_schema()),
                ("port_id", text("ID of an existing port with at least one IP address to associate with this floating IP.").custom("neutron.port").updatable()),
                ("fixed_ip_address", text("IP address to use if the port has multiple addresses.").custom("ip_addr").updatable()),
                ("floating_ip_address", text("IP address of the floating IP. NOTE: The default policy setting in Neutron restricts usage of this property to administrative users only.").custom("ip_addr")),
                ("dns_name", text("DNS name associated with floating ip.").custom("rel_dns_name").updatable()),
                ("dns_domain", text("DNS domain associated with floating ip.").custom("dns_domain").updatable()),
            ])
            .attributes([
                ("router_id", attribute("ID of the router used as gateway, set when associated with a port.")),
                ("tenant_id", attribute("The tenant owning this floating IP.")),
                ("floating_network_id", attribute("ID of the network in which this IP is allocated.")),
                ("fixed_ip_address", attribute("IP address of the associated port, if specified.")),
                ("floating_ip_address", attribute("The allocated address of this IP.")),
                ("port_id", attribute("ID of the port associated with this IP.")),
            ]);
        FloatingIp { description }
    }
}

#[async_trait]
impl ResourceType for FloatingIp {
    fn description(&self) -> &Description {
        &self.description
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        check_value_specs(&self.description, properties)
    }
    fn hidden_requirements(&self, own: &Neighbour<'_>, all: &[Neighbour<'_>]) -> Vec<String> {
        let network = own.raw(&["floating_network", "floating_network_id"]);
        let mut names: Vec<String> = all
            .iter()
            .filter(|other| match other.type_name {
                "OS::Neutron::RouterGateway" => other.raw(&["network", "network_id"]) == network,
                "OS::Neutron::Router" => {
                    other.raw(&["external_gateway_info"]).and_then(|info| info.get("network")) == network
                }
                _ => false,
            })
            .map(|other| other.name.to_owned())
            .collect();
        names.extend(interfaces_for_port(own.raw(&["port_id"]), all));
        names
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let body = body_of(object, NAMES);
        FLOATING_IPS.create(act, object, body).await?;
        Ok(Progress::Done)
    }
    async fn update(&self, act: &Act, object: &mut Object, diff: &PropertyDiff) -> Result<Update> {
        let mut body = changes_of(object, diff, NAMES, &|name| matches!(name, "port_id").then_some(Value::Null));
        // The address belongs to the port: it is said again with it.
        if diff.changed.contains_key("fixed_ip_address") && !body.contains_key("port_id") {
            body.insert("port_id".into(), object.get("port_id").cloned().unwrap_or_default());
        }
        FLOATING_IPS.update(act, object, diff, body).await?;
        Ok(Update::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        FLOATING_IPS.delete(act, object).await
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        FLOATING_IPS.show(act, object).await.map(|_| Some(()))
    }
    async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        FLOATING_IPS.show(act, object).await.is_ok()
    }
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        FLOATING_IPS.show(act, object).await
    }
}
