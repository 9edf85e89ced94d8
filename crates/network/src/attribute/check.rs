//! Validators and converters of attribute values, with upstream's texts.

use std::{collections::HashSet, net::IpAddr};

use ipnet::IpNet;
use sahab_contract::Error;
use serde_json::{Map, Value, json};

/// Why a value was refused.
#[derive(Debug)]
pub enum Fault {
    /// `HTTPBadRequest`, "Invalid input for <attribute>. Reason: …"
    Reason(String),
    /// `InvalidInput`, "Invalid input for operation: …"
    Conversion(String),
    /// A validator with an error of its own.
    Error(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Error(error)
    }
}

type Checked = Result<Value, Fault>;

/// What a value must be, and what it becomes.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    Any,
    /// Text without control characters and outer white space.
    Name(usize),
    NotEmptyName(usize),
    Text(usize),
    TextOrNull(usize),
    Project,
    Uuid,
    UuidOrNull,
    /// Null becomes an empty list.
    UuidList,
    Bool,
    IntOrNull,
    Range(i64, i64),
    RangeOrNull(i64, i64),
    OneOf(&'static [&'static str]),
    OneOfOrNull(&'static [&'static str]),
    IpVersion,
    IpOrNull,
    CidrOrNull,
    CidrList,
    Mac,
    Pools,
    HostRoutes,
    Nameservers,
    TextList,
    DnsName,
    DnsDomain,
    Custom(fn(&str, Value) -> Checked),
}

impl PartialEq for Check {
    /// Only tells whether both are the same kind of check.
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

fn reason<T>(text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Reason(text.into()))
}

/// A value as Python's `str()` shows it.
pub fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().take(255).collect()
}

impl Check {
    pub fn apply(self, name: &str, value: Value) -> Checked {
        match self {
            Check::Any => Ok(value),
            Check::Name(limit) => text(value, limit).and_then(plain_text),
            Check::NotEmptyName(limit) => {
                if value.as_str().is_some_and(|text| text.trim().is_empty()) {
                    return reason(format!("'{}' Blank strings are not permitted", shown(&value)));
                }
                text(value, limit).and_then(plain_text)
            }
            Check::Text(limit) => text(value, limit),
            Check::Project => text(value, 255),
            Check::Uuid => uuid(value),
            Check::Bool => boolean(value),
            Check::Range(low, high) => range(value, low, high),
            Check::OneOf(values) => one_of(value, values),
            Check::TextOrNull(_)
            | Check::UuidOrNull
            | Check::IntOrNull
            | Check::RangeOrNull(..)
            | Check::OneOfOrNull(_)
            | Check::IpOrNull
            | Check::CidrOrNull
                if value.is_null() =>
            {
                Ok(Value::Null)
            }
            Check::TextOrNull(limit) => text(value, limit),
            Check::UuidOrNull => uuid(value),
            Check::IntOrNull => integer(&value).map(|number| json!(number)),
            Check::RangeOrNull(low, high) => range(value, low, high),
            Check::OneOfOrNull(values) => one_of(value, values),
            Check::IpOrNull => Ok(json!(ip(&value)?.to_string())),
            Check::CidrOrNull => Ok(json!(cidr(&value)?.trunc().to_string())),
            Check::CidrList => {
                let list = list(&value)?;
                let nets = list.iter().map(|item| Ok(json!(cidr(item)?.trunc().to_string())));
                Ok(Value::Array(nets.collect::<Result<_, Fault>>()?))
            }
            Check::UuidList => uuid_list(value),
            Check::IpVersion => match integer(&value)? {
                version @ (4 | 6) => Ok(json!(version)),
                other => reason(format!("{other} is not in valid_values")),
            },
            Check::Mac => mac(&value).map(|mac| json!(mac)),
            Check::Pools => pools(value),
            Check::HostRoutes => host_routes(value),
            Check::Nameservers => nameservers(value),
            Check::TextList => {
                let items = list(&value)?;
                if let Some(bad) = items.iter().find(|item| item.as_str().is_none_or(|text| text.len() > 255)) {
                    return reason(format!("'{}' is not a valid string", shown(bad)));
                }
                Ok(value)
            }
            Check::DnsName => dns_name(value),
            Check::DnsDomain => dns_domain(value),
            Check::Custom(function) => function(name, value),
        }
    }
}

fn text(value: Value, limit: usize) -> Checked {
    match value.as_str() {
        None => reason(format!("'{}' is not a valid string", shown(&value))),
        Some(text) if text.chars().count() > limit => {
            reason(format!("'{}' exceeds maximum length of {limit}", shown(&value)))
        }
        Some(text) if text.contains('\0') => reason("a string must not contain a null character".to_owned()),
        Some(_) => Ok(value),
    }
}

/// Refuses control characters, line and paragraph separators, and outer white space.
fn plain_text(value: Value) -> Checked {
    let Some(text) = value.as_str() else { return Ok(value) };
    let special = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{ad}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}')
    };
    if text.chars().any(special) {
        return reason(format!("'{}' is not a valid string", shown(&value)));
    }
    if text.trim() != text {
        return reason(format!("'{text}' contains leading or trailing whitespace"));
    }
    Ok(value)
}

pub fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

fn uuid(value: Value) -> Checked {
    match value.as_str() {
        Some(text) if is_uuid(text) => Ok(json!(text.to_ascii_lowercase())),
        _ => reason(format!("'{}' is not a valid UUID", shown(&value))),
    }
}

fn uuid_list(value: Value) -> Checked {
    if value.is_null() {
        return Ok(json!([]));
    }
    let mut out = Vec::new();
    for item in list(&value)? {
        out.push(uuid(item.clone())?);
    }
    let distinct: HashSet<_> = out.iter().filter_map(Value::as_str).collect();
    if distinct.len() != out.len() {
        return reason(format!("Duplicate items in the list: '{}'", shown(&value)));
    }
    Ok(Value::Array(out))
}

pub fn boolean(value: Value) -> Checked {
    let flag = match &value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    match flag {
        Some(flag) => Ok(json!(flag)),
        None => Err(Fault::Conversion(format!("'{}' cannot be converted to boolean", shown(&value)))),
    }
}

pub fn integer(value: &Value) -> Result<i64, Fault> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| Fault::Conversion(format!("'{}' is not an integer", shown(value))))
}

fn range(value: Value, low: i64, high: i64) -> Checked {
    let number = integer(&value)?;
    if number < low {
        return reason(format!("'{number}' is too small - must be at least '{low}'"));
    }
    if number > high {
        return reason(format!("'{number}' is too large - must be no larger than '{high}'"));
    }
    Ok(json!(number))
}

fn one_of(value: Value, values: &[&str]) -> Checked {
    match value.as_str() {
        Some(text) if values.contains(&text) => Ok(value),
        _ => reason(format!("{} is not in valid_values", shown(&value))),
    }
}

/// Octets with leading zeros do not parse in Rust either, so `010.0.0.1` cannot be misread.
pub fn ip(value: &Value) -> Result<IpAddr, Fault> {
    match value.as_str().and_then(|text| text.parse::<IpAddr>().ok()) {
        Some(ip) => Ok(ip),
        None => reason(format!("'{}' is not a valid IP address", shown(value))),
    }
}

/// A prefix; host bits are allowed here.
pub fn cidr(value: &Value) -> Result<IpNet, Fault> {
    match value.as_str().and_then(|text| text.parse::<IpNet>().ok()) {
        Some(net) => Ok(net),
        None => reason(format!("'{}' is not a valid IP subnet", shown(value))),
    }
}

pub fn list(value: &Value) -> Result<&Vec<Value>, Fault> {
    match value.as_array() {
        Some(list) => Ok(list),
        None => reason(format!("'{}' is not a list", shown(value))),
    }
}

/// Lower case with colons.
pub fn mac(value: &Value) -> Result<String, Fault> {
    let refuse = || reason(format!("'{}' is not a valid MAC address", shown(value)));
    let Some(text) = value.as_str() else { return refuse() };
    let octets: Vec<_> = text.split(if text.contains('-') { '-' } else { ':' }).collect();
    let whole = octets.len() == 6
        && octets.iter().all(|octet| octet.len() == 2 && octet.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let mac = octets.join(":").to_ascii_lowercase();
    if !whole || mac == "00:00:00:00:00:00" { refuse() } else { Ok(mac) }
}

fn keys_are(item: &Map<String, Value>, keys: &[&str]) -> bool {
    item.len() == keys.len() && keys.iter().all(|key| item.contains_key(*key))
}

fn pools(value: Value) -> Checked {
    if value.is_null() {
        return reason("Invalid data format for IP pool: 'None'".to_owned());
    }
    let mut out = Vec::new();
    for item in list(&value)? {
        match item.as_object() {
            Some(pool) if keys_are(pool, &["start", "end"]) => {
                out.push(json!({"start": ip(&pool["start"])?.to_string(), "end": ip(&pool["end"])?.to_string()}));
            }
            _ => return reason(format!("Invalid data format for IP pool: '{}'", shown(item))),
        }
    }
    Ok(Value::Array(out))
}

pub fn host_routes(value: Value) -> Checked {
    let mut out: Vec<Value> = Vec::new();
    if value.is_null() {
        return Ok(json!([]));
    }
    let Some(items) = value.as_array() else {
        return reason(format!("Invalid data format for hostroute: '{}'", shown(&value)));
    };
    for item in items {
        match item.as_object() {
            Some(route) if keys_are(route, &["destination", "nexthop"]) => {
                let route = json!({
                    "destination": cidr(&route["destination"])?.trunc().to_string(),
                    "nexthop": ip(&route["nexthop"])?.to_string(),
                });
                if out.contains(&route) {
                    return reason(format!("Duplicate hostroute '{}'", shown(item)));
                }
                out.push(route);
            }
            _ => return reason(format!("Invalid data format for hostroute: '{}'", shown(item))),
        }
    }
    Ok(Value::Array(out))
}

fn nameservers(value: Value) -> Checked {
    let mut out: Vec<Value> = Vec::new();
    if value.is_null() {
        return Ok(json!([]));
    }
    let Some(items) = value.as_array() else {
        return reason(format!("Invalid data format for nameserver: '{}'", shown(&value)));
    };
    for item in items {
        let Ok(address) = ip(item) else {
            return reason(format!(
                "'{}' is not a valid nameserver. '{}' is not a valid IP address",
                shown(item),
                shown(item)
            ));
        };
        let address = json!(address.to_string());
        if out.contains(&address) {
            return reason(format!("Duplicate nameserver '{}'", shown(item)));
        }
        out.push(address);
    }
    Ok(Value::Array(out))
}

fn labels_are_valid(name: &str) -> Result<(), String> {
    if name.len() > 255 {
        return Err(format!("'{name}' exceeds the 255 character FQDN limit"));
    }
    let trimmed = name.strip_suffix('.').unwrap_or(name);
    for label in trimmed.split('.') {
        let fine = !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-');
        if !fine {
            return Err(format!(
                "'{name}' not a valid PQDN or FQDN. Reason: Name '{label}' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen"
            ));
        }
    }
    if let Some((_, last)) = trimmed.rsplit_once('.')
        && last.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(format!("'{name}' not a valid PQDN or FQDN. Reason: TLD '{last}' must not be all numeric"));
    }
    Ok(())
}

fn dns_name(value: Value) -> Checked {
    if value.is_null() {
        return Ok(json!(""));
    }
    let value = text(value, 255)?;
    let name = value.as_str().unwrap_or_default().to_ascii_lowercase();
    if !name.is_empty() {
        labels_are_valid(&name).map_err(Fault::Reason)?;
    }
    Ok(json!(name))
}

fn dns_domain(value: Value) -> Checked {
    let value = dns_name(value)?;
    Ok(value)
}
