use breaker_engine::{Forgotten, LoadedReporter, Silence, StoreError};
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::connection::{Line, Location};
use super::errors::unavailable;
use crate::rows::{REPORTERS_HEARD_LAST, SILENT_REPORTERS, bound, load_reporter};

/// Deletes silent ones if this server leads. The lease comes from the one row that says so: without
/// it there is none.
const DELETE: &str = "WITH leads AS MATERIALIZED \
     (SELECT 1 FROM lease WHERE fence = $1 FOR SHARE), \
     gone AS (DELETE FROM reporters WHERE id > $2 AND id <= $3 AND heard_at < $4 \
     AND EXISTS (SELECT FROM leads) RETURNING 1) \
     SELECT (SELECT count(*) FROM gone) AS deleted FROM leads";

/// Hands those that were heard of last to `sink`, over a connection of its own like everything that
/// is read at the start.
pub(super) async fn heard_last(
    location: &Location,
    limit: usize,
    sink: &mut (dyn FnMut(LoadedReporter) + Send),
) -> Result<(), StoreError> {
    let mut connection = location.connect().await.map_err(unavailable)?;
    let limit = bound(limit as u64);
    let mut rows = sqlx::query(REPORTERS_HEARD_LAST).bind(limit).fetch(&mut connection);
    while let Some(row) = rows.try_next().await.map_err(unavailable)? {
        sink(load_reporter(&row));
    }
    Ok(())
}

/// Deletes silent ones. Looks beside the writer first: mostly there is nobody to forget.
pub(super) async fn forget(
    readers: &PgPool,
    line: &Line,
    fence: i64,
    silence: &Silence,
) -> Result<Forgotten, StoreError> {
    let row = sqlx::query(SILENT_REPORTERS)
        .bind(&silence.after)
        .bind(bound(silence.limit as u64))
        .bind(bound(silence.since.as_nanos()))
        .fetch_one(readers)
        .await
        .map_err(unavailable)?;
    let Looked { last, at, silent } = looked(&row).map_err(unavailable)?;
    let mut count = 0;
    if silent > 0 {
        let delete = sqlx::query(DELETE)
            .bind(fence)
            .bind(&silence.after)
            .bind(&last)
            .bind(bound(silence.since.as_nanos()));
        let rows = line.run(delete).await?;
        let row = rows.first().ok_or(StoreError::Superseded)?;
        let deleted: i64 = row.try_get("deleted").map_err(unavailable)?;
        count = usize::try_from(deleted).unwrap_or(0);
    }
    let is_end = at < bound(silence.limit as u64);
    Ok(Forgotten { count, last: last.filter(|_| !is_end) })
}

/// What was found.
struct Looked {
    last: Option<Vec<u8>>,
    at: i64,
    silent: i64,
}

fn looked(row: &PgRow) -> Result<Looked, sqlx::Error> {
    Ok(Looked {
        last: row.try_get("last")?,
        at: row.try_get("looked_at")?,
        silent: row.try_get("silent")?,
    })
}
