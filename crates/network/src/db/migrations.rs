//! Schema changes, oldest first. A change that was released is never edited.

use sahab_db::{Migrations, create_table};
use sea_orm::{EntityTrait, IntoActiveModel, sea_query::Index};
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::db;

pub fn migrations() -> Migrations {
    Migrations { service: "network", list: vec![Box::new(CreateTables), Box::new(IndexSegments)] }
}

struct CreateTables;

impl MigrationName for CreateTables {
    fn name(&self) -> &str {
        "0001_network"
    }
}

#[async_trait]
impl MigrationTrait for CreateTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_table(manager, db::network_table::Entity).await?;
        create_table(manager, db::subnet::Entity).await?;
        create_table(manager, db::port_table::Entity).await?;
        create_table(manager, db::allocation::Entity).await?;
        create_table(manager, db::port_group::Entity).await?;
        create_table(manager, db::group::Entity).await?;
        create_table(manager, db::rule::Entity).await?;
        create_table(manager, db::default_rule::Entity).await?;
        create_table(manager, db::router_table::Entity).await?;
        create_table(manager, db::floatingip::Entity).await?;
        create_table(manager, db::port_forwarding::Entity).await?;
        create_table(manager, db::subnetpool::Entity).await?;
        create_table(manager, db::address_scope::Entity).await?;
        create_table(manager, db::address_group::Entity).await?;
        create_table(manager, db::tag::Entity).await?;
        create_table(manager, db::rbac::Entity).await?;
        create_table(manager, db::quota::Entity).await?;
        create_table(manager, db::agent_state::Entity).await?;
        create_table(manager, db::agent_binding::Entity).await?;
        create_table(manager, db::metering_label::Entity).await?;
        create_table(manager, db::metering_rule::Entity).await?;
        let unique_mac = Index::create()
            .name("port_network_mac")
            .table(db::port_table::Entity)
            .col(db::port_table::Column::NetworkId)
            .col(db::port_table::Column::MacAddress)
            .unique()
            .to_owned();
        manager.create_index(unique_mac).await?;
        for template in crate::default_rule::initial() {
            let row: db::default_rule::ActiveModel = template.into_active_model();
            db::default_rule::Entity::insert(row).exec_without_returning(manager.get_connection()).await?;
        }
        Ok(())
    }
}

/// The highest number in use is asked for by every new network.
struct IndexSegments;

impl MigrationName for IndexSegments {
    fn name(&self) -> &str {
        "0002_network_segments"
    }
}

#[async_trait]
impl MigrationTrait for IndexSegments {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::create()
            .name("network_segmentation")
            .table(db::network_table::Entity)
            .col(db::network_table::Column::SegmentationId)
            .to_owned();
        manager.create_index(index).await
    }
}
