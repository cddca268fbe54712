use std::sync::Arc;

use breaker_core::{Counts, Time, Transition};
use breaker_engine::{Damage, Moment, TransitionPage, TransitionRecord};

use super::columns::Columns;
use super::{Cells, Kind, OnConflict, Sink, SinkExt, Table};
use crate::text::Word;

pub(crate) const TRANSITIONS: Table<Arc<TransitionRecord>> = Table {
    name: "transitions",
    key: "id",
    columns: &[
        ("id", Kind::Integer),
        ("breaker", Kind::Text),
        ("revision", Kind::Integer),
        ("generation", Kind::Integer),
        ("from_state", Kind::Text),
        ("to_state", Kind::Text),
        ("from_mode", Kind::Text),
        ("to_mode", Kind::Text),
        ("cause", Kind::Text),
        ("actor", Kind::Text),
        ("reason", Kind::Text),
        ("at", Kind::Integer),
        ("failure_count", Kind::Integer),
        ("consecutive_failures", Kind::Integer),
        ("success_count", Kind::Integer),
        ("window_calls", Kind::Integer),
        ("window_failures", Kind::Integer),
        ("from_level", Kind::Text),
        ("to_level", Kind::Text),
    ],
    on_conflict: OnConflict::Keep,
    fill,
};

fn fill<'r>(record: &'r Arc<TransitionRecord>, sink: &mut dyn Sink<'r>) {
    let TransitionRecord { id, breaker, revision, transition } = &**record;
    let Transition { from, to, from_mode, to_mode, generation, cause, by, at, counts, .. } =
        transition;
    sink.number(*id);
    sink.word(breaker.as_str());
    sink.number(*revision);
    sink.number(*generation);
    sink.word(from.as_word());
    sink.word(to.as_word());
    sink.word(from_mode.as_word());
    sink.word(to_mode.as_word());
    sink.word(cause.as_word());
    sink.word(by.actor());
    sink.word(by.reason());
    sink.time(*at);
    sink.small(counts.failure_count);
    sink.small(counts.consecutive_failures);
    sink.small(counts.success_count);
    sink.small(counts.window_calls);
    sink.small(counts.window_failures);
    sink.text(transition.from_level.as_deref().map(Into::into));
    sink.text(transition.to_level.as_deref().map(Into::into));
}

/// The transitions in rows, as far as they can be understood.
///
/// # Errors
/// If a row has no place in the history: then it is none of the table's.
pub(crate) fn load<'r>(
    rows: impl Iterator<Item = &'r dyn Cells>,
) -> Result<TransitionPage, sqlx::Error> {
    let read = |row: &'r dyn Cells| {
        let number = |column| row.integer(column)?.ok_or(sqlx::Error::RowNotFound);
        let (at, id) = (number("at")?.cast_unsigned(), number("id")?.cast_unsigned());
        Ok((Moment { at: Time::from_nanos(at), id }, read(&Columns::new(row))))
    };
    Ok(TransitionPage::of(rows.map(read).collect::<Result<Vec<_>, sqlx::Error>>()?))
}

/// The transition in a row.
pub(crate) fn load_one(row: &dyn Cells) -> Result<TransitionRecord, Damage> {
    read(&Columns::new(row))
}

fn read(columns: &Columns<'_>) -> Result<TransitionRecord, Damage> {
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
