//! What stands for a user elsewhere: credentials, application credentials and trusts.

pub mod credential {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_credential")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub kind: String,
        /// Fernet with the credential keys.
        pub sealed_blob: String,
        #[sea_orm(indexed)]
        pub user_id: String,
        #[sea_orm(indexed)]
        pub project_id: Option<String>,
        pub extra: Json,
    }
    crate::db::no_relations!();
}

pub mod application_credential {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_application_credential")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(unique_key = "user_name")]
        pub user_id: String,
        #[sea_orm(unique_key = "user_name")]
        pub name: String,
        #[sea_orm(indexed)]
        pub project_id: String,
        pub description: Option<String>,
        pub secret_hash: String,
        pub expires_at: Option<DateTime<Utc>>,
        pub unrestricted: bool,
        /// Ids of the roles.
        pub roles: Json,
        /// Ids of the access rules in order; null when there are no rules at all.
        pub access_rules: Json,
    }
    crate::db::no_relations!();
}

pub mod access_rule {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_access_rule")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(unique_key = "user_rule")]
        pub user_id: String,
        #[sea_orm(unique_key = "user_rule")]
        pub service: String,
        #[sea_orm(unique_key = "user_rule")]
        pub path: String,
        #[sea_orm(unique_key = "user_rule")]
        pub method: String,
    }
    crate::db::no_relations!();
}

pub mod trust {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_trust")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub trustor_user_id: String,
        #[sea_orm(indexed)]
        pub trustee_user_id: String,
        #[sea_orm(indexed)]
        pub project_id: Option<String>,
        pub impersonation: bool,
        pub expires_at: Option<DateTime<Utc>>,
        pub remaining_uses: Option<i32>,
        #[sea_orm(indexed)]
        pub redelegated_trust_id: Option<String>,
        pub redelegation_count: i32,
        /// Ids of the delegated roles.
        pub roles: Json,
        pub extra: Json,
    }
    crate::db::no_relations!();
}
