//! Containers as a host runs them: what the container service asks of a host, and what the host reports back.
//!
//! The container driver (Docker) implements [`ContainerDriver`]; the agent puts the network in front of it and offers
//! the result to the container service under the same trait.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::error::Result;

/// Everything a runtime needs to create one container. The runtime's own name for it is `zun-<id>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Dashed UUID.
    pub id: String,
    /// The user's name of it; other containers of its networks resolve it.
    pub name: String,
    /// Complete reference, `repository:tag`.
    pub image: String,
    /// Empty: the image's.
    pub command: Vec<String>,
    /// Empty: the image's.
    pub entrypoint: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub workdir: Option<String>,
    pub hostname: Option<String>,
    /// Cores; a hard limit. `None` is unlimited.
    pub cpu: Option<f64>,
    /// MiB; a hard limit. `None` is unlimited.
    pub memory: Option<u64>,
    /// GiB of the writable layer, where the storage driver can limit it.
    pub disk: Option<u64>,
    pub interactive: bool,
    pub tty: bool,
    pub auto_remove: bool,
    pub privileged: bool,
    pub runtime: Option<String>,
    pub restart_policy: Option<RestartPolicy>,
    pub healthcheck: Option<Healthcheck>,
    /// `80/tcp`
    pub exposed_ports: Vec<String>,
    /// Files whose content is given with the request, bind-mounted read-write.
    pub files: Vec<InjectedFile>,
    /// The first one carries the default route and becomes `eth0`.
    pub networks: Vec<Attachment>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// `no`, `always`, `on-failure`, `unless-stopped`
    pub name: String,
    pub maximum_retry_count: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// Run by a shell in the container.
    pub command: String,
    pub interval_seconds: Option<u64>,
    pub timeout_seconds: Option<u64>,
    pub retries: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InjectedFile {
    pub destination: String,
    #[serde(with = "bytes_hex")]
    pub content: Vec<u8>,
}

/// A port that the container must be plugged into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    pub network_id: String,
    pub port_id: String,
    pub mac: String,
    pub addresses: Vec<std::net::IpAddr>,
    pub primary: bool,
    /// Names that resolve to this container inside the network.
    pub aliases: Vec<String>,
    pub dns: Vec<std::net::IpAddr>,
}

/// A container's state as the runtime sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Dashed UUID from the runtime's name.
    pub id: String,
    /// The runtime's own id.
    pub runtime_id: String,
    pub state: RunState,
    /// The runtime's error text, when starting failed.
    pub error: Option<String>,
    pub exit_code: Option<i64>,
    pub oom_killed: bool,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub restart_count: u32,
    pub health: Option<String>,
    pub hostname: Option<String>,
    pub command: Vec<String>,
    pub entrypoint: Vec<String>,
    pub workdir: Option<String>,
    pub runtime: Option<String>,
    /// Container ports, from the image's EXPOSE and the request's.
    pub ports: Vec<u16>,
}

/// Something happened to a container of ours. `Changed` carries the state after it; look again when in doubt.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerEvent {
    Changed {
        id: String,
        observed: Option<Box<Observed>>,
    },
    /// The engine came back (or first appeared): everything may have changed.
    EngineUp,
    EngineDown,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Exec {
    pub output: Vec<u8>,
    pub exit_code: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogQuery {
    pub stdout: bool,
    pub stderr: bool,
    pub timestamps: bool,
    /// `None`: all.
    pub tail: Option<u64>,
    /// Seconds since the epoch.
    pub since: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    pub cpu_percent: f64,
    pub memory_usage: u64,
    pub memory_limit: u64,
    pub block_read: u64,
    pub block_write: u64,
    pub net_rx: u64,
    pub net_tx: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Top {
    pub titles: Vec<String>,
    pub processes: Vec<Vec<String>>,
}

/// A file or folder of a container as a tar stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Archive {
    pub tar: Vec<u8>,
    /// `name size mode mtime linkTarget`, as the runtime gives it.
    pub stat: serde_json::Value,
}

/// What may be changed on a live container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    pub cpu: Option<f64>,
    /// MiB
    pub memory: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegistryLogin {
    pub server: String,
    pub username: String,
    pub password: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ImageInfo {
    /// The runtime's digest id.
    pub id: String,
    pub repo: String,
    pub tag: String,
    /// Bytes.
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ImageFound {
    pub name: String,
    pub description: String,
    pub official: bool,
    pub stars: i64,
}

/// Facts and capacity of a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostInfo {
    pub hostname: String,
    pub cpus: u32,
    /// MiB
    pub memory_total: u64,
    /// GiB of the runtime's data folder.
    pub disk_total: u64,
    pub disk_quota_supported: bool,
    pub architecture: String,
    pub os_type: String,
    pub os: String,
    pub kernel_version: String,
    pub labels: BTreeMap<String, String>,
    pub runtimes: Vec<String>,
    pub default_runtime: String,
    pub engine_version: String,
    pub containers_total: u32,
    pub containers_running: u32,
    pub containers_paused: u32,
    pub containers_stopped: u32,
}

/// A host that runs containers. All calls are idempotent where the engine allows it: creating what exists (same id),
/// starting what runs, stopping what is stopped and deleting what is gone all succeed.
///
/// Errors: `NotFound` when the container is not there, `Conflict` when its state forbids the call, `Invalid` for
/// arguments the engine refuses, `Unavailable` when the engine does not answer.
#[async_trait]
pub trait ContainerDriver: Send + Sync {
    async fn info(&self) -> Result<HostInfo>;
    /// Live news. A receiver that lags must list.
    fn subscribe(&self) -> broadcast::Receiver<ContainerEvent>;

    /// Makes the image present by policy; `progress` gets a line now and then. Returns what it resolved to.
    async fn image_pull(
        &self,
        reference: &str,
        policy: PullPolicy,
        login: Option<&RegistryLogin>,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageInfo>;
    async fn image_list(&self) -> Result<Vec<ImageInfo>>;
    async fn image_remove(&self, reference: &str) -> Result<()>;
    async fn image_search(&self, term: &str) -> Result<Vec<ImageFound>>;

    async fn create(&self, spec: &ContainerSpec) -> Result<Observed>;
    async fn start(&self, id: &str) -> Result<Observed>;
    /// Creates and starts. Its own call because a host may do at once what the two would do one after the other.
    async fn run(&self, spec: &ContainerSpec) -> Result<Observed> {
        self.create(spec).await?;
        self.start(&spec.id).await
    }
    /// `timeout` in seconds until the kill; `None` is the engine's default.
    async fn stop(&self, id: &str, timeout: Option<u32>) -> Result<Observed>;
    async fn restart(&self, id: &str, timeout: Option<u32>) -> Result<Observed>;
    async fn pause(&self, id: &str) -> Result<Observed>;
    async fn unpause(&self, id: &str) -> Result<Observed>;
    /// `signal` as `SIGTERM` or a number; `None` is SIGKILL.
    async fn kill(&self, id: &str, signal: Option<&str>) -> Result<Observed>;
    async fn delete(&self, id: &str, force: bool) -> Result<()>;
    async fn update(&self, id: &str, resources: &Resources) -> Result<()>;
    async fn inspect(&self, id: &str) -> Result<Observed>;
    /// All containers of ours on this host.
    async fn list(&self) -> Result<Vec<Observed>>;

    /// Runs a command to its end; `limit` bounds time, output is cut at `max_output` bytes.
    async fn execute(
        &self,
        id: &str,
        command: &[String],
        limit: std::time::Duration,
        max_output: usize,
    ) -> Result<Exec>;
    /// Both streams interleaved, without framing; cut at `max_output` bytes from the front.
    async fn logs(&self, id: &str, query: &LogQuery, max_output: usize) -> Result<Vec<u8>>;
    async fn top(&self, id: &str, ps_args: Option<&str>) -> Result<Top>;
    async fn stats(&self, id: &str) -> Result<Stats>;
    async fn get_archive(&self, id: &str, path: &str, max_size: usize) -> Result<Archive>;
    async fn put_archive(&self, id: &str, path: &str, tar: Vec<u8>) -> Result<()>;
    /// Terminal size of the container's own tty.
    async fn resize(&self, id: &str, width: u16, height: u16) -> Result<()>;

    async fn network_attach(&self, id: &str, attachment: &Attachment) -> Result<()>;
    async fn network_detach(&self, id: &str, network_id: &str) -> Result<()>;
    /// Removes the engine's own object for a network; unknown is success, in use is `Conflict`.
    async fn network_forget(&self, network_id: &str) -> Result<()>;
    /// Network ids for which the engine holds an object of ours.
    async fn network_list(&self) -> Result<Vec<String>>;
}

mod bytes_hex {
    //! Bytes as a JSON array would be four times their size; hex keeps this crate free of an encoder.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.is_ascii() || text.len() % 2 != 0 {
            return Err(D::Error::custom("not hexadecimal"));
        }
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).map_err(D::Error::custom)).collect()
    }
}
