//! A host of the test's own: a network namespace, a Docker daemon in it, a dataplane and an agent.

use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

use sahab_agent::{Agent, Parts};
use sahab_contract::{
    container::{Attachment, ContainerDriver, ContainerEvent, ContainerSpec, RunState},
    network::Dataplane,
};
use sahab_dataplane::LinuxDataplane;
use sahab_docker::DockerDriver;
use tokio::sync::broadcast::Receiver;

use crate::{
    control::{Control, id},
    dockerd::Dockerd,
};

pub struct World {
    pub daemon: Dockerd,
    pub control: Arc<Control>,
    pub dataplane: LinuxDataplane,
    pub agent: Option<Agent>,
    pub host: Arc<dyn ContainerDriver>,
    pub driver: Arc<DockerDriver>,
    namespace: Namespace,
}

/// Dropped last: after the daemon in it.
struct Namespace {
    name: String,
    prefix: String,
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for name in owned(&self.prefix).into_iter().chain([self.name.clone()]) {
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
        }
    }
}

/// Namespaces that the dataplane made.
fn owned(prefix: &str) -> Vec<String> {
    let output = Command::new("ip").args(["netns", "list"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with(&format!("{prefix}-")))
        .map(str::to_owned)
        .collect()
}

impl World {
    /// The agent is up; the daemon is not.
    pub async fn new(letter: &str) -> Self {
        let prefix = format!("sdk{letter}{}", std::process::id());
        let name = format!("{prefix}host");
        assert!(Command::new("ip").args(["netns", "add", &name]).status().unwrap().success());
        assert!(Command::new("ip").args(["-n", &name, "link", "set", "lo", "up"]).status().unwrap().success());
        let namespace = Namespace { name: name.clone(), prefix: prefix.clone() };
        let daemon = Dockerd::prepare(Some(&name));
        let settings = sahab_dataplane::Settings {
            prefix,
            host_namespace: Some(PathBuf::from(format!("/run/netns/{name}"))),
            ..Default::default()
        };
        let dataplane = LinuxDataplane::new(settings).await.unwrap();
        let settings = sahab_docker::Settings {
            socket: daemon.socket(),
            ..sahab_docker::Settings::new("test", daemon.state_dir())
        };
        let driver = Arc::new(DockerDriver::start(settings));
        let control = Arc::new(Control::new());
        let agent = agent(&daemon, &control, &dataplane, &driver).await;
        World { host: agent.host(), agent: Some(agent), daemon, control, dataplane, driver, namespace }
    }

    pub fn namespaces(&self) -> Vec<String> {
        owned(&self.namespace.prefix)
    }
    /// Links in Docker's namespace.
    pub fn links(&self) -> Vec<String> {
        let output = Command::new("ip").args(["-n", &self.namespace.name, "-o", "link"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter_map(|line| line.split(": ").nth(1)).map(str::to_owned).collect()
    }

    pub async fn stop_agent(&mut self) {
        self.agent.take().unwrap().stop().await;
    }
    pub async fn start_agent(&mut self) {
        let agent = agent(&self.daemon, &self.control, &self.dataplane, &self.driver).await;
        self.host = agent.host();
        self.agent = Some(agent);
    }
    pub async fn restart_daemon(&mut self, signal: &str) {
        let mut events = self.host.subscribe();
        self.daemon.end(signal);
        until(&mut events, |event| *event == ContainerEvent::EngineDown).await;
        self.daemon.launch();
        until(&mut events, |event| *event == ContainerEvent::EngineUp).await;
    }

    pub async fn exec(&self, container: &str, script: &str) -> (i64, String) {
        let words = ["sh", "-c", script].map(str::to_owned);
        let done = self.host.execute(container, &words, Duration::from_secs(60), 1 << 16).await.unwrap();
        (done.exit_code, String::from_utf8_lossy(&done.output).into_owned())
    }
    pub async fn pings(&self, from: &str, to: &str) -> bool {
        self.exec(from, &format!("ping -c 1 -W 3 {to}")).await.0 == 0
    }

    /// A container that sleeps, with a port in each network; the first is the primary.
    pub fn spec(&self, name: &str, networks: &[&str]) -> ContainerSpec {
        let id = id();
        let attachments: Vec<Attachment> = networks
            .iter()
            .enumerate()
            .map(|(index, network)| Attachment {
                primary: index == 0,
                aliases: vec![name.to_owned()],
                ..self.control.add_port(network, &id)
            })
            .collect();
        ContainerSpec {
            id,
            name: name.into(),
            image: "busybox:latest".into(),
            command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"].map(str::to_owned).to_vec(),
            networks: attachments,
            ..Default::default()
        }
    }
    pub async fn run(&self, name: &str, networks: &[&str]) -> ContainerSpec {
        let spec = self.spec(name, networks);
        self.host.create(&spec).await.unwrap();
        assert_eq!(self.host.start(&spec.id).await.unwrap().state, RunState::Running);
        spec
    }
    pub async fn remove(&self, spec: &ContainerSpec) {
        self.host.delete(&spec.id, true).await.unwrap();
        spec.networks.iter().for_each(|attachment| self.control.remove_port(&attachment.port_id));
    }

    pub async fn plugged(&self) -> Vec<String> {
        self.dataplane.observe().await.unwrap().ports.into_iter().map(|(_, port, _)| port).collect()
    }
    pub async fn eventually(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), wait).await.is_err() {
            panic!("{what}: it never came about");
        }
    }
}

async fn agent(
    daemon: &Dockerd,
    control: &Arc<Control>,
    dataplane: &LinuxDataplane,
    driver: &Arc<DockerDriver>,
) -> Agent {
    let parts = Parts {
        hostname: "here".into(),
        dataplane: Arc::new(dataplane.clone()),
        driver: driver.clone(),
        plans: control.clone(),
        ad_hoc: control.clone(),
        state_dir: daemon.dir.join("agent"),
        plugin_socket: daemon.plugin_socket("sahab"),
        full_pass: Duration::from_secs(60),
    };
    Agent::start(parts).await.unwrap()
}

pub async fn until(events: &mut Receiver<ContainerEvent>, mut wanted: impl FnMut(&ContainerEvent) -> bool) {
    let found = async { while !wanted(&events.recv().await.unwrap()) {} };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("the event never came");
}
