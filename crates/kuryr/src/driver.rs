//! The protocol's calls, apart from their transport.

use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ipnet::IpNet;
use sahab_contract::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    backend::{Endpoint, EndpointBackend, EndpointRequest, Joined, LeftoverPort, PluggedEndpoint},
    store::Store,
    wire::{
        CreateEndpoint, CreateEndpointAnswer, CreateNetwork, EndpointOnly, Interface, InterfaceName, JoinAnswer,
        NETWORK_OPTION, NetworkOnly, PORT_OPTION, PRIMARY_OPTION, StaticRoute, option,
    },
};

/// Docker waits 15 s.
const LIMIT: Duration = Duration::from_secs(12);
const CODE: &str = "NetworkDriverError";

/// Answers Docker's questions.
pub struct Driver {
    backend: Arc<dyn EndpointBackend>,
    store: Arc<Store>,
    /// Endpoints being created: the ports made for them are no leftovers.
    creating: Mutex<HashSet<String>>,
}

/// Takes an endpoint out of `creating` however its creation ends, a timeout included.
struct Creating<'a> {
    driver: &'a Driver,
    endpoint_id: String,
}

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.driver.creating.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.endpoint_id);
    }
}

impl Driver {
    pub fn new(backend: Arc<dyn EndpointBackend>, store: Arc<Store>) -> Self {
        Driver { backend, store, creating: Mutex::default() }
    }

    /// Releases ports of endpoints that are gone or whose creation was cut short. Call it on a timer: it fails while
    /// the control plane is away.
    pub async fn clean_up(&self) -> Result<()> {
        for port in self.store.leftovers().await {
            self.release(&port).await?;
        }
        Ok(())
    }

    async fn release(&self, port: &LeftoverPort) -> Result<()> {
        if self.creating.lock().unwrap_or_else(PoisonError::into_inner).contains(&port.endpoint_id) {
            return Ok(());
        }
        self.backend.release(port).await?;
        self.store.released(&port.endpoint_id).await
    }

    /// Ends an endpoint, also one that Docker has forgotten. Unknown is success.
    pub async fn drop_endpoint(&self, endpoint_id: &str) -> Result<()> {
        let Some(endpoint) = self.store.endpoint(endpoint_id).await else { return Ok(()) };
        self.backend.delete_endpoint(&endpoint).await?;
        self.store.remove_endpoint(endpoint_id, &endpoint).await?;
        if endpoint.ad_hoc {
            let (endpoint_id, network_id) = (endpoint_id.to_owned(), endpoint.network_id);
            let port = LeftoverPort { endpoint_id, network_id, port_id: Some(endpoint.port_id) };
            if let Err(error) = self.release(&port).await {
                tracing::info!(port = ?port.port_id, ?error, "the port is released later");
            }
        }
        Ok(())
    }

    /// `None`: no such call.
    pub(crate) async fn call(&self, path: &str, body: &[u8]) -> Option<Value> {
        let done = match path {
            "/Plugin.Activate" => Ok(json!({"Implements": ["NetworkDriver"]})),
            "/NetworkDriver.GetCapabilities" => Ok(json!({"Scope": "local", "ConnectivityScope": "global"})),
            "/NetworkDriver.CreateNetwork" => self.bounded(body, |call| self.create_network(call)).await,
            "/NetworkDriver.DeleteNetwork" => self.bounded(body, |call| self.delete_network(call)).await,
            "/NetworkDriver.CreateEndpoint" => self.bounded(body, |call| self.create_endpoint(call)).await,
            "/NetworkDriver.DeleteEndpoint" => self.bounded(body, |call| self.delete_endpoint(call)).await,
            "/NetworkDriver.Join" => self.bounded(body, |call| self.join(call)).await,
            "/NetworkDriver.EndpointOperInfo" => Ok(json!({"Value": {}})),
            // The dataplane needs no word about these.
            "/NetworkDriver.Leave"
            | "/NetworkDriver.ProgramExternalConnectivity"
            | "/NetworkDriver.RevokeExternalConnectivity"
            | "/NetworkDriver.DiscoverNew"
            | "/NetworkDriver.DiscoverDelete" => Ok(json!({})),
            _ => return None,
        };
        Some(done.unwrap_or_else(|error| {
            tracing::warn!(call = path, ?error, "Docker's network request failed");
            json!({"Err": error.message()})
        }))
    }

    async fn bounded<'a, C, A, F>(&'a self, body: &[u8], work: impl FnOnce(C) -> F) -> Result<Value>
    where
        C: DeserializeOwned,
        A: Serialize,
        F: Future<Output = Result<A>> + 'a,
    {
        let call =
            serde_json::from_slice(body).map_err(|error| Error::invalid(CODE, format!("bad request: {error}")))?;
        let answer = tokio::time::timeout(LIMIT, work(call))
            .await
            .map_err(|_| Error::unavailable(CODE, "the network did not become ready in time"))??;
        Ok(serde_json::to_value(answer)?)
    }

    async fn create_network(&self, call: CreateNetwork) -> Result<Value> {
        let name = option(&call.options, NETWORK_OPTION)
            .ok_or_else(|| Error::invalid(CODE, format!("give the network with -o {NETWORK_OPTION}=<name or id>")))?;
        // The null driver's pool is 0.0.0.0/0.
        let pools = call.ipv4.iter().flatten().chain(call.ipv6.iter().flatten());
        if let Some(pool) =
            pools.map(|data| data.pool.as_str()).find(|pool| !matches!(*pool, "" | "0.0.0.0/0" | "::/0"))
        {
            let message = format!("the network has its own subnets, {pool} cannot be given: use --ipam-driver null");
            return Err(Error::invalid(CODE, message));
        }
        let network_id = if is_uuid(name) { name.to_owned() } else { self.backend.resolve_network(name).await? };
        self.store.add_network(&call.network_id, &network_id).await?;
        Ok(json!({}))
    }

    async fn delete_network(&self, call: NetworkOnly) -> Result<Value> {
        self.store.remove_network(&call.network_id).await?;
        Ok(json!({}))
    }

    async fn create_endpoint(&self, call: CreateEndpoint) -> Result<CreateEndpointAnswer> {
        let network_id = self.store.network(&call.network_id).await;
        let port_id = option(&call.options, PORT_OPTION).map(str::to_owned);
        let ad_hoc = port_id.is_none();
        let _creating = self.creating(&call.endpoint_id);
        if ad_hoc {
            let network_id = network_id.as_deref().ok_or_else(|| {
                Error::not_found(
                    CODE,
                    "this network was created while its driver was away: remove it and create it anew",
                )
            })?;
            self.store.begin_ad_hoc(&call.endpoint_id, network_id).await?;
        }
        let asked = call.interface.unwrap_or_default();
        let request = EndpointRequest { endpoint_id: call.endpoint_id.clone(), network_id, port_id };
        let endpoint = self.backend.create_endpoint(&request).await?;
        let plugged = PluggedEndpoint {
            network_id: endpoint.network_id.clone(),
            port_id: endpoint.port_id.clone(),
            // By hand there is nobody to choose, so every network offers its gateway.
            primary: ad_hoc || option(&call.options, PRIMARY_OPTION).is_some_and(|value| value != "0"),
            ad_hoc,
        };
        match interface(&asked, &endpoint) {
            Ok(interface) => {
                self.store.add_endpoint(&call.endpoint_id, &plugged).await?;
                Ok(CreateEndpointAnswer { interface })
            }
            Err(error) => {
                // Docker deletes no endpoint whose creation failed.
                self.backend.delete_endpoint(&plugged).await?;
                self.store.remove_endpoint(&call.endpoint_id, &plugged).await?;
                Err(error)
            }
        }
    }

    fn creating(&self, endpoint_id: &str) -> Creating<'_> {
        self.creating.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint_id.to_owned());
        Creating { driver: self, endpoint_id: endpoint_id.to_owned() }
    }

    async fn join(&self, call: EndpointOnly) -> Result<JoinAnswer> {
        let endpoint = self
            .store
            .endpoint(&call.endpoint_id)
            .await
            .ok_or_else(|| Error::not_found(CODE, "unknown endpoint: start the container again"))?;
        let joined = self.backend.join(&endpoint).await?;
        Ok(join_answer(joined, endpoint.primary))
    }

    async fn delete_endpoint(&self, call: EndpointOnly) -> Result<Value> {
        self.drop_endpoint(&call.endpoint_id).await?;
        Ok(json!({}))
    }
}

fn join_answer(joined: Joined, primary: bool) -> JoinAnswer {
    // Docker orders interfaces by network name and takes the first gateway that it meets: only the primary has one.
    let gateway = |address: Option<std::net::IpAddr>| {
        address.filter(|_| primary).map(|address| address.to_string()).unwrap_or_default()
    };
    JoinAnswer {
        gateway: gateway(joined.gateway4),
        gateway6: gateway(joined.gateway6),
        interface: InterfaceName { source: joined.source, prefix: "eth" },
        routes: joined
            .routes
            .into_iter()
            .map(|route| StaticRoute {
                destination: route.destination.to_string(),
                kind: u8::from(route.next_hop.is_none()),
                next_hop: route.next_hop.map(|hop| hop.to_string()).unwrap_or_default(),
            })
            .collect(),
        disable_gateway_service: true,
    }
}

/// Only what Docker left open may be answered; what it asked for must be the port's.
fn interface(asked: &Interface, endpoint: &Endpoint) -> Result<Interface> {
    let text = |address: Option<IpNet>| address.map(|address| address.to_string()).unwrap_or_default();
    let choose = |what: &str, asked: &str, given: String| {
        if asked.is_empty() {
            return Ok(given);
        }
        if asked.eq_ignore_ascii_case(&given) {
            return Ok(String::new());
        }
        let given = if given.is_empty() { "none".to_owned() } else { given };
        Err(Error::invalid(CODE, format!("the {what} of the port is {given}, it cannot be {asked}")))
    };
    Ok(Interface {
        address: choose("address", &asked.address, text(endpoint.address4))?,
        address6: choose("IPv6 address", &asked.address6, text(endpoint.address6))?,
        mac: choose("MAC address", &asked.mac, endpoint.mac.clone())?,
    })
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Route;

    fn endpoint() -> Endpoint {
        Endpoint {
            port_id: "p".into(),
            network_id: "n".into(),
            mac: "fa:16:3e:00:00:01".into(),
            address4: Some("10.0.0.5/24".parse().unwrap()),
            address6: None,
        }
    }

    #[test]
    fn answers_only_what_was_left_open() {
        let open = interface(&Interface::default(), &endpoint()).unwrap();
        assert_eq!(
            (open.address.as_str(), open.mac.as_str(), open.address6.as_str()),
            ("10.0.0.5/24", "fa:16:3e:00:00:01", "")
        );
        let same = Interface { mac: "FA:16:3E:00:00:01".into(), ..Default::default() };
        assert_eq!(interface(&same, &endpoint()).unwrap().mac, "");
        let other = Interface { mac: "02:00:00:00:00:01".into(), ..Default::default() };
        assert!(interface(&other, &endpoint()).unwrap_err().message().contains("cannot be 02:00"));
    }

    #[test]
    fn only_the_primary_has_a_gateway() {
        let joined = || Joined {
            source: "tc123".into(),
            gateway4: Some("10.0.0.1".parse().unwrap()),
            gateway6: None,
            routes: vec![
                Route { destination: "10.9.0.0/16".parse().unwrap(), next_hop: Some("10.0.0.9".parse().unwrap()) },
                Route { destination: "10.8.0.0/16".parse().unwrap(), next_hop: None },
            ],
        };
        let first = serde_json::to_value(join_answer(joined(), true)).unwrap();
        assert_eq!(first["Gateway"], "10.0.0.1");
        assert_eq!(first["InterfaceName"], json!({"SrcName": "tc123", "DstPrefix": "eth"}));
        assert_eq!(
            first["StaticRoutes"][0],
            json!({"Destination": "10.9.0.0/16", "RouteType": 0, "NextHop": "10.0.0.9"})
        );
        assert_eq!(first["StaticRoutes"][1], json!({"Destination": "10.8.0.0/16", "RouteType": 1}));
        let second = serde_json::to_value(join_answer(joined(), false)).unwrap();
        assert_eq!(second.get("Gateway"), None);
        assert_eq!(second["DisableGatewayService"], true);
    }
}
