//! Custom constraints: values that are addresses or names, and values that name an object of another service.
//!
//! The same finders check a template before a stack is accepted and turn names into ids when a resource is made.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    pin::Pin,
};

use futures_util::{StreamExt, stream};
use ipnet::IpNet;
use sahab_contract::{
    Error, Result,
    cloud::{Call, escape},
};
use serde_json::{Map, Value};

use crate::{
    parameters::{ConstraintKind, CustomCheck},
    properties::{PropertySchema, PropertySchemas, Schema},
    resources::Act,
    template::python,
};

/// Questions asked at once.
const PARALLEL: usize = 16;
/// More distinct questions than this are not asked for one template.
const MAX_QUESTIONS: usize = 2000;

/// A kind of object that values may name.
struct Finder {
    constraint: &'static str,
    service: &'static str,
    collection: &'static str,
    /// Member of a list's answer, and the word in messages.
    plural: &'static str,
    word: &'static str,
}

const FINDERS: &[Finder] = &[
    neutron("neutron.network", "/v2.0/networks", "networks", "network"),
    neutron("neutron.subnet", "/v2.0/subnets", "subnets", "subnet"),
    neutron("neutron.port", "/v2.0/ports", "ports", "port"),
    neutron("neutron.router", "/v2.0/routers", "routers", "router"),
    neutron("neutron.security_group", "/v2.0/security-groups", "security_groups", "security_group"),
    neutron("neutron.subnetpool", "/v2.0/subnetpools", "subnetpools", "subnetpool"),
    neutron("neutron.address_scope", "/v2.0/address-scopes", "address_scopes", "address_scope"),
    neutron("neutron.qos_policy", "/v2.0/qos/policies", "policies", "policy"),
    keystone("keystone.project", "/v3/projects", "projects", "project"),
    keystone("keystone.user", "/v3/users", "users", "user"),
    keystone("keystone.role", "/v3/roles", "roles", "role"),
    keystone("keystone.domain", "/v3/domains", "domains", "domain"),
    keystone("keystone.group", "/v3/groups", "groups", "group"),
];

const fn neutron(
    constraint: &'static str,
    collection: &'static str,
    plural: &'static str,
    word: &'static str,
) -> Finder {
    Finder { constraint, service: "network", collection, plural, word }
}

const fn keystone(
    constraint: &'static str,
    collection: &'static str,
    plural: &'static str,
    word: &'static str,
) -> Finder {
    Finder { constraint, service: "identity", collection, plural, word }
}

fn finder(constraint: &str) -> Option<&'static Finder> {
    FINDERS.iter().find(|finder| finder.constraint == constraint)
}

/// Asks all questions, each once. The first no is the answer.
pub async fn check_all(act: &Act, checks: Vec<CustomCheck>) -> Result<()> {
    let mut questions: Vec<(String, String)> = Vec::new();
    for check in &checks {
        let question = (check.constraint.clone(), python::text(&check.value));
        if !questions.contains(&question) {
            questions.push(question);
        }
        if questions.len() > MAX_QUESTIONS {
            return Err(crate::template::error::limit("The template names too many objects of other services."));
        }
    }
    let answers: HashMap<(String, String), Option<String>> = stream::iter(questions)
        .map(|question| async move {
            let refusal = ask(act, &question.0, &question.1).await.err();
            (question, refusal)
        })
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
    for check in &checks {
        let question = (check.constraint.clone(), python::text(&check.value));
        if let Some(Some(reason)) = answers.get(&question) {
            return Err(check.failure(reason));
        }
    }
    Ok(())
}

/// `Err` is the reason why not.
async fn ask(act: &Act, constraint: &str, value: &str) -> std::result::Result<(), String> {
    let refused = |reason: &str| Err(format!("Error validating value '{value}': {reason}"));
    if let Some(finder) = finder(constraint) {
        return match find(act, finder, value).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => refused(&format!("Unable to find {} with name or id '{value}'", finder.word)),
            Err(error) => refused(error.message()),
        };
    }
    let is_good = match constraint {
        "ip_addr" => value.parse::<IpAddr>().is_ok(),
        "net_cidr" => is_cidr(value),
        "ip_or_cidr" => value.parse::<IpAddr>().is_ok() || is_cidr(value),
        "mac_addr" => is_mac(value),
        "dns_name" => is_dns_name(value, true),
        "rel_dns_name" => is_dns_name(value, true) && !value.ends_with('.'),
        "dns_domain" => value.is_empty() || (is_dns_name(value, false) && value.ends_with('.')),
        "test_constr" => true,
        other => return refused(&format!("this cloud knows no '{other}'")),
    };
    let what = match constraint {
        "ip_addr" => "Invalid IP address",
        "net_cidr" => "Invalid net cidr",
        "ip_or_cidr" => "neither an IP address nor a CIDR",
        "mac_addr" => "Invalid MAC address",
        _ => "Invalid DNS name",
    };
    if is_good { Ok(()) } else { refused(what) }
}

fn is_cidr(value: &str) -> bool {
    value.parse::<IpNet>().is_ok() || value.split_once('/').is_none() && value.parse::<Ipv6Addr>().is_ok()
}

fn is_mac(value: &str) -> bool {
    let parts: Vec<&str> = value.split([':', '-']).collect();
    parts.len() == 6 && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_dns_name(value: &str, allows_empty: bool) -> bool {
    let name = value.strip_suffix('.').unwrap_or(value);
    if name.is_empty() {
        return allows_empty;
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 255 && name.split('.').all(is_label)
}

/// The id of the named object; a name shared by several is refused.
async fn find(act: &Act, finder: &Finder, value: &str) -> Result<Option<String>> {
    if !act.cloud.serves(finder.service) {
        return Err(Error::unavailable("ServiceNotFound", format!("the {} service is not available", finder.service)));
    }
    let by_id = if finder.service == "network" {
        list(act, finder, "id", value).await?
    } else {
        match act
            .cloud
            .call(&act.context, Call::get(finder.service, format!("{}/{}", finder.collection, escape(value))))
            .await
        {
            Ok(_) => return Ok(Some(value.to_owned())),
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error),
        }
    };
    if let [only] = by_id.as_slice() {
        return Ok(only["id"].as_str().map(str::to_owned));
    }
    let mut named = list(act, finder, "name", value).await?;
    if named.len() > 1 {
        // An administrator sees everybody's: the project's own come first.
        let own: Vec<Value> = named.iter().filter(|item| item["project_id"] == *act.project_id).cloned().collect();
        if !own.is_empty() {
            named = own;
        }
    }
    match named.as_slice() {
        [] => Ok(None),
        [only] => Ok(only["id"].as_str().map(str::to_owned)),
        _ => Err(Error::invalid(
            "PhysicalResourceNameAmbiguity",
            format!("Multiple {} found with name '{value}', use its id instead.", finder.plural),
        )),
    }
}

async fn list(act: &Act, finder: &Finder, key: &str, value: &str) -> Result<Vec<Value>> {
    let path = format!("{}?{key}={}", finder.collection, escape(value));
    let mut reply = act.cloud.call(&act.context, Call::get(finder.service, path)).await?;
    match reply.body.get_mut(finder.plural).map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Ok(Vec::new()),
    }
}

/// The id of an object by name or id.
pub async fn find_id(act: &Act, constraint: &str, value: &str) -> Result<String> {
    let Some(finder) = finder(constraint) else { return Ok(value.to_owned()) };
    find(act, finder, value).await?.ok_or_else(|| {
        Error::not_found("NotFound", format!("Unable to find {} with name or id '{value}'", finder.word))
    })
}

/// Turns names into ids wherever a property names an object, in place.
pub async fn translate(act: &Act, schemas: &PropertySchemas, values: &mut Map<String, Value>) -> Result<()> {
    for (name, schema) in schemas {
        if let Some(value) = values.get_mut(name.as_ref()) {
            translate_value(act, schema, value).await?;
        }
    }
    Ok(())
}

fn names_an_object(schema: &PropertySchema) -> bool {
    let own = schema
        .constraints
        .iter()
        .any(|constraint| matches!(&constraint.kind, ConstraintKind::Custom(name) if finder(name).is_some()));
    own || match &schema.schema {
        Schema::Open => false,
        Schema::Items(item) => names_an_object(item),
        Schema::Keys(keys) => keys.values().any(names_an_object),
    }
}

fn translate_value<'a>(
    act: &'a Act,
    schema: &'a PropertySchema,
    value: &'a mut Value,
) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
    Box::pin(async move {
        if !names_an_object(schema) {
            return Ok(());
        }
        match (&schema.schema, &mut *value) {
            (Schema::Items(item), Value::Array(values)) => {
                for value in values {
                    translate_value(act, item, value).await?;
                }
            }
            (Schema::Keys(keys), Value::Object(map)) => translate(act, keys, map).await?,
            (_, Value::String(text)) if !text.is_empty() => {
                for constraint in &schema.constraints {
                    if let ConstraintKind::Custom(name) = &constraint.kind
                        && finder(name).is_some()
                    {
                        *text = find_id(act, name, text).await?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names() {
        assert!(is_cidr("10.0.0.0/24") && is_cidr("fd00::/64") && !is_cidr("10.0.0.0/33") && !is_cidr("x"));
        assert!(is_mac("fa:16:3e:00:00:01") && !is_mac("fa:16:3e:00:00"));
        assert!(is_dns_name("a-b.example.org", false) && !is_dns_name("-a", false) && !is_dns_name("a\nb", false));
    }
}
