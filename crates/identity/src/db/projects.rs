//! Projects and domains, their tags and a domain's own settings.

pub mod project {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_project")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(unique_key = "domain_name")]
        pub name: String,
        /// Empty for a domain.
        #[sea_orm(unique_key = "domain_name")]
        pub domain_id: String,
        /// Empty for a domain; the domain's id for a top project.
        #[sea_orm(indexed)]
        pub parent_id: String,
        pub is_domain: bool,
        pub enabled: bool,
        pub description: String,
        pub options: Json,
        pub extra: Json,
    }
    crate::db::no_relations!();
}

pub mod tag {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_project_tag")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub project_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
    }
    crate::db::no_relations!();
}

pub mod domain_option {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_domain_option")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub domain_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub section: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub value: Json,
    }
    crate::db::no_relations!();
}
