//! Rows and queries; the only module that touches the service's tables. Called by the domain functions and tasks.

pub mod action;
pub mod container;
pub mod host;
pub mod image;
mod migration;
pub mod page;
pub mod quota;
pub mod registry;

pub use migration::migrations;
use sahab_contract::Result;
use sea_orm::{ActiveModelBehavior, ActiveModelTrait, ConnectionTrait, IntoActiveModel, ModelTrait};

/// Inserts a row made as a model; the numeric id is the database's.
pub async fn insert<M, A>(
    connection: &impl ConnectionTrait,
    model: M,
    id: <M::Entity as sea_orm::EntityTrait>::Column,
) -> Result<M>
where
    M: ModelTrait + IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = M::Entity> + ActiveModelBehavior + Send,
    <A::Entity as sea_orm::EntityTrait>::Model: IntoActiveModel<A> + Into<M>,
{
    let mut active = model.into_active_model().reset_all();
    active.not_set(id);
    Ok(active.insert(connection).await?.into())
}
