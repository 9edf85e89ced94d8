//! The container's state machine: statuses, task states, which action is allowed when, and what Docker's word means.

use sahab_contract::{Result, container::RunState};
use sea_orm::{DeriveActiveEnum, EnumIter, sea_query::StringLen};
use serde::{Deserialize, Serialize};

use crate::texts;

/// Upstream's spelling; clients and zun-ui compare it letter by letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "PascalCase")]
pub enum Status {
    Error,
    Running,
    Stopped,
    Paused,
    Unknown,
    Creating,
    Created,
    Deleted,
    Deleting,
    Rebuilding,
    Dead,
    Restarting,
}

impl Status {
    pub fn text(self) -> &'static str {
        match self {
            Status::Error => "Error",
            Status::Running => "Running",
            Status::Stopped => "Stopped",
            Status::Paused => "Paused",
            Status::Unknown => "Unknown",
            Status::Creating => "Creating",
            Status::Created => "Created",
            Status::Deleted => "Deleted",
            Status::Deleting => "Deleting",
            Status::Rebuilding => "Rebuilding",
            Status::Dead => "Dead",
            Status::Restarting => "Restarting",
        }
    }
}

/// What a durable task is doing to the container right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(32))", rename_all = "snake_case")]
pub enum TaskState {
    ContainerCreating,
    ContainerStarting,
    ContainerStopping,
    ContainerRebooting,
    ContainerPausing,
    ContainerUnpausing,
    ContainerKilling,
    ContainerRebuilding,
    ContainerDeleting,
    ContainerUpdating,
    SgAdding,
    SgRemoving,
    NetworkAttaching,
    NetworkDetaching,
}

impl TaskState {
    pub fn text(self) -> &'static str {
        match self {
            TaskState::ContainerCreating => "container_creating",
            TaskState::ContainerStarting => "container_starting",
            TaskState::ContainerStopping => "container_stopping",
            TaskState::ContainerRebooting => "container_rebooting",
            TaskState::ContainerPausing => "container_pausing",
            TaskState::ContainerUnpausing => "container_unpausing",
            TaskState::ContainerKilling => "container_killing",
            TaskState::ContainerRebuilding => "container_rebuilding",
            TaskState::ContainerDeleting => "container_deleting",
            TaskState::ContainerUpdating => "container_updating",
            TaskState::SgAdding => "sg_adding",
            TaskState::SgRemoving => "sg_removing",
            TaskState::NetworkAttaching => "network_attaching",
            TaskState::NetworkDetaching => "network_detaching",
        }
    }
}

/// An operation on a container, with the name that policy rules, error texts and action records use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Start,
    Stop,
    Reboot,
    Rebuild,
    Pause,
    Unpause,
    Kill,
    Update,
    ResizeContainer,
    Execute,
    ExecuteResize,
    Attach,
    Resize,
    Top,
    Stats,
    Logs,
    GetArchive,
    PutArchive,
    Commit,
    Rename,
    AddSecurityGroup,
    RemoveSecurityGroup,
    NetworkAttach,
    NetworkDetach,
    Delete,
    DeleteAfterStop,
    DeleteForce,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Reboot => "reboot",
            Action::Rebuild => "rebuild",
            Action::Pause => "pause",
            Action::Unpause => "unpause",
            Action::Kill => "kill",
            Action::Update => "update",
            Action::ResizeContainer => "resize_container",
            Action::Execute => "execute",
            Action::ExecuteResize => "execute_resize",
            Action::Attach => "attach",
            Action::Resize => "resize",
            Action::Top => "top",
            Action::Stats => "stats",
            Action::Logs => "logs",
            Action::GetArchive => "get_archive",
            Action::PutArchive => "put_archive",
            Action::Commit => "commit",
            Action::Rename => "rename",
            Action::AddSecurityGroup => "add_security_group",
            Action::RemoveSecurityGroup => "remove_security_group",
            Action::NetworkAttach => "network_attach",
            Action::NetworkDetach => "network_detach",
            Action::Delete => "delete",
            Action::DeleteAfterStop => "delete_after_stop",
            Action::DeleteForce => "delete_force",
        }
    }

    /// Name of the event below the action record.
    pub fn event(self) -> String {
        match self {
            Action::AddSecurityGroup => "compute__add_security_group".into(),
            Action::RemoveSecurityGroup => "compute__remove_security_group".into(),
            Action::NetworkAttach => "compute__do_network_attach".into(),
            Action::NetworkDetach => "compute__do_network_detach".into(),
            other => format!("compute__do_container_{}", other.name()),
        }
    }

    /// Statuses in which the action is allowed. Two lists are wider than upstream's: the owner may delete with `stop`
    /// in every state, and network changes are not allowed on what does not exist in the runtime.
    pub fn allows(self, status: Status) -> bool {
        use Status::*;
        match self {
            Action::Create => true,
            Action::Start => matches!(status, Created | Stopped | Error),
            Action::Stop
            | Action::Pause
            | Action::Kill
            | Action::Execute
            | Action::ExecuteResize
            | Action::Attach
            | Action::Resize
            | Action::Top
            | Action::Stats => status == Running,
            Action::Unpause => status == Paused,
            Action::Reboot | Action::Rebuild => matches!(status, Created | Running | Stopped | Error),
            Action::Commit => matches!(status, Running | Stopped | Paused),
            Action::Update
            | Action::ResizeContainer
            | Action::AddSecurityGroup
            | Action::RemoveSecurityGroup
            | Action::GetArchive
            | Action::PutArchive
            | Action::NetworkAttach
            | Action::NetworkDetach => matches!(status, Created | Running | Stopped | Paused),
            Action::Logs => matches!(status, Created | Error | Paused | Running | Stopped | Unknown),
            Action::Rename => status != Deleting,
            Action::Delete => matches!(status, Created | Error | Stopped | Deleted | Dead),
            Action::DeleteAfterStop => true,
            Action::DeleteForce => status != Paused,
        }
    }

    pub fn check(self, container: &str, status: Status) -> Result<()> {
        if self.allows(status) {
            return Ok(());
        }
        Err(texts::invalid_state(self, container, status))
    }
}

/// The status that the runtime's word gives, from the status we believed in (the spec's table 2.2).
pub fn status_of(state: RunState, started: bool, error: bool, before: Status) -> Status {
    match state {
        RunState::Running => Status::Running,
        RunState::Paused => Status::Paused,
        RunState::Restarting => Status::Restarting,
        RunState::Dead => Status::Dead,
        RunState::Exited => Status::Stopped,
        RunState::Removing => match before {
            Status::Deleting | Status::Deleted => before,
            _ => Status::Stopped,
        },
        // Never started: a failed start stays an error until someone acts.
        RunState::Created if error && !started => Status::Error,
        RunState::Created => match before {
            Status::Error | Status::Rebuilding => before,
            _ => Status::Created,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Status; 12] = [
        Status::Error,
        Status::Running,
        Status::Stopped,
        Status::Paused,
        Status::Unknown,
        Status::Creating,
        Status::Created,
        Status::Deleted,
        Status::Deleting,
        Status::Rebuilding,
        Status::Dead,
        Status::Restarting,
    ];

    fn allowed(action: Action) -> Vec<&'static str> {
        let mut names: Vec<_> = ALL.into_iter().filter(|status| action.allows(*status)).map(Status::text).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_table_of_allowed_statuses() {
        assert_eq!(allowed(Action::Start), ["Created", "Error", "Stopped"]);
        assert_eq!(allowed(Action::Stop), ["Running"]);
        assert_eq!(allowed(Action::Unpause), ["Paused"]);
        assert_eq!(allowed(Action::Rebuild), ["Created", "Error", "Running", "Stopped"]);
        assert_eq!(allowed(Action::Update), ["Created", "Paused", "Running", "Stopped"]);
        assert_eq!(allowed(Action::Logs), ["Created", "Error", "Paused", "Running", "Stopped", "Unknown"]);
        assert_eq!(allowed(Action::Delete), ["Created", "Dead", "Deleted", "Error", "Stopped"]);
        assert_eq!(allowed(Action::DeleteForce).len(), ALL.len() - 1);
        assert_eq!(allowed(Action::DeleteAfterStop).len(), ALL.len());
    }

    #[test]
    fn the_refusal_has_upstreams_text() {
        let error = Action::Pause.check("c1", Status::Stopped).unwrap_err();
        assert_eq!(error.message(), "Cannot pause container c1 in Stopped state");
        assert_eq!(error.code(), "invalid-state-exception");
    }

    #[test]
    fn the_runtimes_word() {
        assert_eq!(status_of(RunState::Created, false, false, Status::Creating), Status::Created);
        assert_eq!(status_of(RunState::Created, false, false, Status::Error), Status::Error);
        assert_eq!(status_of(RunState::Created, false, true, Status::Created), Status::Error);
        assert_eq!(status_of(RunState::Exited, true, true, Status::Running), Status::Stopped);
        assert_eq!(status_of(RunState::Running, true, false, Status::Error), Status::Running);
    }
}
