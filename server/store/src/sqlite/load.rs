use breaker_engine::{BreakerRow, PolicyRow, StoreError};
use futures::TryStreamExt;
use sqlx::SqlitePool;

use super::errors::unavailable;
use crate::rows::{read_breaker, read_policy};

/// Every policy.
pub(super) async fn policies(readers: &SqlitePool) -> Result<Vec<PolicyRow>, StoreError> {
    let rows = sqlx::query("SELECT * FROM policies").fetch_all(readers).await;
    rows.map_err(unavailable)?.iter().map(|row| read_policy(row)).collect()
}

/// Hands every breaker to `sink` as it is read.
pub(super) async fn breakers(
    readers: &SqlitePool,
    sink: &mut (dyn FnMut(BreakerRow) + Send),
) -> Result<(), StoreError> {
    let mut rows = sqlx::query("SELECT * FROM breakers").fetch(readers);
    while let Some(row) = rows.try_next().await.map_err(unavailable)? {
        sink(read_breaker(&row)?);
    }
    Ok(())
}
