//! `sahab purge`: nothing of this cloud is left in Docker, the kernel and on the disk. What another cloud on the same
//! machine owns stays.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use anyhow::bail;
use async_trait::async_trait;
use sahab_agent::{Agent, Parts};
use sahab_contract::{
    Error, Result,
    container::ContainerDriver,
    network::{AdHocPort, AdHocPorts, Dataplane, Dirty, NetworkPlan, NetworkPlans, NetworkReport, RouterPlan},
};
use tokio::sync::broadcast;

use crate::{
    cloud::{dataplane, docker, fault},
    host,
    settings::Settings,
    state::StateDir,
};

pub async fn run(settings: &Settings, yes: bool) -> anyhow::Result<()> {
    if !yes {
        bail!(
            "this removes every container and network of this cloud from this host, and {}; say --yes to do it",
            settings.state.dir.display()
        );
    }
    // The lock: never under a running cloud.
    let state = StateDir::open(&settings.state.dir)?;
    let mut out = io::stdout().lock();
    let cloud = state.cloud_id()?;
    let driver = docker(settings, &state.file("agent"), &cloud);
    // Docker asks our network driver about every container it removes, and waits 46 s when nobody answers.
    let agent = Agent::start(Parts {
        hostname: host::name(),
        dataplane: Arc::new(dataplane(settings, &cloud).await?),
        driver: Arc::new(docker(settings, &state.file("agent"), &cloud)),
        plans: Arc::new(Away),
        ad_hoc: Arc::new(Away),
        state_dir: state.file("agent"),
        plugin_socket: settings.container.plugin_socket.clone(),
        full_pass: Duration::from_secs(3600),
    })
    .await
    .map_err(fault)?;
    match driver.info().await {
        Ok(_) => {
            for container in driver.list().await.map_err(fault)? {
                driver.delete(&container.id, true).await.map_err(fault)?;
                writeln!(out, "removed container {}", container.id)?;
            }
            for network in driver.network_list().await.map_err(fault)? {
                driver.network_forget(&network).await.map_err(fault)?;
                writeln!(out, "removed Docker network {network}")?;
            }
        }
        Err(error) => writeln!(out, "Docker does not answer ({}); what it holds of ours stays", error.report())?,
    }
    agent.stop().await;
    dataplane(settings, &cloud).await?.purge().await.map_err(fault)?;
    writeln!(out, "removed namespaces, links and rules")?;
    let _ = std::fs::remove_file(&settings.container.plugin_socket);
    std::fs::remove_dir_all(&settings.state.dir)?;
    writeln!(out, "removed {}", settings.state.dir.display())?;
    Ok(())
}

/// A control plane that is not there: the agent works with what it remembers.
struct Away;

fn away<T>() -> Result<T> {
    Err(Error::unavailable("ControlPlaneAway", "everything is being removed"))
}

#[async_trait]
impl NetworkPlans for Away {
    async fn inventory(&self, _: &str) -> Result<(Vec<String>, Vec<String>)> {
        away()
    }
    async fn network(&self, _: &str, _: &str) -> Result<Option<NetworkPlan>> {
        away()
    }
    async fn router(&self, _: &str, _: &str) -> Result<Option<RouterPlan>> {
        away()
    }
    fn subscribe(&self) -> broadcast::Receiver<Dirty> {
        broadcast::channel(1).1
    }
    async fn report(&self, _: &str, _: NetworkReport) -> Result<()> {
        away()
    }
}

#[async_trait]
impl AdHocPorts for Away {
    async fn resolve(&self, _: &str) -> Result<String> {
        away()
    }
    async fn create(&self, _: &str, _: &str, _: &str) -> Result<AdHocPort> {
        away()
    }
    async fn release(&self, _: &str) -> Result<()> {
        Ok(())
    }
}
