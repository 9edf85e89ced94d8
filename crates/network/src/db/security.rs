//! Security groups, their rules and the templates of new groups.

use crate::db::{plain, stored};

stored!(group, rule);
plain!(default_rule);

pub mod group {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "security_group")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub project_id: String,
        pub name: String,
        pub description: String,
        pub stateful: bool,
        pub is_default: bool,
        pub created_at: DateTime<Utc>,
        pub updated_at: DateTime<Utc>,
        pub revision_number: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod rule {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "security_group_rule")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub project_id: String,
        pub description: String,
        #[sea_orm(indexed)]
        pub security_group_id: String,
        pub direction: String,
        pub ethertype: String,
        pub protocol: Option<String>,
        pub port_range_min: Option<i32>,
        pub port_range_max: Option<i32>,
        pub remote_ip_prefix: Option<String>,
        #[sea_orm(indexed)]
        pub remote_group_id: Option<String>,
        pub remote_address_group_id: Option<String>,
        pub created_at: DateTime<Utc>,
        pub updated_at: DateTime<Utc>,
        pub revision_number: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod default_rule {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "default_security_group_rule")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub project_id: String,
        pub description: String,
        pub direction: String,
        pub ethertype: String,
        pub protocol: Option<String>,
        pub port_range_min: Option<i32>,
        pub port_range_max: Option<i32>,
        pub remote_ip_prefix: Option<String>,
        pub remote_group_id: Option<String>,
        pub remote_address_group_id: Option<String>,
        pub used_in_default_sg: bool,
        pub used_in_non_default_sg: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}
