//! `OS::Neutron::Router`

use async_trait::async_trait;
use sahab_contract::Result;
use serde_json::{Map, Value, json};

use super::common::{
    Collection, body_of, changes_of, check_value_specs, describe, refuse_agents, subnets_on, tags_schema,
    value_specs_schema,
};
use crate::{
    properties::{AttributeSchema, PropertyDiff, PropertyKind, PropertySchema, ResolvedProperties},
    resources::{Act, Description, Neighbour, Object, Progress, ResourceType, Update},
};

pub const ROUTERS: Collection = Collection { path: "/v2.0/routers", key: "router", word: "Router" };
const NAMES: &[(&str, &str)] = &[
    ("name", "name"),
    ("admin_state_up", "admin_state_up"),
    ("distributed", "distributed"),
    ("ha", "ha"),
    ("availability_zone_hints", "availability_zone_hints"),
    ("tenant_id", "tenant_id"),
];

pub struct Router {
    description: Description,
}

impl Router {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let description = describe("OS::Neutron::Router", "A resource that implements Neutron router.")
            .properties([
                ("name", text("The name of the router.").updatable()),
                (
                    "external_gateway_info",
                    PropertySchema::map("External network gateway configuration for a router.").updatable().with([
                        ("network", text("ID or name of the external network for the gateway.").required().custom("neutron.network").updatable()),
                        ("enable_snat", PropertySchema::boolean("Enables Source NAT on the router gateway. NOTE: The default policy setting in Neutron restricts usage of this property to administrative users only.").updatable()),
                        (
                            "external_fixed_ips",
                            PropertySchema::list("External fixed IP addresses for the gateway.").updatable().of(PropertySchema::map("An address.").with([
                                ("ip_address", text("External fixed IP address.").custom("ip_addr")),
                                ("subnet", text("Subnet of external fixed IP address.").custom("neutron.subnet")),
                            ])),
                        ),
                    ]),
                ),
                ("value_specs", value_specs_schema().updatable()),
                (
                    "admin_state_up",
                    PropertySchema::boolean("The administrative state of the router.").default_value(true).updatable(),
                ),
                ("l3_agent_id", text("ID of the L3 agent.").updatable().status(crate::properties::SupportStatus { status: "HIDDEN".into(), ..Default::default() })),
                ("l3_agent_ids", PropertySchema::list("ID list of the L3 agent.").updatable().of(PropertySchema::string("ID of the L3 agent."))),
                ("distributed", PropertySchema::boolean("Indicates whether or not to create a distributed router. NOTE: The default policy setting in Neutron restricts usage of this property to administrative users only. This property can not be used in conjunction with the L3 agent ID.")),
                ("ha", PropertySchema::boolean("Indicates whether or not to create a highly available router.")),
                ("availability_zone_hints", PropertySchema::list("Availability zone candidates for the router.").updatable()),
                ("tags", tags_schema()),
                ("tenant_id", text("The ID of the tenant which will own the network. Only administrative users can set the tenant identifier; this cannot be changed using authorization policies.")),
            ])
            .attributes([
                ("status", AttributeSchema::typed(PropertyKind::String, "The status of the router.")),
                ("external_gateway_info", AttributeSchema::typed(PropertyKind::Map, "Gateway network for the router.")),
                ("name", AttributeSchema::typed(PropertyKind::String, "Friendly name of the router.")),
                ("admin_state_up", AttributeSchema::typed(PropertyKind::String, "Administrative state of the router.")),
                ("tenant_id", AttributeSchema::typed(PropertyKind::String, "Tenant owning the router.")),
            ]);
        Router { description }
    }
}

fn gateway(object: &Object) -> Value {
    let Some(info) = object.map("external_gateway_info") else { return json!({}) };
    let mut out = Map::new();
    if let Some(network) = info.get("network").filter(|value| !value.is_null()) {
        out.insert("network_id".into(), network.clone());
    }
    if let Some(snat) = info.get("enable_snat").filter(|value| !value.is_null()) {
        out.insert("enable_snat".into(), snat.clone());
    }
    if let Some(Value::Array(items)) = info.get("external_fixed_ips") {
        let items = items.iter().map(|item| {
            let mut fixed = Map::new();
            for (name, key) in [("ip_address", "ip_address"), ("subnet", "subnet_id")] {
                if let Some(value) = item.get(name).filter(|value| !value.is_null()) {
                    fixed.insert(key.into(), value.clone());
                }
            }
            Value::Object(fixed)
        });
        out.insert("external_fixed_ips".into(), items.collect());
    }
    Value::Object(out)
}

#[async_trait]
impl ResourceType for Router {
    fn description(&self) -> &Description {
        &self.description
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        refuse_agents(properties, "l3_agent_ids")?;
        if properties.text("l3_agent_id").is_some() {
            return Err(crate::template::error::validation(
                "Property l3_agent_id is not supported: this cloud has no such agents to choose from",
            ));
        }
        if properties.boolean("distributed") == Some(true) && properties.boolean("ha") == Some(true) {
            return Err(super::common::conflicting("distributed", "ha"));
        }
        check_value_specs(&self.description, properties)
    }
    fn hidden_requirements(&self, own: &Neighbour<'_>, all: &[Neighbour<'_>]) -> Vec<String> {
        subnets_on(own.raw(&["external_gateway_info"]).and_then(|info| info.get("network")), all)
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let mut body = body_of(object, NAMES);
        if object.get("external_gateway_info").is_some() {
            body.insert("external_gateway_info".into(), gateway(object));
        }
        ROUTERS.create(act, object, body).await?;
        ROUTERS.built(act, object).await
    }
    async fn check_create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        ROUTERS.built(act, object).await
    }
    async fn update(&self, act: &Act, object: &mut Object, diff: &PropertyDiff) -> Result<Update> {
        let mut body = changes_of(object, diff, NAMES, &|_| None);
        if diff.changed.contains_key("external_gateway_info") {
            body.insert("external_gateway_info".into(), gateway(object));
        }
        ROUTERS.update(act, object, diff, body).await?;
        Ok(Update::Wait)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        ROUTERS.delete(act, object).await
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        ROUTERS.check(act, object).await
    }
    async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        ROUTERS.is_usable(act, object).await
    }
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        ROUTERS.show(act, object).await
    }
}
