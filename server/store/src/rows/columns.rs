use std::fmt::Display;

use breaker_core::{Attribution, BreakerName, Time};
use breaker_engine::StoreError;

use super::Cells;
use crate::json::Stored;
use crate::text::Word;

/// Reads a row column by column. Whatever is not as breakerd writes it is told by the breaker or
/// the policy, and the column.
pub(super) struct Columns<'r> {
    row: &'r dyn Cells,
    /// What the row is of, for messages.
    noun: &'static str,
    /// The column that holds its name.
    name: &'static str,
}

impl<'r> Columns<'r> {
    /// Those of a breaker, or of what happened to one.
    pub(super) const fn new(row: &'r dyn Cells, name: &'static str) -> Self {
        Self { row, noun: "breaker", name }
    }

    /// Those of a policy.
    pub(super) const fn of_policy(row: &'r dyn Cells) -> Self {
        Self { row, noun: "policy", name: "name" }
    }

    /// A value as it is.
    pub(super) fn get<T: Cell<'r>>(&self, column: &str) -> Result<T, StoreError> {
        T::of(self.row, column).map_err(|problem| match problem {
            Problem::Unreadable(sqlx::Error::ColumnDecode { source, .. }) => {
                self.corrupt(column, source)
            }
            Problem::Unreadable(error) => self.corrupt(column, error),
            Problem::Missing => self.corrupt(column, "it is NULL"),
            Problem::OutOfRange(number) => {
                self.corrupt(column, format!("{number} is out of range"))
            }
        })
    }

    /// A number of 64 bits without a sign.
    pub(super) fn number(&self, column: &str) -> Result<u64, StoreError> {
        self.get::<i64>(column).map(i64::cast_unsigned)
    }

    /// An instant.
    pub(super) fn time(&self, column: &str) -> Result<Time, StoreError> {
        self.number(column).map(Time::from_nanos)
    }

    /// An instant, where there is one.
    pub(super) fn time_if_any(&self, column: &str) -> Result<Option<Time>, StoreError> {
        let nanos: Option<i64> = self.get(column)?;
        Ok(nanos.map(|nanos| Time::from_nanos(nanos.cast_unsigned())))
    }

    /// A value that is stored as JSON, where there is one.
    pub(super) fn json<S: Stored>(&self, column: &str) -> Result<Option<S>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(S::from_text).transpose().map_err(|error| self.corrupt(column, error))
    }

    /// A word.
    pub(super) fn word<W: Word>(&self, column: &str) -> Result<W, StoreError> {
        let word: &str = self.get(column)?;
        W::from_word(word)
            .ok_or_else(|| self.corrupt(column, format!("`{word}` is not a {}", W::NOUN)))
    }

    /// The name of the breaker.
    pub(super) fn breaker(&self) -> Result<BreakerName, StoreError> {
        let name: &str = self.get(self.name)?;
        BreakerName::new(name).map_err(|error| self.corrupt(self.name, error))
    }

    /// Who and why.
    pub(super) fn attribution(&self, actor: &str, reason: &str) -> Result<Attribution, StoreError> {
        Attribution::new(self.get(actor)?, self.get(reason)?)
            .map_err(|error| self.corrupt(actor, error))
    }

    /// The error of a column that cannot be understood.
    pub(super) fn corrupt(&self, column: &str, what: impl Display) -> StoreError {
        let name = self.row.text(self.name).ok().flatten().unwrap_or("with an unreadable name");
        StoreError::Corrupt(format!("{} {name}, column {column}: {what}", self.noun))
    }
}

/// Why a cell does not hold what it should.
pub(super) enum Problem {
    Unreadable(sqlx::Error),
    Missing,
    OutOfRange(i64),
}

/// What a cell can be read as.
pub(super) trait Cell<'r>: Sized {
    fn of(row: &'r dyn Cells, column: &str) -> Result<Self, Problem>;
}

macro_rules! cells {
    ($($type:ty => $read:ident),+ $(,)?) => {$(
        impl<'r> Cell<'r> for Option<$type> {
            fn of(row: &'r dyn Cells, column: &str) -> Result<Self, Problem> {
                row.$read(column).map_err(Problem::Unreadable)
            }
        }

        impl<'r> Cell<'r> for $type {
            fn of(row: &'r dyn Cells, column: &str) -> Result<Self, Problem> {
                Option::<$type>::of(row, column)?.ok_or(Problem::Missing)
            }
        }
    )+};
}

cells! { i64 => integer, &'r str => text, &'r [u8] => bytes }

/// Numbers that are smaller in Rust than in their column.
macro_rules! small_cells {
    ($($type:ty),+) => {$(
        impl<'r> Cell<'r> for Option<$type> {
            fn of(row: &'r dyn Cells, column: &str) -> Result<Self, Problem> {
                let number = Option::<i64>::of(row, column)?;
                let small = |number| <$type>::try_from(number).map_err(|_| Problem::OutOfRange(number));
                number.map(small).transpose()
            }
        }

        impl<'r> Cell<'r> for $type {
            fn of(row: &'r dyn Cells, column: &str) -> Result<Self, Problem> {
                Option::<$type>::of(row, column)?.ok_or(Problem::Missing)
            }
        }
    )+};
}

small_cells!(u32, i32);
