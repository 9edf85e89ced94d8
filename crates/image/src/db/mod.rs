//! Tables of the image service and all queries on them.

pub mod image;
pub mod member;

use sahab_db::Migrations;
use sea_orm::Schema;
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

pub fn migrations() -> Migrations {
    Migrations { service: "image", list: vec![Box::new(CreateTables)] }
}

struct CreateTables;
impl MigrationName for CreateTables {
    fn name(&self) -> &str {
        "0001_image"
    }
}
#[async_trait]
impl MigrationTrait for CreateTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let schema = Schema::new(manager.get_database_backend());
        manager.create_table(schema.create_table_from_entity(image::Entity)).await?;
        manager.create_table(schema.create_table_from_entity(member::Entity)).await?;
        for index in schema.create_index_from_entity(image::Entity) {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
