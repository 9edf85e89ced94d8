//! What the protocol needs from the host agent.

use std::net::IpAddr;

use async_trait::async_trait;
use ipnet::IpNet;
use sahab_contract::Result;
use serde::{Deserialize, Serialize};

/// A container is about to start in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRequest {
    pub endpoint_id: String,
    /// Network uuid. `None` when the network's record was lost: the port tells then.
    pub network_id: Option<String>,
    /// `None`: somebody plugs in by hand, a port must be made.
    pub port_id: Option<String>,
}

/// What the container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub port_id: String,
    pub network_id: String,
    pub mac: String,
    /// First address of each family with its prefix; Docker takes one of each.
    pub address4: Option<IpNet>,
    pub address6: Option<IpNet>,
}

/// An endpoint as the driver remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluggedEndpoint {
    pub network_id: String,
    pub port_id: String,
    /// Carries the default route.
    pub primary: bool,
    /// The port was made for this endpoint and goes with it.
    pub ad_hoc: bool,
}

/// A port made for an endpoint that did not come to be, or that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftoverPort {
    pub endpoint_id: String,
    pub network_id: String,
    /// `None`: whether a port was made is not known.
    pub port_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub destination: IpNet,
    /// `None`: on the link.
    pub next_hop: Option<IpAddr>,
}

/// How the container's interface is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Interface in Docker's namespace that Docker moves into the container.
    pub source: String,
    pub gateway4: Option<IpAddr>,
    pub gateway6: Option<IpAddr>,
    pub routes: Vec<Route>,
}

/// The kernel and the knowledge of ports. All calls may be repeated.
#[async_trait]
pub trait EndpointBackend: Send + Sync {
    /// Uuid of a network that was named by hand.
    async fn resolve_network(&self, name: &str) -> Result<String>;
    /// Makes the port's interface; without a port, makes the port first. The rules for it are in force on return.
    async fn create_endpoint(&self, request: &EndpointRequest) -> Result<Endpoint>;
    async fn join(&self, endpoint: &PluggedEndpoint) -> Result<Joined>;
    /// Removes the interface. Needs no control plane.
    async fn delete_endpoint(&self, endpoint: &PluggedEndpoint) -> Result<()>;
    /// Releases a port that was made for an endpoint; one that is gone already is success.
    async fn release(&self, port: &LeftoverPort) -> Result<()>;
}
