use breaker_engine::{Loaded, StoreError, StoredAlerts, StoredPolicies};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use super::errors::unavailable;
use crate::rows::{Cells, load_alerts, load_breaker, load_policies};

/// Every policy.
pub(super) async fn policies(readers: &SqlitePool) -> Result<StoredPolicies, StoreError> {
    let rows = sqlx::query("SELECT * FROM policies").fetch_all(readers).await;
    Ok(load_policies(rows.map_err(unavailable)?.iter().map(|row| row as &dyn Cells)))
}

/// Every alert, and every receiver.
pub(super) async fn alerts(readers: &SqlitePool) -> Result<StoredAlerts, StoreError> {
    let rows = sqlx::query("SELECT * FROM alert_receivers").fetch_all(readers).await;
    let receivers = rows.map_err(unavailable)?;
    let rows = sqlx::query("SELECT * FROM alerts").fetch_all(readers).await;
    let rows = rows.map_err(unavailable)?;
    let receivers = receivers.iter().map(|row| row as &dyn Cells);
    Ok(load_alerts(rows.iter().map(|row| row as &dyn Cells), receivers))
}

/// Hands the breaker of every row to `sink` as it is read.
pub(super) async fn each(
    mut rows: BoxStream<'_, Result<SqliteRow, sqlx::Error>>,
    sink: &mut (dyn FnMut(Loaded) + Send),
) -> Result<(), StoreError> {
    while let Some(row) = rows.try_next().await.map_err(unavailable)? {
        sink(load_breaker(&row));
    }
    Ok(())
}
