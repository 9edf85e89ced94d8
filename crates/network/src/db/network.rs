//! Networks and subnets.

use crate::db::stored;

stored!(network_table, subnet);

pub mod network_table {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::db::lists::Texts;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "network")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub project_id: String,
        #[sea_orm(indexed)]
        pub name: String,
        pub description: String,
        pub status: String,
        pub admin_state_up: bool,
        pub mtu: i32,
        pub port_security_enabled: bool,
        pub dns_domain: String,
        /// Any `access_as_external` policy exists.
        pub external: bool,
        pub is_default: bool,
        pub availability_zone_hints: Texts,
        pub network_type: String,
        pub physical_network: Option<String>,
        pub segmentation_id: Option<i32>,
        pub segment_id: String,
        pub created_at: DateTime<Utc>,
        pub updated_at: DateTime<Utc>,
        pub revision_number: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod subnet {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::db::lists::{Pools, Routes, Texts};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "subnet")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub project_id: String,
        pub name: String,
        pub description: String,
        #[sea_orm(indexed)]
        pub network_id: String,
        pub ip_version: i32,
        pub cidr: String,
        pub gateway_ip: Option<String>,
        pub allocation_pools: Pools,
        pub enable_dhcp: bool,
        pub dns_nameservers: Texts,
        pub host_routes: Routes,
        pub ipv6_ra_mode: Option<String>,
        pub ipv6_address_mode: Option<String>,
        pub service_types: Texts,
        pub subnetpool_id: Option<String>,
        pub dns_publish_fixed_ip: bool,
        pub segment_id: Option<String>,
        pub created_at: DateTime<Utc>,
        pub updated_at: DateTime<Utc>,
        pub revision_number: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}
