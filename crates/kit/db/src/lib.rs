//! The database as every service uses it.
//!
//! Invariants: SQLite runs in WAL mode with foreign keys on; there is one writing connection, whose transactions begin
//! IMMEDIATE, so writers queue instead of failing with "database is locked"; readers never wait for it. Ids are text,
//! times are UTC cut to microseconds ([`sahab_contract::context::now`]).
//!
//! Rules for callers: read through [`Database::read`], change through [`Database::begin`]; never begin a second
//! transaction, and never do slow work (Docker, HTTP, hashing) while one is open. Query functions take
//! `&impl ConnectionTrait`, so they work in both.

mod migrate;

use std::{path::Path, sync::Arc, time::Duration};

pub use migrate::{Migrations, create_table};
use sahab_contract::{Error, Kind, Result};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, SqlErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

/// Handle to the database; cloning is cheap.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    readers: DatabaseConnection,
    writer: DatabaseConnection,
    /// Keeps a temporary database's folder alive.
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    /// Opens or creates the SQLite file.
    pub async fn open(file: &Path) -> Result<Self> {
        Self::connect(file, None).await
    }

    /// A real database file of its own, removed with the last handle. For tests and dry runs.
    pub async fn temporary() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Self::connect(&folder.path().join("test.db"), Some(folder)).await
    }

    async fn connect(file: &Path, folder: Option<tempfile::TempDir>) -> Result<Self> {
        let url = format!("sqlite://{}?mode=rwc", file.display());
        let writer = connect(&url, 1).await?;
        let readers = connect(&url, 8).await?;
        Ok(Database { inner: Arc::new(Inner { readers, writer, _folder: folder }) })
    }

    /// For queries outside a transaction. Never change anything through it.
    pub fn read(&self) -> &DatabaseConnection {
        &self.inner.readers
    }

    /// Starts a write transaction; waits for the one before. Dropping it without `commit` rolls back.
    pub async fn begin(&self) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        self.inner.writer.begin_with_options(options).await.map_err(unavailable)
    }

    /// Applies what is missing, in order, each once.
    pub async fn migrate(&self, all: &[Migrations]) -> Result<()> {
        migrate::run(&self.inner.writer, all).await
    }
}

async fn connect(url: &str, connections: u32) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(30))
        .sqlx_logging(false)
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(|options| {
            options
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(10))
                .pragma("journal_mode", "WAL")
                // A killed process loses nothing; only a power cut may lose the last transactions, never consistency.
                .pragma("synchronous", "NORMAL")
                .pragma("temp_store", "MEMORY")
                .pragma("cache_size", "-4000")
        });
    sea_orm::Database::connect(options).await.map_err(Error::from)
}

fn unavailable(error: DbErr) -> Error {
    match error {
        DbErr::ConnectionAcquire(_) => {
            Error::new(Kind::Unavailable, "DatabaseBusy", "the database is busy, try again").with_source(error)
        }
        other => other.into(),
    }
}

/// Whether the statement failed because a row with the same unique key exists.
pub fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Whether the statement failed because another row refers to this one, or the one referred to is gone.
pub fn is_foreign_key_violation(error: &DbErr) -> bool {
    match error.sql_err() {
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => true,
        _ => matches!(error, DbErr::Exec(RuntimeErr::Internal(text)) if text.contains("FOREIGN KEY")),
    }
}

/// Runs one statement without parameters; for migrations.
pub async fn execute(connection: &impl ConnectionTrait, sql: &str) -> Result<()> {
    connection.execute_unprepared(sql).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn writers_queue_and_readers_do_not_wait() {
        let database = Database::temporary().await.unwrap();
        execute(&database.inner.writer, "CREATE TABLE counter (n INTEGER)").await.unwrap();
        execute(&database.inner.writer, "INSERT INTO counter VALUES (0)").await.unwrap();
        let open = database.begin().await.unwrap();
        open.execute_unprepared("UPDATE counter SET n = n + 1").await.unwrap();
        assert_eq!(read_counter(&database).await, 0, "an open transaction is invisible and does not block readers");
        open.commit().await.unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move {
                    let txn = database.begin().await.unwrap();
                    txn.execute_unprepared("UPDATE counter SET n = n + 1").await.unwrap();
                    txn.commit().await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(read_counter(&database).await, 21);
        drop(database.begin().await.unwrap());
        assert_eq!(read_counter(&database).await, 21, "a dropped transaction leaves nothing");
    }

    async fn read_counter(database: &Database) -> i64 {
        let row = database
            .read()
            .query_one_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, "SELECT n FROM counter"));
        row.await.unwrap().unwrap().try_get::<i64>("", "n").unwrap()
    }
}
