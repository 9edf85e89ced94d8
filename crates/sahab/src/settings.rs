//! Settings: file, environment, flags, in that order of precedence from low to high, over `defaults.toml`.
//!
//! `defaults.toml` is the one list of what exists: its keys are the known keys, its values give the types, its comments
//! are the documentation. An unknown key or a wrong type is an error that names file, line and the nearest known key.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use serde::Deserialize;
use toml::{Table, Value, de::DeTable};

pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Keys whose values are never printed.
const SECRETS: &[&str] = &["identity.admin_password"];

#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub server: Server,
    pub state: State,
    pub log: Log,
    pub host: Host,
    pub identity: Identity,
    pub network: Network,
    pub container: Container,
    pub orchestration: Orchestration,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    pub listen: SocketAddr,
    pub public_url: String,
    pub classic_ports: bool,
    pub tls_certificate: String,
    pub tls_key: String,
    pub max_connections: usize,
    pub head_time: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct State {
    pub dir: std::path::PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Auto,
    Human,
    Json,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Host {
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Identity {
    pub region: String,
    pub token_expiration: u32,
    pub bcrypt_rounds: u32,
    pub admin_password: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Network {
    pub mtu: u32,
    pub dns_domain: String,
    pub external_cidr: ipnet::Ipv4Net,
    pub external_nat: bool,
    pub lan_cidr: ipnet::Ipv4Net,
    pub host_ports: Vec<u16>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Container {
    pub docker_socket: std::path::PathBuf,
    pub plugin_socket: std::path::PathBuf,
    pub availability_zone: String,
    pub execute_timeout: u64,
    pub parallel: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Orchestration {
    pub allow_private_urls: bool,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(String),
    Environment(String),
    Flag,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::File(place) => write!(f, "{place}"),
            Origin::Environment(name) => write!(f, "${name}"),
            Origin::Flag => write!(f, "command line"),
        }
    }
}

/// Settings with the origin of every value.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    values: BTreeMap<String, (Value, Origin)>,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read {file}: {reason}")]
    Unreadable { file: String, reason: std::io::Error },
    #[error("{file}:{line}: {reason}")]
    Syntax { file: String, line: usize, reason: String },
    #[error("{place}: unknown setting \"{key}\"; did you mean \"{nearest}\"?")]
    Unknown { place: String, key: String, nearest: String },
    #[error("{place}: {key} must be {expected}")]
    Type { place: String, key: String, expected: &'static str },
    #[error("{0}")]
    Value(String),
}

impl Loaded {
    /// `environment` and `flags` as (name, value) pairs; flags name keys (`server.listen`).
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Self, SettingsError> {
        let mut values: BTreeMap<String, (Value, Origin)> = BTreeMap::new();
        for (key, value) in flatten(&defaults()?) {
            values.insert(key, (value, Origin::Default));
        }
        if let Some(file) = file {
            let text = std::fs::read_to_string(file)
                .map_err(|reason| SettingsError::Unreadable { file: file.display().to_string(), reason })?;
            read_file(&file.display().to_string(), &text, &mut values)?;
        }
        for (name, text) in environment {
            let Some(rest) = name.strip_prefix("SAHAB_") else { continue };
            let Some(key) = values.keys().find(|key| environment_name(key) == rest).cloned() else {
                // Other variables of this prefix belong to scripts around the program.
                continue;
            };
            let value = parse_as(&key, &text, &values[&key].0, &format!("${name}"))?;
            values.insert(key, (value, Origin::Environment(name)));
        }
        for (key, text) in flags {
            let Some((like, _)) = values.get(*key) else {
                return Err(unknown("command line", key, &values));
            };
            let value = parse_as(key, text, like, "command line")?;
            values.insert((*key).to_owned(), (value, Origin::Flag));
        }
        let settings = typed(&values)?;
        Ok(Loaded { settings, values })
    }

    /// One line a setting: `key = value  # origin`, secrets masked.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (key, (value, origin)) in &self.values {
            let secret = SECRETS.contains(&key.as_str()) && value.as_str() != Some("");
            let shown = if secret { "\"***\"".to_owned() } else { value.to_string() };
            text.push_str(&format!("{:<44} # {origin}\n", format!("{key} = {shown}")));
        }
        text
    }
}

fn defaults() -> Result<Table, SettingsError> {
    DEFAULTS.parse::<Table>().map_err(|error| SettingsError::Value(format!("built-in defaults: {error}")))
}

fn flatten(table: &Table) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for (section, value) in table {
        if let Value::Table(keys) = value {
            out.extend(keys.iter().map(|(key, value)| (format!("{section}.{key}"), value.clone())));
        }
    }
    out
}

fn environment_name(key: &str) -> String {
    key.replace('.', "_").to_uppercase()
}

fn read_file(file: &str, text: &str, values: &mut BTreeMap<String, (Value, Origin)>) -> Result<(), SettingsError> {
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let syntax = |error: toml::de::Error| SettingsError::Syntax {
        file: file.to_owned(),
        line: error.span().map_or(1, |span| line_of(span.start)),
        reason: error.message().to_owned(),
    };
    let spans = DeTable::parse(text).map_err(syntax)?;
    let table: Table = text.parse().map_err(syntax)?;
    for (section, inner) in spans.get_ref() {
        let section_line = line_of(section.span().start);
        let name = section.get_ref().as_ref();
        let known = values.keys().any(|key| key.split('.').next() == Some(name));
        let Some(keys) = inner.get_ref().as_table().filter(|_| known) else {
            return Err(unknown(&format!("{file}:{section_line}"), name, values));
        };
        for (key, _) in keys {
            let place = format!("{file}:{}", line_of(key.span().start));
            let full = format!("{name}.{}", key.get_ref());
            let value = table.get(name).and_then(|section| section.get(key.get_ref().as_ref()));
            let (Some((like, _)), Some(value)) = (values.get(&full), value) else {
                return Err(unknown(&place, &full, values));
            };
            if like.type_str() != value.type_str() {
                return Err(SettingsError::Type { place, key: full, expected: expected(like) });
            }
            values.insert(full, (value.clone(), Origin::File(place)));
        }
    }
    Ok(())
}

fn unknown(place: &str, key: &str, values: &BTreeMap<String, (Value, Origin)>) -> SettingsError {
    let sections = values.keys().filter_map(|key| key.split('.').next());
    let nearest = values
        .keys()
        .map(String::as_str)
        .chain(sections)
        .max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
    SettingsError::Unknown {
        place: place.to_owned(),
        key: key.to_owned(),
        nearest: nearest.unwrap_or_default().to_owned(),
    }
}

fn expected(like: &Value) -> &'static str {
    match like {
        Value::String(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list",
        _ => "of another type",
    }
}

/// Text from the environment or a flag, read as the type of the default.
fn parse_as(key: &str, text: &str, like: &Value, place: &str) -> Result<Value, SettingsError> {
    let wrong = || SettingsError::Type { place: place.to_owned(), key: key.to_owned(), expected: expected(like) };
    match like {
        Value::String(_) => Ok(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().map(Value::Integer).map_err(|_| wrong()),
        Value::Boolean(_) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(Value::Boolean(true)),
            "false" | "0" | "no" => Ok(Value::Boolean(false)),
            _ => Err(wrong()),
        },
        _ => {
            let table = format!("value = {text}").parse::<Table>().map_err(|_| wrong())?;
            table.get("value").filter(|value| value.type_str() == like.type_str()).cloned().ok_or_else(wrong)
        }
    }
}

fn typed(values: &BTreeMap<String, (Value, Origin)>) -> Result<Settings, SettingsError> {
    let mut table = Table::new();
    for (key, (value, origin)) in values {
        let Some((section, name)) = key.split_once('.') else { continue };
        let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(section) = section {
            section.insert(name.to_owned(), value.clone());
        }
        // One value at a time, so that the error can say where the bad one came from.
        check(key, value, origin)?;
    }
    let settings: Settings =
        table.try_into().map_err(|error: toml::de::Error| SettingsError::Value(error.message().to_owned()))?;
    if settings.server.tls_certificate.is_empty() != settings.server.tls_key.is_empty() {
        return Err(SettingsError::Value("server.tls_certificate and server.tls_key must be set together".into()));
    }
    Ok(settings)
}

fn check(key: &str, value: &Value, origin: &Origin) -> Result<(), SettingsError> {
    let bad = |reason: &str| Err(SettingsError::Value(format!("{origin}: {key}: {reason}")));
    let text = value.as_str().unwrap_or_default();
    match key {
        "server.listen" if text.parse::<SocketAddr>().is_err() => {
            bad("not an address with a port, such as 127.0.0.1:5000")
        }
        "network.external_cidr" | "network.lan_cidr" => match text.parse::<ipnet::Ipv4Net>() {
            Ok(net) if net.prefix_len() <= 28 && net.addr() == net.network() => Ok(()),
            _ => bad("not an IPv4 network of at least 16 addresses, such as 172.24.4.0/24"),
        },
        "identity.bcrypt_rounds" if !(4..=31).contains(&value.as_integer().unwrap_or_default()) => {
            bad("must be between 4 and 31")
        }
        "log.format" if !["auto", "human", "json"].contains(&text) => bad("must be auto, human or json"),
        "network.mtu" if !matches!(value.as_integer(), Some(0 | 1280..=9216)) => {
            bad("must be 0 or between 1280 and 9216")
        }
        "identity.token_expiration"
        | "container.execute_timeout"
        | "container.parallel"
        | "server.max_connections"
        | "server.head_time"
            if value.as_integer().is_none_or(|number| number < 1) =>
        {
            bad("must be at least 1")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sahab.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let flags: Vec<_> = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Loaded::load(Some(&path), environment, &flags)
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file = "[server]\nlisten = \"127.0.0.1:1\"\nclassic_ports = true\n";
        let loaded = load(file, &[("SAHAB_SERVER_LISTEN", "127.0.0.1:2"), ("SAHAB_LOG_LEVEL", "debug")], &[]).unwrap();
        assert_eq!(loaded.settings.server.listen.port(), 2);
        assert!(loaded.settings.server.classic_ports);
        assert_eq!(loaded.settings.log.level, "debug");
        let loaded = load(file, &[("SAHAB_SERVER_LISTEN", "127.0.0.1:2")], &[("server.listen", "[::1]:3")]).unwrap();
        assert_eq!(loaded.settings.server.listen.port(), 3);
        assert!(loaded.render().contains("# command line"));
    }

    #[test]
    fn an_unknown_key_names_file_line_and_the_nearest() {
        let text = load("# a\n[server]\nlisen = \"x\"\n", &[], &[]).unwrap_err().to_string();
        assert!(
            text.contains("sahab.toml:3: unknown setting \"server.lisen\"; did you mean \"server.listen\"?"),
            "{text}"
        );
        let text = load("[sever]\n", &[], &[]).unwrap_err().to_string();
        assert!(text.contains("sahab.toml:1") && text.contains("\"server\""), "{text}");
    }

    #[test]
    fn wrong_types_and_values_are_refused_with_their_place() {
        let text = load("[server]\n\nclassic_ports = \"yes\"\n", &[], &[]).unwrap_err().to_string();
        assert!(text.ends_with("sahab.toml:3: server.classic_ports must be true or false"), "{text}");
        let text = load("[network]\nexternal_cidr = \"10.0.0.1/24\"\n", &[], &[]).unwrap_err().to_string();
        assert!(text.contains("sahab.toml:2: network.external_cidr"), "{text}");
        let text = load("[server\n", &[], &[]).unwrap_err().to_string();
        assert!(text.contains("sahab.toml:1: "), "{text}");
        assert!(load("", &[("SAHAB_NETWORK_MTU", "many")], &[]).is_err());
    }

    #[test]
    fn secrets_are_masked() {
        let loaded = load("[identity]\nadmin_password = \"hunter2\"\n", &[], &[]).unwrap();
        assert!(!loaded.render().contains("hunter2"));
    }
}
