//! What makes tokens invalid before their time. An attribute that is set must equal the token's.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "identity_revocation")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(indexed)]
    pub audit_id: Option<String>,
    #[sea_orm(indexed)]
    pub audit_chain_id: Option<String>,
    #[sea_orm(indexed)]
    pub user_id: Option<String>,
    #[sea_orm(indexed)]
    pub project_id: Option<String>,
    #[sea_orm(indexed)]
    pub domain_id: Option<String>,
    #[sea_orm(indexed)]
    pub trust_id: Option<String>,
    /// Tokens issued up to this moment are meant.
    pub issued_before: DateTime<Utc>,
    #[sea_orm(indexed)]
    pub revoked_at: DateTime<Utc>,
}
crate::db::no_relations!();
