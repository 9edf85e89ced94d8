//! Use of resources by a container, and facts of the host.

use std::path::Path;

use bollard::{
    models::{ContainerStatsResponse, SystemInfo},
    query_parameters::StatsOptionsBuilder,
};
use futures_util::StreamExt;
use sahab_contract::{
    Error, Result,
    container::{HostInfo, Stats},
};

use crate::{
    engine::{Engine, container_name},
    error::{CODE, Mapped},
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl Engine {
    /// One sample with the one before it, which the engine takes a second apart: the rate needs both.
    pub(crate) async fn stats(&self, id: &str) -> Result<Stats> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(false).build();
        let docker = self.docker()?;
        let mut samples = std::pin::pin!(docker.stats(&container_name(id)?, Some(options)));
        let sample = samples
            .next()
            .await
            .ok_or_else(|| Error::unavailable(CODE, "the container engine gave no sample"))?
            .mapped()?;
        Ok(stats(&sample))
    }

    pub(crate) async fn info(&self) -> Result<HostInfo> {
        let info = self.docker()?.info().await.mapped()?;
        let root = info.docker_root_dir.clone().unwrap_or_default();
        let driver_quota = quota_by_driver(&info);
        let (disk_total, mount_quota) =
            tokio::task::spawn_blocking(move || (disk_total(Path::new(&root)), quota_by_mount(Path::new(&root))))
                .await?;
        let count = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
        let mut runtimes: Vec<String> = info.runtimes.unwrap_or_default().into_keys().collect();
        runtimes.sort();
        Ok(HostInfo {
            hostname: info.name.unwrap_or_default(),
            cpus: count(info.ncpu),
            memory_total: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default() / MIB,
            disk_total,
            disk_quota_supported: driver_quota.unwrap_or(mount_quota),
            architecture: info.architecture.unwrap_or_default(),
            os_type: info.os_type.unwrap_or_default(),
            os: info.operating_system.unwrap_or_default(),
            kernel_version: info.kernel_version.unwrap_or_default(),
            labels: info
                .labels
                .unwrap_or_default()
                .iter()
                .map(|label| label.split_once('=').unwrap_or((label, "")))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            runtimes,
            default_runtime: info.default_runtime.unwrap_or_default(),
            engine_version: info.server_version.unwrap_or_default(),
            containers_total: count(info.containers),
            containers_running: count(info.containers_running),
            containers_paused: count(info.containers_paused),
            containers_stopped: count(info.containers_stopped),
        })
    }

    pub(crate) async fn disk_quota_supported(&self) -> Result<bool> {
        Ok(self.info().await?.disk_quota_supported)
    }
}

/// Whether the storage driver can limit a writable layer; `None`: it depends on the mount.
fn quota_by_driver(info: &SystemInfo) -> Option<bool> {
    match info.driver.as_deref().unwrap_or_default() {
        "devicemapper" | "zfs" | "btrfs" | "windowsfilter" => Some(true),
        "overlay2" => {
            let xfs = info
                .driver_status
                .iter()
                .flatten()
                .any(|pair| matches!(&pair[..], [key, value] if key == "Backing Filesystem" && value == "xfs"));
            if xfs { None } else { Some(false) }
        }
        _ => Some(false),
    }
}

/// Whether the file system that holds `path` is mounted with project quotas.
fn quota_by_mount(path: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let point = fields.nth(1)?;
            let options = fields.nth(1)?;
            path.starts_with(point).then_some((point.len(), options))
        })
        .max_by_key(|(length, _)| *length)
        .is_some_and(|(_, options)| options.split(',').any(|option| matches!(option, "pquota" | "prjquota")))
}

/// GiB of the file system that holds the engine's data.
fn disk_total(path: &Path) -> u64 {
    match nix::sys::statvfs::statvfs(path) {
        Ok(found) => found.blocks().saturating_mul(found.fragment_size()) / GIB,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "size of the container engine's disk is unknown");
            0
        }
    }
}

/// As `docker stats` computes it: the container's share of the host's time between two samples, times the cores.
fn stats(sample: &ContainerStatsResponse) -> Stats {
    let usage = |stats: Option<&bollard::models::ContainerCpuStats>| {
        stats.and_then(|stats| stats.cpu_usage.as_ref()).and_then(|usage| usage.total_usage).unwrap_or_default()
    };
    let system = |stats: Option<&bollard::models::ContainerCpuStats>| {
        stats.and_then(|stats| stats.system_cpu_usage).unwrap_or_default()
    };
    let (now, before) = (sample.cpu_stats.as_ref(), sample.precpu_stats.as_ref());
    let container_time = usage(now).saturating_sub(usage(before));
    let host_time = system(now).saturating_sub(system(before));
    let cores = now
        .and_then(|stats| {
            let listed = || stats.cpu_usage.as_ref()?.percpu_usage.as_ref().map(Vec::len);
            stats.online_cpus.filter(|count| *count > 0).map(|count| count as usize).or_else(listed)
        })
        .unwrap_or(1);
    // Without an earlier sample there is no rate.
    let cpu_percent = if container_time > 0 && host_time > 0 && system(before) > 0 {
        container_time as f64 / host_time as f64 * cores as f64 * 100.0
    } else {
        0.0
    };
    let memory = sample.memory_stats.as_ref();
    let used = memory.and_then(|memory| memory.usage).unwrap_or_default();
    // Page cache that can be dropped is no use of memory; the first key is of cgroup v1, the second of v2.
    let cache = memory
        .and_then(|memory| memory.stats.as_ref())
        .and_then(|stats| stats.get("total_inactive_file").or_else(|| stats.get("inactive_file")))
        .copied()
        .filter(|cache| *cache < used)
        .unwrap_or_default();
    let blocks = |name: &str| {
        sample
            .blkio_stats
            .as_ref()
            .and_then(|blocks| blocks.io_service_bytes_recursive.as_ref())
            .into_iter()
            .flatten()
            .filter(|entry| entry.op.as_deref().is_some_and(|op| op.eq_ignore_ascii_case(name)))
            .filter_map(|entry| entry.value)
            .sum()
    };
    let networks = || sample.networks.iter().flat_map(|networks| networks.values());
    Stats {
        cpu_percent,
        memory_usage: used - cache,
        memory_limit: memory.and_then(|memory| memory.limit).unwrap_or_default(),
        block_read: blocks("read"),
        block_write: blocks("write"),
        net_rx: networks().filter_map(|network| network.rx_bytes).sum(),
        net_tx: networks().filter_map(|network| network.tx_bytes).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str) -> Stats {
        stats(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_rate_is_a_difference() {
        let seen = sample(
            r#"{"cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
                "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
                "memory_stats": {"usage": 500, "limit": 1000, "stats": {"total_inactive_file": 100}},
                "blkio_stats": {"io_service_bytes_recursive": [
                    {"major": 8, "minor": 0, "op": "Read", "value": 5}, {"major": 8, "minor": 0, "op": "write", "value": 7}]},
                "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}}}"#,
        );
        assert!((seen.cpu_percent - 40.0).abs() < 1e-9);
        assert_eq!((seen.memory_usage, seen.memory_limit), (400, 1000));
        assert_eq!((seen.block_read, seen.block_write), (5, 7));
        assert_eq!((seen.net_rx, seen.net_tx), (11, 22));
    }

    #[test]
    fn a_container_that_never_ran_uses_nothing() {
        assert_eq!(
            sample(r#"{"read": "0001-01-01T00:00:00Z", "cpu_stats": {}, "memory_stats": {}}"#),
            Stats::default()
        );
    }

    #[test]
    fn quotas_depend_on_the_storage_driver() {
        let info = |driver: &str, backing: &str| SystemInfo {
            driver: Some(driver.into()),
            driver_status: Some(vec![vec!["Backing Filesystem".into(), backing.into()]]),
            ..Default::default()
        };
        assert_eq!(quota_by_driver(&info("overlay2", "extfs")), Some(false));
        assert_eq!(quota_by_driver(&info("overlay2", "xfs")), None);
        assert_eq!(quota_by_driver(&info("btrfs", "btrfs")), Some(true));
        assert_eq!(quota_by_driver(&info("vfs", "extfs")), Some(false));
    }
}
