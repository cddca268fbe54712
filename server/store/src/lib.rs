//! Storage behind the engine's port: SQLite for real, and memory for those who need none.

mod memory;
mod sqlite;
mod words;

use std::sync::Arc;

use breaker_engine::{Store, StoreError};

pub use memory::MemoryStore;
pub use sqlite::SqliteStore;

/// Opens the database that a URL names: `sqlite://FILE`, or `memory:`.
///
/// # Errors
/// If the URL names none, or the database cannot be used.
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => Ok(Arc::new(SqliteStore::connect(url).await?)),
        Some(("memory", "")) => Ok(Arc::new(MemoryStore::default())),
        _ => Err(StoreError::Unusable(format!(
            "{url:?} is not a database that this server knows; give sqlite://FILE, such as \
             sqlite://breakerd.db, or memory: to keep nothing"
        ))),
    }
}
