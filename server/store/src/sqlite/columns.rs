use std::fmt::Display;

use breaker_core::{Attribution, BreakerName, Time};
use breaker_engine::StoreError;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

use crate::json::Stored;
use crate::text::Word;

/// An instant as a column holds it.
pub(super) const fn time_to_column(time: Time) -> i64 {
    time.as_nanos().cast_signed()
}

/// A number that columns are compared with. Past the highest that a column can hold, that one.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads a row column by column. Whatever is not as breakerd writes it is told by the breaker or
/// the policy, and the column.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    /// What the row is of, for messages.
    noun: &'static str,
    /// The column that holds its name.
    name: &'static str,
}

impl<'r> Columns<'r> {
    /// Those of a breaker, or of what happened to one.
    pub(super) const fn new(row: &'r SqliteRow, name: &'static str) -> Self {
        Self { row, noun: "breaker", name }
    }

    /// Those of a policy.
    pub(super) const fn of_policy(row: &'r SqliteRow) -> Self {
        Self { row, noun: "policy", name: "name" }
    }

    /// A value as it is.
    pub(super) fn get<T>(&self, column: &str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row.try_get(column).map_err(|error| match error {
            sqlx::Error::ColumnDecode { source, .. } => self.corrupt(column, source),
            error => self.corrupt(column, error),
        })
    }

    /// A value that must be there in this kind of row.
    pub(super) fn required<T>(&self, column: &str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.get::<Option<T>>(column)?.ok_or_else(|| self.corrupt(column, "it is NULL"))
    }

    /// A number of 64 bits without a sign.
    pub(super) fn number(&self, column: &str) -> Result<u64, StoreError> {
        self.get(column).map(i64::cast_unsigned)
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
        Attribution::new(self.required(actor)?, self.required(reason)?)
            .map_err(|error| self.corrupt(actor, error))
    }

    /// The error of a column that cannot be understood.
    pub(super) fn corrupt(&self, column: &str, what: impl Display) -> StoreError {
        let name = self.row.try_get::<&str, _>(self.name).unwrap_or("with an unreadable name");
        StoreError::Corrupt(format!("{} {name}, column {column}: {what}", self.noun))
    }
}
