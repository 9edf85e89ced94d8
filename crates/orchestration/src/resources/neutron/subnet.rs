//! `OS::Neutron::Subnet`

use async_trait::async_trait;
use sahab_contract::Result;
use serde_json::{Map, Value, json};

use super::common::{
    Collection, body_of, changes_of, check_value_specs, conflicting, describe, has, tags_schema, unspecified,
    value_specs_schema,
};
use crate::{
    properties::{AttributeSchema, PropertyDiff, PropertyKind, PropertySchema, ResolvedProperties},
    resources::{Act, Description, Object, Progress, ResourceType, Update},
    template::error,
};

const SUBNETS: Collection = Collection { path: "/v2.0/subnets", key: "subnet", word: "Subnet" };
const NAMES: &[(&str, &str)] = &[
    ("network", "network_id"),
    ("subnetpool", "subnetpool_id"),
    ("prefixlen", "prefixlen"),
    ("cidr", "cidr"),
    ("name", "name"),
    ("ip_version", "ip_version"),
    ("dns_nameservers", "dns_nameservers"),
    ("gateway_ip", "gateway_ip"),
    ("enable_dhcp", "enable_dhcp"),
    ("allocation_pools", "allocation_pools"),
    ("tenant_id", "tenant_id"),
    ("host_routes", "host_routes"),
    ("ipv6_ra_mode", "ipv6_ra_mode"),
    ("ipv6_address_mode", "ipv6_address_mode"),
    ("segment", "segment_id"),
];

pub struct Subnet {
    description: Description,
}

impl Subnet {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let modes = ["dhcpv6-stateful", "dhcpv6-stateless", "slaac"];
        let description = describe("OS::Neutron::Subnet", "A resource for managing Neutron subnets.")
            .properties([
                ("network", text("The ID of the attached network.").required().custom("neutron.network")),
                ("network_id", text("The ID of the attached network.").alias_of("network")),
                ("subnetpool", text("The name or ID of the subnet pool.").custom("neutron.subnetpool")),
                (
                    "prefixlen",
                    PropertySchema::integer("Prefix length for subnet allocation from subnet pool.").range(Some(0), None),
                ),
                ("cidr", text("The CIDR.").custom("net_cidr")),
                ("value_specs", value_specs_schema().updatable()),
                ("name", text("The name of the subnet.").updatable()),
                ("ip_version", PropertySchema::integer("The IP version, which is 4 or 6.").default_value(4).allowed([4, 6])),
                ("dns_nameservers", PropertySchema::list("A specified set of DNS name servers to be used.").default_value(json!([])).updatable()),
                ("gateway_ip", text("The gateway IP address. Set to any of [ null | ~ | \"\" ] to create/update a subnet without a gateway. If omitted when creation, neutron will assign the first free IP address within the subnet to the gateway automatically.").updatable()),
                (
                    "enable_dhcp",
                    PropertySchema::boolean("Set to true if DHCP is enabled and false if DHCP is disabled.").default_value(true).updatable(),
                ),
                (
                    "allocation_pools",
                    PropertySchema::list("The start and end addresses for the allocation pools.").updatable().of(PropertySchema::map("A pool.").with([
                        ("start", text("Start address for the allocation pool.").required().custom("ip_addr")),
                        ("end", text("End address for the allocation pool.").required().custom("ip_addr")),
                    ])),
                ),
                ("tenant_id", text("The ID of the tenant who owns the network. Only administrative users can specify a tenant ID other than their own.")),
                (
                    "host_routes",
                    PropertySchema::list("A list of host route dictionaries for the subnet.").updatable().of(PropertySchema::map("A route.").with([
                        ("destination", text("The destination for static route.").required().custom("net_cidr")),
                        ("nexthop", text("The next hop for the destination.").required().custom("ip_addr")),
                    ])),
                ),
                ("ipv6_ra_mode", text("IPv6 RA (Router Advertisement) mode.").allowed(modes)),
                ("ipv6_address_mode", text("IPv6 address mode.").allowed(modes)),
                ("segment", text("The name/ID of the segment to associate.").custom("neutron.segment").updatable()),
                ("tags", tags_schema()),
            ])
            .attributes([
                ("name", AttributeSchema::typed(PropertyKind::String, "Friendly name of the subnet.")),
                ("network_id", AttributeSchema::typed(PropertyKind::String, "Parent network of the subnet.")),
                ("tenant_id", AttributeSchema::typed(PropertyKind::String, "Tenant owning the subnet.")),
                ("allocation_pools", AttributeSchema::typed(PropertyKind::List, "Ip allocation pools and their ranges.")),
                ("gateway_ip", AttributeSchema::typed(PropertyKind::String, "Ip of the subnet's gateway.")),
                ("host_routes", AttributeSchema::typed(PropertyKind::List, "Additional routes for this subnet.")),
                ("ip_version", AttributeSchema::typed(PropertyKind::String, "Ip version for the subnet.")),
                ("cidr", AttributeSchema::typed(PropertyKind::String, "CIDR block notation for this subnet.")),
                ("dns_nameservers", AttributeSchema::typed(PropertyKind::String, "List of dns nameservers.")),
                ("enable_dhcp", AttributeSchema::typed(PropertyKind::String, "'true' if DHCP is enabled for this subnet; 'false' otherwise.")),
            ]);
        Subnet { description }
    }
}

/// An empty gateway is none at all.
fn without_empty_gateway(mut body: Map<String, Value>) -> Map<String, Value> {
    if body.get("gateway_ip").and_then(Value::as_str) == Some("") {
        body.insert("gateway_ip".into(), Value::Null);
    }
    body
}

#[async_trait]
impl ResourceType for Subnet {
    fn description(&self) -> &Description {
        &self.description
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        match (has(properties, "cidr"), has(properties, "subnetpool")) {
            (true, true) => return Err(conflicting("subnetpool", "cidr")),
            (false, false) => return Err(unspecified("subnetpool", "cidr")),
            _ => {}
        }
        if has(properties, "prefixlen") && !has(properties, "subnetpool") {
            return Err(conflicting("prefixlen", "cidr"));
        }
        let modes = has(properties, "ipv6_ra_mode") || has(properties, "ipv6_address_mode");
        if modes && properties.integer("ip_version") == Some(4) {
            return Err(error::validation("ipv6_ra_mode and ipv6_address_mode are not supported for ipv4."));
        }
        if let (Some(ra), Some(address)) = (properties.text("ipv6_ra_mode"), properties.text("ipv6_address_mode"))
            && ra != address
        {
            return Err(error::validation("When both ipv6_ra_mode and ipv6_address_mode are set, they must be equal."));
        }
        if let Some(gateway) = properties.text("gateway_ip").filter(|text| !text.is_empty())
            && gateway.parse::<std::net::IpAddr>().is_err()
        {
            return Err(error::validation(format!("Gateway IP address is invalid: {gateway}")));
        }
        check_value_specs(&self.description, properties)
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let body = without_empty_gateway(body_of(object, NAMES));
        SUBNETS.create(act, object, body).await?;
        Ok(Progress::Done)
    }
    async fn update(&self, act: &Act, object: &mut Object, diff: &PropertyDiff) -> Result<Update> {
        let null_as = |name: &str| match name {
            "allocation_pools" | "host_routes" | "dns_nameservers" => Some(json!([])),
            "gateway_ip" | "segment" => Some(Value::Null),
            _ => None,
        };
        let body = without_empty_gateway(changes_of(object, diff, NAMES, &null_as));
        SUBNETS.update(act, object, diff, body).await?;
        Ok(Update::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        SUBNETS.delete(act, object).await
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        SUBNETS.check(act, object).await
    }
    async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        SUBNETS.is_usable(act, object).await
    }
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        SUBNETS.show(act, object).await
    }
}
