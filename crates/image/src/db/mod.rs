//! Tables of the image service and all queries on them.

pub mod image;
pub mod member;

use sahab_db::{Migrations, create_table};
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
        create_table(manager, image::Entity).await?;
        create_table(manager, member::Entity).await
    }
}
