use std::sync::Arc;

use anyhow::Result;
use breaker_engine::Store;
use breaker_store::{MemoryStore, SqliteStore};
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
        Ok(Arc::new(SqliteStore::connect(&url).await?))
    }
}
