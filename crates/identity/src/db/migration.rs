//! Schema changes, oldest first. A released change is never edited.

use sahab_db::Migrations;
use sea_orm::{EntityTrait, Schema};
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use super::{access, catalog, grant, limits, principal, projects, revocation};

pub fn migrations() -> Migrations {
    Migrations { service: "identity", list: vec![Box::new(CreateTables)] }
}

struct CreateTables;
impl MigrationName for CreateTables {
    fn name(&self) -> &str {
        "0001_tables"
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

#[async_trait]
impl MigrationTrait for CreateTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, projects::project::Entity).await?;
        create(manager, projects::tag::Entity).await?;
        create(manager, projects::domain_option::Entity).await?;
        create(manager, principal::user::Entity).await?;
        create(manager, principal::former_password::Entity).await?;
        create(manager, principal::group::Entity).await?;
        create(manager, principal::membership::Entity).await?;
        create(manager, grant::role::Entity).await?;
        create(manager, grant::implied::Entity).await?;
        create(manager, grant::assignment::Entity).await?;
        create(manager, catalog::region::Entity).await?;
        create(manager, catalog::service::Entity).await?;
        create(manager, catalog::endpoint::Entity).await?;
        create(manager, catalog::project_endpoint::Entity).await?;
        create(manager, catalog::endpoint_group::Entity).await?;
        create(manager, catalog::project_endpoint_group::Entity).await?;
        create(manager, catalog::policy::Entity).await?;
        create(manager, catalog::policy_association::Entity).await?;
        create(manager, access::credential::Entity).await?;
        create(manager, access::application_credential::Entity).await?;
        create(manager, access::access_rule::Entity).await?;
        create(manager, access::trust::Entity).await?;
        create(manager, limits::registered_limit::Entity).await?;
        create(manager, limits::limit::Entity).await?;
        create(manager, revocation::Entity).await
    }
}
