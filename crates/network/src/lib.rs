//! Networking: Neutron's API v2.0 over a database, and the plans that hosts make true.
//!
//! A request is parsed and checked by the attribute table of its resource ([`attribute`]), allowed by policy, and changed
//! in one transaction ([`resource`]); what changed is told to agents as [`Dirty`] after the commit ([`effects`]). Agents
//! pull complete plans ([`plan`]) and report what they hold, which is the only source of port status.
//!
//! Invariants: an address or MAC is given once per network; a project has one default security group; nobody sees what
//! is neither his nor shared with him. Database access is in the domain modules only; `api` parses and renders.

mod ad_hoc;
mod address_group;
mod address_scope;
mod agent;
mod api;
mod attribute;
mod availability;
mod db;
mod default_rule;
mod effects;
mod error;
mod extension;
mod family;
mod floatingip;
mod ipam;
mod listing;
mod metering;
mod network;
mod plan;
mod policy;
mod port;
mod port_forwarding;
mod quota;
mod rbac;
mod resource;
mod router;
mod security_group;
mod security_rule;
mod segment;
mod subnet;
mod subnetpool;
mod tag;
mod topology;
mod view;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

pub use db::migrations::migrations;
use sahab_api::Service;
use sahab_contract::{Result, cloud::Cloud, event::EventBus, identity::Identity, network::Dirty};
use sahab_db::Database;
use sahab_policy::Enforcer;
use tokio::sync::broadcast;

/// What an operator decides about networking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this cloud's host, as in `binding:host_id`.
    pub host: String,
    /// Largest MTU of a tenant network: the underlay's, less the overlay's header where there is one.
    pub mtu: u32,
    /// Domain of the names that ports get, with or without the final dot; `openstacklocal.` upstream.
    pub dns_domain: String,
    pub availability_zone: String,
    /// Limits of projects without their own, by upstream's names; missing ones are upstream's defaults.
    pub quotas: BTreeMap<String, i32>,
    /// Whether external networks are translated to the host's uplink.
    pub external_nat: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            host: "localhost".into(),
            mtu: 1500,
            dns_domain: "openstacklocal.".into(),
            availability_zone: "nova".into(),
            quotas: BTreeMap::new(),
            external_nat: true,
        }
    }
}

/// The service; shared by its endpoints, its plans and its background work.
pub struct NetworkService {
    pub(crate) database: Database,
    pub(crate) cloud: Arc<dyn Cloud>,
    identity: Arc<dyn Identity>,
    pub(crate) events: EventBus,
    pub(crate) settings: Settings,
    pub(crate) enforcer: Enforcer,
    pub(crate) dirty: broadcast::Sender<Dirty>,
    agents: agent::Agents,
}

/// Unread changes that a slow agent may be behind before it must look at everything.
const BACKLOG: usize = 1024;

impl NetworkService {
    pub fn new(
        database: Database,
        cloud: Arc<dyn Cloud>,
        identity: Arc<dyn Identity>,
        events: EventBus,
        settings: Settings,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(NetworkService {
            agents: agent::Agents::of(&settings.host),
            database,
            cloud,
            identity,
            events,
            enforcer: policy::enforcer()?,
            dirty: broadcast::channel(BACKLOG).0,
            settings,
        }))
    }

    pub fn service(self: &Arc<Self>) -> Service {
        Service {
            name: "network",
            port: 9696,
            family: Arc::new(family::Neutron),
            endpoints: api::endpoints(self.clone()),
        }
    }

    pub(crate) fn agents(&self) -> &agent::Agents {
        &self.agents
    }
}
