//! Schema changes, oldest first.

use sahab_db::{Migrations, create_table};
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use super::{action, container, host, image, quota, registry};

pub fn migrations() -> Migrations {
    Migrations { service: "container", list: vec![Box::new(CreateTables)] }
}

struct CreateTables;
impl MigrationName for CreateTables {
    fn name(&self) -> &str {
        "0001_container"
    }
}
#[async_trait]
impl MigrationTrait for CreateTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_table(manager, container::Entity).await?;
        create_table(manager, container::file::Entity).await?;
        create_table(manager, action::Entity).await?;
        create_table(manager, action::event::Entity).await?;
        create_table(manager, host::Entity).await?;
        create_table(manager, host::service::Entity).await?;
        create_table(manager, image::Entity).await?;
        create_table(manager, quota::Entity).await?;
        create_table(manager, registry::Entity).await
    }
}
