//! Ports, their addresses and their security groups.

use crate::db::stored;

stored!(port_table);

pub mod port_table {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::db::lists::{DhcpOptions, Pairs};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "port")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub project_id: String,
        pub name: String,
        pub description: String,
        #[sea_orm(indexed)]
        pub network_id: String,
        pub admin_state_up: bool,
        pub mac_address: String,
        #[sea_orm(indexed)]
        pub device_id: String,
        pub device_owner: String,
        pub status: String,
        pub port_security_enabled: bool,
        pub allowed_address_pairs: Pairs,
        pub extra_dhcp_opts: DhcpOptions,
        /// `binding:host_id`; empty when unbound.
        #[sea_orm(indexed)]
        pub host: String,
        pub vnic_type: String,
        pub profile: Json,
        pub dns_name: String,
        pub dns_domain: String,
        pub data_plane_status: Option<String>,
        pub ip_allocation: String,
        pub propagate_uplink_status: bool,
        pub created_at: DateTime<Utc>,
        pub updated_at: DateTime<Utc>,
        pub revision_number: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod allocation {
    //! One row per address in use; the primary key makes a second use impossible.

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "allocation")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub network_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub ip_address: String,
        #[sea_orm(indexed)]
        pub subnet_id: String,
        #[sea_orm(indexed)]
        pub port_id: String,
        /// Order among the addresses of the port.
        pub position: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod port_group {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "port_security_group")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub port_id: String,
        #[sea_orm(primary_key, auto_increment = false, indexed)]
        pub group_id: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}
