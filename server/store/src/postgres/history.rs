use breaker_core::{BreakerName, Time};
use breaker_engine::{MAX_NUMBER, StoreError, TransitionPage, Trimmed};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgPool, Postgres, Row};

use super::connection::Line;
use super::errors::unavailable;
use crate::rows::{Cells, bound, load_transitions};

/// Deletes transitions and notes how far, if this server leads.
const DELETE: &str = "WITH leads AS MATERIALIZED \
     (SELECT 1 FROM lease WHERE fence = $1 FOR SHARE), \
     old AS (DELETE FROM transitions WHERE id <= $2 AND EXISTS (SELECT FROM leads) RETURNING 1) \
     UPDATE server SET trimmed_transition_id = greatest(trimmed_transition_id, $2) \
     WHERE EXISTS (SELECT FROM leads) \
     RETURNING trimmed_transition_id, (SELECT count(*) FROM old) AS deleted";

/// At most `limit` transitions with an id below `before`, the latest first; of one breaker if it is
/// named.
pub(super) async fn before(
    readers: &PgPool,
    before: u64,
    breaker: Option<&BreakerName>,
    limit: usize,
) -> Result<TransitionPage, StoreError> {
    let query = match breaker {
        None => sqlx::query(
            "SELECT * FROM transitions WHERE id > 0 AND id < $1 ORDER BY id DESC LIMIT $2",
        ),
        Some(_) => sqlx::query(
            "SELECT * FROM transitions WHERE id > 0 AND id < $1 AND breaker = $3 ORDER BY id DESC LIMIT $2",
        ),
    };
    let query = query.bind(bound(before.min(MAX_NUMBER))).bind(bound(limit as u64));
    match breaker {
        None => fetch(readers, query).await,
        Some(breaker) => fetch(readers, query.bind(breaker.as_str())).await,
    }
}

/// At most `limit` transitions with an id above `after`, the oldest first.
pub(super) async fn after(
    readers: &PgPool,
    after: u64,
    limit: usize,
) -> Result<TransitionPage, StoreError> {
    let query = sqlx::query("SELECT * FROM transitions WHERE id > $1 ORDER BY id LIMIT $2")
        .bind(bound(after))
        .bind(bound(limit as u64));
    fetch(readers, query).await
}

async fn fetch(
    readers: &PgPool,
    query: Query<'_, Postgres, PgArguments>,
) -> Result<TransitionPage, StoreError> {
    let rows: Vec<PgRow> = query.fetch_all(readers).await.map_err(unavailable)?;
    load_transitions(rows.iter().map(|row| row as &dyn Cells)).map_err(unavailable)
}

/// Deletes the oldest transitions up to the first that is younger. Looks beside the writer first:
/// mostly there is nothing to delete, and the writer has better things to do.
pub(super) async fn trim(
    readers: &PgPool,
    line: &Line,
    fence: i64,
    (older_than, limit): (Time, usize),
) -> Result<Trimmed, StoreError> {
    if let Some(last) = last_older(readers, older_than, limit).await.map_err(unavailable)? {
        let rows = line.run(sqlx::query(DELETE).bind(fence).bind(last)).await?;
        let row = rows.first().ok_or(StoreError::Superseded)?;
        return read_trimmed(row).map_err(unavailable);
    }
    let trimmed: i64 = sqlx::query_scalar("SELECT trimmed_transition_id FROM server")
        .fetch_one(readers)
        .await
        .map_err(unavailable)?;
    Ok(Trimmed { count: 0, trimmed_transition_id: trimmed.cast_unsigned() })
}

/// The last of the transitions to delete.
async fn last_older(
    readers: &PgPool,
    older_than: Time,
    limit: usize,
) -> Result<Option<i64>, sqlx::Error> {
    let oldest_first: Vec<(i64, i64)> =
        sqlx::query_as("SELECT id, at FROM transitions ORDER BY id LIMIT $1")
            .bind(bound(limit as u64))
            .fetch_all(readers)
            .await?;
    let older = oldest_first.into_iter().take_while(|(_, at)| *at < bound(older_than.as_nanos()));
    Ok(older.last().map(|(id, _)| id))
}

fn read_trimmed(row: &PgRow) -> Result<Trimmed, sqlx::Error> {
    let count: i64 = row.try_get("deleted")?;
    let trimmed: i64 = row.try_get("trimmed_transition_id")?;
    Ok(Trimmed {
        count: usize::try_from(count).unwrap_or(0),
        trimmed_transition_id: trimmed.cast_unsigned(),
    })
}
