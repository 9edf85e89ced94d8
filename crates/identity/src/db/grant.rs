//! Roles, what they imply, and who holds them where.

pub mod role {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_role")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(unique_key = "domain_name")]
        pub name: String,
        /// Empty for a global role.
        #[sea_orm(unique_key = "domain_name")]
        pub domain_id: String,
        pub description: Option<String>,
        pub options: Json,
        pub extra: Json,
    }
    crate::db::no_relations!();
}

pub mod implied {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_implied_role")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub prior_id: String,
        #[sea_orm(primary_key, auto_increment = false, indexed)]
        pub implied_id: String,
    }
    crate::db::no_relations!();
}

pub mod assignment {
    use sea_orm::entity::prelude::*;

    /// Who holds the role.
    #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))")]
    pub enum Actor {
        #[sea_orm(string_value = "user")]
        User,
        #[sea_orm(string_value = "group")]
        Group,
    }

    /// Where the role counts.
    #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))")]
    pub enum Target {
        #[sea_orm(string_value = "project")]
        Project,
        #[sea_orm(string_value = "domain")]
        Domain,
        #[sea_orm(string_value = "system")]
        System,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_assignment")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub actor_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub actor: Actor,
        #[sea_orm(primary_key, auto_increment = false)]
        pub target: Target,
        /// `system` for the system.
        #[sea_orm(primary_key, auto_increment = false, indexed)]
        pub target_id: String,
        #[sea_orm(primary_key, auto_increment = false, indexed)]
        pub role_id: String,
        /// Counts for the projects below the target instead of the target.
        #[sea_orm(primary_key, auto_increment = false)]
        pub inherited: bool,
    }
    crate::db::no_relations!();
}
