//! What Docker's network driver asks of the host: interfaces for ports.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use ipnet::IpNet;
use sahab_contract::{
    Result,
    network::{AdHocPorts, PortPlan},
};
use sahab_kuryr::{Endpoint, EndpointBackend, EndpointRequest, Joined, LeftoverPort, PluggedEndpoint, Route, Store};

use crate::fabric::Fabric;

pub(crate) struct Endpoints {
    fabric: Arc<Fabric>,
    ad_hoc: Arc<dyn AdHocPorts>,
    store: Arc<Store>,
    /// Port to the name of the interface that Docker will move; lost names are asked for again.
    sources: Mutex<HashMap<String, String>>,
}

impl Endpoints {
    pub fn new(fabric: Arc<Fabric>, ad_hoc: Arc<dyn AdHocPorts>, store: Arc<Store>) -> Self {
        Endpoints { fabric, ad_hoc, store, sources: Mutex::default() }
    }

    /// Destinations that the container's other interfaces have routes to. Docker joins one after the other.
    async fn taken(&self, port: &PortPlan) -> HashSet<IpNet> {
        let others = self.store.endpoints().await;
        others
            .iter()
            .filter(|(_, other)| other.port_id != port.id)
            .filter_map(|(_, other)| self.fabric.plans.port(&other.port_id))
            .filter(|(_, other)| other.device_id == port.device_id)
            .flat_map(|(_, other)| other.host_routes)
            .map(|(destination, _)| destination.trunc())
            .collect()
    }
}

#[async_trait]
impl EndpointBackend for Endpoints {
    async fn resolve_network(&self, name: &str) -> Result<String> {
        self.ad_hoc.resolve(name).await
    }

    async fn create_endpoint(&self, request: &EndpointRequest) -> Result<Endpoint> {
        let (network, port) = match &request.port_id {
            Some(port) => (request.network_id.clone(), port.clone()),
            None => {
                let network = request.network_id.as_deref().unwrap_or_default();
                let made = self.ad_hoc.create(&self.fabric.host, network, &request.endpoint_id).await?;
                (Some(made.network_id), made.port_id)
            }
        };
        let (network, port) = self.fabric.ensure_port(network.as_deref(), &port).await?;
        let source = self.fabric.dataplane.plug(&network, &port).await?;
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).insert(port.id.clone(), source);
        Ok(Endpoint {
            address4: first(&port, IpNet::V4(Default::default())),
            address6: first(&port, IpNet::V6(Default::default())),
            port_id: port.id,
            network_id: network.id.clone(),
            mac: port.mac,
        })
    }

    async fn join(&self, endpoint: &PluggedEndpoint) -> Result<Joined> {
        let (network, port) = self.fabric.ensure_port(Some(&endpoint.network_id), &endpoint.port_id).await?;
        let known = self.sources.lock().unwrap_or_else(PoisonError::into_inner).get(&port.id).cloned();
        let source = match known {
            Some(source) => source,
            None => self.fabric.dataplane.plug(&network, &port).await?,
        };
        self.fabric.status.look_twice();
        let mut answer = joined(source, &port, endpoint.primary);
        let taken = self.taken(&port).await;
        answer.routes.retain(|route| !taken.contains(&route.destination));
        Ok(answer)
    }

    async fn delete_endpoint(&self, endpoint: &PluggedEndpoint) -> Result<()> {
        self.fabric.dataplane.unplug(&endpoint.network_id, &endpoint.port_id).await?;
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).remove(&endpoint.port_id);
        self.fabric.status.look();
        Ok(())
    }

    async fn release(&self, port: &LeftoverPort) -> Result<()> {
        let port_id = match &port.port_id {
            Some(id) => id.clone(),
            // Asking again answers with the port that was made, if one was.
            None => match self.ad_hoc.create(&self.fabric.host, &port.network_id, &port.endpoint_id).await {
                Ok(made) => made.port_id,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        self.fabric.dataplane.unplug(&port.network_id, &port_id).await?;
        self.ad_hoc.release(&port_id).await
    }
}

/// First address of the sample's family.
fn first(port: &PortPlan, sample: IpNet) -> Option<IpNet> {
    port.addresses.iter().find(|address| address.addr().is_ipv4() == sample.addr().is_ipv4()).copied()
}

/// Gateways and routes of a port, made so that the kernel takes them all: one route that it refuses would keep the
/// container from starting.
fn joined(source: String, port: &PortPlan, primary: bool) -> Joined {
    let on_link = |hop: &IpAddr| port.addresses.iter().any(|address| address.contains(hop));
    let own = |hop: &IpAddr| port.addresses.iter().any(|address| address.addr() == *hop);
    let (mut gateway4, mut gateway6) = (port.gateway4, port.gateway6);
    let mut routes: Vec<Route> = Vec::new();
    for (destination, hop) in &port.host_routes {
        if !on_link(hop) || own(hop) || destination.addr().is_ipv4() != hop.is_ipv4() {
            tracing::debug!(port = %port.id, %destination, %hop, "route left out: its next hop is not on the link");
            continue;
        }
        if destination.prefix_len() == 0 {
            // A route to everywhere takes the place of the gateway, as with upstream's DHCP.
            let gateway = if hop.is_ipv4() { &mut gateway4 } else { &mut gateway6 };
            *gateway = Some(*hop);
        } else if routes.iter().all(|route| route.destination != destination.trunc()) {
            routes.push(Route { destination: destination.trunc(), next_hop: Some(*hop) });
        }
    }
    // A gateway outside the port's subnets is reached directly, as upstream allows.
    for gateway in [gateway4, gateway6].into_iter().flatten().filter(|gateway| primary && !on_link(gateway)) {
        routes.insert(0, Route { destination: IpNet::from(gateway), next_hop: None });
    }
    Joined { source, gateway4: with_address(port, gateway4), gateway6: with_address(port, gateway6), routes }
}

/// A gateway is of use only with an address of its family.
fn with_address(port: &PortPlan, gateway: Option<IpAddr>) -> Option<IpAddr> {
    gateway.filter(|gateway| port.addresses.iter().any(|address| address.addr().is_ipv4() == gateway.is_ipv4()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NET, PORT, Rig, network, port};

    fn route(destination: &str, hop: &str) -> (IpNet, IpAddr) {
        (destination.parse().unwrap(), hop.parse().unwrap())
    }

    #[test]
    fn routes_are_such_as_the_kernel_takes() {
        let mut plan = port(PORT, "10.0.0.5/24");
        plan.gateway4 = Some("10.0.0.1".parse().unwrap());
        plan.host_routes = vec![
            route("10.9.0.0/16", "10.0.0.9"),
            route("10.9.0.0/16", "10.0.0.10"),
            route("10.8.0.0/16", "192.0.2.1"),
            route("10.7.0.0/16", "10.0.0.5"),
        ];
        let answer = joined("tc".into(), &plan, true);
        assert_eq!(answer.gateway4, plan.gateway4);
        assert_eq!(answer.routes.len(), 1);
        plan.host_routes.push(route("0.0.0.0/0", "10.0.0.254"));
        assert_eq!(joined("tc".into(), &plan, true).gateway4, Some("10.0.0.254".parse().unwrap()));
        plan.host_routes.clear();
        plan.gateway4 = Some("192.0.2.1".parse().unwrap());
        let answer = joined("tc".into(), &plan, true);
        assert_eq!(answer.routes, [Route { destination: "192.0.2.1/32".parse().unwrap(), next_hop: None }]);
    }

    #[tokio::test]
    async fn an_endpoint_has_its_rules_first_and_survives_the_control_plane() {
        let rig = Rig::new().await;
        let store = Arc::new(Store::open(rig.folder.path()).await.unwrap());
        let endpoints = Endpoints::new(rig.fabric.clone(), rig.ad_hoc.clone(), store);
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        let request =
            EndpointRequest { endpoint_id: "e".into(), network_id: Some(NET.into()), port_id: Some(PORT.into()) };
        let made = endpoints.create_endpoint(&request).await.unwrap();
        assert_eq!((made.address4, made.address6), (Some("10.0.0.5/24".parse().unwrap()), None));
        assert_eq!(
            rig.dataplane.calls(),
            [sahab_dataplane::Call::ApplyNetwork(NET.into()), sahab_dataplane::Call::Plug(NET.into(), PORT.into())]
        );
        rig.source.set_away(true);
        let plugged = PluggedEndpoint { network_id: NET.into(), port_id: PORT.into(), primary: true, ad_hoc: false };
        assert!(!endpoints.join(&plugged).await.unwrap().source.is_empty());
        endpoints.delete_endpoint(&plugged).await.unwrap();
        endpoints.create_endpoint(&request).await.unwrap();
    }

    #[tokio::test]
    async fn by_hand_a_port_is_asked_for_and_given_back() {
        let rig = Rig::new().await;
        let store = Arc::new(Store::open(rig.folder.path()).await.unwrap());
        let endpoints = Endpoints::new(rig.fabric.clone(), rig.ad_hoc.clone(), store);
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        let request = EndpointRequest { endpoint_id: "e".into(), network_id: Some(NET.into()), port_id: None };
        assert_eq!(endpoints.create_endpoint(&request).await.unwrap().port_id, PORT);
        let unknown = LeftoverPort { endpoint_id: "e".into(), network_id: NET.into(), port_id: None };
        endpoints.release(&unknown).await.unwrap();
        assert_eq!(rig.ad_hoc.calls(), ["create e", "create e", &format!("release {PORT}")]);
    }
}
