//! What the other services ask of identity.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{context::Auth, error::Result};

#[async_trait]
pub trait Identity: Send + Sync {
    /// Validates a token as of now: a removed role, a changed password, a disabled user or a revocation made a moment
    /// ago counts. Fails with [`crate::Kind::Unauthenticated`].
    async fn validate(&self, token: &str) -> Result<Arc<Auth>>;

    /// Acts for a user later, without a token (stacks, alarms): the identity the user would get now by scoping to the
    /// project, with the current roles. Fails when the user or project is gone, disabled or has no role left.
    async fn delegate(&self, user_id: &str, project_id: &str) -> Result<Arc<Auth>>;

    /// The program's own identity (`service` project, roles `admin` and `service`).
    async fn service(&self) -> Result<Arc<Auth>>;

    /// Whether a project exists and is enabled.
    async fn project_exists(&self, project_id: &str) -> Result<bool>;
}
