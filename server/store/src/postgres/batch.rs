//! Writing a batch: one statement, whose parts all see the lease as it was locked.

use std::collections::HashMap;

use breaker_engine::{Batch, Floors, RestoreStep, StoreError};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, AssertSqlSafe, Encode, Postgres, Row, Type};

use super::cells::{Arrays, array_type};
use super::connection::Line;
use super::errors::unavailable;
use crate::rows::{ALERTS, BREAKERS, POLICIES, RECEIVERS, REPORTERS, TRANSITIONS, Table, bound};

/// Locks the lease if it is still this server's, until the statement is through. Every other part
/// of a statement does nothing unless it is.
const LEADS: &str = "WITH leads AS MATERIALIZED \
                     (SELECT 1 FROM lease WHERE fence = $1 FOR SHARE)";
/// The end of a part that writes.
const IF_LEADING: &str = "EXISTS (SELECT FROM leads)";

/// Writes all of a batch or nothing.
pub(super) async fn commit(line: &Line, fence: i64, batch: &Batch) -> Result<(), StoreError> {
    let statement =
        statement(fence, batch).map_err(|error| unavailable(sqlx::Error::Encode(error)))?;
    statement.run(line).await
}

fn statement(fence: i64, batch: &Batch) -> Result<Statement, BoxDynError> {
    let policies = survivors(
        batch.policies.iter().map(|row| (row.name.as_str(), row.revision, row)),
        batch.policy_deletions.iter().map(|gone| (gone.name.as_str(), gone.revision)),
    );
    let breakers = survivors(
        batch.rows.iter().map(|row| (row.name.as_str(), row.revision, row)),
        batch.deletions.iter().map(|gone| (gone.name.as_str(), gone.revision)),
    );
    let mut statement = Statement::leading(fence)?;
    statement.insert(&POLICIES, &policies.rows)?;
    statement.delete("policies", policies.deletions)?;
    statement.insert(&BREAKERS, &breakers.rows)?;
    statement.delete("breakers", breakers.deletions)?;
    let transitions: Vec<_> = batch.transitions.iter().collect();
    statement.insert(&TRANSITIONS, &transitions)?;
    statement.insert(&REPORTERS, &batch.reporters.iter().collect::<Vec<_>>())?;
    statement.insert(&ALERTS, &batch.alerts.iter().collect::<Vec<_>>())?;
    statement.delete_alerts(&batch.alert_deletions)?;
    statement.insert(&RECEIVERS, &batch.receivers.iter().collect::<Vec<_>>())?;
    if let Some(step) = batch.restore {
        statement.take_step(step)?;
    }
    let floor = |revisions: &mut dyn Iterator<Item = u64>| revisions.max().map_or(0, bound);
    if !batch.deletions.is_empty() || !batch.policy_deletions.is_empty() {
        statement.raise_floors([
            floor(&mut batch.deletions.iter().map(|gone| gone.revision)),
            floor(&mut batch.deletions.iter().map(|gone| gone.generation)),
            floor(&mut batch.policy_deletions.iter().map(|gone| gone.revision)),
        ])?;
    }
    Ok(statement)
}

/// Rows to write and rows to delete, of which no two are about the same name: the parts of one
/// statement do not see what the others do.
struct Survivors<'b, R> {
    rows: Vec<&'b R>,
    deletions: HashMap<&'b str, u64>,
}

fn survivors<'b, R>(
    rows: impl Iterator<Item = (&'b str, u64, &'b R)>,
    deletions: impl Iterator<Item = (&'b str, u64)>,
) -> Survivors<'b, R> {
    let mut gone = HashMap::new();
    for (name, revision) in deletions {
        let last = gone.entry(name).or_insert(revision);
        *last = revision.max(*last);
    }
    let mut last_of_each = HashMap::new();
    for (name, revision, row) in rows {
        last_of_each.insert(name, (revision, row));
    }
    last_of_each.retain(|name, (revision, _)| gone.get(name).is_none_or(|last| *revision > *last));
    gone.retain(|name, _| !last_of_each.contains_key(name));
    Survivors { rows: last_of_each.into_values().map(|(_, row)| row).collect(), deletions: gone }
}

/// A statement of several parts that write if this server leads, and none otherwise.
pub(super) struct Statement {
    sql: String,
    arguments: PgArguments,
    parts: usize,
}

impl Statement {
    pub(super) fn leading(fence: i64) -> Result<Self, BoxDynError> {
        let mut arguments = PgArguments::default();
        arguments.add(fence)?;
        Ok(Self { sql: LEADS.to_owned(), arguments, parts: 0 })
    }

    /// Adds a part.
    pub(super) fn part(&mut self, sql: &str) {
        self.parts += 1;
        self.sql += &format!(", part_{} AS ({sql})", self.parts);
    }

    /// Adds an argument; returns how a part refers to it.
    pub(super) fn argument<T>(&mut self, value: T) -> Result<String, BoxDynError>
    where
        T: Encode<'static, Postgres> + Type<Postgres> + 'static,
    {
        self.arguments.add(value)?;
        Ok(format!("${}", self.arguments.len()))
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] if this server does not lead any more: nothing was written.
    pub(super) async fn run(self, line: &Line) -> Result<(), StoreError> {
        let sql = self.sql + " SELECT count(*) AS leads FROM leads";
        let statement = sqlx::query_with(AssertSqlSafe(sql), self.arguments);
        let rows = line.run(statement).await?;
        let leads = rows.first().map(|row| row.try_get::<i64, _>("leads")).transpose();
        match leads.map_err(unavailable)? {
            Some(1) => Ok(()),
            _ => Err(StoreError::Superseded),
        }
    }

    fn insert<R>(&mut self, table: &Table<R>, rows: &[&R]) -> Result<(), BoxDynError> {
        if rows.is_empty() {
            return Ok(());
        }
        let first = self.arguments.len() + 1;
        Arrays::of(table, rows).add_to(&mut self.arguments)?;
        let arrays: Vec<_> = table
            .columns
            .iter()
            .zip(first..)
            .map(|((_, kind), number)| format!("${number}::{}", array_type(*kind)))
            .collect();
        let (name, columns) = (table.name, table.column_list());
        self.part(&format!(
            "INSERT INTO {name} ({columns}) SELECT * FROM UNNEST({}) AS given WHERE {IF_LEADING} {}",
            arrays.join(", "),
            table.conflict_clause()
        ));
        Ok(())
    }

    fn delete(&mut self, table: &str, rows: HashMap<&str, u64>) -> Result<(), BoxDynError> {
        if rows.is_empty() {
            return Ok(());
        }
        let (names, revisions): (Vec<_>, Vec<_>) =
            rows.into_iter().map(|(name, revision)| (name.to_owned(), bound(revision))).unzip();
        let (names, revisions) = (self.argument(names)?, self.argument(revisions)?);
        self.part(&format!(
            "DELETE FROM {table} AS old USING UNNEST({names}, {revisions}) AS gone (name, revision) \
             WHERE old.name = gone.name AND old.revision <= gone.revision AND {IF_LEADING}"
        ));
        Ok(())
    }

    fn delete_alerts(&mut self, ids: &[u64]) -> Result<(), BoxDynError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = ids.iter().map(|id| bound(*id)).collect();
        let ids = self.argument(ids)?;
        self.part(&format!("DELETE FROM alerts WHERE id = ANY({ids}) AND {IF_LEADING}"));
        Ok(())
    }

    fn raise_floors(&mut self, floors: [i64; 3]) -> Result<(), BoxDynError> {
        let columns = ["revision_floor", "generation_floor", "policy_revision_floor"];
        let raised = self.raised(columns.into_iter().zip(floors))?;
        self.part(&format!("UPDATE server SET {raised} WHERE {IF_LEADING}"));
        Ok(())
    }

    /// Notes that a restore begins, and what the store is to reach, or that it ends. Two parts of a
    /// statement must not both change the one row: a batch with a step has no deletions.
    fn take_step(&mut self, step: RestoreStep) -> Result<(), BoxDynError> {
        let change = match step {
            RestoreStep::Ends => "restoring = FALSE".to_owned(),
            RestoreStep::Begins(floors) => {
                let Floors { incarnation, revision_floor, generation_floor, .. } = floors;
                let raised = self.raised([
                    ("incarnation", bound(incarnation)),
                    ("revision_floor", bound(revision_floor)),
                    ("generation_floor", bound(generation_floor)),
                    ("policy_revision_floor", bound(floors.policy_revision_floor)),
                    ("trimmed_transition_id", bound(floors.trimmed_transition_id)),
                ])?;
                format!("restoring = TRUE, {raised}")
            }
        };
        self.part(&format!("UPDATE server SET {change} WHERE {IF_LEADING}"));
        Ok(())
    }

    /// What raises columns to what they are to be at least.
    fn raised(
        &mut self,
        floors: impl IntoIterator<Item = (&'static str, i64)>,
    ) -> Result<String, BoxDynError> {
        let mut raised = Vec::new();
        for (column, floor) in floors {
            let floor = self.argument(floor)?;
            raised.push(format!("{column} = greatest({column}, {floor})"));
        }
        Ok(raised.join(", "))
    }
}
