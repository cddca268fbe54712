//! Reading everything at the start, over a connection of its own: that may take longer than
//! anybody waits for a page of the history.

use breaker_engine::{Loaded, StoreError, StoredAlerts, StoredPolicies};
use futures::TryStreamExt;
use sqlx::AssertSqlSafe;

use super::connection::Location;
use super::errors::unavailable;
use crate::rows::{
    ALERTS, BREAKERS, Cells, POLICIES, RECEIVERS, load_alerts, load_breaker, load_policies,
};

/// Every policy.
pub(super) async fn policies(location: &Location) -> Result<StoredPolicies, StoreError> {
    let mut connection = location.connect().await.map_err(unavailable)?;
    let all = format!("SELECT {} FROM policies", POLICIES.column_list());
    let rows = sqlx::query(AssertSqlSafe(all)).fetch_all(&mut connection).await;
    Ok(load_policies(rows.map_err(unavailable)?.iter().map(|row| row as &dyn Cells)))
}

/// Every alert, and every receiver.
pub(super) async fn alerts(location: &Location) -> Result<StoredAlerts, StoreError> {
    let mut connection = location.connect().await.map_err(unavailable)?;
    let all = format!("SELECT {} FROM alert_receivers", RECEIVERS.column_list());
    let rows = sqlx::query(AssertSqlSafe(all)).fetch_all(&mut connection).await;
    let receivers = rows.map_err(unavailable)?;
    let all = format!("SELECT {} FROM alerts", ALERTS.column_list());
    let rows = sqlx::query(AssertSqlSafe(all)).fetch_all(&mut connection).await;
    let rows = rows.map_err(unavailable)?;
    let receivers = receivers.iter().map(|row| row as &dyn Cells);
    Ok(load_alerts(rows.iter().map(|row| row as &dyn Cells), receivers))
}

/// Hands every breaker to `sink` as it is read.
pub(super) async fn breakers(
    location: &Location,
    sink: &mut (dyn FnMut(Loaded) + Send),
) -> Result<(), StoreError> {
    let mut connection = location.connect().await.map_err(unavailable)?;
    let all = format!("SELECT {} FROM breakers", BREAKERS.column_list());
    let mut rows = sqlx::query(AssertSqlSafe(all)).fetch(&mut connection);
    while let Some(row) = rows.try_next().await.map_err(unavailable)? {
        sink(load_breaker(&row));
    }
    Ok(())
}
