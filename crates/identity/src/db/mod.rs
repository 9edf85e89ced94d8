//! Tables of the identity service, their entities and schema changes.
//!
//! Table names start with `identity_` because every service shares one database. A domain is a row of
//! `identity_project` (upstream's rule); "no domain" is the empty string where a unique key needs it, because SQL
//! considers two NULLs different.

pub mod access;
pub mod catalog;
pub mod grant;
pub mod limits;
pub mod migration;
pub mod principal;
pub mod projects;
pub mod revocation;

/// The two items that every entity without relations needs.
macro_rules! no_relations {
    () => {
        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}
        impl ActiveModelBehavior for ActiveModel {}
    };
}
pub(crate) use no_relations;
