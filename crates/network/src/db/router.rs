//! Routers. Their legs are ports whose `device_id` is the router.

use crate::db::stored;

stored!(router_table);

pub mod router_table {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::db::lists::{Routes, Texts};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "router")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub project_id: String,
        pub name: String,
        pub description: String,
        pub status: String,
        pub admin_state_up: bool,
        pub gateway_port_id: Option<String>,
        #[sea_orm(indexed)]
        pub gateway_network_id: Option<String>,
        pub enable_snat: bool,
        pub routes: Routes,
        pub availability_zone_hints: Texts,
        pub created_at: DateTime<Utc>,
        pub updated_at: DateTime<Utc>,
        pub revision_number: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}
