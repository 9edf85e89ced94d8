//! What the container service asks of the network service, through its REST API in process.
//!
//! Look-ups run as the user, so that rights and visibility are the user's; ports and the exposed ports' group are made,
//! bound and taken away by the program itself in the container's project. Ids are chosen and recorded before anything
//! is made, so every call here may be repeated.

use std::net::IpAddr;

use futures_util::future::try_join_all;
use http::Method;
use sahab_contract::{
    Error, Kind, RequestContext, Result,
    cloud::{Call, escape},
    container::Attachment,
};
use serde_json::{Value, json};

use crate::{
    ContainerService,
    db::container::{Address, Model, Net},
    request::{create::NetRequest, fields::is_uuid},
    texts,
};

const SERVICE: &str = "network";
const OWNER: &str = "compute:kuryr";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl ContainerService {
    async fn ask(&self, context: &RequestContext, call: Call) -> Result<Value> {
        Ok(self.cloud.call(context, call).await?.body)
    }

    /// One object by uuid or by exact name among those the user sees.
    async fn look_up(
        &self,
        context: &RequestContext,
        collection: &str,
        what: &'static str,
        code: &'static str,
        ident: &str,
    ) -> Result<Value> {
        let member = collection.trim_end_matches('s').replace('-', "_");
        if is_uuid(ident) {
            let call = Call::get(SERVICE, format!("/v2.0/{collection}/{}", escape(ident)));
            match self.ask(context, call).await {
                Ok(mut body) => return Ok(body[&member].take()),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let list = collection.replace('-', "_");
        let call = Call::get(SERVICE, format!("/v2.0/{collection}?name={}", escape(ident)));
        let mut body = self.ask(context, call).await?;
        let mut found = body[&list].as_array_mut().map(std::mem::take).unwrap_or_default();
        if found.len() > 1 {
            // An administrator sees everybody's: the own project's comes first.
            let own = context.project_id().unwrap_or_default();
            found.retain(|item| item["project_id"] == own);
            if found.len() != 1 {
                return Err(texts::ambiguous(what, ident));
            }
        }
        found.pop().ok_or_else(|| texts::not_found(code, capitalised(what), ident))
    }

    pub(crate) async fn find_network(&self, context: &RequestContext, ident: &str) -> Result<Value> {
        self.look_up(context, "networks", "network", "network-not-found", ident).await
    }

    pub(crate) async fn find_port(&self, context: &RequestContext, ident: &str) -> Result<Value> {
        self.look_up(context, "ports", "port", "port-not-found", ident).await
    }

    /// Ids of the groups named.
    pub(crate) async fn find_groups(&self, context: &RequestContext, idents: &[String]) -> Result<Vec<String>> {
        let mut ids = Vec::with_capacity(idents.len());
        for ident in idents {
            let group = self
                .look_up(context, "security-groups", "security group", "security-group-not-found", ident)
                .await
                .map_err(|error| match error.kind() {
                    Kind::NotFound => texts::invalid_value(format!("Security group {ident} not found.")),
                    _ => error,
                })?;
            let id = text(&group["id"]);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// The project's own oldest network that is not shared, else the oldest shared one.
    async fn default_network(&self, context: &RequestContext) -> Result<Value> {
        let project = context.require_project()?;
        let own = format!("/v2.0/networks?project_id={}&shared=false", escape(project));
        for path in [own.as_str(), "/v2.0/networks?shared=true"] {
            let call = Call::get(SERVICE, format!("{path}&sort_key=created_at&sort_dir=asc&limit=1"));
            let mut body = self.ask(context, call).await?;
            let found = body["networks"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let oldest = found.into_iter().min_by_key(|network| text(&network["created_at"]));
            if let Some(network) = oldest {
                return Ok(network);
            }
        }
        Err(texts::conflict("There is no neutron network available"))
    }

    /// Turns what the user named into ports-to-be, with ids chosen. Nothing is made.
    pub(crate) async fn resolve_nets(&self, context: &RequestContext, requests: &[NetRequest]) -> Result<Vec<Net>> {
        let mut nets = Vec::with_capacity(requests.len().max(1));
        for request in requests {
            nets.push(self.resolve_net(context, request).await?);
        }
        if requests.is_empty() {
            let network = self.default_network(context).await?;
            nets.push(self.net_on(context, &network, Vec::new())?);
        }
        for (index, net) in nets.iter().enumerate() {
            if nets[..index].iter().any(|other| other.network_id == net.network_id) {
                return Err(texts::invalid_value(format!(
                    "Network {} is given twice; a container joins a network once.",
                    net.network_id
                )));
            }
        }
        Ok(nets)
    }

    pub(crate) async fn resolve_net(&self, context: &RequestContext, request: &NetRequest) -> Result<Net> {
        match request {
            NetRequest::Network { ident, fixed_ips } => {
                let network = self.find_network(context, ident).await?;
                self.net_on(context, &network, fixed_ips.clone())
            }
            NetRequest::Port { ident } => {
                let port = self.find_port(context, ident).await?;
                usable(context, &port)?;
                Ok(Net {
                    network_id: text(&port["network_id"]),
                    port_id: text(&port["id"]),
                    preserve: true,
                    ..Net::default()
                })
            }
        }
    }

    pub(crate) async fn resolve_default_net(&self, context: &RequestContext) -> Result<Net> {
        let network = self.default_network(context).await?;
        self.net_on(context, &network, Vec::new())
    }

    fn net_on(&self, context: &RequestContext, network: &Value, fixed_ips: Vec<String>) -> Result<Net> {
        let id = text(&network["id"]);
        let external = network["router:external"] == true && network["shared"] != true;
        let rule = "network:attach_external_network";
        if external && !self.may(context, rule, context.project_id().unwrap_or_default()) {
            return Err(Error::forbidden(
                "external-network-attach-forbidden",
                format!("It is not allowed to create an interface on external network {id}"),
            ));
        }
        let port_id = uuid::Uuid::new_v4().to_string();
        Ok(Net { network_id: id, port_id, fixed_ips, ..Net::default() })
    }

    /// Makes (or takes over) and binds one port; returns it with its MAC and addresses.
    pub(crate) async fn bind_port(&self, program: &RequestContext, row: &Model, net: &Net, host: &str) -> Result<Net> {
        let path = format!("/v2.0/ports/{}", net.port_id);
        let claim = json!({"device_id": row.uuid, "device_owner": OWNER, "binding:host_id": host});
        let body = if net.preserve {
            let call = Call::get(SERVICE, &path);
            let port = self.ask(program, call).await?["port"].take();
            if !matches!(port["device_id"].as_str(), None | Some("")) && port["device_id"] != row.uuid.as_str() {
                return Err(Error::invalid("port-in-use", format!("Port {} is still in use.", net.port_id)));
            }
            self.ask(program, Call::put(SERVICE, &path, json!({ "port": claim }))).await?
        } else {
            let mut port = claim.clone();
            port["network_id"] = json!(net.network_id);
            port["project_id"] = json!(row.project_id);
            if !net.fixed_ips.is_empty() {
                port["fixed_ips"] = net.fixed_ips.iter().map(|ip| json!({ "ip_address": ip })).collect();
            }
            let groups = row.port_groups();
            if !groups.is_empty() {
                port["security_groups"] = json!(groups);
            }
            let context = program.with_preset_id(&net.port_id);
            match self.ask(&context, Call::post(SERVICE, "/v2.0/ports", json!({ "port": port }))).await {
                Ok(body) => body,
                Err(error) if error.is_conflict() => match self.ask(program, Call::get(SERVICE, &path)).await {
                    // Made by an earlier run of this step; the host may be another one since.
                    Ok(_) => self.ask(program, Call::put(SERVICE, &path, json!({ "port": claim }))).await?,
                    Err(_) => return Err(error),
                },
                Err(error) => return Err(error),
            }
        };
        let port = &body["port"];
        let addresses = port["fixed_ips"].as_array().into_iter().flatten();
        Ok(Net {
            mac: text(&port["mac_address"]),
            addresses: addresses
                .map(|fixed| Address { addr: text(&fixed["ip_address"]), subnet_id: text(&fixed["subnet_id"]) })
                .collect(),
            ..net.clone()
        })
    }

    /// Deletes our port, gives the user's port back. What is gone already is fine.
    pub(crate) async fn release_port(&self, program: &RequestContext, container: &str, net: &Net) -> Result<()> {
        let path = format!("/v2.0/ports/{}", net.port_id);
        let call = if net.preserve {
            match self.ask(program, Call::get(SERVICE, &path)).await {
                // Somebody else has it by now.
                Ok(body) if body["port"]["device_id"] != container => return Ok(()),
                Ok(_) => {}
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error),
            }
            let empty = json!({"device_id": "", "device_owner": "", "binding:host_id": null, "binding:profile": {}});
            Call::put(SERVICE, path, json!({ "port": empty }))
        } else {
            Call::delete(SERVICE, path)
        };
        gone_is_fine(self.ask(program, call).await)
    }

    pub(crate) async fn release_ports(&self, program: &RequestContext, row: &Model) -> Result<()> {
        try_join_all(row.nets.0.iter().map(|net| self.release_port(program, &row.uuid, net))).await?;
        if let Some(group) = &row.exposed_group {
            let call = Call::delete(SERVICE, format!("/v2.0/security-groups/{group}"));
            gone_is_fine(self.ask(program, call).await)?;
        }
        Ok(())
    }

    /// The group that opens the exposed ports to everybody (and nothing else).
    pub(crate) async fn make_exposed_group(&self, program: &RequestContext, row: &Model) -> Result<()> {
        let Some(group) = &row.exposed_group else { return Ok(()) };
        let body = json!({"security_group": {
            "name": format!("zun-{}", row.uuid), "project_id": row.project_id,
            "description": "Ports that a container exposes",
        }});
        let call = Call::post(SERVICE, "/v2.0/security-groups", body);
        self.once(&program.with_preset_id(group), call, &format!("/v2.0/security-groups/{group}")).await?;
        for port in &row.exposed_ports.0 {
            let Some((number, protocol)) = port.split_once('/') else { continue };
            let Ok(number) = number.parse::<u16>() else { continue };
            // A rule's id follows from its group and port, so that a repeated step finds its own.
            let seed = uuid::Uuid::try_parse(group).unwrap_or_default();
            let id = uuid::Uuid::new_v5(&seed, port.as_bytes()).to_string();
            let body = json!({"security_group_rule": {
                "security_group_id": group, "project_id": row.project_id, "direction": "ingress", "ethertype": "IPv4",
                "protocol": protocol, "port_range_min": number, "port_range_max": number,
                "remote_ip_prefix": "0.0.0.0/0",
            }});
            let call = Call::post(SERVICE, "/v2.0/security-group-rules", body);
            self.once(&program.with_preset_id(&id), call, &format!("/v2.0/security-group-rules/{id}")).await?;
        }
        Ok(())
    }

    /// A create whose conflict means "done before" when the object is there.
    async fn once(&self, context: &RequestContext, call: Call, path: &str) -> Result<()> {
        match self.ask(context, call).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_conflict() => match self.ask(context, Call::get(SERVICE, path)).await {
                Ok(_) => Ok(()),
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// What the host needs to plug the container in; the first net is the primary one.
    pub(crate) async fn attachments(&self, program: &RequestContext, row: &Model) -> Result<Vec<Attachment>> {
        let subnets: Vec<_> =
            row.nets.0.iter().flat_map(|net| &net.addresses).map(|address| address.subnet_id.as_str()).collect();
        let servers = self.name_servers(program, &subnets).await?;
        Ok(row
            .nets
            .0
            .iter()
            .enumerate()
            .map(|(index, net)| Attachment {
                network_id: net.network_id.clone(),
                port_id: net.port_id.clone(),
                mac: net.mac.clone(),
                addresses: net.addresses.iter().filter_map(|address| address.addr.parse().ok()).collect(),
                primary: index == 0,
                aliases: aliases(row),
                dns: servers
                    .iter()
                    .filter(|(subnet, _)| net.addresses.iter().any(|address| address.subnet_id == *subnet))
                    .flat_map(|(_, servers)| servers.clone())
                    .collect(),
            })
            .collect())
    }

    async fn name_servers(&self, program: &RequestContext, subnets: &[&str]) -> Result<Vec<(String, Vec<IpAddr>)>> {
        if subnets.is_empty() {
            return Ok(Vec::new());
        }
        let query: Vec<_> = subnets.iter().map(|id| format!("id={}", escape(id))).collect();
        let call = Call::get(SERVICE, format!("/v2.0/subnets?{}", query.join("&")));
        let body = self.ask(program, call).await?;
        let found = body["subnets"].as_array().into_iter().flatten();
        Ok(found
            .map(|subnet| {
                let servers = subnet["dns_nameservers"].as_array().into_iter().flatten();
                (text(&subnet["id"]), servers.filter_map(|server| server.as_str()?.parse().ok()).collect())
            })
            .collect())
    }

    /// Adds the group to (or takes it from) every port of the container.
    pub(crate) async fn change_group(
        &self,
        program: &RequestContext,
        row: &Model,
        group: &str,
        add: bool,
    ) -> Result<()> {
        for net in &row.nets.0 {
            let path = format!("/v2.0/ports/{}", net.port_id);
            let body = self.ask(program, Call::get(SERVICE, &path)).await?;
            let before = body["port"]["security_groups"].as_array().cloned().unwrap_or_default();
            let mut groups: Vec<_> = before.iter().filter(|id| *id != group).cloned().collect();
            if add {
                groups.push(json!(group));
            }
            if groups.len() != before.len() {
                let change = json!({"port": {"security_groups": groups}});
                self.ask(program, Call::new(SERVICE, Method::PUT, &path).body(change)).await?;
            }
        }
        Ok(())
    }
}

fn gone_is_fine(outcome: Result<Value>) -> Result<()> {
    match outcome {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

fn capitalised(what: &'static str) -> &'static str {
    match what {
        "network" => "Network",
        "port" => "Port",
        _ => "Security group",
    }
}

/// A port that the user brings must be the project's and free.
fn usable(context: &RequestContext, port: &Value) -> Result<()> {
    let id = text(&port["id"]);
    if port["project_id"].as_str() != context.project_id() {
        return Err(Error::invalid("port-not-usable", format!("Port {id} not usable for the container.")));
    }
    if !matches!(port["device_id"].as_str(), None | Some("")) {
        return Err(Error::invalid("port-in-use", format!("Port {id} is still in use.")));
    }
    if port["binding:vif_type"] == "binding_failed" {
        return Err(Error::invalid("port-binding-failed", format!("Binding failed for port {id}.")));
    }
    if matches!(port["status"].as_str(), Some("ACTIVE" | "BUILD" | "ERROR")) {
        return Err(Error::invalid("port-not-usable", format!("Port {id} not usable for the container.")));
    }
    Ok(())
}

/// Names that resolve to the container inside its networks: its name and its host name, as valid DNS labels.
fn aliases(row: &Model) -> Vec<String> {
    let mut names = Vec::new();
    for name in [Some(&row.name), row.hostname.as_ref()].into_iter().flatten() {
        let label = dns_label(name);
        if !label.is_empty() && !names.contains(&label) {
            names.push(label);
        }
    }
    names
}

fn dns_label(name: &str) -> String {
    let mut label: String = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .collect();
    label.truncate(63);
    label.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_dns_labels() {
        assert_eq!(dns_label("Web_1.a"), "web-1-a");
        assert_eq!(dns_label("-a\nb-"), "a-b");
        assert!(dns_label(&"x".repeat(100)).len() <= 63);
        let mut row = Model::blank("u".into());
        row.name = "db".into();
        row.hostname = Some("DB".into());
        assert_eq!(aliases(&row), ["db"]);
    }
}
