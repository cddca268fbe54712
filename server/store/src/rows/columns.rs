use breaker_core::{Attribution, BreakerName, Time};
use breaker_engine::Damage;

use super::Cells;
use crate::json::Stored;
use crate::text::Word;

/// Reads a row column by column. The first that is not as breakerd writes it is told.
pub(super) struct Columns<'r>(&'r dyn Cells);

impl<'r> Columns<'r> {
    pub(super) const fn new(row: &'r dyn Cells) -> Self {
        Self(row)
    }

    /// A value as it is. Only an optional one may be missing.
    pub(super) fn get<T: Cell<'r>>(&self, column: &str) -> Result<T, Damage> {
        T::of(self.0, column).map_err(|problem| match problem {
            Problem::Unreadable(sqlx::Error::ColumnDecode { source, .. }) => {
                Damage::new(column, source)
            }
            Problem::Unreadable(error) => Damage::new(column, error),
            Problem::Missing => Damage::new(column, "it is NULL"),
            Problem::OutOfRange(number) => Damage::new(column, format!("{number} is out of range")),
        })
    }

    /// A number of 64 bits without a sign.
    pub(super) fn number(&self, column: &str) -> Result<u64, Damage> {
        self.get::<i64>(column).map(i64::cast_unsigned)
    }

    /// An instant.
    pub(super) fn time(&self, column: &str) -> Result<Time, Damage> {
        self.number(column).map(Time::from_nanos)
    }

    /// An instant, where there is one.
    pub(super) fn time_if_any(&self, column: &str) -> Result<Option<Time>, Damage> {
        let nanos: Option<i64> = self.get(column)?;
        Ok(nanos.map(|nanos| Time::from_nanos(nanos.cast_unsigned())))
    }

    /// A value that is stored as JSON, where there is one.
    pub(super) fn json<S: Stored>(&self, column: &str) -> Result<Option<S>, Damage> {
        let text: Option<&str> = self.get(column)?;
        text.map(S::from_text).transpose().map_err(|error| Damage::new(column, error))
    }

    /// A word.
    pub(super) fn word<W: Word>(&self, column: &str) -> Result<W, Damage> {
        let word: &str = self.get(column)?;
        W::from_word(word)
            .ok_or_else(|| Damage::new(column, format!("`{word}` is not a {}", W::NOUN)))
    }

    /// The name of a breaker.
    pub(super) fn breaker(&self, column: &str) -> Result<BreakerName, Damage> {
        BreakerName::new(self.get(column)?).map_err(|error| Damage::new(column, error))
    }

    /// Who and why.
    pub(super) fn attribution(&self, actor: &str, reason: &str) -> Result<Attribution, Damage> {
        Attribution::new(self.get(actor)?, self.get(reason)?)
            .map_err(|error| Damage::new(actor, error))
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
