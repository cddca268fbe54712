use breaker_engine::{Forgotten, LoadedReporter, Silence, StoreError};
use futures::TryStreamExt;
use sqlx::{Row, SqlitePool};

use super::connection::Writer;
use super::errors::unavailable;
use crate::rows::{REPORTERS_HEARD_LAST, SILENT_REPORTERS, bound, load_reporter};

/// Hands those that were heard of last to `sink`.
pub(super) async fn heard_last(
    readers: &SqlitePool,
    limit: usize,
    sink: &mut (dyn FnMut(LoadedReporter) + Send),
) -> Result<(), StoreError> {
    let mut rows = sqlx::query(REPORTERS_HEARD_LAST).bind(bound(limit as u64)).fetch(readers);
    while let Some(row) = rows.try_next().await.map_err(unavailable)? {
        sink(load_reporter(&row));
    }
    Ok(())
}

/// Deletes silent ones. Looks beside the writer first: mostly there is nobody to forget.
pub(super) async fn forget(
    readers: &SqlitePool,
    writer: &Writer,
    silence: &Silence,
) -> Result<Forgotten, sqlx::Error> {
    let row = sqlx::query(SILENT_REPORTERS)
        .bind(&silence.after)
        .bind(bound(silence.limit as u64))
        .bind(bound(silence.since.as_nanos()))
        .fetch_one(readers)
        .await?;
    let (looked_at, silent): (i64, i64) = (row.try_get("looked_at")?, row.try_get("silent")?);
    let last: Option<Vec<u8>> = row.try_get("last")?;
    let mut count = 0;
    if silent > 0 {
        let mut writing = writer.begin().await?;
        let deleted =
            sqlx::query("DELETE FROM reporters WHERE id > $1 AND id <= $2 AND heard_at < $3")
                .bind(&silence.after)
                .bind(&last)
                .bind(bound(silence.since.as_nanos()))
                .execute(&mut *writing)
                .await?;
        writing.commit().await?;
        count = usize::try_from(deleted.rows_affected()).unwrap_or(usize::MAX);
    }
    let is_end = looked_at < bound(silence.limit as u64);
    Ok(Forgotten { count, last: last.filter(|_| !is_end) })
}
