use breaker_core::{Counts, Transition};
use breaker_engine::{Damage, TransitionRecord};
use sqlx::Sqlite;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use super::columns::{Columns, time_to_column};
use crate::text::Word;

/// The columns of `transitions` in the order in which [`bind`] gives their values.
pub(super) const COLUMNS: &[&str] = &[
    "id",
    "breaker",
    "revision",
    "generation",
    "from_state",
    "to_state",
    "from_mode",
    "to_mode",
    "cause",
    "actor",
    "reason",
    "at",
    "failure_count",
    "consecutive_failures",
    "success_count",
    "window_calls",
    "window_failures",
    "from_level",
    "to_level",
];

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// Binds the values of a transition, in the order of [`COLUMNS`].
pub(super) fn bind<'q>(query: Query<'q>, record: &'q TransitionRecord) -> Query<'q> {
    let TransitionRecord { id, breaker, revision, transition } = record;
    let Transition { from, to, from_mode, to_mode, generation, cause, by, at, counts, .. } =
        transition;
    query
        .bind(id.cast_signed())
        .bind(breaker.as_str())
        .bind(revision.cast_signed())
        .bind(generation.cast_signed())
        .bind(from.as_word())
        .bind(to.as_word())
        .bind(from_mode.as_word())
        .bind(to_mode.as_word())
        .bind(cause.as_word())
        .bind(by.actor())
        .bind(by.reason())
        .bind(time_to_column(*at))
        .bind(counts.failure_count)
        .bind(counts.consecutive_failures)
        .bind(counts.success_count)
        .bind(counts.window_calls)
        .bind(counts.window_failures)
        .bind(transition.from_level.as_deref())
        .bind(transition.to_level.as_deref())
}

/// The transition in a row.
pub(super) fn read(row: &SqliteRow) -> Result<TransitionRecord, Damage> {
    let columns = Columns::new(row);
    Ok(TransitionRecord {
        id: columns.number("id")?,
        breaker: columns.breaker("breaker")?,
        revision: columns.number("revision")?,
        transition: Transition {
            from: columns.word("from_state")?,
            to: columns.word("to_state")?,
            from_mode: columns.word("from_mode")?,
            to_mode: columns.word("to_mode")?,
            from_level: columns.get::<Option<&str>>("from_level")?.map(Into::into),
            to_level: columns.get::<Option<&str>>("to_level")?.map(Into::into),
            generation: columns.number("generation")?,
            cause: columns.word("cause")?,
            by: columns.attribution("actor", "reason")?,
            at: columns.time("at")?,
            counts: Counts {
                failure_count: columns.get("failure_count")?,
                consecutive_failures: columns.get("consecutive_failures")?,
                success_count: columns.get("success_count")?,
                window_calls: columns.get("window_calls")?,
                window_failures: columns.get("window_failures")?,
            },
        },
    })
}
