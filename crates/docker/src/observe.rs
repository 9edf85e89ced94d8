//! What the engine's inspect says, in the words of the contract. Pure.

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum};
use chrono::{DateTime, Datelike, Utc};
use sahab_contract::{
    Result,
    container::{Observed, RunState},
};

use crate::{
    engine::{Engine, container_name, id_of_name},
    error::Mapped,
};

/// `None` for a container that is not ours.
pub(crate) fn observed(answer: ContainerInspectResponse) -> Option<Observed> {
    let id = id_of_name(answer.name.as_deref()?)?.to_owned();
    let state = answer.state.unwrap_or_default();
    let config = answer.config.unwrap_or_default();
    let run_state = match state.status {
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => RunState::Running,
        Some(ContainerStateStatusEnum::PAUSED) => RunState::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => RunState::Restarting,
        Some(ContainerStateStatusEnum::REMOVING) => RunState::Removing,
        Some(ContainerStateStatusEnum::EXITED) => RunState::Exited,
        Some(ContainerStateStatusEnum::DEAD) => RunState::Dead,
        Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY) | None => RunState::Created,
    };
    let error = state.error.filter(|text| !text.is_empty());
    let started_at = instant(state.started_at.as_deref());
    let ended = match run_state {
        RunState::Running | RunState::Paused => false,
        // A start that failed leaves the container created, with the code that a shell would give.
        RunState::Created => error.is_some(),
        RunState::Restarting | RunState::Removing | RunState::Exited | RunState::Dead => true,
    };
    let mut ports: Vec<u16> =
        config.exposed_ports.iter().flatten().filter_map(|port| port.split('/').next()?.parse().ok()).collect();
    ports.sort_unstable();
    ports.dedup();
    let health = state.health.and_then(|health| health.status).and_then(|status| match status {
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
        other => Some(other.to_string()),
    });
    Some(Observed {
        id,
        runtime_id: answer.id.unwrap_or_default(),
        state: run_state,
        error,
        exit_code: state.exit_code.filter(|_| ended),
        oom_killed: state.oom_killed.unwrap_or_default(),
        started_at,
        finished_at: instant(state.finished_at.as_deref()),
        restart_count: answer.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
        health,
        hostname: config.hostname.filter(|name| !name.is_empty()),
        command: config.cmd.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        workdir: config.working_dir.filter(|path| !path.is_empty()),
        runtime: answer.host_config.and_then(|config| config.runtime).filter(|name| !name.is_empty()),
        ports,
    })
}

/// The engine writes "never" as the first instant of year 1.
fn instant(text: Option<&str>) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text?).ok()?.with_timezone(&Utc);
    (at.year() > 1).then_some(at)
}

/// What is said of a container that went away by itself (auto-remove) during a call that succeeded.
pub(crate) fn vanished(id: &str) -> Observed {
    Observed {
        id: id.to_owned(),
        runtime_id: String::new(),
        state: RunState::Removing,
        error: None,
        exit_code: None,
        oom_killed: false,
        started_at: None,
        finished_at: None,
        restart_count: 0,
        health: None,
        hostname: None,
        command: Vec::new(),
        entrypoint: Vec::new(),
        workdir: None,
        runtime: None,
        ports: Vec::new(),
    }
}

impl Engine {
    pub(crate) async fn inspect(&self, id: &str) -> Result<ContainerInspectResponse> {
        self.docker()?.inspect_container(&container_name(id)?, None).await.mapped()
    }

    pub(crate) async fn observe(&self, id: &str) -> Result<Observed> {
        let answer = self.inspect(id).await?;
        observed(answer).ok_or_else(|| sahab_contract::Error::internal("the engine answered for another container"))
    }

    /// The state after a call that succeeded.
    pub(crate) async fn observe_after(&self, id: &str) -> Result<Observed> {
        match self.observe(id).await {
            Err(error) if error.is_not_found() => Ok(vanished(id)),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerConfig, ContainerState};

    use super::*;

    const ID: &str = "6f1c2f3e-0b0a-4f7e-9d57-0123456789ab";

    fn answer(state: ContainerState) -> ContainerInspectResponse {
        ContainerInspectResponse {
            id: Some("d0c".into()),
            name: Some(format!("/zun-{ID}")),
            state: Some(state),
            config: Some(ContainerConfig {
                exposed_ports: Some(vec!["443/tcp".into(), "80/tcp".into(), "80/udp".into()]),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn never_started_is_told_by_year_one() {
        let seen = observed(answer(ContainerState {
            status: Some(ContainerStateStatusEnum::CREATED),
            started_at: Some("0001-01-01T00:00:00Z".into()),
            exit_code: Some(0),
            error: Some(String::new()),
            ..Default::default()
        }))
        .unwrap();
        assert_eq!((seen.state, seen.started_at, seen.exit_code, seen.error), (RunState::Created, None, None, None));
        assert_eq!(seen.ports, [80, 443]);
    }

    #[test]
    fn a_failed_start_keeps_its_text_and_code() {
        let seen = observed(answer(ContainerState {
            status: Some(ContainerStateStatusEnum::CREATED),
            exit_code: Some(127),
            error: Some("exec: \"x\": not found".into()),
            ..Default::default()
        }))
        .unwrap();
        assert_eq!((seen.state, seen.exit_code), (RunState::Created, Some(127)));
        assert!(seen.error.unwrap().contains("not found"));
    }

    #[test]
    fn a_running_one_has_no_exit_code() {
        let seen = observed(answer(ContainerState {
            status: Some(ContainerStateStatusEnum::RUNNING),
            exit_code: Some(0),
            started_at: Some("2026-01-02T03:04:05.678901234Z".into()),
            ..Default::default()
        }))
        .unwrap();
        assert_eq!(seen.exit_code, None);
        assert_eq!(seen.started_at.unwrap().timestamp(), 1767323045);
    }

    #[test]
    fn strangers_are_not_ours() {
        let mut other = answer(ContainerState::default());
        other.name = Some("/web".into());
        assert_eq!(observed(other), None);
    }
}
