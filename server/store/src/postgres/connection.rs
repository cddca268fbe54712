use std::fmt;
use std::io::{self, ErrorKind};
use std::str::FromStr;
use std::time::Duration;

use breaker_engine::StoreError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::errors::unavailable;

/// Most connections that read. Readers of the history are people; those of changes read memory.
const MAX_READERS: u32 = 4;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a reader waits for a connection.
const READER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest statement, by the clock of the database: nobody waits for one any longer.
const STATEMENT_TIMEOUT: &str = "SET statement_timeout = '10s'";
/// A commit has to be on disk when it returns, whatever the database is set to.
const SYNCHRONOUS: &str = "SELECT set_config('synchronous_commit', 'on', false) \
                           WHERE current_setting('synchronous_commit') = 'off'";
/// Ends a backend, and waits until it has ended: what it was doing has happened by then, or never
/// will. The time of its start tells it from another one with its number.
const END_BACKEND: &str = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                           WHERE pid = $1 AND backend_start::text = $2";
const WHICH_BACKEND: &str =
    "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// Where a database is and how to get in.
#[derive(Clone)]
pub(super) struct Location {
    options: PgConnectOptions,
}

impl Location {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with the parameters of libpq.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(|error| {
            // The URL can hold a password: it is not repeated.
            StoreError::Unusable(format!(
                "--database does not name a Postgres database: {error}; write \
                 postgres://USER:PASSWORD@HOST:PORT/DATABASE"
            ))
        })?;
        Ok(Self { options: options.application_name("breakerd").disable_statement_logging() })
    }

    pub(super) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        timeout(CONNECT_TIMEOUT, self.options.connect()).await.unwrap_or_else(|_| {
            let told = format!("no answer within {CONNECT_TIMEOUT:?}");
            Err(sqlx::Error::Io(io::Error::new(ErrorKind::TimedOut, told)))
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let database = options.get_database().unwrap_or(options.get_username());
        match options.get_socket() {
            Some(socket) => write!(f, "Postgres database {database} at {}", socket.display()),
            None => {
                let (host, port) = (options.get_host(), options.get_port());
                write!(f, "Postgres database {database} at {host}:{port}")
            }
        }
    }
}

/// The connections that read. They are made when they are needed.
pub(super) fn readers(location: &Location) -> PgPool {
    PgPoolOptions::new()
        .max_connections(MAX_READERS)
        .acquire_timeout(READER_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(STATEMENT_TIMEOUT).await.map(|_| ()) })
        })
        .connect_lazy_with(location.options.clone())
}

/// One connection, over which one statement goes after another.
///
/// A statement that fails or is given up takes its connection with it. What was given up may still
/// be on its way in the database: the next statement first ends it for good, so that it cannot land
/// on top of what comes later.
pub(super) struct Line {
    location: Location,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None` before the first statement, during each, and after one that failed.
    idle: Option<PgConnection>,
    /// Which process of the database the last connection led to.
    backend: Option<(i32, String)>,
}

impl Line {
    /// Connects when the first statement comes.
    pub(super) fn to(location: &Location) -> Self {
        Self { location: location.clone(), state: Mutex::default() }
    }

    /// Runs one statement; returns its rows.
    pub(super) async fn run<'q, Q>(&self, statement: Q) -> Result<Vec<PgRow>, StoreError>
    where
        Q: sqlx::Execute<'q, sqlx::Postgres> + 'q,
    {
        let mut state = self.state.lock().await;
        let mut connection = match state.idle.take() {
            Some(connection) => connection,
            None => self.connect(&mut state).await.map_err(unavailable)?,
        };
        let rows = connection.fetch_all(statement).await.map_err(unavailable)?;
        state.idle = Some(connection);
        Ok(rows)
    }

    /// Ends the connection, if there is one.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.state.lock().await.idle.take() {
            // Whatever is wrong with it, it has ended.
            let _ = connection.close().await;
        }
    }

    async fn connect(&self, state: &mut State) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.location.connect().await?;
        if let Some((pid, started)) = &state.backend {
            sqlx::query(END_BACKEND).bind(pid).bind(started).execute(&mut connection).await?;
        }
        let backend = sqlx::query_as(WHICH_BACKEND).fetch_one(&mut connection).await?;
        state.backend = Some(backend);
        connection.execute(STATEMENT_TIMEOUT).await?;
        connection.execute(SYNCHRONOUS).await?;
        Ok(connection)
    }
}
