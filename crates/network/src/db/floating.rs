//! Floating IPs and port forwardings.

use crate::db::stored;

stored!(floatingip, port_forwarding);

pub mod floatingip {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "floatingip")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub project_id: String,
        pub description: String,
        #[sea_orm(indexed)]
        pub floating_network_id: String,
        pub floating_ip_address: String,
        pub floating_port_id: String,
        #[sea_orm(indexed)]
        pub port_id: Option<String>,
        pub fixed_ip_address: Option<String>,
        #[sea_orm(indexed)]
        pub router_id: Option<String>,
        pub status: String,
        pub dns_name: String,
        pub dns_domain: String,
        pub created_at: DateTime<Utc>,
        pub updated_at: DateTime<Utc>,
        pub revision_number: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod port_forwarding {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "port_forwarding")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub project_id: String,
        pub description: String,
        #[sea_orm(indexed)]
        pub floatingip_id: String,
        pub protocol: String,
        #[sea_orm(indexed)]
        pub internal_port_id: String,
        pub internal_ip_address: String,
        /// First port of the range; the last is `internal_port_end`.
        pub internal_port: i32,
        pub internal_port_end: i32,
        pub external_port: i32,
        pub external_port_end: i32,
        pub created_at: DateTime<Utc>,
        pub updated_at: DateTime<Utc>,
        pub revision_number: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}
