//! Users, groups and who belongs to which.

pub mod user {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_user")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(unique_key = "domain_name")]
        pub name: String,
        #[sea_orm(unique_key = "domain_name")]
        pub domain_id: String,
        pub enabled: bool,
        pub default_project_id: Option<String>,
        /// bcrypt; `None`: cannot log in by password.
        pub password_hash: Option<String>,
        pub password_changed_at: Option<DateTime<Utc>>,
        pub password_expires_at: Option<DateTime<Utc>>,
        /// Failed logins in a row, counted only when locking is on.
        pub failures: i32,
        pub failed_at: Option<DateTime<Utc>>,
        pub options: Json,
        pub extra: Json,
    }
    crate::db::no_relations!();
}

/// Hashes of former passwords, kept only as far as reuse is forbidden.
pub mod former_password {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_former_password")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(indexed)]
        pub user_id: String,
        pub hash: String,
        pub created_at: DateTime<Utc>,
    }
    crate::db::no_relations!();
}

pub mod group {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_group")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(unique_key = "domain_name")]
        pub name: String,
        #[sea_orm(unique_key = "domain_name")]
        pub domain_id: String,
        pub description: String,
        pub extra: Json,
    }
    crate::db::no_relations!();
}

pub mod membership {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_membership")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: String,
        #[sea_orm(primary_key, auto_increment = false, indexed)]
        pub group_id: String,
    }
    crate::db::no_relations!();
}
