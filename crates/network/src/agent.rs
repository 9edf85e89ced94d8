//! The host's agents as Neutron's clients know them, and which networks and routers they hold.
//!
//! One process does the work of upstream's three agents; they are shown apart because clients look for their types. No
//! DHCP server runs (addresses are given to containers directly), so no `network:dhcp` port takes an address; the DHCP
//! agent only says where a network's addresses are served from.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::OnConflict,
};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService,
    attribute::check,
    db::{self, CHUNK, agent_binding, agent_state, floatingip, port_table, subnet},
    error::{agent_not_found, bad_request, invalid_attribute, invalid_input, not_authorized},
    network, port, resource,
    resource::{Change, View},
    router, view,
};

/// Ids of the host's agents; the same after every start.
#[derive(Clone, Debug)]
pub struct Agents {
    pub dhcp: String,
    pub l3: String,
    pub bridge: String,
    pub started_at: DateTime<Utc>,
}

impl Agents {
    pub fn of(host: &str) -> Self {
        let id = |kind: &str| {
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("sahab:agent:{kind}:{host}").as_bytes()).to_string()
        };
        Agents { dhcp: id("dhcp"), l3: id("l3"), bridge: id("bridge"), started_at: now() }
    }
}

pub const DHCP_AGENT: &str = "DHCP agent";
pub const L3_AGENT: &str = "L3 agent";
const BRIDGE_AGENT: &str = "Linux bridge agent";

/// Which of the objects an agent holds.
pub async fn hosted(connection: &impl ConnectionTrait, agent: &str, ids: &[&str]) -> Result<HashSet<String>> {
    let mut out = HashSet::new();
    for ids in ids.chunks(CHUNK) {
        let rows: Vec<String> = agent_binding::Entity::find()
            .select_only()
            .column(agent_binding::Column::ObjectId)
            .filter(agent_binding::Column::AgentId.eq(agent))
            .filter(agent_binding::Column::ObjectId.is_in(ids.iter().copied()))
            .into_tuple()
            .all(connection)
            .await?;
        out.extend(rows);
    }
    Ok(out)
}

async fn held(connection: &impl ConnectionTrait, agent: &str) -> Result<Vec<String>> {
    Ok(agent_binding::Entity::find()
        .select_only()
        .column(agent_binding::Column::ObjectId)
        .filter(agent_binding::Column::AgentId.eq(agent))
        .into_tuple()
        .all(connection)
        .await?)
}

async fn bind(connection: &impl ConnectionTrait, agent: &str, object: &str) -> Result<bool> {
    if !hosted(connection, agent, &[object]).await?.is_empty() {
        return Ok(false);
    }
    db::insert(connection, agent_binding::Model { agent_id: agent.to_owned(), object_id: object.to_owned() }).await?;
    Ok(true)
}

/// Schedules a network with DHCP to the host.
pub async fn host_network(change: &Change<'_>, network: &str) -> Result<()> {
    bind(&change.txn, &change.service.agents().dhcp, network).await?;
    Ok(())
}

/// Schedules a router to the host.
pub async fn host_router(change: &Change<'_>, router: &str) -> Result<()> {
    bind(&change.txn, &change.service.agents().l3, router).await?;
    Ok(())
}

/// The object is gone.
pub async fn forget(connection: &impl ConnectionTrait, object: &str) -> Result<()> {
    agent_binding::Entity::delete_many().filter(agent_binding::Column::ObjectId.eq(object)).exec(connection).await?;
    Ok(())
}

async fn count(connection: &impl ConnectionTrait, owners: &[&str]) -> Result<u64> {
    let query = port_table::Entity::find().filter(port_table::Column::DeviceOwner.is_in(owners.iter().copied()));
    Ok(query.count(connection).await?)
}

/// All agents, without asking who wants to know.
pub async fn views(service: &NetworkService) -> Result<Vec<View>> {
    let connection = service.database.read();
    let agents = service.agents();
    let subnets = subnet::Entity::find().filter(subnet::Column::EnableDhcp.eq(true)).count(connection).await?;
    let ports = port_table::Entity::find().count(connection).await?;
    let dhcp = json!({
        "dhcp_driver": "sahab", "dhcp_lease_duration": 86400, "log_agent_heartbeats": false,
        "networks": held(connection, &agents.dhcp).await?.len(), "subnets": subnets, "ports": ports,
    });
    let l3 = json!({
        "agent_mode": "legacy", "handle_internal_only_routers": true, "log_agent_heartbeats": false,
        "interface_driver": "sahab", "routers": held(connection, &agents.l3).await?.len(),
        "ex_gw_ports": count(connection, &[port::ROUTER_GATEWAY]).await?,
        "interfaces": count(connection, &[port::ROUTER_INTERFACE]).await?,
        "floating_ips": floatingip::Entity::find().count(connection).await?,
    });
    let host = service.settings.host.as_str();
    let devices = port_table::Entity::find().filter(port_table::Column::Host.eq(host)).count(connection).await?;
    let bridge = json!({
        "tunnel_types": ["vxlan"], "tunneling_ip": "", "l2_population": true, "bridge_mappings": {}, "devices": devices,
    });
    let states = agent_state::Entity::find().all(connection).await?;
    let zone = service.settings.availability_zone.as_str();
    let rows = [
        (&agents.bridge, BRIDGE_AGENT, "neutron-linuxbridge-agent", "N/A", None, bridge),
        (&agents.dhcp, DHCP_AGENT, "neutron-dhcp-agent", "dhcp_agent", Some(zone), dhcp),
        (&agents.l3, L3_AGENT, "neutron-l3-agent", "l3_agent", Some(zone), l3),
    ];
    let stamp = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M:%S").to_string();
    let views = rows.into_iter().map(|(id, kind, binary, topic, zone, configurations)| {
        let state = states.iter().find(|row| row.id == *id);
        let mut out = Map::new();
        view::put(&mut out, "id", id);
        view::put(&mut out, "agent_type", kind);
        view::put(&mut out, "binary", binary);
        view::put(&mut out, "topic", topic);
        view::put(&mut out, "host", host);
        view::put(&mut out, "admin_state_up", state.is_none_or(|row| row.admin_state_up));
        view::put(&mut out, "created_at", stamp(state.map_or(agents.started_at, |row| row.created_at)));
        view::put(&mut out, "started_at", stamp(agents.started_at));
        view::put(&mut out, "heartbeat_timestamp", stamp(now()));
        view::put(&mut out, "description", state.map(|row| row.description.as_str()));
        view::put(&mut out, "resources_synced", Value::Null);
        view::put(&mut out, "availability_zone", zone);
        view::put(&mut out, "alive", true);
        view::put(&mut out, "configurations", configurations);
        out
    });
    Ok(views.collect())
}

fn may(service: &NetworkService, context: &RequestContext, rule: &str) -> Result<bool> {
    context.auth()?;
    Ok(service.enforcer.allows(context, rule, &json!({})))
}

/// Nothing for who may not know.
pub async fn list(service: &NetworkService, context: &RequestContext) -> Result<Vec<View>> {
    if !may(service, context, "get_agent")? {
        return Ok(Vec::new());
    }
    views(service).await
}

pub async fn show(service: &NetworkService, context: &RequestContext, id: &str) -> Result<View> {
    let all = list(service, context).await?;
    all.into_iter().find(|agent| agent["id"] == id).ok_or_else(|| agent_not_found(id))
}

pub async fn update(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    body: Map<String, Value>,
) -> Result<View> {
    let before = show(service, context, id).await?;
    let mut state = agent_state::Model {
        id: id.to_owned(),
        agent_type: before["agent_type"].as_str().unwrap_or_default().to_owned(),
        host: service.settings.host.clone(),
        admin_state_up: before["admin_state_up"] == true,
        description: before["description"].as_str().unwrap_or_default().to_owned(),
        created_at: service.agents().started_at,
        started_at: service.agents().started_at,
    };
    for (name, value) in body {
        match name.as_str() {
            "admin_state_up" => {
                let flag = check::boolean(value.clone())
                    .map_err(|_| invalid_input(format!("'{}' cannot be converted to boolean", check::shown(&value))))?;
                state.admin_state_up = flag == true;
            }
            "description" => match value {
                Value::Null => state.description.clear(),
                Value::String(text) if text.len() <= 255 => state.description = text,
                other => {
                    return Err(invalid_attribute(
                        "description",
                        format!("'{}' is not a valid string", check::shown(&other)),
                    ));
                }
            },
            other if before.contains_key(other) => {
                return Err(bad_request(format!("Cannot update read-only attribute {other}")));
            }
            other => return Err(bad_request(format!("Unrecognized attribute(s) '{other}'"))),
        }
    }
    let change = Change::begin(service, context).await?;
    let key = OnConflict::column(agent_state::Column::Id)
        .update_columns([agent_state::Column::AdminStateUp, agent_state::Column::Description])
        .to_owned();
    agent_state::Entity::insert(IntoActiveModel::<agent_state::ActiveModel>::into_active_model(state))
        .on_conflict(key)
        .exec_without_returning(&change.txn)
        .await?;
    change.commit().await?;
    show(service, context, id).await
}

/// The host's agent cannot be deleted while it runs, and it always runs.
pub async fn delete(service: &NetworkService, context: &RequestContext, id: &str) -> Result<()> {
    show(service, context, id).await?;
    Err(Error::conflict("AgentInUse", format!("Agent {id} is alive and cannot be deleted.")))
}

/// Agents of one type that hold an object which the caller sees.
pub async fn holding(
    service: &NetworkService,
    context: &RequestContext,
    kind: &str,
    rule: &str,
    object: &str,
) -> Result<Vec<View>> {
    if !may(service, context, rule)? {
        return Err(not_authorized(rule));
    }
    let id = if kind == DHCP_AGENT { &service.agents().dhcp } else { &service.agents().l3 };
    if hosted(service.database.read(), id, &[object]).await?.is_empty() {
        return Ok(Vec::new());
    }
    Ok(views(service).await?.into_iter().filter(|agent| agent["id"] == **id).collect())
}

/// Which kind of object is scheduled: decides agent type, rules and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduled {
    Network,
    Router,
}

impl Scheduled {
    fn rule(self, verb: &str) -> String {
        let plural = if verb == "get" { "s" } else { "" };
        match self {
            Scheduled::Network => format!("{verb}_dhcp-network{plural}"),
            Scheduled::Router => format!("{verb}_l3-router{plural}"),
        }
    }
    fn agent(self, service: &NetworkService) -> &str {
        match self {
            Scheduled::Network => &service.agents().dhcp,
            Scheduled::Router => &service.agents().l3,
        }
    }
}

/// The agent, when it is there and of the right type.
async fn require_agent(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    what: Scheduled,
    verb: &str,
) -> Result<()> {
    let rule = what.rule(verb);
    if !may(service, context, &rule)? {
        return Err(not_authorized(&rule));
    }
    show(service, context, id).await?;
    if id != what.agent(service) {
        return Err(match what {
            Scheduled::Network => Error::conflict(
                "InvalidDHCPAgent",
                format!("Agent {id} is not a valid DHCP Agent or has been disabled."),
            ),
            Scheduled::Router => {
                Error::conflict("InvalidL3Agent", format!("Agent {id} is not a L3 Agent or has been disabled."))
            }
        });
    }
    Ok(())
}

pub async fn objects(
    service: &NetworkService,
    context: &RequestContext,
    agent: &str,
    what: Scheduled,
) -> Result<Vec<View>> {
    require_agent(service, context, agent, what, "get").await?;
    let connection = service.database.read();
    let mut out = Vec::new();
    for ids in held(connection, agent).await?.chunks(CHUNK) {
        let ids = ids.iter().map(String::as_str);
        match what {
            Scheduled::Network => {
                let rows = db::network_table::Entity::find().filter(db::network_table::Column::Id.is_in(ids));
                out.extend(resource::render::<network::Network>(service, context, &rows.all(connection).await?).await?);
            }
            Scheduled::Router => {
                let rows = db::router_table::Entity::find().filter(db::router_table::Column::Id.is_in(ids));
                out.extend(resource::render::<router::Router>(service, context, &rows.all(connection).await?).await?);
            }
        }
    }
    Ok(out)
}

pub async fn schedule(
    service: &NetworkService,
    context: &RequestContext,
    agent: &str,
    object: &str,
    what: Scheduled,
) -> Result<()> {
    require_agent(service, context, agent, what, "create").await?;
    let mut change = Change::begin(service, context).await?;
    match what {
        Scheduled::Network => drop(network::get(&change.txn, object).await?),
        Scheduled::Router => drop(router::get(&change.txn, object).await?),
    }
    if !bind(&change.txn, agent, object).await? {
        return match what {
            Scheduled::Network => Err(Error::conflict(
                "NetworkHostedByDHCPAgent",
                format!("The network {object} has been already hosted by the DHCP Agent {agent}."),
            )),
            // Upstream answers success when the router is there already.
            Scheduled::Router => Ok(()),
        };
    }
    match what {
        Scheduled::Network => change.effects.network(object),
        Scheduled::Router => change.effects.router(object),
    }
    change.commit().await
}

pub async fn unschedule(
    service: &NetworkService,
    context: &RequestContext,
    agent: &str,
    object: &str,
    what: Scheduled,
) -> Result<()> {
    require_agent(service, context, agent, what, "delete").await?;
    let mut change = Change::begin(service, context).await?;
    let gone = agent_binding::Entity::delete_by_id((agent.to_owned(), object.to_owned())).exec(&change.txn).await?;
    if gone.rows_affected == 0 {
        return Err(match what {
            Scheduled::Network => Error::conflict(
                "NetworkNotHostedByDhcpAgent",
                format!("The network {object} is not hosted by the DHCP agent {agent}."),
            ),
            Scheduled::Router => Error::conflict(
                "RouterNotHostedByL3Agent",
                format!("The router {object} is not hosted by L3 agent {agent}."),
            ),
        });
    }
    match what {
        Scheduled::Network => change.effects.network(object),
        Scheduled::Router => change.effects.router(object),
    }
    change.commit().await
}
