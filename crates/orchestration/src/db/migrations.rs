//! Schema changes of this service, oldest first.

use sahab_db::{Migrations, create_table};
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
        create_table(manager, stack::Entity).await?;
        create_table(manager, resource::Entity).await?;
        create_table(manager, event::Entity).await?;
        create_table(manager, tag::Entity).await
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
        create_table(manager, software_config::Entity).await?;
        create_table(manager, software_deployment::Entity).await
    }
}
