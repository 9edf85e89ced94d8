//! Schema changes, oldest first.

use sahab_db::Migrations;
use sea_orm::Schema;
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
        let schema = Schema::new(manager.get_database_backend());
        macro_rules! create {
            ($($entity:path),* $(,)?) => {$(
                manager.create_table(schema.create_table_from_entity($entity)).await?;
                for index in schema.create_index_from_entity($entity) {
                    manager.create_index(index).await?;
                }
            )*};
        }
        create!(
            container::Entity,
            container::file::Entity,
            action::Entity,
            action::event::Entity,
            host::Entity,
            host::service::Entity,
            image::Entity,
            quota::Entity,
            registry::Entity,
        );
        Ok(())
    }
}
