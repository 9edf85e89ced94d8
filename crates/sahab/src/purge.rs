//! `sahab purge`: nothing of ours is left in Docker, the kernel and on the disk.

use std::io::{self, Write};

use anyhow::bail;
use sahab_contract::{container::ContainerDriver, network::Dataplane};

use crate::{
    cloud::{dataplane, docker, fault},
    settings::Settings,
    state::StateDir,
};

pub async fn run(settings: &Settings, yes: bool) -> anyhow::Result<()> {
    if !yes {
        bail!(
            "this removes every container and network of Sahab on this host, and {}; say --yes to do it",
            settings.state.dir.display()
        );
    }
    // The lock: never under a running cloud.
    let state = StateDir::open(&settings.state.dir)?;
    let mut out = io::stdout().lock();
    let driver = docker(settings, &state.file("agent"));
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
    dataplane(settings).await?.purge().await.map_err(fault)?;
    writeln!(out, "removed namespaces, links and rules")?;
    let _ = std::fs::remove_file(&settings.container.plugin_socket);
    std::fs::remove_dir_all(&settings.state.dir)?;
    writeln!(out, "removed {}", settings.state.dir.display())?;
    Ok(())
}
