//! Everything in one SQLite file.
//!
//! One connection writes and a few others read beside it, which the write-ahead log allows. A
//! commit is on disk when it returns. Numbers that Rust takes for unsigned are stored with the
//! same bits; those that SQL compares (revisions, ids, times) stay far below the sign bit.

mod breaker_rows;
mod columns;
mod commit;
mod connection;
mod errors;
mod file;
mod history;
mod life;
mod policy_rows;
mod transition_rows;

use async_trait::async_trait;
use breaker_core::Time;
use breaker_engine::{
    Batch, BreakerRow, HistoryRange, Opened, PolicyRow, Store, StoreError, TransitionRecord,
    Trimmed,
};
use sqlx::SqlitePool;

use connection::Writer;
use file::DatabaseFile;

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
    /// Claims the file of a URL, creates it if it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// If the URL is not `sqlite://PATH`, another server uses the file, or it cannot be used: what
    /// is wrong, with which file, and what to do.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let file = DatabaseFile::claim(&file::path_of(url)?)?;
        let writer = Writer::connect(file.path()).await?;
        let readers = connection::readers(file.path());
        Ok(Self { writer, readers, file })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn open(&self) -> Result<Opened, StoreError> {
        life::begin(&self.writer).await.map_err(|error| errors::unusable(self.file.path(), &error))
    }

    async fn policies(&self) -> Result<Vec<PolicyRow>, StoreError> {
        policy_rows::load(&self.readers).await
    }

    async fn load(&self, sink: &mut (dyn FnMut(BreakerRow) + Send)) -> Result<(), StoreError> {
        breaker_rows::load(&self.readers, sink).await
    }

    async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        commit::commit(&self.writer, batch).await.map_err(errors::unavailable)
    }

    async fn history(
        &self,
        range: &HistoryRange,
        limit: usize,
    ) -> Result<Vec<TransitionRecord>, StoreError> {
        history::latest_of(&self.readers, range, limit).await
    }

    async fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TransitionRecord>, StoreError> {
        history::after(&self.readers, after, limit).await
    }

    async fn trim(&self, older_than: Time, limit: usize) -> Result<Trimmed, StoreError> {
        history::trim(&self.readers, &self.writer, older_than, limit)
            .await
            .map_err(errors::unavailable)
    }

    async fn close(&self) -> Result<(), StoreError> {
        life::end(&self.writer).await.map_err(errors::unavailable)?;
        self.readers.close().await;
        self.writer.close().await.map_err(errors::unavailable)
    }
}
