//! The one list that names every service: how they are made, wired and run.

use std::{path::Path, sync::Arc, time::Duration};

use sahab_agent::{Agent, Parts};
use sahab_api::Dispatcher;
use sahab_container::ContainerService;
use sahab_contract::{event::EventBus, identity::Identity};
use sahab_dataplane::LinuxDataplane;
use sahab_db::Database;
use sahab_docker::DockerDriver;
use sahab_identity::IdentityService;
use sahab_image::ImageService;
use sahab_network::NetworkService;
use sahab_orchestration::OrchestrationService;
use sahab_task::Queue;
use tokio::{sync::watch, task::JoinSet};

use crate::{host, settings::Settings, state::StateDir};

/// Largest image that may be uploaded, bytes.
const IMAGE_SIZE_CAP: u64 = 64 << 30;

/// How often the agent looks at everything without a nudge.
const FULL_PASS: Duration = Duration::from_secs(60);

/// Catalogue rows: service type, name, path below the service's root. Types and shapes as upstream's installers register
/// them, so that clients of every age find them.
pub const CATALOG: &[(&str, &str, &str, &str)] = &[
    ("identity", "keystone", "identity", "/v3"),
    ("image", "glance", "image", ""),
    ("network", "neutron", "network", ""),
    ("orchestration", "heat", "orchestration", "/v1/$(project_id)s"),
    ("container", "zun", "container", "/v1"),
];

/// The services, wired to each other: what answers requests.
pub struct Services {
    pub dispatcher: Arc<Dispatcher>,
    pub identity: Arc<IdentityService>,
    queue: Queue,
    network: Arc<NetworkService>,
    container: Arc<ContainerService>,
    orchestration: OrchestrationService,
}

/// Every part of a running cloud.
pub struct Cloud {
    pub dispatcher: Arc<Dispatcher>,
    pub identity: Arc<IdentityService>,
    queue: Queue,
    container: Arc<ContainerService>,
    orchestration: OrchestrationService,
    agent: Agent,
}

impl Services {
    /// Opens the database and makes every service; nothing runs yet, but requests can be answered.
    pub async fn open(settings: &Settings, state: &StateDir) -> anyhow::Result<Self> {
        let database = Database::open(&state.file("sahab.db")).await.map_err(fault)?;
        database
            .migrate(&[
                sahab_task::migrations(),
                sahab_identity::migrations(),
                sahab_image::migrations(),
                sahab_network::migrations(),
                sahab_container::migrations(),
                sahab_orchestration::migrations(),
            ])
            .await
            .map_err(fault)?;
        let events = EventBus::new();
        let dispatcher = Dispatcher::new();
        let queue = Queue::new(
            database.clone(),
            sahab_task::Settings { parallel: settings.container.parallel, ..Default::default() },
        );

        let identity = IdentityService::open(database.clone(), identity_settings(settings)).await.map_err(fault)?;
        let as_identity: Arc<dyn Identity> = identity.clone();
        let image = ImageService::open(
            database.clone(),
            sahab_image::Settings { folder: state.file("images"), size_cap: IMAGE_SIZE_CAP },
        )
        .await
        .map_err(fault)?;
        let network = NetworkService::new(
            database.clone(),
            dispatcher.clone(),
            as_identity.clone(),
            events.clone(),
            sahab_network::Settings {
                host: host_name(settings),
                mtu: if settings.network.mtu == 0 { host::uplink_mtu() } else { settings.network.mtu },
                dns_domain: settings.network.dns_domain.clone(),
                external_nat: settings.network.external_nat,
                ..Default::default()
            },
        )
        .map_err(fault)?;
        let container = ContainerService::new(
            database.clone(),
            queue.clone(),
            dispatcher.clone(),
            as_identity.clone(),
            events.clone(),
            sahab_container::Settings {
                availability_zone: settings.container.availability_zone.clone(),
                execute_timeout: Duration::from_secs(settings.container.execute_timeout),
                secret_key: Some(state.key("container.key")?),
                ..Default::default()
            },
        )
        .await
        .map_err(fault)?;
        let orchestration = OrchestrationService::new(
            database.clone(),
            queue.clone(),
            dispatcher.clone(),
            as_identity.clone(),
            events.clone(),
            sahab_orchestration::Settings {
                allow_private_urls: settings.orchestration.allow_private_urls,
                ..Default::default()
            },
        )
        .map_err(fault)?;

        dispatcher
            .install(
                vec![
                    identity.service(),
                    image.service(),
                    network.service(),
                    container.service(),
                    orchestration.service(),
                ],
                as_identity,
            )
            .map_err(fault)?;
        Ok(Services { dispatcher, identity, queue, network, container, orchestration })
    }
}

impl Cloud {
    /// The services and this host's agent. The agent works at once, the services when [`Cloud::run`] is called.
    pub async fn open(settings: &Settings, state: &StateDir) -> anyhow::Result<Self> {
        let Services { dispatcher, identity, queue, network, container, orchestration } =
            Services::open(settings, state).await?;
        let (host, id) = (host_name(settings), state.cloud_id()?);
        let agent = Agent::start(Parts {
            hostname: host.clone(),
            dataplane: Arc::new(dataplane(settings, &id).await?),
            driver: Arc::new(docker(settings, &state.file("agent"), &id)),
            plans: network.clone(),
            ad_hoc: network.clone(),
            state_dir: state.file("agent"),
            plugin_socket: settings.container.plugin_socket.clone(),
            full_pass: FULL_PASS,
        })
        .await
        .map_err(fault)?;
        container.add_host(&host, agent.host());

        Ok(Cloud { dispatcher, identity, queue, container, orchestration, agent })
    }

    /// Starts all background work; it ends when `stop` turns true.
    pub fn run(&self, jobs: &mut JoinSet<()>, stop: &watch::Receiver<bool>) {
        let mut handlers = self.container.handlers();
        handlers.extend(self.orchestration.handlers());
        let (queue, container, orchestration) =
            (self.queue.clone(), self.container.clone(), self.orchestration.clone());
        let signal = || stop.clone();
        jobs.spawn(reload_keys(self.identity.clone(), signal()));
        jobs.spawn({
            let stop = signal();
            async move { container.run(stop).await }
        });
        jobs.spawn({
            let stop = signal();
            async move { orchestration.run(stop).await }
        });
        jobs.spawn({
            let stop = signal();
            async move { queue.run(handlers, stop).await }
        });
    }

    /// Ends the agent; containers and the kernel stay as they are.
    pub async fn close(self) {
        self.agent.stop().await;
    }
}

fn host_name(settings: &Settings) -> String {
    if settings.host.name.is_empty() { host::name() } else { settings.host.name.clone() }
}

/// `sahab fernet-rotate` works on the files; this process looks at them now and then.
async fn reload_keys(identity: Arc<IdentityService>, mut stop: watch::Receiver<bool>) {
    while tokio::time::timeout(FULL_PASS, stop.changed()).await.is_err() {
        if let Err(error) = identity.reload_keys() {
            tracing::error!(error = error.report(), "cannot read the token keys");
        }
    }
}

pub fn identity_settings(settings: &Settings) -> sahab_identity::Settings {
    sahab_identity::Settings {
        token_lifetime: u64::from(settings.identity.token_expiration),
        bcrypt_cost: settings.identity.bcrypt_rounds,
        ..sahab_identity::Settings::new(settings.state.dir.join("keys"))
    }
}

/// `cloud` is this cloud's id: another one's namespaces and rules on the same machine are not seen.
pub async fn dataplane(settings: &Settings, cloud: &str) -> anyhow::Result<LinuxDataplane> {
    /// Enough of the id to tell clouds of one machine apart.
    const DIGITS: usize = 8;
    let prefix = format!("sahab{}", cloud.get(..DIGITS).unwrap_or(cloud));
    let host_ports = settings.network.host_ports.iter().flat_map(|port| {
        [sahab_dataplane::HostProtocol::Tcp, sahab_dataplane::HostProtocol::Udp]
            .map(|protocol| sahab_dataplane::HostPort { protocol, port: *port })
    });
    let settings = sahab_dataplane::Settings { prefix, host_ports: host_ports.collect(), ..Default::default() };
    LinuxDataplane::new(settings).await.map_err(fault)
}

/// `folder` keeps what the driver must remember across starts; `cloud` is this cloud's id, on everything it makes.
pub fn docker(settings: &Settings, folder: &Path, cloud: &str) -> DockerDriver {
    DockerDriver::start(sahab_docker::Settings {
        socket: settings.container.docker_socket.clone(),
        ..sahab_docker::Settings::new(cloud, folder)
    })
}

/// The whole chain, since the reader is the operator.
pub fn fault(error: sahab_contract::Error) -> anyhow::Error {
    anyhow::anyhow!(error.report())
}
