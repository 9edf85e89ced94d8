//! Numbered schema changes of every service in one ledger.

use std::collections::HashSet;

use sahab_contract::Result;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, Schema, Statement, TransactionTrait};
use sea_orm_migration::{DbErr, MigrationTrait, SchemaManager};

/// A service's schema changes, oldest first. A change that was released is never edited.
pub struct Migrations {
    pub service: &'static str,
    pub list: Vec<Box<dyn MigrationTrait>>,
}

/// The table of an entity as it is now, with its indexes: for a service's first change.
pub async fn create_table<E: EntityTrait>(manager: &SchemaManager<'_>, entity: E) -> std::result::Result<(), DbErr> {
    let schema = Schema::new(manager.get_database_backend());
    manager.create_table(schema.create_table_from_entity(entity)).await?;
    for index in schema.create_index_from_entity(entity) {
        manager.create_index(index).await?;
    }
    Ok(())
}

/// Each change runs in a transaction together with its ledger entry, so a crash leaves it done or not begun.
pub(crate) async fn run(connection: &DatabaseConnection, all: &[Migrations]) -> Result<()> {
    connection
        .execute_unprepared(
            "CREATE TABLE IF NOT EXISTS migration (name VARCHAR(255) PRIMARY KEY, applied_at TEXT NOT NULL)",
        )
        .await?;
    let rows =
        connection.query_all_raw(Statement::from_string(DbBackend::Sqlite, "SELECT name FROM migration")).await?;
    let mut applied = HashSet::new();
    for row in rows {
        applied.insert(row.try_get::<String>("", "name")?);
    }
    for migrations in all {
        for migration in &migrations.list {
            let name = format!("{}/{}", migrations.service, migration.name());
            if applied.contains(&name) {
                continue;
            }
            let txn = connection.begin().await?;
            migration.up(&SchemaManager::new(&txn)).await?;
            txn.execute_raw(Statement::from_sql_and_values(
                DbBackend::Sqlite,
                "INSERT INTO migration (name, applied_at) VALUES ($1, $2)",
                [name.clone().into(), sahab_contract::context::now().to_rfc3339().into()],
            ))
            .await?;
            txn.commit().await?;
            tracing::debug!(migration = name, "schema change applied");
        }
    }
    Ok(())
}
