//! `OS::Neutron::Port`

use async_trait::async_trait;
use sahab_contract::Result;
use serde_json::{Map, Value, json};

use super::common::{
    Collection, SERVICE, body_of, changes_of, check_value_specs, describe, subnets_on, tags_schema, value_specs_schema,
};
use crate::{
    constraints,
    properties::{AttributeSchema, PropertyDiff, PropertyKind, PropertySchema, ResolvedProperties},
    resources::{Act, Description, Neighbour, Object, Progress, ResourceType, Update, rest},
};

const PORTS: Collection = Collection { path: "/v2.0/ports", key: "port", word: "Port" };
const NAMES: &[(&str, &str)] = &[
    ("name", "name"),
    ("network", "network_id"),
    ("device_id", "device_id"),
    ("device_owner", "device_owner"),
    ("dns_name", "dns_name"),
    ("admin_state_up", "admin_state_up"),
    ("mac_address", "mac_address"),
    ("allowed_address_pairs", "allowed_address_pairs"),
    ("binding:vnic_type", "binding:vnic_type"),
    ("port_security_enabled", "port_security_enabled"),
    ("qos_policy", "qos_policy_id"),
    ("propagate_uplink_status", "propagate_uplink_status"),
];
/// Key of `data`: the addresses a replaced port gave up.
const GIVEN_UP: &str = "port_fip";

pub struct Port {
    description: Description,
}

impl Port {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let hidden = || crate::properties::SupportStatus { status: "HIDDEN".into(), ..Default::default() };
        let description = describe("OS::Neutron::Port", "A resource for managing Neutron ports.")
            .properties([
                ("name", text("A symbolic name for this port.").updatable()),
                ("network", text("Network this port belongs to. If you plan to use current port to assign Floating IP, you should specify fixed_ips with subnet. Note if this changes to a different network update, the port will be replaced.").required().custom("neutron.network")),
                ("network_id", text("Network this port belongs to.").alias_of("network")),
                ("device_id", text("Device ID of this port.").default_value("").updatable()),
                ("device_owner", text("Name of the network owning the port. The value is typically network:floatingip or network:router_interface or network:dhcp.").default_value("").updatable()),
                (
                    "fixed_ips",
                    PropertySchema::list("Desired IPs for this port.").updatable().of(PropertySchema::map("An address.").with([
                        ("subnet", text("Subnet in which to allocate the IP address for this port.").custom("neutron.subnet")),
                        ("subnet_id", text("Subnet in which to allocate the IP address for this port.").alias_of("subnet")),
                        ("ip_address", text("IP address desired in the subnet for this port.").custom("ip_addr")),
                    ])),
                ),
                ("security_groups", PropertySchema::list("Security group IDs to associate with this port.").updatable()),
                ("dns_name", text("DNS name associated with the port.").custom("dns_name").updatable()),
                ("tags", tags_schema()),
                ("value_specs", value_specs_schema().updatable()),
                (
                    "admin_state_up",
                    PropertySchema::boolean("The administrative state of this port.").default_value(true).updatable(),
                ),
                ("mac_address", text("MAC address to give to this port.").custom("mac_addr")),
                (
                    "allowed_address_pairs",
                    PropertySchema::list("Additional MAC/IP address pairs allowed to pass through the port.").updatable().of(
                        PropertySchema::map("A pair.").with([
                            ("mac_address", text("MAC address to allow through this port.").custom("mac_addr")),
                            ("ip_address", text("IP address to allow through this port.").required().custom("ip_or_cidr")),
                        ]),
                    ),
                ),
                (
                    "binding:vnic_type",
                    text("The vnic type to be bound on the neutron port.").default_value("normal").updatable().allowed([
                        "normal", "direct", "macvtap", "direct-physical", "baremetal", "virtio-forwarder", "smart-nic",
                    ]),
                ),
                ("port_security_enabled", PropertySchema::boolean("Flag to enable/disable port security on the port.").updatable()),
                ("qos_policy", text("The name or ID of QoS policy to attach to this port.").custom("neutron.qos_policy").updatable()),
                ("propagate_uplink_status", PropertySchema::boolean("Flag to enable/disable propagate uplink status on the port.").updatable()),
                (
                    "no_fixed_ips",
                    PropertySchema::boolean("Flag to disable all fixed ips on the port.").default_value(false).updatable(),
                ),
                ("replacement_policy", text("Policy on how to respond to a stack-update for this resource.").status(hidden()).updatable()),
            ])
            .attributes([
                ("admin_state_up", AttributeSchema::typed(PropertyKind::String, "The administrative state of this port.")),
                ("device_id", AttributeSchema::typed(PropertyKind::String, "Unique identifier for the device.")),
                ("device_owner", AttributeSchema::typed(PropertyKind::String, "Name of the network owning the port.")),
                ("fixed_ips", AttributeSchema::typed(PropertyKind::List, "Fixed IP addresses.")),
                ("mac_address", AttributeSchema::typed(PropertyKind::String, "MAC address of the port.")),
                ("name", AttributeSchema::typed(PropertyKind::String, "Friendly name of the port.")),
                ("network_id", AttributeSchema::typed(PropertyKind::String, "Unique identifier for the network owning the port.")),
                ("security_groups", AttributeSchema::typed(PropertyKind::List, "A list of security groups for the port.")),
                ("status", AttributeSchema::typed(PropertyKind::String, "The status of the port.")),
                ("tenant_id", AttributeSchema::typed(PropertyKind::String, "Tenant owning the port.")),
                ("allowed_address_pairs", AttributeSchema::typed(PropertyKind::List, "Additional MAC/IP address pairs allowed to pass through a port.")),
                ("subnets", AttributeSchema::typed(PropertyKind::List, "A list of all subnet attributes for the port.")),
                ("port_security_enabled", AttributeSchema::typed(PropertyKind::Boolean, "Port security enabled of the port.")),
                ("qos_policy_id", AttributeSchema::typed(PropertyKind::String, "The QoS policy ID attached to this port.")),
                ("dns_assignment", AttributeSchema::typed(PropertyKind::Map, "The DNS assigned to this port.")),
                ("network", AttributeSchema::typed(PropertyKind::Map, "The attributes of the network owning the port.")),
                ("propagate_uplink_status", AttributeSchema::typed(PropertyKind::Boolean, "Enable/Disable propagate uplink status for the port.")),
            ]);
        Port { description }
    }
}

/// `subnet` is `subnet_id` there; nothing else of an item.
fn fixed_ips(items: &[Value]) -> Value {
    let items = items.iter().map(|item| {
        let mut out = Map::new();
        for (name, key) in [("subnet", "subnet_id"), ("ip_address", "ip_address")] {
            if let Some(value) = item[name].as_str().filter(|text| !text.is_empty()) {
                out.insert(key.into(), value.into());
            }
        }
        Value::Object(out)
    });
    items.collect()
}

fn pairs(body: &mut Map<String, Value>) {
    if let Some(Value::Array(items)) = body.get_mut("allowed_address_pairs") {
        for map in items.iter_mut().filter_map(Value::as_object_mut) {
            map.retain(|_, value| !value.is_null());
        }
    }
}

async fn group_ids(act: &Act, groups: &[Value]) -> Result<Value> {
    let mut ids = Vec::new();
    for group in groups.iter().filter_map(Value::as_str) {
        ids.push(Value::String(constraints::find_id(act, "neutron.security_group", group).await?));
    }
    Ok(Value::Array(ids))
}

#[async_trait]
impl ResourceType for Port {
    fn description(&self) -> &Description {
        &self.description
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        if properties.boolean("no_fixed_ips") == Some(true) && properties.given.contains("fixed_ips") {
            return Err(super::common::conflicting("no_fixed_ips", "fixed_ips"));
        }
        check_value_specs(&self.description, properties)
    }
    fn hidden_requirements(&self, own: &Neighbour<'_>, all: &[Neighbour<'_>]) -> Vec<String> {
        subnets_on(own.raw(&["network", "network_id"]), all)
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let mut body = body_of(object, NAMES);
        // The service's own defaults need not be said, and saying some asks for rights.
        for (name, default) in [("device_id", ""), ("device_owner", ""), ("binding:vnic_type", "normal")] {
            if body.get(name).and_then(Value::as_str) == Some(default) {
                body.shift_remove(name);
            }
        }
        pairs(&mut body);
        if object.boolean("no_fixed_ips") == Some(true) {
            body.insert("fixed_ips".into(), json!([]));
        } else if !object.list("fixed_ips").is_empty() {
            body.insert("fixed_ips".into(), fixed_ips(object.list("fixed_ips")));
        }
        if object.get("security_groups").is_some() {
            body.insert("security_groups".into(), group_ids(act, object.list("security_groups")).await?);
        }
        PORTS.create(act, object, body).await?;
        PORTS.built(act, object).await
    }
    async fn check_create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        PORTS.built(act, object).await
    }
    async fn update(&self, act: &Act, object: &mut Object, diff: &PropertyDiff) -> Result<Update> {
        let null_as = |name: &str| match name {
            "allowed_address_pairs" => Some(json!([])),
            "qos_policy" => Some(Value::Null),
            "dns_name" => Some(json!("")),
            _ => None,
        };
        let mut body = changes_of(object, diff, NAMES, &null_as);
        pairs(&mut body);
        if diff.changed.contains_key("fixed_ips") || diff.changed.contains_key("no_fixed_ips") {
            let wanted = if object.boolean("no_fixed_ips") == Some(true) { &[][..] } else { object.list("fixed_ips") };
            body.insert("fixed_ips".into(), fixed_ips(wanted));
        }
        if diff.changed.contains_key("security_groups") {
            let groups = match object.get("security_groups") {
                Some(_) => group_ids(act, object.list("security_groups")).await?,
                None => group_ids(act, &[json!("default")]).await?,
            };
            body.insert("security_groups".into(), groups);
        }
        PORTS.update(act, object, diff, body).await?;
        Ok(Update::Wait)
    }
    /// Two ports cannot hold one address: the old one lets go first.
    async fn prepare_replace(&self, act: &Act, object: &mut Object) -> Result<()> {
        let Some(port) = rest::find(act, SERVICE, &PORTS.member(object.id()), PORTS.key).await? else { return Ok(()) };
        if !object.data.contains_key(GIVEN_UP) {
            object.data.insert(GIVEN_UP.into(), port["fixed_ips"].clone());
        }
        PORTS.put(act, object.id(), json!({"fixed_ips": []})).await?;
        Ok(())
    }
    async fn restore_replaced(&self, act: &Act, object: &mut Object) -> Result<()> {
        if let Some(addresses) = object.data.remove(GIVEN_UP) {
            PORTS.put(act, object.id(), json!({"fixed_ips": addresses})).await?;
        }
        Ok(())
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        PORTS.delete(act, object).await
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        PORTS.check(act, object).await
    }
    async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        PORTS.is_usable(act, object).await
    }
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        PORTS.show(act, object).await
    }
    async fn attribute(&self, act: &Act, object: &Object, name: &str) -> Result<Value> {
        let port = self.show(act, object).await?;
        match name {
            "subnets" => {
                let mut subnets = Vec::new();
                for id in
                    port["fixed_ips"].as_array().into_iter().flatten().filter_map(|fixed| fixed["subnet_id"].as_str())
                {
                    let found = rest::find(act, SERVICE, &rest::member("/v2.0/subnets", id), "subnet").await?;
                    subnets.extend(found);
                }
                Ok(Value::Array(subnets))
            }
            "network" => {
                let id = port["network_id"].as_str().unwrap_or_default();
                Ok(rest::find(act, SERVICE, &rest::member("/v2.0/networks", id), "network").await?.unwrap_or_default())
            }
            _ => Ok(port.get(name).cloned().unwrap_or_default()),
        }
    }
}
