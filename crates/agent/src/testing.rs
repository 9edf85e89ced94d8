//! A host of fakes for the unit tests.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use sahab_contract::{
    Error, Result,
    network::{
        AdHocPort, AdHocPorts, Dirty, FloatingPlan, NetworkPlan, NetworkPlans, NetworkReport, PortKind, PortPlan,
        RouterLeg, RouterPlan,
    },
};
use sahab_dataplane::FakeDataplane;
use sahab_docker::FakeDriver;
use tokio::sync::broadcast;

use crate::{fabric::Fabric, plans::Plans};

pub const NET: &str = "11111111-0000-4000-8000-000000000001";
pub const OTHER_NET: &str = "11111111-0000-4000-8000-000000000002";
pub const PORT: &str = "22222222-0000-4000-8000-000000000001";
pub const OTHER_PORT: &str = "22222222-0000-4000-8000-000000000002";
pub const ROUTER: &str = "33333333-0000-4000-8000-000000000001";

pub fn network(id: &str, ports: Vec<PortPlan>) -> NetworkPlan {
    NetworkPlan { id: id.into(), mtu: 1450, ports, ..Default::default() }
}

pub fn port(id: &str, address: &str) -> PortPlan {
    PortPlan {
        id: id.into(),
        kind: PortKind::Container,
        device_id: format!("container-of-{id}"),
        mac: "fa:16:3e:00:00:01".into(),
        addresses: vec![address.parse().unwrap()],
        admin_up: true,
        port_security: true,
        groups: vec![],
        allowed_pairs: vec![],
        gateway4: None,
        gateway6: None,
        host_routes: vec![],
        mtu: 1450,
    }
}

pub fn leg(network: &str) -> RouterLeg {
    RouterLeg {
        port_id: OTHER_PORT.into(),
        network_id: network.into(),
        mac: "fa:16:3e:00:00:02".into(),
        addresses: vec!["10.0.0.1/24".parse().unwrap()],
        next_hops: vec![],
        mtu: 1450,
    }
}

pub fn router(id: &str, floating: &[&str]) -> RouterPlan {
    RouterPlan {
        id: id.into(),
        admin_up: true,
        gateway: None,
        snat: true,
        interfaces: vec![],
        routes: vec![],
        floating_ips: floating
            .iter()
            .map(|id| FloatingPlan {
                id: (*id).into(),
                floating: "192.0.2.9".parse().unwrap(),
                fixed: "10.0.0.5".parse().unwrap(),
            })
            .collect(),
        port_forwardings: vec![],
    }
}

/// The network service.
pub struct Source {
    state: Mutex<SourceState>,
    nudges: broadcast::Sender<Dirty>,
}

#[derive(Default)]
struct SourceState {
    networks: BTreeMap<String, NetworkPlan>,
    routers: BTreeMap<String, RouterPlan>,
    fetches: usize,
    away: bool,
    delay: Duration,
    report: NetworkReport,
}

impl Source {
    fn new() -> Self {
        Source { state: Mutex::default(), nudges: broadcast::channel(16).0 }
    }
    pub fn set(&self, plan: NetworkPlan) {
        self.state.lock().unwrap().networks.insert(plan.id.clone(), plan);
    }
    pub fn set_router(&self, plan: RouterPlan) {
        self.state.lock().unwrap().routers.insert(plan.id.clone(), plan);
    }
    pub fn unset(&self, id: &str) {
        self.state.lock().unwrap().networks.remove(id);
    }
    pub fn nudge(&self, dirty: Dirty) {
        self.nudges.send(dirty).unwrap();
    }
    pub fn set_away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }
    pub fn delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }
    pub fn fetches(&self) -> usize {
        self.state.lock().unwrap().fetches
    }
    pub fn take_report(&self) -> NetworkReport {
        std::mem::take(&mut self.state.lock().unwrap().report)
    }
    fn here(&self) -> Result<std::sync::MutexGuard<'_, SourceState>> {
        let state = self.state.lock().unwrap();
        if state.away { Err(Error::unavailable("", "away")) } else { Ok(state) }
    }
}

#[async_trait]
impl NetworkPlans for Source {
    async fn inventory(&self, _host: &str) -> Result<(Vec<String>, Vec<String>)> {
        let state = self.here()?;
        Ok((state.networks.keys().cloned().collect(), state.routers.keys().cloned().collect()))
    }
    async fn network(&self, _host: &str, id: &str) -> Result<Option<NetworkPlan>> {
        let (plan, delay) = {
            let mut state = self.here()?;
            state.fetches += 1;
            (state.networks.get(id).cloned(), state.delay)
        };
        tokio::time::sleep(delay).await;
        Ok(plan)
    }
    async fn router(&self, _host: &str, id: &str) -> Result<Option<RouterPlan>> {
        Ok(self.here()?.routers.get(id).cloned())
    }
    fn subscribe(&self) -> broadcast::Receiver<Dirty> {
        self.nudges.subscribe()
    }
    async fn report(&self, _host: &str, report: NetworkReport) -> Result<()> {
        self.here()?.report = report;
        Ok(())
    }
}

/// Gives everyone the port [`PORT`].
#[derive(Default)]
pub struct AdHoc {
    calls: Mutex<Vec<String>>,
}

impl AdHoc {
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl AdHocPorts for AdHoc {
    async fn resolve(&self, network: &str) -> Result<String> {
        Ok(network.to_owned())
    }
    async fn create(&self, _host: &str, network: &str, endpoint_id: &str) -> Result<AdHocPort> {
        self.calls.lock().unwrap().push(format!("create {endpoint_id}"));
        Ok(AdHocPort { port_id: PORT.into(), network_id: network.into() })
    }
    async fn release(&self, port_id: &str) -> Result<()> {
        self.calls.lock().unwrap().push(format!("release {port_id}"));
        Ok(())
    }
}

/// Everything around a fabric.
pub struct Rig {
    pub folder: tempfile::TempDir,
    pub source: Arc<Source>,
    pub ad_hoc: Arc<AdHoc>,
    pub dataplane: Arc<FakeDataplane>,
    pub driver: Arc<FakeDriver>,
    pub fabric: Arc<Fabric>,
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(tempfile::tempdir().unwrap(), Arc::new(Source::new())).await
    }
    /// A new process after a reboot: the state directory is what is left.
    pub async fn restarted(self) -> Self {
        Self::with(self.folder, self.source).await
    }
    async fn with(folder: tempfile::TempDir, source: Arc<Source>) -> Self {
        let path: PathBuf = folder.path().join("plans");
        let plans = Plans::open(path).await.unwrap();
        let dataplane = Arc::new(FakeDataplane::new());
        let fabric = Arc::new(Fabric::new("here".into(), dataplane.clone(), source.clone(), plans));
        Rig { folder, source, ad_hoc: Arc::default(), dataplane, driver: Arc::new(FakeDriver::new()), fabric }
    }
}

/// Waits for a condition that another task brings about.
pub async fn eventually(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it never came about");
}
