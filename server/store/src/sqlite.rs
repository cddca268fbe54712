//! SQLite: one file, one server. One connection writes; a few others read the history beside it.

mod lock;
mod rows;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use breaker_core::{BreakerName, Time};
use breaker_engine::{Batch, BreakerRow, Opened, Store, StoreError, TransitionRecord, Trimmed};
use futures::TryStreamExt;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};

use self::lock::Lock;
use self::rows::{StoredBreaker, StoredTransition, stored};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// How long one connection waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read the history.
const READERS: u32 = 4;

/// A database in a file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the database of a URL such as `sqlite://breakerd.db`, and creates or migrates it.
    ///
    /// # Errors
    /// If the file cannot be used, or another server uses it.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url).map_err(|error| {
            StoreError::Unusable(format!("{url:?} does not name a file: {error}"))
        })?;
        let path = options.get_filename().to_owned();
        let lock = Lock::take(&path)?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let unusable = |error: &dyn std::fmt::Display| unusable(&path, error);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone());
        let writer = writer.await.map_err(|error| unusable(&error))?;
        MIGRATIONS.run(&writer).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => unusable(&format!(
                "it has migration {version}, which this server does not know: it was written by a \
                 newer breakerd"
            )),
            other => unusable(&other),
        })?;
        let readers = SqlitePoolOptions::new().max_connections(READERS);
        let readers = readers.connect_lazy_with(options.read_only(true).create_if_missing(false));
        Ok(Self { writer, readers, _lock: lock })
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn open(&self) -> Result<Opened, StoreError> {
        let mut write = self.begin().await?;
        let (incarnation, is_closed, revision_floor, generation_floor, trimmed): Server =
            sqlx::query_as(
                "SELECT incarnation, is_closed, revision_floor, generation_floor,
                        trimmed_transition_id
                 FROM server",
            )
            .fetch_one(&mut *write)
            .await
            .map_err(failed)?;
        let after_crash = is_closed == 0;
        let incarnation = incarnation + i64::from(after_crash);
        let (last_id,): (Option<i64>,) = sqlx::query_as("SELECT max(id) FROM transitions")
            .fetch_one(&mut *write)
            .await
            .map_err(failed)?;
        sqlx::query("UPDATE server SET incarnation = ?, is_closed = 0")
            .bind(incarnation)
            .execute(&mut *write)
            .await
            .map_err(failed)?;
        write.commit().await.map_err(failed)?;
        Ok(Opened {
            incarnation: incarnation.cast_unsigned(),
            after_crash,
            revision_floor: revision_floor.cast_unsigned(),
            generation_floor: generation_floor.cast_unsigned(),
            last_transition_id: last_id.unwrap_or(trimmed).cast_unsigned(),
            trimmed_transition_id: trimmed.cast_unsigned(),
        })
    }

    async fn load(&self, sink: &mut (dyn FnMut(BreakerRow) + Send)) -> Result<(), StoreError> {
        let mut rows =
            sqlx::query_as::<_, StoredBreaker>("SELECT * FROM breakers").fetch(&self.writer);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            sink(row.try_into()?);
        }
        Ok(())
    }

    async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await.map_err(failed)?;
        let written = write_batch(&mut connection, batch).await;
        if written.is_err() {
            // A full disk ends the transaction behind the connection's back: take a new one.
            connection.close_on_drop();
        }
        written
    }

    async fn transitions_before(
        &self,
        before: u64,
        breaker: Option<&BreakerName>,
        limit: usize,
    ) -> Result<Vec<TransitionRecord>, StoreError> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = match breaker {
            Some(name) => sqlx::query_as::<_, StoredTransition>(
                "SELECT * FROM transitions WHERE breaker = ? AND id < ? ORDER BY id DESC LIMIT ?",
            )
            .bind(name.as_str()),
            None => {
                sqlx::query_as("SELECT * FROM transitions WHERE id < ? ORDER BY id DESC LIMIT ?")
            }
        };
        let rows = query.bind(before).bind(limit).fetch_all(&self.readers).await.map_err(failed)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TransitionRecord>, StoreError> {
        let rows = sqlx::query_as::<_, StoredTransition>(
            "SELECT * FROM transitions WHERE id > ? ORDER BY id LIMIT ?",
        )
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn trim(&self, older_than: Time, limit: usize) -> Result<Trimmed, StoreError> {
        let mut write = self.begin().await?;
        let oldest: Vec<(i64, i64)> =
            sqlx::query_as("SELECT id, at FROM transitions ORDER BY id LIMIT ?")
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(&mut *write)
                .await
                .map_err(failed)?;
        let old = oldest.iter().take_while(|(_, at)| *at < stored(older_than));
        let count = old.clone().count();
        if let Some((last, _)) = old.last() {
            sqlx::query("DELETE FROM transitions WHERE id <= ?")
                .bind(last)
                .execute(&mut *write)
                .await
                .map_err(failed)?;
            sqlx::query("UPDATE server SET trimmed_transition_id = ?")
                .bind(last)
                .execute(&mut *write)
                .await
                .map_err(failed)?;
        }
        let (trimmed,): (i64,) = sqlx::query_as("SELECT trimmed_transition_id FROM server")
            .fetch_one(&mut *write)
            .await
            .map_err(failed)?;
        write.commit().await.map_err(failed)?;
        Ok(Trimmed { count, trimmed_transition_id: trimmed.cast_unsigned() })
    }

    async fn close(&self) -> Result<(), StoreError> {
        sqlx::query("UPDATE server SET is_closed = 1")
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        self.readers.close().await;
        self.writer.close().await;
        Ok(())
    }
}

/// Incarnation, whether it was closed, the floors of revision and generation, and what is trimmed.
type Server = (i64, i64, i64, i64, i64);

async fn write_batch(connection: &mut SqliteConnection, batch: &Batch) -> Result<(), StoreError> {
    let mut write = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    for row in &batch.rows {
        put(&mut write, row).await?;
    }
    for deletion in &batch.deletions {
        sqlx::query("DELETE FROM breakers WHERE name = ? AND revision <= ?")
            .bind(deletion.name.as_str())
            .bind(deletion.revision.cast_signed())
            .execute(&mut *write)
            .await
            .map_err(failed)?;
        sqlx::query(
            "UPDATE server SET revision_floor = max(revision_floor, ?),
                               generation_floor = max(generation_floor, ?)",
        )
        .bind(deletion.revision.cast_signed())
        .bind(deletion.generation.cast_signed())
        .execute(&mut *write)
        .await
        .map_err(failed)?;
    }
    for record in &batch.transitions {
        append(&mut write, record).await?;
    }
    write.commit().await.map_err(failed)
}

async fn put(write: &mut SqliteConnection, row: &BreakerRow) -> Result<(), StoreError> {
    let row = StoredBreaker::of(row)?;
    sqlx::query("INSERT OR REPLACE INTO breakers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(row.name)
        .bind(row.state)
        .bind(row.mode)
        .bind(row.generation)
        .bind(row.revision)
        .bind(row.config_revision)
        .bind(row.since)
        .bind(row.created_at)
        .bind(row.own_config)
        .bind(row.detail)
        .execute(&mut *write)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn append(write: &mut SqliteConnection, record: &TransitionRecord) -> Result<(), StoreError> {
    let transition = &record.transition;
    let counts = &transition.counts;
    sqlx::query(
        "INSERT OR IGNORE INTO transitions
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(record.id.cast_signed())
    .bind(record.breaker.as_str())
    .bind(record.revision.cast_signed())
    .bind(transition.generation.cast_signed())
    .bind(crate::words::of_state(transition.from))
    .bind(crate::words::of_state(transition.to))
    .bind(crate::words::of_mode(transition.from_mode))
    .bind(crate::words::of_mode(transition.to_mode))
    .bind(crate::words::of_cause(transition.cause))
    .bind(transition.by.actor())
    .bind(transition.by.reason())
    .bind(stored(transition.at))
    .bind(counts.failure_count)
    .bind(counts.consecutive_failures)
    .bind(counts.success_count)
    .bind(counts.window_calls)
    .bind(counts.window_failures)
    .execute(&mut *write)
    .await
    .map_err(failed)?;
    Ok(())
}

fn failed(error: sqlx::Error) -> StoreError {
    match error {
        error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
            StoreError::Corrupt(error.to_string())
        }
        error => StoreError::Unavailable(Box::new(error)),
    }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unusable(format!(
        "the database {} cannot be used: {error}; make the file and its folder writable, free \
         space on the disk, or choose another --database",
        path.display()
    ))
}

/// The file itself, wherever links to it lie.
fn real_path(path: &Path) -> Result<PathBuf, StoreError> {
    let path = if path.exists() {
        path.canonicalize()
    } else {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize();
        folder.map(|folder| folder.join(path.file_name().unwrap_or_default()))
    };
    path.map_err(|error| StoreError::Unusable(format!("the folder of the database: {error}")))
}
