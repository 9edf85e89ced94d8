//! The create body: every field under its microversion and within its limits.

use sahab_contract::{
    Result,
    container::{Healthcheck, InjectedFile},
};
use serde_json::{Map, Value};

use super::{
    Arguments,
    fields::{self, Limits},
};
use crate::{
    db::container::{Health, Model, Restart},
    texts,
};

/// A network or port as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetRequest {
    Network { ident: String, fixed_ips: Vec<String> },
    Port { ident: String },
}

/// A parsed create request: the row as far as the request decides it, and what others have to be asked about.
#[derive(Clone, Debug)]
pub struct Create {
    /// `cpu` and `memory` carry the defaults already.
    pub row: Model,
    pub run: bool,
    pub nets: Vec<NetRequest>,
    pub security_groups: Vec<String>,
    pub files: Vec<InjectedFile>,
    pub registry: Option<String>,
    /// The request says something about who pulls when; a rule of its own decides.
    pub chose_pull_policy: bool,
}

/// Values for what the request leaves out.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    pub cpu: f64,
    pub memory: i64,
    pub limits: Limits,
}

const FIELDS: &[&str] = &[
    "name",
    "image",
    "command",
    "entrypoint",
    "cpu",
    "cpu_policy",
    "memory",
    "disk",
    "workdir",
    "environment",
    "labels",
    "auto_remove",
    "runtime",
    "hostname",
    "nets",
    "mounts",
    "restart_policy",
    "interactive",
    "tty",
    "image_driver",
    "image_pull_policy",
    "security_groups",
    "exposed_ports",
    "privileged",
    "healthcheck",
    "availability_zone",
    "hints",
    "auto_heal",
    "registry",
    "host",
    "run",
];

/// Fields that upstream refuses below a microversion. Others are documented with a version that is not enforced.
const SINCE: &[(&str, (u16, u16))] = &[
    ("auto_remove", (1, 3)),
    ("runtime", (1, 5)),
    ("hostname", (1, 9)),
    ("mounts", (1, 11)),
    ("privileged", (1, 21)),
    ("healthcheck", (1, 22)),
    ("exposed_ports", (1, 24)),
    ("registry", (1, 31)),
    ("host", (1, 39)),
    ("entrypoint", (1, 40)),
];

/// Every container costs its bytes many times over: in the database, in the engine, in answers.
const MOST_ITEMS: usize = 256;
const MOST_FILES: usize = 32;
/// Bytes; the kernel takes no single argument longer than this.
const MOST_TEXT: usize = 128 << 10;

pub fn parse(arguments: &Arguments, version: (u16, u16), defaults: &Defaults) -> Result<Create> {
    arguments.only(FIELDS)?;
    let Some(image) = arguments.get("image") else {
        return Err(texts::missing("image"));
    };
    for (field, since) in SINCE {
        if version < *since && arguments.get(field).is_some_and(|value| !empty(value)) {
            return Err(texts::newer_version(field, version, *since));
        }
    }
    let mut row = Model::blank(String::new());
    row.image = fields::image(image)?;
    row.name = match arguments.get("name") {
        Some(value) => fields::name("name", value)?,
        None => random_name(),
    };
    if let Some(value) = arguments.get("command") {
        row.command.0 = command(value, version)?;
    }
    if let Some(value) = arguments.get("entrypoint") {
        row.entrypoint.0 = fields::arguments("entrypoint", value)?;
    }
    resources(&mut row, arguments, defaults)?;
    if let Some(value) = arguments.get("workdir") {
        row.workdir = Some(fields::text("workdir", value, 0, 4096)?).filter(|path| !path.is_empty());
    }
    if let Some(value) = arguments.get("environment") {
        row.environment.0 = fields::environment(value)?;
    }
    if let Some(value) = arguments.get("labels") {
        row.labels.0 = fields::labels(value)?;
    }
    match arguments.0.get("hostname") {
        Some(Value::Null) => return Err(texts::schema("hostname", &Value::Null, "It is not of type 'string'")),
        Some(value) => row.hostname = Some(fields::hostname(value)?),
        None => {}
    }
    behaviour(&mut row, arguments, version)?;
    placement(&mut row, arguments)?;
    let chose_pull_policy = image_source(&mut row, arguments)?;

    let mut security_groups = Vec::new();
    if let Some(value) = arguments.get("security_groups") {
        for item in fields::array("security_groups", value)? {
            let group = fields::text("security_groups", item, 1, 255)?;
            if !security_groups.contains(&group) {
                security_groups.push(group);
            }
        }
    }
    if let Some(value) = arguments.get("exposed_ports") {
        for (key, item) in fields::object("exposed_ports", value)? {
            fields::only("exposed_ports", fields::object("exposed_ports", item)?, &[])?;
            let port = fields::exposed_port(key)?;
            if !row.exposed_ports.0.contains(&port) {
                row.exposed_ports.0.push(port);
            }
        }
        if version >= (1, 20) && !row.exposed_ports.0.is_empty() && !security_groups.is_empty() {
            return Err(texts::invalid_value("Cannot specify both 'security_groups' and 'exposed_ports'"));
        }
    }
    for (field, length) in [("security_groups", security_groups.len()), ("exposed_ports", row.exposed_ports.0.len())] {
        if length > MOST_ITEMS {
            return Err(texts::invalid_value(format!("At most {MOST_ITEMS} {field} can be given.")));
        }
    }
    let texts_size: usize = [&row.environment.0, &row.labels.0, &row.hints.0]
        .into_iter()
        .flatten()
        .map(|(key, value)| key.len() + value.len())
        .chain(row.command.0.iter().chain(&row.entrypoint.0).map(String::len))
        .sum();
    if texts_size > MOST_TEXT {
        return Err(texts::invalid_value(format!(
            "The command, entrypoint, environment, labels and hints have {texts_size} bytes, more than {MOST_TEXT}."
        )));
    }
    let registry = arguments.get("registry").map(|value| fields::text("registry", value, 2, 255)).transpose()?;
    Ok(Create {
        run: arguments.flag("run", false)?,
        nets: arguments.get("nets").map_or(Ok(Vec::new()), nets)?,
        files: arguments.get("mounts").map_or(Ok(Vec::new()), mounts)?,
        row,
        security_groups,
        registry,
        chose_pull_policy,
    })
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        _ => false,
    }
}

/// Text split like a shell below 1.20, a list from there on.
fn command(value: &Value, version: (u16, u16)) -> Result<Vec<String>> {
    match value {
        Value::String(text) if version < (1, 20) => split(text),
        Value::Array(_) if version >= (1, 20) => fields::arguments("command", value),
        _ if version < (1, 20) => Err(texts::schema("command", value, "It is not of type 'string'")),
        _ => Err(texts::schema("command", value, "It is not of type 'array'")),
    }
}

/// Splits like a shell; quotes must close.
pub fn split(text: &str) -> Result<Vec<String>> {
    if text.contains('\0') {
        return Err(texts::invalid_value("The command contains a null character."));
    }
    shlex::split(text).ok_or_else(|| texts::invalid_value("The command has an unfinished quote or escape."))
}

fn resources(row: &mut Model, arguments: &Arguments, defaults: &Defaults) -> Result<()> {
    row.cpu = arguments.get("cpu").map_or(Ok(defaults.cpu), |value| fields::cpu(value, &defaults.limits))?;
    row.memory =
        arguments.get("memory").map_or(Ok(defaults.memory), |value| fields::memory(value, &defaults.limits))?;
    row.disk = arguments.get("disk").map_or(Ok(0), |value| fields::disk(value, &defaults.limits))?;
    match arguments.text("cpu_policy")? {
        None | Some("shared") => Ok(()),
        Some("dedicated") => Err(texts::unsupported("The cpu_policy 'dedicated'")),
        Some(other) => {
            Err(texts::schema("cpu_policy", &Value::from(other), "It is not one of ['dedicated', 'shared']"))
        }
    }
}

fn behaviour(row: &mut Model, arguments: &Arguments, version: (u16, u16)) -> Result<()> {
    if let Some(value) = arguments.get("auto_remove") {
        row.auto_remove =
            value.as_bool().ok_or_else(|| texts::schema("auto_remove", value, "It is not of type 'boolean'"))?;
    }
    row.auto_heal = arguments.strict("auto_heal")?.unwrap_or(false);
    row.interactive = arguments.strict("interactive")?.unwrap_or(false);
    row.privileged = arguments.strict("privileged")?.unwrap_or(false);
    let tty = arguments.strict("tty")?;
    row.tty = match version {
        (1, 20..=35) => row.interactive,
        _ => tty.unwrap_or(false),
    };
    if let Some(value) = arguments.get("restart_policy") {
        row.restart_policy = Some(restart_policy(value)?);
    }
    if row.auto_remove && row.restart_policy.as_ref().is_some_and(|policy| policy.name != "no") {
        return Err(texts::invalid_value("auto_remove and a restart_policy exclude each other."));
    }
    if let Some(value) = arguments.get("healthcheck") {
        row.healthcheck = healthcheck(value)?;
    }
    Ok(())
}

fn restart_policy(value: &Value) -> Result<Restart> {
    let object = fields::object("restart_policy", value)?;
    fields::only("restart_policy", object, &["Name", "MaximumRetryCount"])?;
    let Some(name) = object.get("Name") else {
        return Err(texts::schema("restart_policy", value, "'Name' is a required property"));
    };
    let count = match object.get("MaximumRetryCount") {
        None | Some(Value::Null) => 0,
        Some(count) => fields::count("MaximumRetryCount", count)?,
    };
    match name.as_str() {
        Some("no") => Ok(Restart { name: "no".into(), maximum_retry_count: 0 }),
        Some(name @ ("always" | "unless-stopped")) if count == 0 => {
            Ok(Restart { name: name.into(), maximum_retry_count: 0 })
        }
        Some("always" | "unless-stopped") => Err(texts::invalid_value(
            "maximum retry count must be 0 or absent for the restart policies 'always' and 'unless-stopped'",
        )),
        Some("on-failure") => Ok(Restart { name: "on-failure".into(), maximum_retry_count: count }),
        _ => Err(texts::schema("Name", name, "It is not one of ['no', 'always', 'on-failure', 'unless-stopped']")),
    }
}

fn healthcheck(value: &Value) -> Result<Option<Health>> {
    let object = fields::object("healthcheck", value)?;
    if object.is_empty() {
        return Ok(None);
    }
    fields::only("healthcheck", object, &["cmd", "interval", "retries", "timeout"])?;
    let Some(command) = object.get("cmd") else {
        return Err(texts::schema("healthcheck", value, "'cmd' is a required property"));
    };
    let number = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => fields::count(key, value).map(Some),
    };
    Ok(Some(Health(Healthcheck {
        command: match command.as_str() {
            Some(text) if !text.is_empty() && text.len() <= 4096 && !text.contains('\0') => text.to_owned(),
            _ => return Err(texts::schema("cmd", command, "It is not a command of 1 to 4096 characters")),
        },
        interval_seconds: number("interval")?.map(u64::from),
        timeout_seconds: number("timeout")?.map(u64::from),
        retries: number("retries")?,
    })))
}

fn placement(row: &mut Model, arguments: &Arguments) -> Result<()> {
    let text = |key: &str| arguments.get(key).map(|value| fields::text(key, value, 1, 255)).transpose();
    row.runtime = text("runtime")?;
    row.availability_zone = text("availability_zone")?;
    row.requested_host = text("host")?;
    if let Some(value) = arguments.get("hints") {
        row.hints.0 = fields::texts_by_name("hints", value)?;
        if let Some(key) = row.hints.0.keys().find(|key| !key.starts_with("label:")) {
            return Err(texts::invalid_value(format!(
                "Unknown scheduler hint '{}': only 'label:<name>' is known.",
                key.escape_debug()
            )));
        }
    }
    Ok(())
}

fn image_source(row: &mut Model, arguments: &Arguments) -> Result<bool> {
    match arguments.text("image_driver")? {
        None | Some("docker" | "None") => {}
        Some("glance") => return Err(texts::unsupported("The image_driver 'glance'")),
        Some(other) => {
            return Err(texts::schema("image_driver", &Value::from(other), "It is not one of ['docker', 'glance']"));
        }
    }
    let Some(policy) = arguments.text("image_pull_policy")? else {
        return Ok(false);
    };
    row.image_pull_policy = pull_policy(policy)?;
    Ok(true)
}

pub fn pull_policy(text: &str) -> Result<String> {
    match text {
        "never" | "Never" => Ok("never".into()),
        "always" | "Always" => Ok("always".into()),
        "ifnotpresent" | "IfNotPresent" => Ok("ifnotpresent".into()),
        _ => Err(texts::schema(
            "image_pull_policy",
            &Value::from(text),
            "It is not one of ['never', 'always', 'ifnotpresent']",
        )),
    }
}

fn nets(value: &Value) -> Result<Vec<NetRequest>> {
    let items = fields::array("nets", value)?;
    if items.len() > MOST_ITEMS {
        return Err(texts::invalid_value(format!("At most {MOST_ITEMS} nets can be given.")));
    }
    items.iter().map(net).collect()
}

fn net(value: &Value) -> Result<NetRequest> {
    let object = fields::object("nets", value)?;
    fields::only("nets", object, &["network", "port", "v4-fixed-ip", "v6-fixed-ip"])?;
    let given = |key: &str| object.get(key).filter(|value| !value.is_null() && value.as_str() != Some(""));
    let mut fixed_ips = Vec::new();
    for (key, v6) in [("v4-fixed-ip", false), ("v6-fixed-ip", true)] {
        if let Some(address) = given(key) {
            fixed_ips.push(fields::address(key, address, v6)?);
        }
    }
    match (given("network"), given("port")) {
        (Some(network), None) => {
            Ok(NetRequest::Network { ident: fields::text("network", network, 1, 255)?, fixed_ips })
        }
        (None, Some(port)) if fixed_ips.is_empty() => {
            Ok(NetRequest::Port { ident: fields::text("port", port, 1, 255)? })
        }
        (None, Some(_)) => Err(texts::schema("nets", value, "A port has its addresses already")),
        _ => Err(texts::schema("nets", value, "Exactly one of 'network' and 'port' must be given")),
    }
}

fn mounts(value: &Value) -> Result<Vec<InjectedFile>> {
    let items = fields::array("mounts", value)?;
    if items.len() > MOST_FILES {
        return Err(texts::invalid_value(format!("At most {MOST_FILES} mounts can be given.")));
    }
    let mut files: Vec<InjectedFile> = Vec::new();
    for item in items {
        let object = fields::object("mounts", item)?;
        let file = mount(object, item)?;
        if files.iter().any(|other| other.destination == file.destination) {
            return Err(texts::invalid_value(format!("Two mounts have the destination {}.", file.destination)));
        }
        files.push(file);
    }
    Ok(files)
}

fn mount(object: &Map<String, Value>, item: &Value) -> Result<InjectedFile> {
    fields::only("mounts", object, &["type", "source", "destination", "size"])?;
    match object.get("type").filter(|value| !value.is_null()).map(|kind| (kind, kind.as_str())) {
        Some((_, Some("bind"))) => {}
        None | Some((_, Some("volume"))) => return Err(texts::unsupported("A mount of the type 'volume'")),
        Some((kind, _)) => return Err(texts::schema("type", kind, "It is not one of ['volume', 'bind']")),
    }
    let Some(destination) = object.get("destination") else {
        return Err(texts::schema("mounts", item, "'destination' is a required property"));
    };
    if object.get("size").is_some_and(|size| !size.is_null()) {
        return Err(texts::invalid_value("A mount of the type 'bind' has no size."));
    }
    let Some(source) = object.get("source").and_then(Value::as_str).filter(|source| !source.is_empty()) else {
        return Err(texts::schema("destination", destination, "A mount of the type 'bind' needs a 'source'"));
    };
    Ok(InjectedFile {
        destination: fields::absolute_path("destination", destination)?,
        content: fields::base64("source of the mount", source)?,
    })
}

/// `<greek letter>-<1..24>-container`
fn random_name() -> String {
    const LETTERS: [&str; 24] = [
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
        "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    ];
    let letter = LETTERS[rand::random_range(0..LETTERS.len())];
    format!("{letter}-{}-container", rand::random_range(1..=24))
}

#[cfg(test)]
mod tests;
