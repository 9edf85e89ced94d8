//! Which ports and floating addresses are in force, told to the network service when it changes.
//!
//! A container's port is ACTIVE when its network's rules are loaded and its interface has carrier, a router's port when
//! its router was applied, a floating address when a router with it was applied.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use sahab_contract::{
    Result,
    network::{NetworkReport, PortKind, RouterPlan},
};
use tokio::sync::Notify;

use crate::{fabric::Fabric, plans::Key};

/// Looks that come in a burst are one.
const GATHER: Duration = Duration::from_millis(10);
const RETRY: Duration = Duration::from_secs(2);
/// Nobody tells when a container that was started by hand has its interface.
const SECOND_LOOK: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Status {
    wanted: Notify,
    again: Notify,
    /// Tell everything, not only what changed.
    full: AtomicBool,
    routers: Mutex<HashMap<String, InForce>>,
}

/// What one applied router brings.
struct InForce {
    ports: Vec<String>,
    floating: Vec<String>,
}

/// What was told and accepted.
#[derive(Default)]
struct Told {
    ports: HashMap<String, bool>,
    floating: HashSet<String>,
}

impl Status {
    /// Something may have changed.
    pub fn look(&self) {
        self.wanted.notify_one();
    }
    /// As [`Status::look`], and once more a little later.
    pub fn look_twice(&self) {
        self.wanted.notify_one();
        self.again.notify_one();
    }
    pub fn tell_everything(&self) {
        self.full.store(true, SeqCst);
        self.wanted.notify_one();
    }

    pub fn router_applied(&self, plan: &RouterPlan) {
        let legs = plan.interfaces.iter().chain(&plan.gateway);
        let in_force = InForce {
            // A leg is in place, and so ACTIVE as upstream has it, also while its router forwards nothing.
            ports: legs.map(|leg| leg.port_id.clone()).collect(),
            floating: plan.floating_ips.iter().filter(|_| plan.admin_up).map(|address| address.id.clone()).collect(),
        };
        self.routers.lock().unwrap_or_else(PoisonError::into_inner).insert(plan.id.clone(), in_force);
        self.look();
    }
    pub fn router_removed(&self, id: &str) {
        self.routers.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.look();
    }
}

/// Reports until aborted.
pub(crate) async fn run(fabric: &Fabric) {
    let mut told = Told::default();
    let status = &fabric.status;
    let second_looks = async {
        loop {
            status.again.notified().await;
            tokio::time::sleep(SECOND_LOOK).await;
            status.look();
        }
    };
    let reports = async {
        loop {
            status.wanted.notified().await;
            tokio::time::sleep(GATHER).await;
            if let Err(error) = report(fabric, &mut told).await {
                tracing::warn!(?error, "the state of ports cannot be told; trying again");
                tokio::time::sleep(RETRY).await;
                status.look();
            }
        }
    };
    tokio::join!(second_looks, reports);
}

async fn report(fabric: &Fabric, told: &mut Told) -> Result<()> {
    let full = fabric.status.full.swap(false, SeqCst);
    let result = report_changes(fabric, told, full).await;
    if full && result.is_err() {
        fabric.status.full.store(true, SeqCst);
    }
    result
}

async fn report_changes(fabric: &Fabric, told: &mut Told, full: bool) -> Result<()> {
    let (ports, floating) = in_force(fabric).await?;
    let mut report = NetworkReport::default();
    for (port, active) in &ports {
        if full || told.ports.get(port) != Some(active) {
            let list = if *active { &mut report.ports_active } else { &mut report.ports_down };
            list.push(port.clone());
        }
    }
    report.floating_active = floating.iter().filter(|id| full || !told.floating.contains(*id)).cloned().collect();
    report.floating_down = told.floating.difference(&floating).cloned().collect();
    if report != NetworkReport::default() {
        fabric.source.report(&fabric.host, report).await?;
    }
    *told = Told { ports, floating };
    Ok(())
}

async fn in_force(fabric: &Fabric) -> Result<(HashMap<String, bool>, HashSet<String>)> {
    let carriers: HashMap<String, bool> =
        fabric.dataplane.observe().await?.ports.into_iter().map(|(_, port, carrier)| (port, carrier)).collect();
    let mut legs = HashSet::new();
    let mut floating = HashSet::new();
    for router in fabric.status.routers.lock().unwrap_or_else(PoisonError::into_inner).values() {
        legs.extend(router.ports.iter().cloned());
        floating.extend(router.floating.iter().cloned());
    }
    let mut ports = HashMap::new();
    for network in fabric.plans.networks() {
        let applied = fabric.applied(&Key::Network(network.id.clone()));
        for port in &network.ports {
            let up = match port.kind {
                PortKind::Container => port.admin_up && carriers.get(&port.id) == Some(&true),
                PortKind::RouterInterface | PortKind::RouterGateway => legs.contains(&port.id),
            };
            ports.insert(port.id.clone(), applied && up);
        }
    }
    // A router's leg may be applied before its network's plan names it.
    ports.extend(legs.into_iter().map(|port| (port, true)));
    Ok((ports, floating))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NET, OTHER_PORT, PORT, Rig, leg, network, port, router};

    #[tokio::test]
    async fn only_changes_are_told_and_a_failed_report_is_repeated() {
        let rig = Rig::new().await;
        rig.source.set(network(NET, vec![port(PORT, "10.0.0.5/24")]));
        rig.fabric.sync(&Key::Network(NET.into())).await.unwrap();
        let mut told = Told::default();
        report(&rig.fabric, &mut told).await.unwrap();
        assert_eq!(rig.source.take_report().ports_down, [PORT]);
        let (plan, port) = rig.fabric.plans.port(PORT).unwrap();
        sahab_contract::network::Dataplane::plug(&*rig.dataplane, &plan, &port).await.unwrap();
        rig.dataplane.set_carrier(PORT, true);
        rig.source.set_away(true);
        assert!(report(&rig.fabric, &mut told).await.is_err());
        rig.source.set_away(false);
        report(&rig.fabric, &mut told).await.unwrap();
        assert_eq!(rig.source.take_report().ports_active, [PORT]);
        report(&rig.fabric, &mut told).await.unwrap();
        assert_eq!(rig.source.take_report(), NetworkReport::default());
        rig.fabric.status.tell_everything();
        report(&rig.fabric, &mut told).await.unwrap();
        assert_eq!(rig.source.take_report().ports_active, [PORT]);
    }

    #[tokio::test]
    async fn a_floating_address_that_moves_between_routers_stays_active() {
        let rig = Rig::new().await;
        let mut told = Told::default();
        rig.fabric.status.router_applied(&router("a", &["f"]));
        report(&rig.fabric, &mut told).await.unwrap();
        assert_eq!(rig.source.take_report().floating_active, ["f"]);
        rig.fabric.status.router_applied(&router("b", &["f"]));
        rig.fabric.status.router_applied(&router("a", &[]));
        report(&rig.fabric, &mut told).await.unwrap();
        assert_eq!(rig.source.take_report().floating_down, Vec::<String>::new());
        rig.fabric.status.router_removed("b");
        report(&rig.fabric, &mut told).await.unwrap();
        assert_eq!(rig.source.take_report().floating_down, ["f"]);
    }

    #[tokio::test]
    async fn legs_of_a_router_at_rest_are_active_and_its_floating_addresses_are_not() {
        let rig = Rig::new().await;
        let mut plan = router("a", &["f"]);
        plan.admin_up = false;
        plan.interfaces.push(leg(NET));
        rig.fabric.status.router_applied(&plan);
        report(&rig.fabric, &mut Told::default()).await.unwrap();
        let told = rig.source.take_report();
        assert_eq!((told.ports_active, told.floating_active), (vec![OTHER_PORT.to_owned()], vec![]));
    }
}
