use std::sync::Arc;

use anyhow::{Context, Result};
use breaker_engine::{Member, SharedDatabase, Store};
use breaker_store::{MemoryStore, MigrationMode, PostgresDatabase, SqliteStore};
use tempfile::TempDir;

/// A database that servers can come and go at.
pub(crate) trait Database: Sized {
    /// One that no server has used yet.
    fn new() -> Result<Self>;

    /// A connection to it. The one before must have been dropped, closed or not.
    async fn connect(&self) -> Result<Arc<dyn Store>>;
}

pub(crate) struct Memory(MemoryStore);

impl Database for Memory {
    fn new() -> Result<Self> {
        Ok(Self(MemoryStore::default()))
    }

    async fn connect(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(self.0.clone()))
    }
}

pub(crate) struct Sqlite(TempDir);

impl Database for Sqlite {
    fn new() -> Result<Self> {
        Ok(Self(TempDir::new()?))
    }

    async fn connect(&self) -> Result<Arc<dyn Store>> {
        let url = format!("sqlite://{}", self.0.path().join("breakerd.db").display());
        Ok(Arc::new(SqliteStore::connect(&url, MigrationMode::Apply).await?))
    }
}

pub(crate) struct Postgres(throwaway_postgres::Database);

impl Database for Postgres {
    fn new() -> Result<Self> {
        Ok(Self(throwaway_postgres::Database::in_shared_cluster()?))
    }

    /// By a server that takes the lead from whoever had it.
    async fn connect(&self) -> Result<Arc<dyn Store>> {
        let me = Member { id: "test".to_owned(), address: "127.0.0.1:1".to_owned() };
        let database = PostgresDatabase::connect(&self.0.url, me, MigrationMode::Apply).await?;
        let term = database.take(&database.look().await?).await?;
        Ok(term.context("nobody else takes the lead")?.store)
    }
}
