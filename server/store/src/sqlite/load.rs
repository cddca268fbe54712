use breaker_engine::{Loaded, StoreError, StoredPolicies};
use futures::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqlitePool};

use super::errors::unavailable;
use crate::rows::{BREAKERS, Cells, load_breaker, load_policies};

/// Every policy.
pub(super) async fn policies(readers: &SqlitePool) -> Result<StoredPolicies, StoreError> {
    let rows = sqlx::query("SELECT * FROM policies").fetch_all(readers).await;
    Ok(load_policies(rows.map_err(unavailable)?.iter().map(|row| row as &dyn Cells)))
}

/// Columns that are NULL in the row of a breaker that nothing has happened to for a while, and in
/// most rows most of the time.
const OFTEN_NULL: [&str; 13] = [
    "permits",
    "probe_successes",
    "next_permit_serial",
    "probe_failures",
    "ramp",
    "override_actor",
    "override_reason",
    "override_set_at",
    "override_expires_at",
    "last_failure_at",
    "last_failure_kind",
    "window_buckets",
    "memory",
];

/// A row in which those columns are NULL, and were therefore not read: the driver copies every
/// value of a row, and that is most of what loading costs.
struct Sparse<'r>(&'r SqliteRow);

impl Cells for Sparse<'_> {
    fn integer(&self, column: &str) -> Result<Option<i64>, sqlx::Error> {
        if OFTEN_NULL.contains(&column) { Ok(None) } else { self.0.integer(column) }
    }

    fn text(&self, column: &str) -> Result<Option<&str>, sqlx::Error> {
        if OFTEN_NULL.contains(&column) { Ok(None) } else { self.0.text(column) }
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, sqlx::Error> {
        if OFTEN_NULL.contains(&column) { Ok(None) } else { self.0.bytes(column) }
    }
}

/// Hands every breaker to `sink` as it is read.
pub(super) async fn breakers(
    readers: &SqlitePool,
    sink: &mut (dyn FnMut(Loaded) + Send),
) -> Result<(), StoreError> {
    let columns = BREAKERS.columns.iter().map(|(column, _)| *column);
    let columns: Vec<_> = columns.filter(|column| !OFTEN_NULL.contains(column)).collect();
    let is_sparse = OFTEN_NULL.map(|column| format!("{column} IS NULL")).join(" AND ");
    // Both see the same rows: nobody writes while everything is loaded.
    let sparse = format!("SELECT {} FROM breakers WHERE {is_sparse}", columns.join(", "));
    let mut rows = sqlx::query(AssertSqlSafe(sparse)).fetch(readers);
    while let Some(row) = rows.try_next().await.map_err(unavailable)? {
        sink(load_breaker(&Sparse(&row)));
    }
    drop(rows);
    let others = format!("SELECT * FROM breakers WHERE NOT ({is_sparse})");
    let mut rows = sqlx::query(AssertSqlSafe(others)).fetch(readers);
    while let Some(row) = rows.try_next().await.map_err(unavailable)? {
        sink(load_breaker(&row));
    }
    Ok(())
}
