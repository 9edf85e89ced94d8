//! Tables of the network service and the questions asked of more than one of them.
//!
//! Columns exist for what is filtered, sorted or joined; lists that always travel with their owner are JSON. Addresses
//! are text in canonical form. Only the domain modules call in here.

pub mod address;
pub mod floating;
pub mod lists;
pub mod migrations;
pub mod network;
pub mod port;
pub mod router;
pub mod security;
pub mod shared;

pub use address::{address_group, address_scope, subnetpool};
pub use floating::{floatingip, port_forwarding};
pub use network::{network_table, subnet};
pub use port::{allocation, port_group, port_table};
pub use router::router_table;
use sahab_contract::{Error, Result};
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, ModelTrait};
pub use security::{default_rule, group, rule};
pub use shared::{agent_binding, agent_state, metering_label, metering_rule, quota, rbac, tag};

/// What every stored object can tell about itself.
pub trait Stored: Clone + Send + Sync {
    fn id(&self) -> &str;
    /// Empty for objects that nobody owns.
    fn project_id(&self) -> &str;
    fn revision(&self) -> Option<i32> {
        None
    }
    /// Notes a change: newer time, next revision.
    fn touch(&mut self) {}
}

/// Implements [`Stored`] for tables with the standard attributes.
macro_rules! stored {
    ($($module:ident),+) => {$(
        impl $crate::db::Stored for $module::Model {
            fn id(&self) -> &str { &self.id }
            fn project_id(&self) -> &str { &self.project_id }
            fn revision(&self) -> Option<i32> { Some(self.revision_number) }
            fn touch(&mut self) {
                self.revision_number += 1;
                self.updated_at = sahab_contract::context::now();
            }
        }
    )+};
}
pub(crate) use stored;

/// Implements [`Stored`] for tables without revision and times.
macro_rules! plain {
    ($($module:ident),+) => {$(
        impl $crate::db::Stored for $module::Model {
            fn id(&self) -> &str { &self.id }
            fn project_id(&self) -> &str { &self.project_id }
        }
    )+};
}
pub(crate) use plain;

/// Most ids that one statement carries.
pub const CHUNK: usize = 500;

pub async fn insert<M>(connection: &impl ConnectionTrait, model: M) -> Result<()>
where
    M: ModelTrait + IntoActiveModel<<M::Entity as EntityTrait>::ActiveModel>,
    <M::Entity as EntityTrait>::ActiveModel: Send,
{
    match <M::Entity as EntityTrait>::insert(model.into_active_model()).exec_without_returning(connection).await {
        Ok(_) => Ok(()),
        Err(error) if sahab_db::is_unique_violation(&error) => {
            Err(Error::conflict("ObjectExists", "An object with this identity exists already.").with_source(error))
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes every column of a row that exists.
pub async fn save<M>(connection: &impl ConnectionTrait, model: &M) -> Result<()>
where
    M: ModelTrait + Clone + IntoActiveModel<<M::Entity as EntityTrait>::ActiveModel>,
    <M::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = M::Entity> + Send,
{
    let active = model.clone().into_active_model().reset_all();
    <M::Entity as EntityTrait>::update(active).exec_without_returning(connection).await?;
    Ok(())
}

/// Removes a row by its primary key.
pub async fn remove<M>(connection: &impl ConnectionTrait, model: &M) -> Result<()>
where
    M: ModelTrait + Clone + IntoActiveModel<<M::Entity as EntityTrait>::ActiveModel>,
    <M::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = M::Entity> + Send,
{
    <M::Entity as EntityTrait>::delete(model.clone().into_active_model()).exec(connection).await?;
    Ok(())
}
