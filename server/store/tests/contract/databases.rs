use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use breaker_core::Time;
use breaker_engine::{
    Batch, Forgotten, HistoryRange, Loaded, LoadedReporter, Member, Opened, SharedDatabase,
    Silence, Store, StoreError, StoredAlerts, StoredPolicies, TransitionPage, Trimmed,
};
use breaker_store::backup::{BadLine, Header, Item, Reader, Writer};
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

/// Memory that knows every row only from a backup of it.
#[derive(Clone)]
pub(crate) struct ThroughBackup(MemoryStore);

impl Database for ThroughBackup {
    fn new() -> Result<Self> {
        Ok(Self(MemoryStore::default()))
    }

    async fn connect(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(self.clone()))
    }
}

/// What is read of a batch after it was written as a backup, in pieces that end anywhere.
fn through_a_backup(batch: &Batch) -> Result<Batch, BadLine> {
    let mut writer = Writer::default();
    writer.header(&Header::new("1.2.3".to_owned(), "today".to_owned(), Default::default()));
    batch.policies.iter().for_each(|row| writer.policy(row));
    batch.rows.iter().for_each(|row| writer.breaker(row));
    batch.transitions.iter().for_each(|record| writer.transition(record));
    writer.footer();
    let mut read = Batch {
        policy_deletions: batch.policy_deletions.clone(),
        deletions: batch.deletions.clone(),
        // No backup holds them.
        reporters: batch.reporters.clone(),
        alerts: batch.alerts.clone(),
        alert_deletions: batch.alert_deletions.clone(),
        receivers: batch.receivers.clone(),
        restore: batch.restore,
        ..Batch::default()
    };
    let mut reader = Reader::default();
    for piece in writer.take().chunks(1_000) {
        reader.read(piece, |_, item| {
            match item {
                Item::Header(_) => {}
                Item::Policy(row) => read.policies.push(row),
                Item::Breaker(row) => read.rows.push(row),
                Item::Transition(record) => read.transitions.push(Arc::new(record)),
            }
            Ok::<_, BadLine>(())
        })?;
    }
    assert_eq!(reader.finish()?, writer.counts());
    Ok(read)
}

#[async_trait]
impl Store for ThroughBackup {
    async fn open(&self) -> Result<Opened, StoreError> {
        self.0.open().await
    }

    async fn policies(&self) -> Result<StoredPolicies, StoreError> {
        self.0.policies().await
    }

    async fn alerts(&self) -> Result<StoredAlerts, StoreError> {
        self.0.alerts().await
    }

    async fn load(&self, sink: &mut (dyn FnMut(Loaded) + Send)) -> Result<(), StoreError> {
        self.0.load(sink).await
    }

    async fn reporters(
        &self,
        limit: usize,
        sink: &mut (dyn FnMut(LoadedReporter) + Send),
    ) -> Result<(), StoreError> {
        self.0.reporters(limit, sink).await
    }

    async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let read = through_a_backup(batch)
            .map_err(|bad| StoreError::Unusable(format!("line {}: {}", bad.line, bad.problem)))?;
        self.0.commit(&read).await
    }

    async fn history(
        &self,
        range: &HistoryRange,
        limit: usize,
    ) -> Result<TransitionPage, StoreError> {
        self.0.history(range, limit).await
    }

    async fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<TransitionPage, StoreError> {
        self.0.transitions_after(after, limit).await
    }

    async fn trim(&self, older_than: Time, limit: usize) -> Result<Trimmed, StoreError> {
        self.0.trim(older_than, limit).await
    }

    async fn forget_reporters(&self, silence: &Silence) -> Result<Forgotten, StoreError> {
        self.0.forget_reporters(silence).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}
