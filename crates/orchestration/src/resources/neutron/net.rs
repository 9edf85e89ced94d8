//! `OS::Neutron::Net`

use async_trait::async_trait;
use sahab_contract::Result;
use serde_json::{Value, json};

use super::common::{
    Collection, body_of, changes_of, check_value_specs, describe, refuse_agents, tags_schema, value_specs_schema,
};
use crate::{
    properties::{AttributeSchema, PropertyDiff, PropertyKind, PropertySchema, ResolvedProperties},
    resources::{Act, Description, Object, Progress, ResourceType, Update},
};

const NETWORKS: Collection = Collection { path: "/v2.0/networks", key: "network", word: "Network" };
const NAMES: &[(&str, &str)] = &[
    ("name", "name"),
    ("admin_state_up", "admin_state_up"),
    ("tenant_id", "tenant_id"),
    ("shared", "shared"),
    ("port_security_enabled", "port_security_enabled"),
    ("qos_policy", "qos_policy_id"),
    ("dns_domain", "dns_domain"),
    ("availability_zone_hints", "availability_zone_hints"),
];

pub struct Net {
    description: Description,
}

impl Net {
    pub fn new() -> Self {
        let description = describe("OS::Neutron::Net", "A resource for managing Neutron net.")
            .properties([
                ("name", PropertySchema::string("A string specifying a symbolic name for the network, which is not required to be unique.").updatable()),
                ("value_specs", value_specs_schema().updatable()),
                (
                    "admin_state_up",
                    PropertySchema::boolean("A boolean value specifying the administrative status of the network.").default_value(true).updatable(),
                ),
                ("tenant_id", PropertySchema::string("The ID of the tenant which will own the network. Only administrative users can set the tenant identifier; this cannot be changed using authorization policies.")),
                (
                    "shared",
                    PropertySchema::boolean("Whether this network should be shared across all tenants.").default_value(false).updatable(),
                ),
                ("dhcp_agent_ids", PropertySchema::list("The IDs of the DHCP agent to schedule the network.").updatable()),
                ("port_security_enabled", PropertySchema::boolean("Flag to enable/disable port security on the network.").updatable()),
                (
                    "qos_policy",
                    PropertySchema::string("The name or ID of QoS policy to attach to this network.").custom("neutron.qos_policy").updatable(),
                ),
                ("dns_domain", PropertySchema::string("DNS domain associated with this network.").custom("dns_domain").updatable()),
                ("availability_zone_hints", PropertySchema::list("Availability zone candidates for the network.")),
                ("tags", tags_schema()),
            ])
            .attributes([
                ("status", AttributeSchema::typed(PropertyKind::String, "The status of the network.")),
                ("name", AttributeSchema::typed(PropertyKind::String, "The name of the network.")),
                ("subnets", AttributeSchema::typed(PropertyKind::List, "Subnets of this network.")),
                ("admin_state_up", AttributeSchema::typed(PropertyKind::String, "The administrative status of the network.")),
                ("tenant_id", AttributeSchema::typed(PropertyKind::String, "The tenant owning this network.")),
                ("port_security_enabled", AttributeSchema::typed(PropertyKind::Boolean, "Port security enabled of the network.")),
                ("mtu", AttributeSchema::typed(PropertyKind::Integer, "The maximum transmission unit size(in bytes) for the network.")),
                ("qos_policy_id", AttributeSchema::typed(PropertyKind::String, "The QoS policy ID attached to this network.")),
                ("l2_adjacency", AttributeSchema::typed(PropertyKind::Boolean, "A boolean value for L2 adjacency, True means that you can expect L2 connectivity throughout the Network.")),
                ("segments", AttributeSchema::typed(PropertyKind::List, "The segments of this network.")),
            ]);
        Net { description }
    }
}

#[async_trait]
impl ResourceType for Net {
    fn description(&self) -> &Description {
        &self.description
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        refuse_agents(properties, "dhcp_agent_ids")?;
        check_value_specs(&self.description, properties)
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let mut body = body_of(object, NAMES);
        // Saying what is the default anyway would ask for an administrator's right.
        if body.get("shared") == Some(&json!(false)) {
            body.shift_remove("shared");
        }
        NETWORKS.create(act, object, body).await?;
        NETWORKS.built(act, object).await
    }
    async fn check_create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        NETWORKS.built(act, object).await
    }
    async fn update(&self, act: &Act, object: &mut Object, diff: &PropertyDiff) -> Result<Update> {
        let null_as = |name: &str| match name {
            "qos_policy" => Some(Value::Null),
            "dns_domain" => Some(json!("")),
            "port_security_enabled" => Some(json!(true)),
            _ => None,
        };
        let body = changes_of(object, diff, NAMES, &null_as);
        NETWORKS.update(act, object, diff, body).await?;
        Ok(Update::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        NETWORKS.delete(act, object).await
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        NETWORKS.check(act, object).await
    }
    async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        NETWORKS.is_usable(act, object).await
    }
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        NETWORKS.show(act, object).await
    }
}
