//! Unified limits.

pub mod registered_limit {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_registered_limit")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(unique_key = "resource")]
        pub service_id: String,
        /// Empty when the limit is for every region.
        #[sea_orm(unique_key = "resource")]
        pub region_id: String,
        #[sea_orm(unique_key = "resource")]
        pub resource_name: String,
        pub default_limit: i64,
        pub description: Option<String>,
    }
    crate::db::no_relations!();
}

pub mod limit {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_limit")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// Exactly one of project and domain is not empty.
        #[sea_orm(unique_key = "resource")]
        pub project_id: String,
        #[sea_orm(unique_key = "resource")]
        pub domain_id: String,
        #[sea_orm(unique_key = "resource", indexed)]
        pub registered_limit_id: String,
        pub resource_limit: i64,
        pub description: Option<String>,
    }
    crate::db::no_relations!();
}
