//! A dataplane without a kernel, for the tests of other crates: it remembers what it was told.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use sahab_contract::{
    Error, Result,
    network::{Dataplane, NetworkPlan, Observed, PortPlan, RouterPlan},
};

/// One call that a [`FakeDataplane`] has received, with the ids of what it was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    ApplyNetwork(String),
    RemoveNetwork(String),
    ApplyRouter(String),
    RemoveRouter(String),
    /// Network, port.
    Plug(String, String),
    Unplug(String, String),
    Purge,
}

/// Records calls and behaves like a host on which everything works at once.
#[derive(Debug, Default)]
pub struct FakeDataplane {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    networks: BTreeMap<String, NetworkPlan>,
    routers: BTreeMap<String, RouterPlan>,
    /// Port → network, carrier.
    ports: BTreeMap<String, (String, bool)>,
    failures: Vec<Error>,
}

impl FakeDataplane {
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that was called so far, reads excepted.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }
    pub fn clear_calls(&self) {
        self.state().calls.clear();
    }
    /// The plan that was applied last, if the network is still there.
    pub fn network(&self, id: &str) -> Option<NetworkPlan> {
        self.state().networks.get(id).cloned()
    }
    pub fn router(&self, id: &str) -> Option<RouterPlan> {
        self.state().routers.get(id).cloned()
    }
    /// Lets the next writing call fail; several failures are used up in order.
    pub fn fail_next(&self, error: Error) {
        self.state().failures.push(error);
    }
    /// Plays the container taking its end, or going away.
    pub fn set_carrier(&self, port: &str, carrier: bool) {
        if let Some(entry) = self.state().ports.get_mut(port) {
            entry.1 = carrier;
        }
    }

    fn record(&self, call: Call) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.calls.push(call);
        if state.failures.is_empty() { Ok(state) } else { Err(state.failures.remove(0)) }
    }
}

#[async_trait]
impl Dataplane for FakeDataplane {
    async fn apply_network(&self, plan: &NetworkPlan) -> Result<()> {
        let mut state = self.record(Call::ApplyNetwork(plan.id.clone()))?;
        state.ports.retain(|port, (network, _)| *network != plan.id || plan.ports.iter().any(|p| p.id == *port));
        state.networks.insert(plan.id.clone(), plan.clone());
        Ok(())
    }
    async fn remove_network(&self, id: &str) -> Result<()> {
        let mut state = self.record(Call::RemoveNetwork(id.into()))?;
        state.networks.remove(id);
        state.ports.retain(|_, (network, _)| network != id);
        Ok(())
    }
    async fn apply_router(&self, plan: &RouterPlan) -> Result<()> {
        self.record(Call::ApplyRouter(plan.id.clone()))?.routers.insert(plan.id.clone(), plan.clone());
        Ok(())
    }
    async fn remove_router(&self, id: &str) -> Result<()> {
        self.record(Call::RemoveRouter(id.into()))?.routers.remove(id);
        Ok(())
    }
    async fn plug(&self, network: &NetworkPlan, port: &PortPlan) -> Result<String> {
        let mut state = self.record(Call::Plug(network.id.clone(), port.id.clone()))?;
        if !state.networks.contains_key(&network.id) {
            return Err(Error::unavailable(
                "NetworkNotApplied",
                format!("network {} is not on this host yet", network.id),
            ));
        }
        state.ports.insert(port.id.clone(), (network.id.clone(), false));
        Ok(format!("tc{}", port.id.chars().take(11).collect::<String>()))
    }
    async fn unplug(&self, network_id: &str, port_id: &str) -> Result<()> {
        self.record(Call::Unplug(network_id.into(), port_id.into()))?.ports.remove(port_id);
        Ok(())
    }
    async fn observe(&self) -> Result<Observed> {
        let state = self.state();
        Ok(Observed {
            networks: state.networks.keys().cloned().collect(),
            routers: state.routers.keys().cloned().collect(),
            ports: state.ports.iter().map(|(port, (network, up))| (network.clone(), port.clone(), *up)).collect(),
        })
    }
    async fn purge(&self) -> Result<()> {
        let mut state = self.record(Call::Purge)?;
        state.networks.clear();
        state.routers.clear();
        state.ports.clear();
        Ok(())
    }
}
