//! Writing a batch. A statement costs a round trip to the thread of its connection, which is a
//! good part of what its rows cost: rows are therefore written many at a time.

use std::sync::{Arc, LazyLock};

use breaker_engine::{Batch, Deletion};
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection};

use super::columns::bound;
use super::connection::Writer;
use super::{breaker_rows, policy_rows, transition_rows};

/// Rows of one statement. With more of them the statements themselves begin to cost.
const ROWS_AT_ONCE: usize = 32;

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// An INSERT for one row, and one for many.
struct Insert {
    one: Arc<str>,
    many: Arc<str>,
}

static POLICIES: LazyLock<Insert> =
    LazyLock::new(|| Insert::or_replace("policies", policy_rows::COLUMNS));

static BREAKERS: LazyLock<Insert> =
    LazyLock::new(|| Insert::or_replace("breakers", breaker_rows::COLUMNS));

static TRANSITIONS: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new("transitions", transition_rows::COLUMNS, "ON CONFLICT (id) DO NOTHING")
});

impl Insert {
    /// Rows that take the place of those with their names.
    fn or_replace(table: &str, columns: &[&str]) -> Self {
        let replaced: Vec<_> =
            columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        let conflict = format!("ON CONFLICT (name) DO UPDATE SET {}", replaced.join(", "));
        Self::new(table, columns, &conflict)
    }

    fn new(table: &str, columns: &[&str], conflict: &str) -> Self {
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        let insert = |rows: usize| {
            let rows = vec![row.as_str(); rows].join(", ");
            format!("INSERT INTO {table} ({}) VALUES {rows} {conflict}", columns.join(", ")).into()
        };
        Self { one: insert(1), many: insert(ROWS_AT_ONCE) }
    }

    /// Writes rows, whose values `bind` gives to a statement.
    async fn run<R>(
        &self,
        connection: &mut SqliteConnection,
        rows: &[R],
        bind: for<'q> fn(Query<'q>, &'q R) -> Query<'q>,
    ) -> Result<(), sqlx::Error> {
        let (full, rest) = rows.as_chunks::<ROWS_AT_ONCE>();
        for chunk in full {
            let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.many)));
            chunk.iter().fold(query, bind).execute(&mut *connection).await?;
        }
        for row in rest {
            let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.one)));
            bind(query, row).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

/// Writes all of a batch in one transaction.
pub(super) async fn commit(writer: &Writer, batch: &Batch) -> Result<(), sqlx::Error> {
    let mut writing = writer.begin().await?;
    POLICIES.run(&mut writing, &batch.policies, policy_rows::bind).await?;
    policy_rows::delete(&mut writing, &batch.policy_deletions).await?;
    BREAKERS.run(&mut writing, &batch.rows, breaker_rows::bind).await?;
    delete(&mut writing, &batch.deletions).await?;
    TRANSITIONS
        .run(&mut writing, &batch.transitions, |query, record| transition_rows::bind(query, record))
        .await?;
    writing.commit().await
}

async fn delete(
    connection: &mut SqliteConnection,
    deletions: &[Deletion],
) -> Result<(), sqlx::Error> {
    for deletion in deletions {
        sqlx::query("DELETE FROM breakers WHERE name = ? AND revision <= ?")
            .bind(deletion.name.as_str())
            .bind(bound(deletion.revision))
            .execute(&mut *connection)
            .await?;
    }
    let revision = deletions.iter().map(|deletion| deletion.revision).max();
    let generation = deletions.iter().map(|deletion| deletion.generation).max();
    let (Some(revision), Some(generation)) = (revision, generation) else { return Ok(()) };
    sqlx::query(
        "UPDATE server SET revision_floor = max(revision_floor, ?), \
         generation_floor = max(generation_floor, ?)",
    )
    .bind(bound(revision))
    .bind(bound(generation))
    .execute(connection)
    .await?;
    Ok(())
}
