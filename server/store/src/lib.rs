//! Storage behind the engine's port.
//!
//! [`SqliteStore`] keeps everything in one file, [`PostgresDatabase`] in a database that several
//! servers share, [`MemoryStore`] as long as the process lasts. All follow one contract, which
//! `tests/contract` tells as stories and runs against each of them.

pub mod backup;
mod json;
mod memory;
mod migrations;
mod postgres;
mod rows;
mod sqlite;
mod text;

use std::sync::Arc;

use breaker_engine::{Member, SharedDatabase, Store, StoreError};

pub use memory::MemoryStore;
pub use migrations::MigrationMode;
pub use postgres::PostgresDatabase;
pub use sqlite::SqliteStore;

/// A database as a server uses it.
pub enum Connected {
    /// No other server can use it.
    Sole(Arc<dyn Store>),
    /// Several servers share it, of which one leads.
    Shared(Arc<dyn SharedDatabase>),
}

/// The database at a URL: `sqlite://breakerd.db` for a file in the current folder,
/// `sqlite:///var/lib/breakerd/breakerd.db` for one anywhere,
/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, `memory:` for none.
///
/// # Errors
/// If the URL has another form, or the database cannot be used.
pub async fn connect(
    url: &str,
    me: Member,
    migrations: MigrationMode,
) -> Result<Connected, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => {
            Ok(Connected::Sole(Arc::new(SqliteStore::connect(url, migrations).await?)))
        }
        Some(("postgres" | "postgresql", _)) => {
            let database = PostgresDatabase::connect(url, me, migrations).await?;
            Ok(Connected::Shared(Arc::new(database)))
        }
        Some(("memory", "")) => Ok(Connected::Sole(Arc::new(MemoryStore::default()))),
        _ => Err(unknown_form(url)),
    }
}

/// Brings the tables of the database at a URL up to date; returns which migrations were applied.
///
/// # Errors
/// As for [`connect`].
pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => SqliteStore::migrate(url).await,
        Some(("postgres" | "postgresql", _)) => PostgresDatabase::migrate(url).await,
        Some(("memory", "")) => Ok(Vec::new()),
        _ => Err(unknown_form(url)),
    }
}

fn unknown_form(url: &str) -> StoreError {
    // The rest of a URL can hold a password: only its beginning is repeated.
    let given = url.split_once(':').map_or(url.to_owned(), |(scheme, _)| format!("{scheme}:"));
    StoreError::Unusable(format!(
        "`{given}` is no database that this build supports; write sqlite://PATH, such as \
         sqlite://breakerd.db for a file in the current folder, \
         postgres://USER:PASSWORD@HOST:PORT/DATABASE, or memory: to keep nothing"
    ))
}
