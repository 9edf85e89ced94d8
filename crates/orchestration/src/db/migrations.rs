//! Schema changes of this service, oldest first.

use sahab_db::Migrations;
use sea_orm::{EntityTrait, Schema};
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use super::{event, resource, software_config, software_deployment, stack, tag};

pub fn migrations() -> Migrations {
    Migrations { service: "orchestration", list: vec![Box::new(CreateTables), Box::new(AddSoftware)] }
}

struct CreateTables;

impl MigrationName for CreateTables {
    fn name(&self) -> &str {
        "0001_tables"
    }
}

#[async_trait]
impl MigrationTrait for CreateTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, stack::Entity).await?;
        create(manager, resource::Entity).await?;
        create(manager, event::Entity).await?;
        create(manager, tag::Entity).await
    }
}

struct AddSoftware;

impl MigrationName for AddSoftware {
    fn name(&self) -> &str {
        "0002_software"
    }
}

#[async_trait]
impl MigrationTrait for AddSoftware {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, software_config::Entity).await?;
        create(manager, software_deployment::Entity).await
    }
}

async fn create<E: EntityTrait>(manager: &SchemaManager<'_>, entity: E) -> Result<(), DbErr> {
    let schema = Schema::new(manager.get_database_backend());
    manager.create_table(schema.create_table_from_entity(entity)).await?;
    for index in schema.create_index_from_entity(entity) {
        manager.create_index(index).await?;
    }
    Ok(())
}
