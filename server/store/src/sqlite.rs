//! Everything in one SQLite file.
//!
//! One connection writes and a few others read beside it, which the write-ahead log allows. A
//! commit is on disk when it returns. Numbers that Rust takes for unsigned are stored with the
//! same bits; those that SQL compares (revisions, ids, times) stay far below the sign bit.

mod cells;
mod commit;
mod connection;
mod errors;
mod file;
mod history;
mod life;
mod load;
mod packed;
mod reporters;

use async_trait::async_trait;
use breaker_core::Time;
use breaker_engine::{
    Batch, Forgotten, HistoryRange, Loaded, LoadedReporter, Opened, Silence, Store, StoreError,
    StoredAlerts, StoredPolicies, TransitionPage, Trimmed,
};
use sqlx::SqlitePool;

use connection::Writer;
use file::DatabaseFile;

use crate::migrations::MigrationMode;

/// A store in a SQLite file.
///
/// A commit that fails or is given up leaves nothing behind, and the next one is tried over a new
/// connection: a disk that was full or away is used again as soon as it is back.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
    /// Claims the file for this process. The last field, so that the claim ends last.
    file: DatabaseFile,
}

impl SqliteStore {
    /// Claims the file of a URL, creates it if it is not there, and sees to its tables.
    ///
    /// # Errors
    /// If the URL is not `sqlite://PATH`, another server uses the file, or it cannot be used: what
    /// is wrong, with which file, and what to do.
    pub async fn connect(url: &str, migrations: MigrationMode) -> Result<Self, StoreError> {
        let file = DatabaseFile::claim(&file::path_of(url)?)?;
        let (writer, _) = Writer::connect(file.path(), migrations).await?;
        let readers = connection::readers(file.path());
        Ok(Self { writer, readers, file })
    }

    /// Brings the tables of a file up to date; returns which migrations were applied.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
        let file = DatabaseFile::claim(&file::path_of(url)?)?;
        let (writer, applied) = Writer::connect(file.path(), MigrationMode::Apply).await?;
        writer.close().await.map_err(|error| errors::unusable(file.path(), &error))?;
        Ok(applied)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn open(&self) -> Result<Opened, StoreError> {
        life::begin(&self.writer).await.map_err(|error| errors::unusable(self.file.path(), &error))
    }

    async fn policies(&self) -> Result<StoredPolicies, StoreError> {
        load::policies(&self.readers).await
    }

    async fn alerts(&self) -> Result<StoredAlerts, StoreError> {
        load::alerts(&self.readers).await
    }

    async fn load(&self, sink: &mut (dyn FnMut(Loaded) + Send)) -> Result<(), StoreError> {
        packed::load(&self.readers, sink).await
    }

    async fn reporters(
        &self,
        limit: usize,
        sink: &mut (dyn FnMut(LoadedReporter) + Send),
    ) -> Result<(), StoreError> {
        reporters::heard_last(&self.readers, limit, sink).await
    }

    async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        commit::commit(&self.writer, batch).await.map_err(errors::unavailable)
    }

    async fn history(
        &self,
        range: &HistoryRange,
        limit: usize,
    ) -> Result<TransitionPage, StoreError> {
        history::latest_of(&self.readers, range, limit).await
    }

    async fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<TransitionPage, StoreError> {
        history::after(&self.readers, after, limit).await
    }

    async fn trim(&self, older_than: Time, limit: usize) -> Result<Trimmed, StoreError> {
        history::trim(&self.readers, &self.writer, older_than, limit)
            .await
            .map_err(errors::unavailable)
    }

    async fn forget_reporters(&self, silence: &Silence) -> Result<Forgotten, StoreError> {
        reporters::forget(&self.readers, &self.writer, silence).await.map_err(errors::unavailable)
    }

    async fn close(&self) -> Result<(), StoreError> {
        life::end(&self.writer).await.map_err(errors::unavailable)?;
        self.readers.close().await;
        self.writer.close().await.map_err(errors::unavailable)
    }
}
