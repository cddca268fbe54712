//! Writing a batch. A statement costs a round trip to the thread of its connection, which is a
//! good part of what its rows cost: rows are therefore written many at a time.

use std::sync::{Arc, LazyLock};

use breaker_engine::{
    AlertRow, Batch, BreakerRow, Deletion, Floors, PolicyDeletion, PolicyRow, ReceiverRow,
    ReporterRow, RestoreStep, TransitionRecord,
};
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::cells::Values;
use super::connection::Writer;
use crate::rows::{self, Table, bound};

/// Rows of one statement. With more of them the statements themselves begin to cost.
const ROWS_AT_ONCE: usize = 32;

/// An INSERT for one row, and one for many.
struct Insert<R: 'static> {
    table: Table<R>,
    one: Arc<str>,
    many: Arc<str>,
}

static POLICIES: LazyLock<Insert<PolicyRow>> = LazyLock::new(|| Insert::into(rows::POLICIES));

static BREAKERS: LazyLock<Insert<BreakerRow>> = LazyLock::new(|| Insert::into(rows::BREAKERS));

static TRANSITIONS: LazyLock<Insert<Arc<TransitionRecord>>> =
    LazyLock::new(|| Insert::into(rows::TRANSITIONS));

static ALERTS: LazyLock<Insert<AlertRow>> = LazyLock::new(|| Insert::into(rows::ALERTS));

static RECEIVERS: LazyLock<Insert<ReceiverRow>> = LazyLock::new(|| Insert::into(rows::RECEIVERS));
static REPORTERS: LazyLock<Insert<ReporterRow>> = LazyLock::new(|| Insert::into(rows::REPORTERS));

impl<R> Insert<R> {
    fn into(table: Table<R>) -> Self {
        let row = format!("({})", vec!["?"; table.columns.len()].join(", "));
        let insert = |rows: usize| {
            let rows = vec![row.as_str(); rows].join(", ");
            let (name, columns) = (table.name, table.column_list());
            format!("INSERT INTO {name} ({columns}) VALUES {rows} {}", table.conflict_clause())
                .into()
        };
        Self { one: insert(1), many: insert(ROWS_AT_ONCE), table }
    }

    async fn run(&self, connection: &mut SqliteConnection, rows: &[R]) -> Result<(), sqlx::Error> {
        let (full, rest) = rows.as_chunks::<ROWS_AT_ONCE>();
        for chunk in full {
            self.execute(connection, &self.many, chunk).await?;
        }
        for row in rest {
            self.execute(connection, &self.one, std::slice::from_ref(row)).await?;
        }
        Ok(())
    }

    async fn execute(
        &self,
        connection: &mut SqliteConnection,
        statement: &Arc<str>,
        rows: &[R],
    ) -> Result<(), sqlx::Error> {
        let mut values = Values::default();
        for row in rows {
            (self.table.fill)(row, &mut values);
        }
        if let Some(refused) = values.refused {
            return Err(refused);
        }
        let statement = AssertSqlSafe(Arc::clone(statement));
        sqlx::query_with(statement, values.arguments).execute(connection).await.map(|_| ())
    }
}

/// Writes all of a batch in one transaction.
pub(super) async fn commit(writer: &Writer, batch: &Batch) -> Result<(), sqlx::Error> {
    let mut writing = writer.begin().await?;
    POLICIES.run(&mut writing, &batch.policies).await?;
    delete_policies(&mut writing, &batch.policy_deletions).await?;
    BREAKERS.run(&mut writing, &batch.rows).await?;
    delete(&mut writing, &batch.deletions).await?;
    TRANSITIONS.run(&mut writing, &batch.transitions).await?;
    REPORTERS.run(&mut writing, &batch.reporters).await?;
    ALERTS.run(&mut writing, &batch.alerts).await?;
    delete_alerts(&mut writing, &batch.alert_deletions).await?;
    RECEIVERS.run(&mut writing, &batch.receivers).await?;
    take_step(&mut writing, batch.restore).await?;
    writing.commit().await
}

/// Deletes policies, each only up to the revision of its deletion.
async fn delete_policies(
    connection: &mut SqliteConnection,
    deletions: &[PolicyDeletion],
) -> Result<(), sqlx::Error> {
    for deletion in deletions {
        sqlx::query("DELETE FROM policies WHERE name = ? AND revision <= ?")
            .bind(deletion.name.as_str())
            .bind(bound(deletion.revision))
            .execute(&mut *connection)
            .await?;
    }
    let Some(floor) = deletions.iter().map(|deletion| deletion.revision).max() else {
        return Ok(());
    };
    sqlx::query("UPDATE server SET policy_revision_floor = max(policy_revision_floor, ?)")
        .bind(bound(floor))
        .execute(connection)
        .await?;
    Ok(())
}

async fn delete_alerts(connection: &mut SqliteConnection, ids: &[u64]) -> Result<(), sqlx::Error> {
    for id in ids {
        sqlx::query("DELETE FROM alerts WHERE id = ?")
            .bind(bound(*id))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Notes that a restore begins, and what the store is to reach, or that it ends.
async fn take_step(
    connection: &mut SqliteConnection,
    step: Option<RestoreStep>,
) -> Result<(), sqlx::Error> {
    let query = match step {
        None => return Ok(()),
        Some(RestoreStep::Ends) => sqlx::query("UPDATE server SET restoring = 0"),
        Some(RestoreStep::Begins(floors)) => {
            let Floors { incarnation, revision_floor, generation_floor, .. } = floors;
            sqlx::query(
                "UPDATE server SET restoring = 1, incarnation = max(incarnation, ?), \
                 revision_floor = max(revision_floor, ?), \
                 generation_floor = max(generation_floor, ?), \
                 policy_revision_floor = max(policy_revision_floor, ?), \
                 trimmed_transition_id = max(trimmed_transition_id, ?)",
            )
            .bind(bound(incarnation))
            .bind(bound(revision_floor))
            .bind(bound(generation_floor))
            .bind(bound(floors.policy_revision_floor))
            .bind(bound(floors.trimmed_transition_id))
        }
    };
    query.execute(connection).await.map(|_| ())
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
