//! `OS::Neutron::SecurityGroupRule`: one rule; any change replaces it.

use async_trait::async_trait;
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{
    common::{Collection, conflicting, describe},
    security_group::{RULES_PATH, port_schema, protocol_schema},
};
use crate::{
    properties::{PropertySchema, ResolvedProperties},
    resources::{Act, Description, Object, Progress, ResourceType},
    template::error,
};

const RULES: Collection = Collection { path: RULES_PATH, key: "security_group_rule", word: "SecurityGroupRule" };
const NAMES: &[(&str, &str)] = &[
    ("security_group", "security_group_id"),
    ("description", "description"),
    ("direction", "direction"),
    ("ethertype", "ethertype"),
    ("port_range_min", "port_range_min"),
    ("port_range_max", "port_range_max"),
    ("protocol", "protocol"),
    ("remote_group", "remote_group_id"),
    ("remote_ip_prefix", "remote_ip_prefix"),
];

pub struct SecurityGroupRule {
    description: Description,
}

impl SecurityGroupRule {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let description = describe("OS::Neutron::SecurityGroupRule", "A resource for managing Neutron security group rules.").properties([
            ("security_group", text("Security group name or ID to add rule.").required().custom("neutron.security_group")),
            ("description", text("Description of the security group rule.")),
            ("direction", text("The direction in which the security group rule is applied. For a compute instance, an ingress security group rule is applied to incoming (ingress) traffic for that instance. An egress rule is applied to traffic leaving the instance.").default_value("ingress").allowed(["ingress", "egress"])),
            ("ethertype", text("Ethertype of the traffic.").default_value("IPv4").allowed(["IPv4", "IPv6"])),
            ("port_range_min", port_schema("The minimum port number in the range that is matched by the security group rule. If the protocol is TCP or UDP, this value must be less than or equal to the value of the port_range_max attribute. If the protocol is ICMP, this value must be an ICMP type.")),
            ("port_range_max", port_schema("The maximum port number in the range that is matched by the security group rule. The port_range_min attribute constrains the port_range_max attribute. If the protocol is ICMP, this value must be an ICMP code.")),
            ("protocol", protocol_schema("The protocol that is matched by the security group rule.").default_value("tcp")),
            ("remote_group", text("The remote group name or ID to be associated with this security group rule.").custom("neutron.security_group")),
            ("remote_ip_prefix", text("The remote IP prefix (CIDR) to be associated with this security group rule.").custom("net_cidr")),
        ]);
        SecurityGroupRule { description }
    }
}

#[async_trait]
impl ResourceType for SecurityGroupRule {
    fn description(&self) -> &Description {
        &self.description
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        if properties.get("remote_group").is_some() && properties.get("remote_ip_prefix").is_some() {
            return Err(conflicting("remote_group", "remote_ip_prefix"));
        }
        let (least, most) = (properties.integer("port_range_min"), properties.integer("port_range_max"));
        let by_port = !properties.text("protocol").is_some_and(|protocol| protocol.contains("icmp"));
        if by_port
            && let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            return Err(error::validation("port_range_min must be less than or equal to port_range_max"));
        }
        Ok(())
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let body = super::common::body_of(object, NAMES);
        RULES.create(act, object, body).await?;
        Ok(Progress::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        RULES.delete(act, object).await
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        RULES.check(act, object).await
    }
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        let shown = RULES.show(act, object).await?;
        Ok(if shown.is_null() { json!({}) } else { shown })
    }
}
