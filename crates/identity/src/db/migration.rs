//! Schema changes, oldest first. A released change is never edited.

use sahab_db::{Migrations, create_table};
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

#[async_trait]
impl MigrationTrait for CreateTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_table(manager, projects::project::Entity).await?;
        create_table(manager, projects::tag::Entity).await?;
        create_table(manager, projects::domain_option::Entity).await?;
        create_table(manager, principal::user::Entity).await?;
        create_table(manager, principal::former_password::Entity).await?;
        create_table(manager, principal::group::Entity).await?;
        create_table(manager, principal::membership::Entity).await?;
        create_table(manager, grant::role::Entity).await?;
        create_table(manager, grant::implied::Entity).await?;
        create_table(manager, grant::assignment::Entity).await?;
        create_table(manager, catalog::region::Entity).await?;
        create_table(manager, catalog::service::Entity).await?;
        create_table(manager, catalog::endpoint::Entity).await?;
        create_table(manager, catalog::project_endpoint::Entity).await?;
        create_table(manager, catalog::endpoint_group::Entity).await?;
        create_table(manager, catalog::project_endpoint_group::Entity).await?;
        create_table(manager, catalog::policy::Entity).await?;
        create_table(manager, catalog::policy_association::Entity).await?;
        create_table(manager, access::credential::Entity).await?;
        create_table(manager, access::application_credential::Entity).await?;
        create_table(manager, access::access_rule::Entity).await?;
        create_table(manager, access::trust::Entity).await?;
        create_table(manager, limits::registered_limit::Entity).await?;
        create_table(manager, limits::limit::Entity).await?;
        create_table(manager, revocation::Entity).await
    }
}
