//! Rows as every database holds them: the same columns, filled and read in one place.
//!
//! A database brings [`Cells`] to read a row of a result by, and a [`Sink`] that takes the values
//! of a row in the order of its table's columns.

mod alerts;
mod breakers;
mod columns;
mod policies;
mod receivers;
mod reporters;
mod transitions;

use std::borrow::Cow;

use breaker_core::Time;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

pub(crate) use alerts::{ALERTS, load as load_alerts};
pub(crate) use breakers::{BREAKERS, load as load_breaker};
pub(crate) use policies::{POLICIES, load as load_policies, load_one as load_policy};
pub(crate) use receivers::RECEIVERS;
pub(crate) use reporters::{
    REPORTERS, REPORTERS_HEARD_LAST, SILENT_REPORTERS, load as load_reporter,
};
pub(crate) use transitions::{TRANSITIONS, load as load_transitions, load_one as load_transition};

/// What a column holds. Every number is one of 64 bits with a sign; those that Rust takes for
/// unsigned are stored with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Text,
    Bytes,
}

/// A table, and how its rows are filled.
pub(crate) struct Table<R: 'static> {
    pub(crate) name: &'static str,
    /// The column that tells its rows apart.
    pub(crate) key: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// What becomes of a row whose key is there already.
    pub(crate) on_conflict: OnConflict,
    /// Gives the values of a row to a sink, in the order of the columns.
    pub(crate) fill: for<'r> fn(&'r R, &mut dyn Sink<'r>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnConflict {
    /// The new row takes the place of the old one.
    Replace,
    /// The old row stays.
    Keep,
}

/// Takes the values of a row.
pub(crate) trait Sink<'r> {
    fn integer(&mut self, value: Option<i64>);
    fn text(&mut self, value: Option<Cow<'r, str>>);
    fn bytes(&mut self, value: Option<Vec<u8>>);
}

/// A row of a result.
pub(crate) trait Cells {
    fn integer(&self, column: &str) -> Result<Option<i64>, sqlx::Error>;
    fn text(&self, column: &str) -> Result<Option<&str>, sqlx::Error>;
    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, sqlx::Error>;
}

macro_rules! cells_of {
    ($($row:ty),+) => {$(
        impl Cells for $row {
            fn integer(&self, column: &str) -> Result<Option<i64>, sqlx::Error> {
                self.try_get(column)
            }

            fn text(&self, column: &str) -> Result<Option<&str>, sqlx::Error> {
                self.try_get(column)
            }

            fn bytes(&self, column: &str) -> Result<Option<&[u8]>, sqlx::Error> {
                self.try_get(column)
            }
        }
    )+};
}

cells_of!(SqliteRow, PgRow);

impl<R> Table<R> {
    /// The names of the columns, separated by commas.
    pub(crate) fn column_list(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// What an INSERT does with a row whose key is there already. Both databases speak this part
    /// of the language alike.
    pub(crate) fn conflict_clause(&self) -> String {
        match self.on_conflict {
            OnConflict::Keep => format!("ON CONFLICT ({}) DO NOTHING", self.key),
            OnConflict::Replace => {
                let replaced =
                    self.columns.iter().map(|(name, _)| *name).filter(|n| *n != self.key);
                let replaced: Vec<_> =
                    replaced.map(|name| format!("{name} = excluded.{name}")).collect();
                format!("ON CONFLICT ({}) DO UPDATE SET {}", self.key, replaced.join(", "))
            }
        }
    }
}

/// Shorter ways to give values.
trait SinkExt<'r>: Sink<'r> {
    fn number(&mut self, value: u64) {
        self.integer(Some(value.cast_signed()));
    }

    fn small(&mut self, value: u32) {
        self.integer(Some(value.into()));
    }

    fn time(&mut self, value: Time) {
        self.integer(Some(time_to_column(value)));
    }

    fn time_if_any(&mut self, value: Option<Time>) {
        self.integer(value.map(time_to_column));
    }

    fn word(&mut self, value: &'r str) {
        self.text(Some(Cow::Borrowed(value)));
    }

    fn written(&mut self, value: Option<String>) {
        self.text(value.map(Cow::Owned));
    }
}

impl<'r, S: Sink<'r> + ?Sized> SinkExt<'r> for S {}

/// An instant as a column holds it.
pub(crate) const fn time_to_column(time: Time) -> i64 {
    time.as_nanos().cast_signed()
}

/// A number that columns are compared with. Past the highest that a column can hold, that one.
pub(crate) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
