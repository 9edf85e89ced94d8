//! The body of a container's creation. Pure.

use std::{collections::HashMap, path::PathBuf};

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, Mount, MountType, NetworkingConfig, RestartPolicy,
    RestartPolicyNameEnum,
};
use sahab_contract::{
    Error, Result,
    container::{Attachment, ContainerSpec},
};

use crate::{
    LABEL_CLOUD, LABEL_CONTAINER, OPTION_PORT, OPTION_PRIMARY, engine::checked_id, error::CODE, reference::Reference,
};

const MIB: u64 = 1 << 20;

/// A file on the host and where it appears in the container.
#[derive(Debug, PartialEq)]
pub(crate) struct Bind {
    pub source: PathBuf,
    pub target: String,
}

/// The attachment whose network is given at creation; 20.10 takes one, the others are connected before the start.
pub(crate) fn primary(networks: &[Attachment]) -> Option<&Attachment> {
    networks.iter().find(|network| network.primary).or(networks.first())
}

pub(crate) fn body(spec: &ContainerSpec, binds: &[Bind], cloud: &str) -> Result<ContainerCreateBody> {
    let image = Reference::parse(&spec.image)?.full();
    let mut labels: HashMap<String, String> = spec.labels.clone().into_iter().collect();
    labels.insert(LABEL_CONTAINER.into(), spec.id.clone());
    labels.insert(LABEL_CLOUD.into(), cloud.to_owned());
    let network = primary(&spec.networks);
    let endpoints = network
        .map(|network| {
            Ok::<_, Error>(HashMap::from([(checked_id(&network.network_id)?.to_owned(), endpoint(network, true)?)]))
        })
        .transpose()?;
    Ok(ContainerCreateBody {
        hostname: spec.hostname.clone(),
        image: Some(image),
        cmd: some(&spec.command),
        entrypoint: some(&spec.entrypoint),
        env: Some(spec.environment.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        labels: Some(labels),
        working_dir: spec.workdir.clone(),
        tty: Some(spec.tty),
        open_stdin: Some(spec.interactive),
        // Later attaches must find the input open.
        stdin_once: Some(false),
        exposed_ports: some(&spec.exposed_ports),
        healthcheck: spec.healthcheck.as_ref().map(health),
        host_config: Some(host(spec, binds, network)?),
        networking_config: endpoints.map(|endpoints| NetworkingConfig { endpoints_config: Some(endpoints) }),
        ..Default::default()
    })
}

fn host(spec: &ContainerSpec, binds: &[Bind], network: Option<&Attachment>) -> Result<HostConfig> {
    let memory = spec.memory.map(bytes).transpose()?;
    Ok(HostConfig {
        network_mode: Some(network.map_or_else(|| "none".to_owned(), |network| network.network_id.clone())),
        nano_cpus: spec.cpu.map(nano_cpus).transpose()?,
        memory,
        // Equal to the memory: no swap on top, so that the limit is one.
        memory_swap: memory,
        privileged: Some(spec.privileged),
        runtime: spec.runtime.clone(),
        auto_remove: Some(spec.auto_remove),
        restart_policy: spec.restart_policy.as_ref().map(restart_policy).transpose()?,
        storage_opt: spec.disk.map(|gib| HashMap::from([("size".to_owned(), format!("{gib}G"))])),
        mounts: some(&binds.iter().map(mount).collect::<Vec<_>>()),
        dns: some(&servers(&spec.networks)),
        ..Default::default()
    })
}

/// An endpoint in one of our networks: the driver learns the port from its options and answers with its addresses.
pub(crate) fn endpoint(attachment: &Attachment, primary: bool) -> Result<EndpointSettings> {
    let mut options = HashMap::from([(OPTION_PORT.to_owned(), checked_id(&attachment.port_id)?.to_owned())]);
    if primary {
        options.insert(OPTION_PRIMARY.to_owned(), "1".to_owned());
    }
    Ok(EndpointSettings { driver_opts: Some(options), aliases: some(&attachment.aliases), ..Default::default() })
}

fn mount(bind: &Bind) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(bind.source.to_string_lossy().into_owned()),
        target: Some(bind.target.clone()),
        read_only: Some(false),
        ..Default::default()
    }
}

fn health(check: &sahab_contract::container::Healthcheck) -> HealthConfig {
    let nanoseconds = |seconds: u64| i64::try_from(seconds.saturating_mul(1_000_000_000)).unwrap_or(i64::MAX);
    HealthConfig {
        test: Some(vec!["CMD-SHELL".into(), check.command.clone()]),
        interval: check.interval_seconds.map(nanoseconds),
        timeout: check.timeout_seconds.map(nanoseconds),
        retries: check.retries.map(i64::from),
        ..Default::default()
    }
}

fn restart_policy(policy: &sahab_contract::container::RestartPolicy) -> Result<RestartPolicy> {
    let name = match policy.name.as_str() {
        "" | "no" => RestartPolicyNameEnum::NO,
        "always" => RestartPolicyNameEnum::ALWAYS,
        "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
        "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
        other => return Err(Error::invalid(CODE, format!("invalid restart policy '{other}'"))),
    };
    // The engine refuses a count with any other policy.
    let count = if name == RestartPolicyNameEnum::ON_FAILURE { policy.maximum_retry_count } else { 0 };
    Ok(RestartPolicy { name: Some(name), maximum_retry_count: Some(i64::from(count)) })
}

/// Cores as the engine's billionths.
pub(crate) fn nano_cpus(cores: f64) -> Result<i64> {
    if !cores.is_finite() || !(0.01..=4096.0).contains(&cores) {
        return Err(Error::invalid(CODE, format!("invalid number of CPUs: {cores}")));
    }
    // In range, so the cast is exact enough and cannot wrap.
    Ok((cores * 1e9).round() as i64)
}

/// MiB as bytes.
pub(crate) fn bytes(mebibytes: u64) -> Result<i64> {
    mebibytes
        .checked_mul(MIB)
        .and_then(|bytes| i64::try_from(bytes).ok())
        .ok_or_else(|| Error::invalid(CODE, format!("invalid memory size: {mebibytes} MiB")))
}

fn servers(networks: &[Attachment]) -> Vec<String> {
    let mut servers: Vec<String> = Vec::new();
    for address in networks.iter().flat_map(|network| &network.dns) {
        let text = address.to_string();
        if !servers.contains(&text) {
            servers.push(text);
        }
    }
    servers
}

fn some<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    (!items.is_empty()).then(|| items.to_vec())
}

#[cfg(test)]
mod tests {
    use sahab_contract::container::{Healthcheck, RestartPolicy as Policy};

    use super::*;

    const NET: &str = "6f1c2f3e-0b0a-4f7e-9d57-0123456789ab";
    const OTHER: &str = "7f1c2f3e-0b0a-4f7e-9d57-0123456789ab";
    const PORT: &str = "8f1c2f3e-0b0a-4f7e-9d57-0123456789ab";

    fn attachment(network: &str, primary: bool) -> Attachment {
        Attachment {
            network_id: network.into(),
            port_id: PORT.into(),
            mac: "fa:16:3e:00:00:01".into(),
            addresses: vec![],
            primary,
            aliases: vec!["web".into()],
            dns: vec!["10.0.0.2".parse().unwrap()],
        }
    }

    fn spec() -> ContainerSpec {
        ContainerSpec {
            id: PORT.into(),
            image: "busybox".into(),
            cpu: Some(0.5),
            memory: Some(64),
            labels: ["sahab.container", "sahab.cloud"].map(|label| (label.to_owned(), "forged".to_owned())).into(),
            environment: [("A".to_owned(), "b=c".to_owned())].into(),
            networks: vec![attachment(OTHER, false), attachment(NET, true)],
            ..Default::default()
        }
    }

    #[test]
    fn limits_are_hard_and_labels_cannot_be_forged() {
        let body = body(&spec(), &[], "here").unwrap();
        let host = body.host_config.unwrap();
        assert_eq!(host.nano_cpus, Some(500_000_000));
        assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
        assert_eq!(host.cpu_shares, None);
        let labels = body.labels.unwrap();
        assert_eq!((labels[LABEL_CONTAINER].as_str(), labels[LABEL_CLOUD].as_str()), (PORT, "here"));
        assert_eq!(body.env.unwrap(), ["A=b=c"]);
        assert_eq!(body.image.unwrap(), "busybox:latest");
        assert_eq!((body.cmd, body.entrypoint), (None, None));
    }

    #[test]
    fn only_the_primary_network_is_given_and_carries_its_port() {
        let body = body(&spec(), &[], "here").unwrap();
        assert_eq!(body.host_config.as_ref().unwrap().network_mode.as_deref(), Some(NET));
        assert_eq!(body.host_config.unwrap().dns.unwrap(), ["10.0.0.2"]);
        let endpoints = body.networking_config.unwrap().endpoints_config.unwrap();
        assert_eq!(endpoints.len(), 1);
        let options = endpoints[NET].driver_opts.clone().unwrap();
        assert_eq!((options[OPTION_PORT].as_str(), options[OPTION_PRIMARY].as_str()), (PORT, "1"));
        let second = endpoint(&attachment(OTHER, false), false).unwrap();
        assert!(!second.driver_opts.unwrap().contains_key(OPTION_PRIMARY));
    }

    #[test]
    fn policies_and_checks_are_translated() {
        let policy = |name: &str, count| restart_policy(&Policy { name: name.into(), maximum_retry_count: count });
        assert_eq!(policy("on-failure", 3).unwrap().maximum_retry_count, Some(3));
        assert_eq!(policy("no", 3).unwrap().maximum_retry_count, Some(0));
        assert!(policy("sometimes", 0).is_err());
        let check = health(&Healthcheck {
            command: "true".into(),
            interval_seconds: Some(2),
            timeout_seconds: None,
            retries: Some(4),
        });
        assert_eq!(check.test.unwrap(), ["CMD-SHELL", "true"]);
        assert_eq!((check.interval, check.timeout, check.retries), (Some(2_000_000_000), None, Some(4)));
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for cores in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
            assert!(nano_cpus(cores).is_err());
        }
        assert!(bytes(u64::MAX).is_err());
    }
}
