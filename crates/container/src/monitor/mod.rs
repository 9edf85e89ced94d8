//! Follows the hosts: one loop per host for its news, inventory and safety sync, and one for news of other services.
//!
//! The hosts' events change statuses at once; the sync every [`crate::Settings::sync_interval`] repairs what a lost
//! event left, heals, removes what is to be removed, and removes containers of ours that the database does not know.

mod refresh;
mod sync;

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use sahab_contract::container::{ContainerEvent, HostInfo};
use sahab_contract::{Kind, Result};
use tokio::{
    sync::{broadcast, broadcast::error::RecvError, watch},
    task::JoinHandle,
};

use crate::{ContainerService, Host, db::host};

pub async fn run(service: ContainerService, mut stop: watch::Receiver<bool>) {
    let mut hosts: HashMap<String, (Host, JoinHandle<()>)> = HashMap::new();
    let mut changed = service.hosts_changed.subscribe();
    let others = tokio::spawn(follow_services(service.clone(), stop.clone()));
    loop {
        for (name, host) in service.host_list() {
            let same = hosts.get(&name).is_some_and(|(known, _)| std::sync::Arc::ptr_eq(&known.driver, &host.driver));
            if !same {
                let loop_of_host = tokio::spawn(follow_host(service.clone(), name.clone(), host.clone(), stop.clone()));
                if let Some((_, old)) = hosts.insert(name, (host, loop_of_host)) {
                    old.abort();
                }
            }
        }
        tokio::select! {
            _ = changed.changed() => {}
            _ = stopped(&mut stop) => break,
        }
    }
    others.abort();
    for (_, (_, handle)) in hosts {
        handle.abort();
    }
}

async fn follow_host(service: ContainerService, name: String, host: Host, mut stop: watch::Receiver<bool>) {
    // Subscribed before the first look: nothing falls between.
    let mut events = host.driver.subscribe();
    let mut timer = tokio::time::interval(service.settings.sync_interval.max(Duration::from_millis(10)));
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => service.look_at_everything(&name, &host).await,
            event = events.recv() => match event {
                Ok(event) => service.on_event(&name, &host, event).await,
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(host = name, missed, "events of a host were lost, looking at everything");
                    service.look_at_everything(&name, &host).await;
                }
                // The driver is gone: only the timer is left.
                Err(RecvError::Closed) => {
                    tokio::time::sleep(service.settings.sync_interval).await;
                    service.look_at_everything(&name, &host).await;
                }
            },
            _ = stopped(&mut stop) => return,
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means stop, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A deleted network's object must not stay in the engines.
async fn follow_services(service: ContainerService, mut stop: watch::Receiver<bool>) {
    let mut events: broadcast::Receiver<_> = service.events.subscribe();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) if event.topic == "network.deleted" => {
                    if let Err(error) = service.forget_network(&event.resource_id).await {
                        tracing::warn!(network = event.resource_id, error = error.report(), "a network stays known to a host");
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            _ = stopped(&mut stop) => return,
        }
    }
}

impl ContainerService {
    async fn on_event(&self, name: &str, host: &Host, event: ContainerEvent) {
        match event {
            ContainerEvent::Changed { id, observed } => self.on_change(name, &id, observed.map(|seen| *seen)).await,
            ContainerEvent::EngineUp => self.look_at_everything(name, host).await,
            ContainerEvent::EngineDown => {
                tracing::warn!(host = name, "the container engine does not answer");
                host.engine_up.store(false, Ordering::Relaxed);
            }
        }
    }

    /// Heartbeat, facts and state of all containers of a host.
    async fn look_at_everything(&self, name: &str, host: &Host) {
        if let Err(error) = self.inventory(name, host).await {
            tracing::warn!(host = name, error = error.report(), "a host does not tell its facts");
            return;
        }
        if let Err(error) = self.sync(name, host).await {
            tracing::warn!(host = name, error = error.report(), "the containers of a host could not be compared");
        }
    }

    /// Asks a host for its facts and records that it is alive.
    pub(crate) async fn inventory(&self, name: &str, host: &Host) -> Result<()> {
        let info: HostInfo = match host.driver.info().await {
            Ok(info) => info,
            Err(error) => {
                if error.kind() == Kind::Unavailable {
                    host.engine_up.store(false, Ordering::Relaxed);
                }
                return Err(error);
            }
        };
        host.engine_up.store(true, Ordering::Relaxed);
        let txn = self.database.begin().await?;
        host::seen(&txn, name, info, &self.settings.availability_zone).await?;
        txn.commit().await?;
        host.known.store(true, Ordering::Relaxed);
        Ok(())
    }
}
