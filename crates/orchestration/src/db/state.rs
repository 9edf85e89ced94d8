//! The states of stacks and resources (spec 3.1).

use std::fmt;

use sea_orm::{DeriveActiveEnum, EnumIter, sea_query::StringLen};

/// What is being done, or was done last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Action {
    /// Only resources: nothing was done yet.
    #[sea_orm(string_value = "INIT")]
    Init,
    #[sea_orm(string_value = "CREATE")]
    Create,
    #[sea_orm(string_value = "UPDATE")]
    Update,
    #[sea_orm(string_value = "DELETE")]
    Delete,
    #[sea_orm(string_value = "ROLLBACK")]
    Rollback,
    #[sea_orm(string_value = "SUSPEND")]
    Suspend,
    #[sea_orm(string_value = "RESUME")]
    Resume,
    #[sea_orm(string_value = "CHECK")]
    Check,
    /// Only resources: an existing object is taken over.
    #[sea_orm(string_value = "ADOPT")]
    Adopt,
}

/// How far the action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Status {
    #[sea_orm(string_value = "IN_PROGRESS")]
    InProgress,
    #[sea_orm(string_value = "COMPLETE")]
    Complete,
    #[sea_orm(string_value = "FAILED")]
    Failed,
}

impl Action {
    pub const ALL: [Action; 9] = [
        Action::Init,
        Action::Create,
        Action::Update,
        Action::Delete,
        Action::Rollback,
        Action::Suspend,
        Action::Resume,
        Action::Check,
        Action::Adopt,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Action::Init => "INIT",
            Action::Create => "CREATE",
            Action::Update => "UPDATE",
            Action::Delete => "DELETE",
            Action::Rollback => "ROLLBACK",
            Action::Suspend => "SUSPEND",
            Action::Resume => "RESUME",
            Action::Check => "CHECK",
            Action::Adopt => "ADOPT",
        }
    }

    pub fn parse(text: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::InProgress => "IN_PROGRESS",
            Status::Complete => "COMPLETE",
            Status::Failed => "FAILED",
        }
    }

    pub fn parse(text: &str) -> Option<Status> {
        [Status::InProgress, Status::Complete, Status::Failed].into_iter().find(|status| status.as_str() == text)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `CREATE_COMPLETE`
pub fn joined(action: Action, status: Status) -> String {
    format!("{action}_{status}")
}

/// Reads `CREATE_COMPLETE`.
pub fn split(text: &str) -> Option<(Action, Status)> {
    let (action, status) = text.split_once('_')?;
    Some((Action::parse(action)?, Status::parse(status)?))
}
