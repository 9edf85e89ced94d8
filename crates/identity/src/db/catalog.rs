//! Regions, services, endpoints, and which project sees which endpoint.

pub mod region {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_region")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub parent_id: Option<String>,
        pub description: String,
        pub extra: Json,
    }
    crate::db::no_relations!();
}

pub mod service {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_service")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(indexed)]
        pub kind: String,
        pub name: Option<String>,
        pub enabled: bool,
        pub extra: Json,
    }
    crate::db::no_relations!();
}

pub mod endpoint {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_endpoint")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub interface: String,
        #[sea_orm(indexed)]
        pub region_id: Option<String>,
        #[sea_orm(indexed)]
        pub service_id: String,
        pub url: String,
        pub enabled: bool,
        pub extra: Json,
    }
    crate::db::no_relations!();
}

pub mod project_endpoint {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_project_endpoint")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub project_id: String,
        #[sea_orm(primary_key, auto_increment = false, indexed)]
        pub endpoint_id: String,
    }
    crate::db::no_relations!();
}

pub mod endpoint_group {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_endpoint_group")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub name: String,
        pub description: Option<String>,
        pub filters: Json,
    }
    crate::db::no_relations!();
}

pub mod project_endpoint_group {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_project_endpoint_group")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub project_id: String,
        #[sea_orm(primary_key, auto_increment = false, indexed)]
        pub endpoint_group_id: String,
    }
    crate::db::no_relations!();
}

/// A policy document: opaque to us, kept for others.
pub mod policy {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_policy")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub kind: String,
        pub blob: String,
        pub extra: Json,
    }
    crate::db::no_relations!();
}

/// Where a policy document applies; an absent part is the empty string.
pub mod policy_association {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_policy_association")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub endpoint_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub service_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub region_id: String,
        #[sea_orm(indexed)]
        pub policy_id: String,
    }
    crate::db::no_relations!();
}
