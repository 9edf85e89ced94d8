//! What a host reports about a container, and how it changes the row.

use chrono::{DateTime, Utc};
use sahab_contract::container::{Observed, RunState};
use serde::{Deserialize, Serialize};

use crate::{
    db::container::{Model, Resolved},
    state::{Status, status_of},
};

/// A report in a form that a task can store between its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub state: RunState,
    pub error: Option<String>,
    pub exit_code: Option<i64>,
    pub oom_killed: bool,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub hostname: Option<String>,
    pub command: Vec<String>,
    pub entrypoint: Vec<String>,
    pub workdir: Option<String>,
    pub runtime: Option<String>,
    pub ports: Vec<u16>,
}

impl From<Observed> for Seen {
    fn from(observed: Observed) -> Self {
        let cut = |time: Option<DateTime<Utc>>| {
            time.and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()))
        };
        Seen {
            state: observed.state,
            error: observed.error.filter(|text| !text.is_empty()),
            exit_code: observed.exit_code,
            oom_killed: observed.oom_killed,
            started_at: cut(observed.started_at),
            finished_at: cut(observed.finished_at),
            hostname: observed.hostname,
            command: observed.command,
            entrypoint: observed.entrypoint,
            workdir: observed.workdir,
            runtime: observed.runtime,
            ports: observed.ports,
        }
    }
}

impl Seen {
    pub fn status(&self, before: Status) -> Status {
        status_of(self.state, self.started_at.is_some(), self.error.is_some(), before)
    }

    /// Whether the row would change in a way anyone can see.
    pub fn differs(&self, row: &Model) -> bool {
        self.status(row.status) != row.status
            || self.started_at != row.started_at
            || (self.state == RunState::Exited && self.exit_code != row.exit_code)
    }

    /// Writes the report into the row: status, times, and what the engine filled in for what was not asked.
    pub fn apply(&self, row: &mut Model) {
        let status = self.status(row.status);
        if status != row.status {
            row.status_reason = None;
        }
        row.status = status;
        if status == Status::Stopped && self.oom_killed {
            row.status_reason = Some("The container was killed because it ran out of memory.".into());
        } else if let Some(error) = &self.error
            && matches!(status, Status::Error | Status::Stopped)
        {
            row.status_reason = Some(error.clone());
        }
        row.started_at = self.started_at;
        row.finished_at = self.finished_at;
        row.exit_code = if self.state == RunState::Exited { self.exit_code } else { None };
        row.resolved = Resolved {
            command: self.command.clone(),
            entrypoint: self.entrypoint.clone(),
            workdir: self.workdir.clone().filter(|path| !path.is_empty()),
            hostname: self.hostname.clone().filter(|name| !name.is_empty()),
            runtime: self.runtime.clone(),
            ports: self.ports.clone(),
        };
    }
}
