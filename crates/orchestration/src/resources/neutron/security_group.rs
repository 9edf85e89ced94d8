//! `OS::Neutron::SecurityGroup`: a group with exactly the rules of the template.
//!
//! The default egress rules stay as long as the template gives no egress rule of its own. Rules are brought about by
//! difference, so that creating again after a crash and updating are the same act.

use async_trait::async_trait;
use sahab_contract::{Result, cloud::Call};
use serde_json::{Map, Value, json};

use super::common::{Collection, SERVICE, describe};
use crate::{
    properties::{PropertyDiff, PropertySchema, ResolvedProperties},
    resources::{Act, Description, Object, Progress, ResourceType, Update, rest},
    template::error,
};

const GROUPS: Collection = Collection { path: "/v2.0/security-groups", key: "security_group", word: "SecurityGroup" };
pub const RULES_PATH: &str = "/v2.0/security-group-rules";

const PROTOCOLS: [&str; 22] = [
    "ah",
    "dccp",
    "egp",
    "esp",
    "gre",
    "icmp",
    "icmpv6",
    "igmp",
    "ipv6-encap",
    "ipv6-frag",
    "ipv6-icmp",
    "ipv6-nonxt",
    "ipv6-opts",
    "ipv6-route",
    "ospf",
    "pgm",
    "rsvp",
    "sctp",
    "tcp",
    "udp",
    "udplite",
    "vrrp",
];

/// A protocol by name or number, as text.
pub fn protocol_schema(text: &'static str) -> PropertySchema {
    let numbers = (0..=255).map(|number: u16| number.to_string());
    let names = PROTOCOLS.iter().map(|name| (*name).to_owned());
    PropertySchema::string(text).allowed(numbers.chain(names))
}

pub fn port_schema(text: &'static str) -> PropertySchema {
    PropertySchema::integer(text).range(Some(0), Some(65535))
}

pub struct SecurityGroup {
    description: Description,
}

impl SecurityGroup {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let rule = PropertySchema::map("A rule.").with([
            (
                "direction",
                text("The direction in which the security group rule is applied. For a compute instance, an ingress security group rule matches traffic that is incoming (ingress) for that instance. An egress rule is applied to traffic leaving the instance.")
                    .default_value("ingress")
                    .allowed(["ingress", "egress"]),
            ),
            ("ethertype", text("Ethertype of the traffic.").default_value("IPv4").allowed(["IPv4", "IPv6"])),
            ("port_range_min", port_schema("The minimum port number in the range that is matched by the security group rule.")),
            ("port_range_max", port_schema("The maximum port number in the range that is matched by the security group rule.")),
            ("protocol", protocol_schema("The protocol that is matched by the security group rule.")),
            (
                "remote_mode",
                text("Whether to specify a remote group or a remote IP prefix.")
                    .default_value("remote_ip_prefix")
                    .allowed(["remote_ip_prefix", "remote_group_id"]),
            ),
            (
                "remote_group_id",
                text("The remote group ID to be associated with this security group rule. If no value is specified then this rule will use this security group for the remote_group_id.")
                    .custom("neutron.security_group"),
            ),
            ("remote_ip_prefix", text("The remote IP prefix (CIDR) to be associated with this security group rule.").custom("net_cidr")),
            ("description", text("Description of the security group rule.")),
        ]);
        let description = describe("OS::Neutron::SecurityGroup", "A resource for managing Neutron security groups.")
            .properties([
            (
                "name",
                text("A string specifying a symbolic name for the security group, which is not required to be unique.")
                    .updatable(),
            ),
            ("description", text("Description of the security group.").updatable()),
            (
                "rules",
                PropertySchema::list("List of security group rules.").default_value(json!([])).updatable().of(rule),
            ),
            ("stateful", PropertySchema::boolean("If the security group is stateful or not.").updatable()),
        ]);
        SecurityGroup { description }
    }
}

const COMPARED: [&str; 8] = [
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
    "description",
];

/// A rule as the service is told, nulls explicit.
fn rule_of(item: &Value, group: &str) -> Value {
    let get = |name: &str| item.get(name).filter(|value| !value.is_null()).cloned().unwrap_or_default();
    let by_group = item["remote_mode"] == "remote_group_id";
    let remote_group = match get("remote_group_id") {
        Value::Null if by_group => json!(group),
        other => other,
    };
    let mut rule = json!({
        "security_group_id": group,
        "direction": item["direction"].as_str().unwrap_or("ingress"),
        "ethertype": item["ethertype"].as_str().unwrap_or("IPv4"),
        "protocol": get("protocol"),
        "port_range_min": get("port_range_min"),
        "port_range_max": get("port_range_max"),
        "remote_ip_prefix": if by_group { Value::Null } else { get("remote_ip_prefix") },
        "remote_group_id": if by_group { remote_group } else { Value::Null },
    });
    if !get("description").is_null() {
        rule["description"] = get("description");
    }
    rule
}

/// The rules a group is to have: the template's, and the default egress when it has none.
fn wanted(object: &Object, group: &str) -> Vec<Value> {
    let mut rules: Vec<Value> = object.list("rules").iter().map(|item| rule_of(item, group)).collect();
    if !rules.iter().any(|rule| rule["direction"] == "egress") {
        for ethertype in ["IPv4", "IPv6"] {
            rules.push(rule_of(&json!({"direction": "egress", "ethertype": ethertype}), group));
        }
    }
    rules
}

/// What two views of a rule must agree on; an empty description is none, a port may be text.
fn fingerprint(rule: &Value) -> Vec<String> {
    let text = |name: &str| match &rule[name] {
        Value::Null => String::new(),
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    };
    COMPARED.iter().map(|name| text(name)).collect()
}

impl SecurityGroup {
    async fn sync_rules(&self, act: &Act, object: &Object) -> Result<()> {
        let group = GROUPS.show(act, object).await?;
        let mut missing = wanted(object, object.id());
        for present in group["security_group_rules"].as_array().into_iter().flatten() {
            let mark = fingerprint(present);
            match missing.iter().position(|rule| fingerprint(rule) == mark) {
                Some(position) => drop(missing.swap_remove(position)),
                None => {
                    let id = present["id"].as_str().unwrap_or_default();
                    rest::delete(act, Call::delete(SERVICE, rest::member(RULES_PATH, id))).await?;
                }
            }
        }
        if !missing.is_empty() {
            let call = Call::post(SERVICE, RULES_PATH, json!({"security_group_rules": missing}));
            act.cloud.call(&act.context, call).await?;
        }
        Ok(())
    }
}

fn body(object: &Object) -> Map<String, Value> {
    let mut body =
        super::common::body_of(object, &[("name", "name"), ("description", "description"), ("stateful", "stateful")]);
    body.entry("description".to_owned()).or_insert_with(|| json!(""));
    body
}

#[async_trait]
impl ResourceType for SecurityGroup {
    fn description(&self) -> &Description {
        &self.description
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        if properties.text("name") == Some("default") {
            return Err(error::validation("Security groups cannot be assigned the name \"default\"."));
        }
        for rule in properties.list("rules").into_iter().flatten() {
            if rule["remote_mode"] == "remote_ip_prefix" && !rule["remote_group_id"].is_null() {
                return Err(error::validation("remote_group_id is only used with remote_mode remote_group_id"));
            }
        }
        Ok(())
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let body = body(object);
        GROUPS.create(act, object, body).await?;
        self.sync_rules(act, object).await?;
        Ok(Progress::Done)
    }
    async fn update(&self, act: &Act, object: &mut Object, diff: &PropertyDiff) -> Result<Update> {
        let mut changes = body(object);
        changes.retain(|name, _| diff.changed.contains_key(name.as_str()));
        GROUPS.update(act, object, diff, changes).await?;
        if diff.changed.contains_key("rules") {
            self.sync_rules(act, object).await?;
        }
        Ok(Update::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        GROUPS.delete(act, object).await
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        GROUPS.check(act, object).await
    }
    async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        GROUPS.is_usable(act, object).await
    }
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        GROUPS.show(act, object).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_the_template_and_of_the_service_compare() {
        let item =
            json!({"protocol": "tcp", "port_range_min": 80, "port_range_max": 80, "remote_mode": "remote_ip_prefix"});
        let told = rule_of(&item, "g");
        let kept = json!({
            "id": "r", "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": "80",
            "port_range_max": 80, "remote_ip_prefix": null, "remote_group_id": null, "description": "", "tenant_id": "t",
        });
        assert_eq!(fingerprint(&told), fingerprint(&kept));
        assert_eq!(rule_of(&json!({"remote_mode": "remote_group_id"}), "g")["remote_group_id"], "g");
    }

    #[test]
    fn own_egress_rules_displace_the_default_ones() {
        let object =
            |rules: Value| Object { properties: Map::from_iter([("rules".to_owned(), rules)]), ..Default::default() };
        assert_eq!(wanted(&object(json!([])), "g").len(), 2);
        assert_eq!(wanted(&object(json!([{"direction": "egress", "protocol": "tcp"}])), "g").len(), 1);
    }
}
