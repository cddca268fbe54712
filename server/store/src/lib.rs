//! Storage behind the engine's port.
//!
//! [`SqliteStore`] keeps everything in one file; [`MemoryStore`] keeps it as long as the process
//! lasts. Both follow one contract, which `tests/contract.rs` tells as stories and runs against
//! each of them.

mod json;
mod memory;
mod postgres;
mod rows;
mod sqlite;
mod text;

use std::sync::Arc;

use breaker_engine::{Store, StoreError};

pub use memory::MemoryStore;
pub use postgres::{MigrationMode, PostgresDatabase};
pub use sqlite::SqliteStore;

/// The store at a URL: `sqlite://breakerd.db` for a file in the current folder,
/// `sqlite:///var/lib/breakerd/breakerd.db` for one anywhere, `memory:` for none.
///
/// # Errors
/// If the URL has another form, or the database cannot be used.
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => Ok(Arc::new(SqliteStore::connect(url).await?)),
        Some(("memory", "")) => Ok(Arc::new(MemoryStore::default())),
        // The rest of a URL can hold a password: only its beginning is repeated.
        Some((scheme, _)) => Err(unknown_form(&format!("{scheme}:"))),
        None => Err(unknown_form(url)),
    }
}

fn unknown_form(given: &str) -> StoreError {
    StoreError::Unusable(format!(
        "`{given}` is no database that this build supports; write sqlite://PATH, such as \
         sqlite://breakerd.db for a file in the current folder, or memory: to keep nothing"
    ))
}
