use breaker_core::Time;
use breaker_engine::{HistoryRange, HistoryScope, StoreError, TransitionPage, Trimmed};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row};

use super::connection::Line;
use super::errors::unavailable;
use crate::rows::{Cells, bound, load_transitions};
use crate::text::Word;

/// Deletes transitions and notes how far, if this server leads.
const DELETE: &str = "WITH leads AS MATERIALIZED \
     (SELECT 1 FROM lease WHERE fence = $1 FOR SHARE), \
     old AS (DELETE FROM transitions WHERE id <= $2 AND EXISTS (SELECT FROM leads) RETURNING 1) \
     UPDATE server SET trimmed_transition_id = greatest(trimmed_transition_id, $2) \
     WHERE EXISTS (SELECT FROM leads) \
     RETURNING trimmed_transition_id, (SELECT count(*) FROM old) AS deleted";

/// The latest transitions of a range, the latest first.
///
/// Reads an index backwards from where the range ends. Those of several causes are read side by
/// side and merged as they come.
pub(super) async fn latest_of(
    readers: &PgPool,
    range: &HistoryRange,
    limit: usize,
) -> Result<TransitionPage, StoreError> {
    let (statement, values) = statement(&range.scope);
    let [from, at, id] = [range.from.as_nanos(), range.before.at.as_nanos(), range.before.id];
    let mut query = sqlx::query(AssertSqlSafe(statement))
        .bind(bound(limit as u64))
        .bind(bound(from))
        .bind(bound(at))
        .bind(bound(id));
    for value in values {
        query = query.bind(value);
    }
    fetch(readers, query).await
}

/// The statement for a scope, and the values that it names after those of the range.
fn statement(scope: &HistoryScope) -> (String, Vec<&str>) {
    let one = |condition: &str| {
        format!(
            "SELECT * FROM transitions \
             WHERE {condition} at >= $2 AND (at, id) < ($3, $4) AND id > 0"
        )
    };
    let (selects, values) = match scope {
        HistoryScope::All => (one(""), Vec::new()),
        HistoryScope::Breaker(breaker) => (one("breaker = $5 AND"), vec![breaker.as_str()]),
        // The index leaves out what nobody is named for.
        HistoryScope::Actor(actor) => (one("actor <> '' AND actor = $5 AND"), vec![&**actor]),
        HistoryScope::Causes(causes) => {
            let select = |index| one(&format!("cause = ${} AND", 5 + index));
            let selects: Vec<_> = (0..causes.len()).map(select).collect();
            (selects.join(" UNION ALL "), causes.iter().map(|cause| cause.as_word()).collect())
        }
    };
    (format!("{selects} ORDER BY at DESC, id DESC LIMIT $1"), values)
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

/// The last of the transitions to delete. Found within one statement: a thousand rows would cost as
/// much to fetch as to delete.
async fn last_older(
    readers: &PgPool,
    older_than: Time,
    limit: usize,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH oldest AS MATERIALIZED (SELECT id, at FROM transitions ORDER BY id LIMIT $1) \
         SELECT max(id) FROM oldest \
         WHERE id < coalesce((SELECT min(id) FROM oldest WHERE at >= $2), $3)",
    )
    .bind(bound(limit as u64))
    .bind(bound(older_than.as_nanos()))
    .bind(i64::MAX)
    .fetch_one(readers)
    .await
}

fn read_trimmed(row: &PgRow) -> Result<Trimmed, sqlx::Error> {
    let count: i64 = row.try_get("deleted")?;
    let trimmed: i64 = row.try_get("trimmed_transition_id")?;
    Ok(Trimmed {
        count: usize::try_from(count).unwrap_or(0),
        trimmed_transition_id: trimmed.cast_unsigned(),
    })
}
