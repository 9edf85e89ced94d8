//! Tables of the identity service, their entities and schema changes.
//!
//! Table names start with `identity_` because every service shares one database. A domain is a row of
//! `identity_project` (upstream's rule); "no domain" is the empty string where a unique key needs it, because SQL
//! considers two NULLs different.

use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, Iterable, ModelTrait};

pub mod access;
pub mod catalog;
pub mod grant;
pub mod limits;
pub mod migration;
pub mod principal;
pub mod projects;
pub mod revocation;

/// An update of the columns that differ. Writing whole rows would undo what somebody else changed since the row was
/// read: a password change, which takes its time to hash, must not enable a user who was disabled meanwhile.
pub(crate) fn changes<E>(before: &E::Model, after: &E::Model) -> E::ActiveModel
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + Clone,
{
    let mut active = before.clone().into_active_model();
    for column in E::Column::iter() {
        let value = after.get(column);
        if before.get(column) != value {
            active.set(column, value);
        }
    }
    active
}

/// The two items that every entity without relations needs.
macro_rules! no_relations {
    () => {
        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}
        impl ActiveModelBehavior for ActiveModel {}
    };
}
pub(crate) use no_relations;
