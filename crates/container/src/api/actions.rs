//! Actions on a container that become tasks, and their record.

use sahab_api::{Request, Response};
use sahab_contract::Result;
use serde_json::{Value, json};

use crate::{
    ContainerService,
    db::container::Model,
    family,
    request::{Arguments, create::NetRequest, fields},
    state::Action,
    texts, view,
};

fn accepted() -> Response {
    Response::accepted(Value::Null)
}

async fn power(service: ContainerService, request: Request, action: Action, with: Value) -> Result<Response> {
    service.power(&request.context, request.param("id"), action, with).await?;
    Ok(accepted())
}

async fn plain(service: ContainerService, mut request: Request, action: Action) -> Result<Response> {
    Arguments::read(&mut request)?.only(&[])?;
    power(service, request, action, Value::Null).await
}

async fn timed(service: ContainerService, mut request: Request, action: Action) -> Result<Response> {
    let mut arguments = Arguments::read(&mut request)?;
    arguments.only(&["timeout"])?;
    if arguments.0.get("timeout") == Some(&json!("")) {
        arguments.0.remove("timeout");
    }
    // A day is long enough for any goodbye.
    let timeout = arguments.integer("timeout", 0, 86_400)?;
    power(service, request, action, json!({ "timeout": timeout })).await
}

pub async fn start(service: ContainerService, request: Request) -> Result<Response> {
    plain(service, request, Action::Start).await
}
pub async fn stop(service: ContainerService, request: Request) -> Result<Response> {
    timed(service, request, Action::Stop).await
}
pub async fn reboot(service: ContainerService, request: Request) -> Result<Response> {
    timed(service, request, Action::Reboot).await
}
pub async fn pause(service: ContainerService, request: Request) -> Result<Response> {
    plain(service, request, Action::Pause).await
}
pub async fn unpause(service: ContainerService, request: Request) -> Result<Response> {
    plain(service, request, Action::Unpause).await
}

pub async fn kill(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["signal"])?;
    let signal = match arguments.text("signal")?.filter(|text| *text != "None") {
        Some(text) => Some(signal(text)?),
        None => None,
    };
    power(service, request, Action::Kill, json!({ "signal": signal })).await
}

/// Name with or without `SIG`, in either case, or number of a Linux signal.
fn signal(text: &str) -> Result<String> {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ];
    let refuse = || texts::schema("signal", &Value::from(text), "It is not a signal");
    if let Ok(number) = text.parse::<u8>() {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        return if plain && (1..=64).contains(&number) { Ok(number.to_string()) } else { Err(refuse()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = name.strip_prefix("RTMIN+").and_then(|offset| offset.parse::<u8>().ok());
    let known = NAMES.contains(&name)
        || ["IOT", "CLD", "POLL", "RTMIN", "RTMAX"].contains(&name)
        || real_time.is_some_and(|offset| offset <= 30);
    if known { Ok(format!("SIG{name}")) } else { Err(refuse()) }
}

pub async fn rebuild(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["image", "image_driver"])?;
    match arguments.text("image_driver")? {
        None | Some("docker" | "") => {}
        Some("glance") => return Err(texts::unsupported("The image_driver 'glance'")),
        Some(other) => return Err(texts::schema("image_driver", &Value::from(other), "It is not a known driver")),
    }
    let image = arguments.get("image").filter(|image| image.as_str() != Some("")).map(fields::image).transpose()?;
    service.rebuild(&request.context, request.param("id"), image).await?;
    Ok(accepted())
}

pub async fn rename(service: ContainerService, mut request: Request) -> Result<Response> {
    family::require(&request, (1, 1), (1, 13), "Update the container's name instead.")?;
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["name"])?;
    let name = arguments.get("name").ok_or_else(|| texts::missing("name"))?;
    let name = fields::name("name", name)?;
    let row = service.rename(&request.context, request.param("id"), name).await?;
    Ok(Response::ok(service.render(&request, &row)))
}

pub async fn add_security_group(service: ContainerService, request: Request) -> Result<Response> {
    security_group(service, request, Action::AddSecurityGroup).await
}
pub async fn remove_security_group(service: ContainerService, request: Request) -> Result<Response> {
    security_group(service, request, Action::RemoveSecurityGroup).await
}

async fn security_group(service: ContainerService, mut request: Request, action: Action) -> Result<Response> {
    family::require(&request, (1, 1), (1, 14), "Use Neutron: change the security groups of the container's port.")?;
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["name"])?;
    let group = arguments.required("name")?;
    service.change_security_group(&request.context, request.param("id"), action, group).await?;
    Ok(accepted())
}

pub async fn network_attach(service: ContainerService, mut request: Request) -> Result<Response> {
    family::require(&request, (1, 8), family::MAXIMUM, "")?;
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["network", "port", "fixed_ip"])?;
    let mut fixed_ips = Vec::new();
    if let Some(value) = arguments.get("fixed_ip").filter(|value| value.as_str() != Some("")) {
        let v6 = value.as_str().is_some_and(|text| text.contains(':'));
        fixed_ips.push(fields::address("fixed_ip", value, v6)?);
    }
    let net = match (arguments.text("network")?, arguments.text("port")?) {
        (Some(_), Some(_)) => return Err(texts::invalid_value("Only one of network and port can be given.")),
        (Some(network), None) => Some(NetRequest::Network { ident: network.to_owned(), fixed_ips }),
        (None, _) if !fixed_ips.is_empty() => {
            return Err(texts::invalid_value("A fixed_ip needs the network that it is on."));
        }
        (None, Some(port)) => Some(NetRequest::Port { ident: port.to_owned() }),
        (None, None) => None,
    };
    service.attach_network(&request.context, request.param("id"), net).await?;
    Ok(Response::ok(Value::Null))
}

pub async fn network_detach(service: ContainerService, mut request: Request) -> Result<Response> {
    family::require(&request, (1, 6), family::MAXIMUM, "")?;
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["network", "port"])?;
    let net = match (arguments.text("network")?, arguments.text("port")?) {
        (Some(network), None) => NetRequest::Network { ident: network.to_owned(), fixed_ips: Vec::new() },
        (None, Some(port)) => NetRequest::Port { ident: port.to_owned() },
        _ => return Err(texts::invalid_value("Exactly one of network and port must be given.")),
    };
    service.detach_network(&request.context, request.param("id"), net).await?;
    Ok(accepted())
}

pub async fn network_list(service: ContainerService, request: Request) -> Result<Response> {
    family::require(&request, (1, 13), family::MAXIMUM, "")?;
    let row = service.list_networks(&request.context, request.param("id")).await?;
    let networks = if request.version() >= (1, 18) { by_port(&row) } else { by_address(&row) };
    Ok(Response::ok(json!({ "networks": networks })))
}

fn by_port(row: &Model) -> Vec<Value> {
    let nets = row.nets.0.iter().filter(|net| !net.addresses.is_empty());
    nets.map(|net| {
        let ips = net.addresses.iter().map(|address| {
            json!({"subnet_id": address.subnet_id, "version": view::version(&address.addr), "ip_address": address.addr})
        });
        json!({"net_id": net.network_id, "port_id": net.port_id, "fixed_ips": ips.collect::<Vec<_>>()})
    })
    .collect()
}

fn by_address(row: &Model) -> Vec<Value> {
    let nets = row.nets.0.iter();
    nets.flat_map(|net| {
        net.addresses.iter().map(move |address| {
            json!({
                "net_id": net.network_id, "subnet_id": address.subnet_id, "port_id": net.port_id,
                "version": view::version(&address.addr), "ip_address": address.addr,
            })
        })
    })
    .collect()
}

pub async fn list(service: ContainerService, request: Request) -> Result<Response> {
    let actions = service.actions(&request.context, request.param("id")).await?;
    let shown: Vec<_> = actions.iter().map(|row| Value::Object(view::action(row, request.version()))).collect();
    Ok(Response::ok(json!({ "containerActions": shown })))
}

pub async fn show(service: ContainerService, request: Request) -> Result<Response> {
    let (action, events, traceback) =
        service.action(&request.context, request.param("id"), request.param("request")).await?;
    let mut shown = view::action(&action, request.version());
    let events: Vec<_> = events.iter().map(|event| view::event(event, traceback)).collect();
    shown.insert("events".into(), json!(events));
    Ok(Response::ok(Value::Object(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals() {
        for (text, expected) in
            [("SIGKILL", "SIGKILL"), ("kill", "SIGKILL"), ("sigterm", "SIGTERM"), ("9", "9"), ("RTMIN+3", "SIGRTMIN+3")]
        {
            assert_eq!(signal(text).unwrap(), expected);
        }
        for bad in ["", "SIGNOPE", "0", "65", "-9", "+9", "SIGSIGKILL", "KILL\n"] {
            assert!(signal(bad).is_err(), "{bad:?}");
        }
    }
}
