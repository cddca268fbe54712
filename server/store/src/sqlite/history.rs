use breaker_core::Time;
use breaker_engine::{HistoryRange, HistoryScope, StoreError, TransitionPage, Trimmed};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool};

use super::connection::Writer;
use super::errors::unavailable;
use crate::rows::{Cells, bound, load_transitions};
use crate::text::Word;

/// The latest transitions of a range, the latest first.
///
/// Reads an index backwards from where the range ends: first what took effect at that very time,
/// which can be thousands where somebody changed them by glob, and then what did before. Those of
/// several causes are read side by side and merged as they come.
pub(super) async fn latest_of(
    readers: &SqlitePool,
    range: &HistoryRange,
    limit: usize,
) -> Result<TransitionPage, StoreError> {
    let (statement, values) = statement(&range.scope);
    let mut query = sqlx::query(AssertSqlSafe(statement));
    let [from, at, id] = [range.from.as_nanos(), range.before.at.as_nanos(), range.before.id];
    for value in values {
        query = query.bind(value).bind(bound(from)).bind(bound(at)).bind(bound(id));
        query = query.bind(value).bind(bound(from)).bind(bound(at));
    }
    fetch(readers, query.bind(bound(limit as u64))).await
}

/// The statement for a scope, and the values that it names one after another.
fn statement(scope: &HistoryScope) -> (String, Vec<&str>) {
    let (condition, values): (_, Vec<&str>) = match scope {
        // A condition that costs nothing, so that every scope has one value.
        HistoryScope::All => ("? = ''", vec![""]),
        HistoryScope::Breaker(breaker) => ("breaker = ?", vec![breaker.as_str()]),
        // The index leaves out what nobody is named for.
        HistoryScope::Actor(actor) => ("actor <> '' AND actor = ?", vec![actor]),
        HistoryScope::Causes(causes) => {
            ("cause = ?", causes.iter().map(|cause| cause.as_word()).collect())
        }
    };
    let select =
        |times: &str| format!("SELECT * FROM transitions WHERE {condition} AND {times} AND id > 0");
    let both = [select("at >= ? AND at = ? AND id < ?"), select("at >= ? AND at < ?")];
    let all = vec![both.join(" UNION ALL "); values.len()].join(" UNION ALL ");
    (format!("{all} ORDER BY at DESC, id DESC LIMIT ?"), values)
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

/// The last of the transitions to delete. Found within one statement: a thousand rows would cost as
/// much to fetch as to delete.
async fn last_older(
    readers: &SqlitePool,
    older_than: Time,
    limit: usize,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH oldest AS (SELECT id, at FROM transitions ORDER BY id LIMIT ?) \
         SELECT max(id) FROM oldest \
         WHERE id < coalesce((SELECT min(id) FROM oldest WHERE at >= ?), ?)",
    )
    .bind(bound(limit as u64))
    .bind(bound(older_than.as_nanos()))
    .bind(i64::MAX)
    .fetch_one(readers)
    .await
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

#[cfg(test)]
mod tests {
    use breaker_core::{BreakerName, Cause};
    use sqlx::Row;

    use super::*;
    use crate::{MigrationMode, SqliteStore};

    #[tokio::test]
    async fn every_scope_is_read_from_its_index_and_nothing_is_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("breakerd.db").display());
        let store = SqliteStore::connect(&url, MigrationMode::Apply).await.unwrap();
        let breaker = BreakerName::new("a/b").unwrap();
        for (scope, index) in [
            (HistoryScope::All, "transitions_by_time (at"),
            (HistoryScope::Breaker(breaker), "transitions_of_breaker (breaker=? AND at"),
            (HistoryScope::Actor("anna".into()), "transitions_of_actor (actor=? AND at"),
            (
                HistoryScope::Causes(vec![Cause::Reset, Cause::Tripped]),
                "transitions_of_cause (cause=? AND at",
            ),
        ] {
            let explain = format!("EXPLAIN QUERY PLAN {}", statement(&scope).0);
            let rows = sqlx::query(AssertSqlSafe(explain)).fetch_all(&store.readers).await.unwrap();
            let steps = rows.iter().map(|row| row.get::<String, _>("detail"));
            let mut reads = 0;
            for step in steps.filter(|step| !step.contains("UNION ALL")) {
                let is_read = step.contains(&format!("USING INDEX {index}"));
                reads += u32::from(is_read);
                assert!(is_read || step == "LEFT" || step == "RIGHT", "{scope:?}: {step}");
            }
            assert!(reads >= 2, "{scope:?}: what took effect at one time, and before");
        }
    }
}
