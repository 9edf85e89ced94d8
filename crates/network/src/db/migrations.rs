//! Schema changes, oldest first. A change that was released is never edited.

use sahab_db::Migrations;
use sea_orm::{EntityTrait, IntoActiveModel, Schema, sea_query::Index};
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
        create(manager, db::network_table::Entity).await?;
        create(manager, db::subnet::Entity).await?;
        create(manager, db::port_table::Entity).await?;
        create(manager, db::allocation::Entity).await?;
        create(manager, db::port_group::Entity).await?;
        create(manager, db::group::Entity).await?;
        create(manager, db::rule::Entity).await?;
        create(manager, db::default_rule::Entity).await?;
        create(manager, db::router_table::Entity).await?;
        create(manager, db::floatingip::Entity).await?;
        create(manager, db::port_forwarding::Entity).await?;
        create(manager, db::subnetpool::Entity).await?;
        create(manager, db::address_scope::Entity).await?;
        create(manager, db::address_group::Entity).await?;
        create(manager, db::tag::Entity).await?;
        create(manager, db::rbac::Entity).await?;
        create(manager, db::quota::Entity).await?;
        create(manager, db::agent_state::Entity).await?;
        create(manager, db::agent_binding::Entity).await?;
        create(manager, db::metering_label::Entity).await?;
        create(manager, db::metering_rule::Entity).await?;
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
