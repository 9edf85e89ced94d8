//! A host in memory, for tests of those who use a driver.
//!
//! Follows the same rules as the real one (idempotence, conflicts by state) and tells the same events. A test may make
//! the next call of an operation fail, end a container, or take the engine away.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::Utc;
use sahab_contract::{
    Error, Result,
    container::{
        Archive, Attachment, ContainerDriver, ContainerEvent, ContainerSpec, Exec, HostInfo, ImageFound, ImageInfo,
        LogQuery, Observed, PullPolicy, RegistryLogin, Resources, RunState, Stats, Top,
    },
};
use tokio::sync::broadcast;

use crate::{error::CODE, observe::vanished, reference::Reference};

/// See the module's text.
pub struct FakeDriver {
    state: Mutex<State>,
    events: broadcast::Sender<ContainerEvent>,
}

#[derive(Default)]
struct State {
    containers: BTreeMap<String, Container>,
    images: BTreeSet<String>,
    networks: BTreeSet<String>,
    failures: HashMap<&'static str, VecDeque<Error>>,
    calls: Vec<String>,
    down: bool,
}

struct Container {
    spec: ContainerSpec,
    seen: Observed,
    log: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Default for FakeDriver {
    fn default() -> Self {
        FakeDriver { state: Mutex::default(), events: broadcast::channel(1024).0 }
    }
}

impl FakeDriver {
    /// An empty host; any image can be pulled unless a failure is scripted.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call of `operation` (a method's name) fails with `error`; several queue up.
    pub fn fail_next(&self, operation: &'static str, error: Error) {
        self.lock().failures.entry(operation).or_default().push_back(error);
    }
    /// Calls so far as `operation argument`.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }
    pub fn spec(&self, id: &str) -> Option<ContainerSpec> {
        self.lock().containers.get(id).map(|container| container.spec.clone())
    }
    pub fn set_log(&self, id: &str, log: &[u8]) {
        if let Some(container) = self.lock().containers.get_mut(id) {
            container.log = log.to_vec();
        }
    }

    /// The container's process ends by itself.
    pub fn exit(&self, id: &str, code: i64) {
        let seen = {
            let mut state = self.lock();
            let Some(container) = state.containers.get_mut(id) else { return };
            end(&mut container.seen, code);
            let seen = container.seen.clone();
            if container.spec.auto_remove {
                state.containers.remove(id);
                None
            } else {
                Some(Box::new(seen))
            }
        };
        self.tell(ContainerEvent::Changed { id: id.to_owned(), observed: seen });
    }

    /// The container is removed behind everyone's back.
    pub fn vanish(&self, id: &str) {
        self.lock().containers.remove(id);
        self.tell(ContainerEvent::Changed { id: id.to_owned(), observed: None });
    }

    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
        self.tell(if down { ContainerEvent::EngineDown } else { ContainerEvent::EngineUp });
    }

    fn tell(&self, event: ContainerEvent) {
        // No subscriber is no error.
        let _ = self.events.send(event);
    }

    /// Records the call and gives the failure that was scripted for it.
    fn enter(&self, operation: &'static str, argument: &str) -> Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        state.calls.push(format!("{operation} {argument}"));
        if state.down {
            return Err(Error::unavailable(CODE, "the container engine does not answer"));
        }
        if let Some(error) = state.failures.get_mut(operation).and_then(VecDeque::pop_front) {
            return Err(error);
        }
        Ok(state)
    }

    /// Changes a container's state under the rules and tells about it.
    fn change(
        &self,
        operation: &'static str,
        id: &str,
        change: impl FnOnce(&mut Observed) -> Result<()>,
    ) -> Result<Observed> {
        let seen = {
            let mut state = self.enter(operation, id)?;
            let container = state.get(id)?;
            change(&mut container.seen)?;
            let seen = container.seen.clone();
            if container.spec.auto_remove && seen.state == RunState::Exited {
                state.containers.remove(id);
                vanished(id)
            } else {
                seen
            }
        };
        let observed = (seen.state != RunState::Removing).then(|| Box::new(seen.clone()));
        self.tell(ContainerEvent::Changed { id: id.to_owned(), observed });
        Ok(seen)
    }
}

impl State {
    fn get(&mut self, id: &str) -> Result<&mut Container> {
        self.containers.get_mut(id).ok_or_else(|| Error::not_found(CODE, format!("No such container: zun-{id}")))
    }
    fn running(&mut self, id: &str) -> Result<&mut Container> {
        let container = self.get(id)?;
        match container.seen.state {
            RunState::Running => Ok(container),
            _ => Err(Error::conflict(CODE, format!("Container zun-{id} is not running"))),
        }
    }
}

fn begin(seen: &mut Observed) {
    seen.state = RunState::Running;
    seen.started_at = Some(Utc::now());
    seen.finished_at = None;
    seen.exit_code = None;
}

fn end(seen: &mut Observed, code: i64) {
    seen.state = RunState::Exited;
    seen.finished_at = Some(Utc::now());
    seen.exit_code = Some(code);
}

fn alive(seen: &Observed) -> bool {
    matches!(seen.state, RunState::Running | RunState::Paused | RunState::Restarting)
}

fn conflict(seen: &Observed, text: &str) -> Error {
    Error::conflict(CODE, format!("Container zun-{} {text}", seen.id))
}

#[async_trait]
impl ContainerDriver for FakeDriver {
    async fn info(&self) -> Result<HostInfo> {
        let state = self.enter("info", "")?;
        let count = |wanted: fn(RunState) -> bool| {
            state.containers.values().filter(|container| wanted(container.seen.state)).count() as u32
        };
        Ok(HostInfo {
            hostname: "fake".into(),
            cpus: 8,
            memory_total: 16 * 1024,
            disk_total: 100,
            disk_quota_supported: false,
            architecture: "x86_64".into(),
            os_type: "linux".into(),
            os: "Fake Linux".into(),
            kernel_version: "6.0".into(),
            labels: BTreeMap::new(),
            runtimes: vec!["runc".into()],
            default_runtime: "runc".into(),
            engine_version: "0.0".into(),
            containers_total: count(|_| true),
            containers_running: count(|state| state == RunState::Running),
            containers_paused: count(|state| state == RunState::Paused),
            containers_stopped: count(|state| !matches!(state, RunState::Running | RunState::Paused)),
        })
    }
    fn subscribe(&self) -> broadcast::Receiver<ContainerEvent> {
        self.events.subscribe()
    }

    async fn image_pull(
        &self,
        reference: &str,
        policy: PullPolicy,
        _login: Option<&RegistryLogin>,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageInfo> {
        let mut state = self.enter("image_pull", reference)?;
        let parsed = Reference::parse(reference)?;
        if !state.images.contains(&parsed.full()) {
            if policy == PullPolicy::Never {
                let message = format!("Image {} not present with pull policy of Never", parsed.repository);
                return Err(Error::not_found(CODE, message));
            }
            state.images.insert(parsed.full());
            drop(state);
            progress("Pull complete".into());
        }
        Ok(ImageInfo { id: format!("sha256:{}", parsed.full()), repo: parsed.repository, tag: parsed.tag, size: 1 })
    }
    async fn image_list(&self) -> Result<Vec<ImageInfo>> {
        let state = self.enter("image_list", "")?;
        state
            .images
            .iter()
            .map(|name| {
                let parsed = Reference::parse(name)?;
                Ok(ImageInfo { id: format!("sha256:{name}"), repo: parsed.repository, tag: parsed.tag, size: 1 })
            })
            .collect()
    }
    async fn image_remove(&self, reference: &str) -> Result<()> {
        let name = Reference::parse(reference)?.full();
        self.enter("image_remove", reference)?.images.remove(&name);
        Ok(())
    }
    async fn image_search(&self, term: &str) -> Result<Vec<ImageFound>> {
        let state = self.enter("image_search", term)?;
        Ok(state
            .images
            .iter()
            .filter(|name| name.contains(term))
            .map(|name| ImageFound { name: name.clone(), description: String::new(), official: false, stars: 0 })
            .collect())
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<Observed> {
        let seen = {
            let mut state = self.enter("create", &spec.id)?;
            state.networks.extend(spec.networks.iter().map(|network| network.network_id.clone()));
            if let Some(container) = state.containers.get(&spec.id) {
                return Ok(container.seen.clone());
            }
            let seen = Observed {
                runtime_id: format!("fake-{}", spec.id),
                state: RunState::Created,
                hostname: Some(spec.hostname.clone().unwrap_or_else(|| spec.id.chars().take(12).collect())),
                command: if spec.command.is_empty() { vec!["sh".into()] } else { spec.command.clone() },
                entrypoint: spec.entrypoint.clone(),
                workdir: spec.workdir.clone(),
                runtime: Some(spec.runtime.clone().unwrap_or_else(|| "runc".into())),
                ports: spec.exposed_ports.iter().filter_map(|port| port.split('/').next()?.parse().ok()).collect(),
                ..vanished(&spec.id)
            };
            let container =
                Container { spec: spec.clone(), seen: seen.clone(), log: Vec::new(), files: BTreeMap::new() };
            state.containers.insert(spec.id.clone(), container);
            seen
        };
        self.tell(ContainerEvent::Changed { id: spec.id.clone(), observed: Some(Box::new(seen.clone())) });
        Ok(seen)
    }
    async fn start(&self, id: &str) -> Result<Observed> {
        self.change("start", id, |seen| match seen.state {
            RunState::Running => Ok(()),
            RunState::Paused => Err(conflict(seen, "is paused; unpause it first")),
            _ => {
                begin(seen);
                Ok(())
            }
        })
    }
    async fn stop(&self, id: &str, _timeout: Option<u32>) -> Result<Observed> {
        self.change("stop", id, |seen| {
            if alive(seen) {
                end(seen, 143);
            }
            Ok(())
        })
    }
    async fn restart(&self, id: &str, _timeout: Option<u32>) -> Result<Observed> {
        self.change("restart", id, |seen| {
            begin(seen);
            Ok(())
        })
    }
    async fn pause(&self, id: &str) -> Result<Observed> {
        self.change("pause", id, |seen| match seen.state {
            RunState::Running | RunState::Paused => {
                seen.state = RunState::Paused;
                Ok(())
            }
            _ => Err(conflict(seen, "is not running")),
        })
    }
    async fn unpause(&self, id: &str) -> Result<Observed> {
        self.change("unpause", id, |seen| match seen.state {
            RunState::Running | RunState::Paused => {
                seen.state = RunState::Running;
                Ok(())
            }
            _ => Err(conflict(seen, "is not paused")),
        })
    }
    async fn kill(&self, id: &str, signal: Option<&str>) -> Result<Observed> {
        let name = signal.unwrap_or("SIGKILL").to_ascii_uppercase();
        self.change("kill", id, |seen| {
            if !alive(seen) {
                return Err(conflict(seen, "is not running"));
            }
            match name.trim_start_matches("SIG") {
                "KILL" | "9" => end(seen, 137),
                "TERM" | "15" => end(seen, 143),
                _ => {}
            }
            Ok(())
        })
    }
    async fn delete(&self, id: &str, force: bool) -> Result<()> {
        {
            let mut state = self.enter("delete", id)?;
            match state.containers.get(id) {
                None => return Ok(()),
                Some(container) if alive(&container.seen) && !force => {
                    return Err(conflict(&container.seen, "is running; stop it first or force the removal"));
                }
                Some(_) => state.containers.remove(id),
            };
        }
        self.tell(ContainerEvent::Changed { id: id.to_owned(), observed: None });
        Ok(())
    }
    async fn update(&self, id: &str, resources: &Resources) -> Result<()> {
        let mut state = self.enter("update", id)?;
        let container = state.get(id)?;
        container.spec.cpu = resources.cpu.or(container.spec.cpu);
        container.spec.memory = resources.memory.or(container.spec.memory);
        Ok(())
    }
    async fn inspect(&self, id: &str) -> Result<Observed> {
        Ok(self.enter("inspect", id)?.get(id)?.seen.clone())
    }
    async fn list(&self) -> Result<Vec<Observed>> {
        Ok(self.enter("list", "")?.containers.values().map(|container| container.seen.clone()).collect())
    }

    async fn execute(&self, id: &str, command: &[String], _limit: Duration, max_output: usize) -> Result<Exec> {
        self.enter("execute", id)?.running(id)?;
        let mut output = command.join(" ").into_bytes();
        output.truncate(max_output);
        Ok(Exec { output, exit_code: 0 })
    }
    async fn logs(&self, id: &str, _query: &LogQuery, max_output: usize) -> Result<Vec<u8>> {
        let mut state = self.enter("logs", id)?;
        let log = &state.get(id)?.log;
        Ok(log[log.len().saturating_sub(max_output)..].to_vec())
    }
    async fn top(&self, id: &str, _ps_args: Option<&str>) -> Result<Top> {
        let mut state = self.enter("top", id)?;
        let command = state.running(id)?.seen.command.join(" ");
        Ok(Top { titles: vec!["PID".into(), "CMD".into()], processes: vec![vec!["1".into(), command]] })
    }
    async fn stats(&self, id: &str) -> Result<Stats> {
        let mut state = self.enter("stats", id)?;
        let container = state.get(id)?;
        Ok(Stats { memory_limit: container.spec.memory.unwrap_or_default() << 20, ..Default::default() })
    }
    async fn get_archive(&self, id: &str, path: &str, max_size: usize) -> Result<Archive> {
        let mut state = self.enter("get_archive", id)?;
        let found = state.get(id)?.files.get(path).cloned();
        let tar = found
            .ok_or_else(|| Error::invalid(CODE, format!("Could not find the file {path} in container zun-{id}")))?;
        if tar.len() > max_size {
            let message = format!("the archive is larger than {max_size} bytes");
            return Err(Error::new(sahab_contract::Kind::TooLarge, CODE, message));
        }
        let stat = serde_json::json!({"name": path.rsplit('/').next(), "size": tar.len(), "mode": 0o644,
            "mtime": "2026-01-01T00:00:00Z", "linkTarget": ""});
        Ok(Archive { tar, stat })
    }
    async fn put_archive(&self, id: &str, path: &str, tar: Vec<u8>) -> Result<()> {
        self.enter("put_archive", id)?.get(id)?.files.insert(path.to_owned(), tar);
        Ok(())
    }
    async fn resize(&self, id: &str, _width: u16, _height: u16) -> Result<()> {
        self.enter("resize", id)?.running(id).map(|_| ())
    }

    async fn network_attach(&self, id: &str, attachment: &Attachment) -> Result<()> {
        let mut state = self.enter("network_attach", id)?;
        state.networks.insert(attachment.network_id.clone());
        let networks = &mut state.get(id)?.spec.networks;
        if let Some(found) = networks.iter().find(|found| found.network_id == attachment.network_id) {
            if found.port_id == attachment.port_id {
                return Ok(());
            }
            return Err(Error::conflict(CODE, format!("zun-{id} is connected to {} already", attachment.network_id)));
        }
        networks.push(attachment.clone());
        Ok(())
    }
    async fn network_detach(&self, id: &str, network_id: &str) -> Result<()> {
        let mut state = self.enter("network_detach", id)?;
        if let Some(container) = state.containers.get_mut(id) {
            container.spec.networks.retain(|network| network.network_id != network_id);
        }
        Ok(())
    }
    async fn network_forget(&self, network_id: &str) -> Result<()> {
        let mut state = self.enter("network_forget", network_id)?;
        let used = state
            .containers
            .values()
            .any(|container| container.spec.networks.iter().any(|network| network.network_id == network_id));
        if used {
            return Err(Error::conflict(CODE, format!("network {network_id} is in use by a container")));
        }
        state.networks.remove(network_id);
        Ok(())
    }
    async fn network_list(&self) -> Result<Vec<String>> {
        Ok(self.enter("network_list", "")?.networks.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use sahab_contract::Kind;

    use super::*;

    #[tokio::test]
    async fn follows_the_rules_of_the_trait() {
        let fake = FakeDriver::new();
        let mut events = fake.subscribe();
        let spec = ContainerSpec { id: "a".into(), image: "busybox".into(), ..Default::default() };
        fake.create(&spec).await.unwrap();
        assert_eq!(fake.create(&spec).await.unwrap().state, RunState::Created);
        fake.start("a").await.unwrap();
        assert_eq!(fake.start("a").await.unwrap().state, RunState::Running);
        assert_eq!(fake.delete("a", false).await.unwrap_err().kind(), Kind::Conflict);
        fake.fail_next("stop", Error::unavailable(CODE, "no"));
        assert!(fake.stop("a", None).await.is_err());
        assert_eq!(fake.stop("a", None).await.unwrap().exit_code, Some(143));
        assert_eq!(fake.pause("a").await.unwrap_err().kind(), Kind::Conflict);
        fake.delete("a", false).await.unwrap();
        fake.delete("a", false).await.unwrap();
        assert!(fake.inspect("a").await.unwrap_err().is_not_found());
        assert!(matches!(events.recv().await.unwrap(), ContainerEvent::Changed { observed: Some(_), .. }));
    }
}
