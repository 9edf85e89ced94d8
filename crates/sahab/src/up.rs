//! `sahab up`: start, say where things are, serve until told to stop.

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::Duration,
};

use anyhow::Context;
use sahab_api::{Listener, Mount, ServerSettings};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::{
    cloud::Cloud,
    first_start,
    settings::{Loaded, Settings},
    state::StateDir,
    tls,
};

/// How long everything may take to stop; containers keep running.
const STOP_TIME: Duration = Duration::from_millis(4500);

/// Ports of upstream's installers, for `server.classic_ports`.
const CLASSIC: &[(&str, u16)] = &[("network", 9696), ("container", 9517), ("orchestration", 8004), ("image", 9292)];

pub async fn run(loaded: Loaded, bare: bool) -> anyhow::Result<()> {
    let settings = &loaded.settings;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let state = StateDir::open(&settings.state.dir)?;
    let tls = tls::load(&settings.server)?;
    let public_url = public_url(settings, tls.is_some());
    let listeners = bind(settings).await?;

    let cloud = Cloud::open(settings, &state).await?;
    first_start::identity(&cloud, settings, &state, &public_url).await?;

    let (stop, stopped) = watch::channel(false);
    let mut jobs = JoinSet::new();
    let server = ServerSettings {
        max_connections: connections(settings.server.max_connections),
        head_time: Duration::from_secs(settings.server.head_time),
        tls,
        ..Default::default()
    };
    for listener in listeners {
        jobs.spawn(listener.serve(cloud.dispatcher.clone(), server.clone(), stopped.clone()));
    }
    cloud.run(&mut jobs, &stopped);
    let ready = async {
        if !bare {
            first_start::networks(&cloud, settings, &state).await?;
        }
        announce(settings, &public_url, &state, bare)
    };
    tokio::select! {
        done = ready => {
            done?;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }

    tracing::info!("stopping; containers keep running");
    stop.send_replace(true);
    let drained = tokio::time::timeout(STOP_TIME, async {
        while jobs.join_next().await.is_some() {}
        cloud.close().await;
    })
    .await;
    if drained.is_err() {
        // Durable work goes on at the next start.
        tracing::info!("stopped with work in progress");
    }
    Ok(())
}

/// As many connections as are wanted, but never so many that no open file is left for the database, Docker and the
/// kernel: at most three quarters of what this process may have.
fn connections(wanted: usize) -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    let Ok((files, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return wanted };
    let most = usize::try_from(files / 4 * 3).unwrap_or(usize::MAX);
    if most < wanted {
        tracing::warn!(wanted, most, "fewer connections at once than set: this process may open too few files");
    }
    wanted.min(most)
}

fn public_url(settings: &Settings, tls: bool) -> String {
    let configured = settings.server.public_url.trim_end_matches('/');
    if !configured.is_empty() {
        return configured.to_owned();
    }
    let mut address = settings.server.listen;
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    format!("{}://{address}", if tls { "https" } else { "http" })
}

async fn bind(settings: &Settings) -> anyhow::Result<Vec<Listener>> {
    let address = settings.server.listen;
    let mut wanted = vec![(address, Mount::All)];
    if settings.server.classic_ports {
        wanted.extend(CLASSIC.iter().map(|(name, port)| (SocketAddr::new(address.ip(), *port), Mount::One(name))));
    }
    let mut listeners = Vec::new();
    for (address, mount) in wanted {
        let listener = Listener::bind(address, mount).await.map_err(super::cloud::fault);
        listeners.push(listener.with_context(|| format!("cannot listen on {address}; `sahab doctor` helps"))?);
    }
    Ok(listeners)
}

fn announce(settings: &Settings, public_url: &str, state: &StateDir, bare: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "Sahab is ready at {public_url}")?;
    writeln!(
        out,
        "  log in       . {}   (or {})",
        state.file("demo-openrc").display(),
        state.file("openrc").display()
    )?;
    writeln!(out, "  clouds.yaml  {}", state.file("clouds.yaml").display())?;
    if !bare {
        writeln!(
            out,
            "  networks     ext-net {} (external, shared), flat-lan-1-net {} (shared)",
            settings.network.external_cidr, settings.network.lan_cidr
        )?;
    }
    writeln!(out, "  state        {}", settings.state.dir.display())?;
    Ok(out.flush()?)
}
