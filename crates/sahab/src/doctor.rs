//! `sahab doctor`: what this machine lacks, and the remedy.

use std::{
    io::{self, Write},
    net::TcpListener,
    path::Path,
    time::{Duration, SystemTime},
};

use sahab_contract::container::ContainerDriver;
use sahab_dataplane::Check;

use crate::settings::Settings;

/// Prints one line a check; true when nothing required is missing.
pub async fn run(settings: &Settings, docker: &dyn ContainerDriver) -> anyhow::Result<bool> {
    let mut checks = vec![rights(), clock(), disk(&settings.state.dir), port(settings)];
    checks.push(engine(settings, docker).await);
    checks.extend(sahab_dataplane::probe().await);
    let mut out = io::stdout().lock();
    let mut well = true;
    for check in &checks {
        let mark = match (check.ok, check.required) {
            (true, _) => "ok  ",
            (false, true) => "FAIL",
            (false, false) => "warn",
        };
        writeln!(out, "{mark}  {:<24} {}", check.name, check.detail)?;
        if !check.ok {
            writeln!(out, "      {:<24} remedy: {}", "", check.remedy)?;
        }
        well &= check.ok || !check.required;
    }
    writeln!(out, "{}", if well { "This machine can run Sahab." } else { "This machine cannot run Sahab yet." })?;
    Ok(well)
}

fn check(name: &'static str, required: bool, result: Result<String, String>, remedy: &str) -> Check {
    let ok = result.is_ok();
    let detail = result.unwrap_or_else(|fault| fault);
    Check { name, ok, required, detail, remedy: if ok { String::new() } else { remedy.to_owned() } }
}

fn rights() -> Check {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0"));
    let result = if root { Ok("running as root".into()) } else { Err("not running as root".into()) };
    check("rights", true, result, "run as root: namespaces, links and rules need it")
}

fn clock() -> Check {
    // Tokens and certificates depend on it. Nothing older than this program can be the present.
    const BUILT: u64 = 1_790_000_000;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let result = if now > BUILT { Ok("plausible".into()) } else { Err(format!("{now} seconds since 1970")) };
    check("clock", true, result, "set the clock, and keep it right with chrony or systemd-timesyncd")
}

fn disk(dir: &Path) -> Check {
    const NEEDED_MIB: u64 = 1024;
    let existing = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let result = match nix::sys::statvfs::statvfs(existing) {
        Ok(stat) => {
            let free = stat.blocks_available() * stat.fragment_size() / (1024 * 1024);
            let text = format!("{free} MiB free at {}", existing.display());
            if free >= NEEDED_MIB { Ok(text) } else { Err(text) }
        }
        Err(error) => Err(format!("cannot look at {}: {error}", existing.display())),
    };
    check("disk", true, result, "free at least 1 GiB, or choose another state.dir")
}

fn port(settings: &Settings) -> Check {
    let address = settings.server.listen;
    let result = match TcpListener::bind(address) {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) => Err(format!("{address}: {error}")),
    };
    check("port", false, result, "stop what listens there (it may be Sahab itself), or set server.listen")
}

async fn engine(settings: &Settings, docker: &dyn ContainerDriver) -> Check {
    let result = match tokio::time::timeout(Duration::from_secs(10), docker.info()).await {
        Ok(Ok(info)) => {
            Ok(format!("{} on {}, {} CPUs, {} MiB", info.engine_version, info.os, info.cpus, info.memory_total))
        }
        Ok(Err(error)) => Err(error.report()),
        Err(_) => Err("no answer within 10 s".into()),
    };
    let remedy = format!(
        "install docker.io and start dockerd; Sahab looks for it at {}",
        settings.container.docker_socket.display()
    );
    check("docker", true, result, &remedy)
}
