use breaker_core::{BreakerName, Time};
use breaker_engine::{MAX_NUMBER, StoreError, TransitionPage, Trimmed};
use futures::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqlitePool};

use super::connection::Writer;
use super::errors::unavailable;
use crate::rows::{Cells, bound, load_transitions};

/// At most `limit` transitions of all breakers with an id below `before`, the latest first.
pub(super) async fn before(
    readers: &SqlitePool,
    before: u64,
    limit: usize,
) -> Result<TransitionPage, StoreError> {
    let query =
        sqlx::query("SELECT * FROM transitions WHERE id > 0 AND id < ? ORDER BY id DESC LIMIT ?")
            .bind(bound(before.min(MAX_NUMBER)))
            .bind(bound(limit as u64));
    fetch(readers, query).await
}

/// The same of one breaker.
pub(super) async fn before_of(
    readers: &SqlitePool,
    before: u64,
    breaker: &BreakerName,
    limit: usize,
) -> Result<TransitionPage, StoreError> {
    let query = sqlx::query(
        "SELECT * FROM transitions WHERE breaker = ? AND id > 0 AND id < ? \
         ORDER BY id DESC LIMIT ?",
    )
    .bind(breaker.as_str())
    .bind(bound(before.min(MAX_NUMBER)))
    .bind(bound(limit as u64));
    fetch(readers, query).await
}

/// At most `limit` transitions with an id above `after`, the oldest first.
pub(super) async fn after(
    readers: &SqlitePool,
    after: u64,
    limit: usize,
) -> Result<TransitionPage, StoreError> {
    let query = sqlx::query("SELECT * FROM transitions WHERE id > ? ORDER BY id LIMIT ?")
        .bind(bound(after))
        .bind(bound(limit as u64));
    fetch(readers, query).await
}

async fn fetch(
    readers: &SqlitePool,
    query: sqlx::query::Query<'_, Sqlite, SqliteArguments>,
) -> Result<TransitionPage, StoreError> {
    let rows: Vec<SqliteRow> = query.fetch_all(readers).await.map_err(unavailable)?;
    load_transitions(rows.iter().map(|row| row as &dyn Cells)).map_err(unavailable)
}

/// Deletes the oldest transitions up to the first that is younger. Looks beside the writer first:
/// mostly there is nothing to delete, and the writer has better things to do.
pub(super) async fn trim(
    readers: &SqlitePool,
    writer: &Writer,
    older_than: Time,
    limit: usize,
) -> Result<Trimmed, sqlx::Error> {
    match last_older(readers, older_than, limit).await? {
        Some(last) => delete_up_to(writer, last).await,
        None => {
            let trimmed: i64 = sqlx::query_scalar("SELECT trimmed_transition_id FROM server")
                .fetch_one(readers)
                .await?;
            Ok(Trimmed { count: 0, trimmed_transition_id: trimmed.cast_unsigned() })
        }
    }
}

/// The last of the transitions to delete.
async fn last_older(
    readers: &SqlitePool,
    older_than: Time,
    limit: usize,
) -> Result<Option<i64>, sqlx::Error> {
    let mut oldest_first =
        sqlx::query_as::<_, (i64, i64)>("SELECT id, at FROM transitions ORDER BY id LIMIT ?")
            .bind(bound(limit as u64))
            .fetch(readers);
    let mut last = None;
    while let Some((id, at)) = oldest_first.try_next().await?
        && at < bound(older_than.as_nanos())
    {
        last = Some(id);
    }
    Ok(last)
}

async fn delete_up_to(writer: &Writer, last: i64) -> Result<Trimmed, sqlx::Error> {
    let mut writing = writer.begin().await?;
    let deleted = sqlx::query("DELETE FROM transitions WHERE id <= ?")
        .bind(last)
        .execute(&mut *writing)
        .await?;
    sqlx::query("UPDATE server SET trimmed_transition_id = ?")
        .bind(last)
        .execute(&mut *writing)
        .await?;
    writing.commit().await?;
    Ok(Trimmed {
        count: usize::try_from(deleted.rows_affected()).unwrap_or(usize::MAX),
        trimmed_transition_id: last.cast_unsigned(),
    })
}
