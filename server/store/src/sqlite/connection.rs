use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use breaker_engine::StoreError;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, MutexGuard};

use super::errors::unusable;
use crate::migrations::{self, MigrationMode};

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Marks a file as one of breakerd, as the first migration sets it: "brkd".
const APPLICATION_ID: i32 = 0x6272_6b64;
/// How long a statement waits for a lock. Only other programs can hold one: a person's `sqlite3`,
/// a backup, or a commit that was given up and is still on its way.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Most connections that read. Readers of the history are people; those of changes read memory.
const MAX_READERS: u32 = 4;
/// How long a reader waits for a connection.
const READER_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows that a connection reads ahead of the one who takes them. With the driver's own 50 the
/// loading of a million breakers takes a sixth longer.
const ROWS_AHEAD: usize = 1_000;

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

/// The connections that read. They are made when they are needed.
pub(super) fn readers(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(MAX_READERS)
        .acquire_timeout(READER_TIMEOUT)
        .connect_lazy_with(options(path).read_only(true).row_buffer_size(ROWS_AHEAD))
}

/// The one connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    /// `None` before the first transaction, during each, and after one that failed.
    idle: Mutex<Option<SqliteConnection>>,
}

/// A transaction of the writer. Dropped before it was committed, it takes its connection with it:
/// closing that rolls back whatever is left, in whichever state the error or the one who gave up
/// has left it.
pub(super) struct Writing<'w> {
    connection: SqliteConnection,
    home: MutexGuard<'w, Option<SqliteConnection>>,
}

impl Writer {
    /// Connects to a database and sees to its tables; returns which migrations were applied.
    pub(super) async fn connect(
        path: &Path,
        mode: MigrationMode,
    ) -> Result<(Self, Vec<String>), StoreError> {
        let mut connection =
            options(path).connect().await.map_err(|error| unusable(path, &error))?;
        refuse_foreign(&mut connection, path).await?;
        write_ahead(&mut connection, path).await?;
        let applied = migrations::run(&MIGRATOR, &mut connection, mode).await;
        let applied =
            applied.map_err(|error| error.told(path.display(), |error| unusable(path, error)))?;
        let writer = Self { path: path.to_owned(), idle: Mutex::new(Some(connection)) };
        Ok((writer, applied))
    }

    /// Begins a transaction, over a new connection if the last one failed.
    pub(super) async fn begin(&self) -> Result<Writing<'_>, sqlx::Error> {
        let mut home = self.idle.lock().await;
        let mut connection = match home.take() {
            Some(connection) => connection,
            None => options(&self.path).connect().await?,
        };
        // Takes the lock at once: a transaction that began by reading could be refused it later.
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
        Ok(Writing { connection, home })
    }

    /// Closes the connection; the last one to be closed moves the log into the database.
    pub(super) async fn close(&self) -> Result<(), sqlx::Error> {
        match self.idle.lock().await.take() {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }
}

impl Writing<'_> {
    /// Ends the transaction; what it wrote is on disk.
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        *self.home = Some(self.connection);
        Ok(())
    }
}

impl Deref for Writing<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

/// Refuses a database that belongs to another program before anything is changed in it.
async fn refuse_foreign(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let question = "SELECT application_id, \
                    (SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations') \
                    FROM pragma_application_id";
    let (id, tables): (i32, i64) = sqlx::query_as(question)
        .fetch_one(connection)
        .await
        .map_err(|error| unusable(path, &error))?;
    // Without an id it is new, or its first start was cut short before the first migration.
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "{} is the database of another program; choose another --database",
        path.display()
    )))
}

/// Turns the write-ahead log on, which lets others read while the writer writes.
async fn write_ahead(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode = WAL")
        .fetch_one(connection)
        .await
        .map_err(|error| unusable(path, &error))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "{} lies on a file system that SQLite cannot keep a write-ahead log on (its journal mode \
         stays `{mode}`); choose another --database",
        path.display()
    )))
}
