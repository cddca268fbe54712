use breaker_core::{Attribution, BreakerName, Time};
use breaker_engine::Damage;
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

/// Reads a row column by column. The first that is not as breakerd writes it is told.
pub(super) struct Columns<'r>(&'r SqliteRow);

impl<'r> Columns<'r> {
    pub(super) const fn new(row: &'r SqliteRow) -> Self {
        Self(row)
    }

    /// A value as it is.
    pub(super) fn get<T>(&self, column: &str) -> Result<T, Damage>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.0.try_get(column).map_err(|error| match error {
            sqlx::Error::ColumnDecode { source, .. } => Damage::new(column, source),
            error => Damage::new(column, error),
        })
    }

    /// A value that must be there in this kind of row.
    pub(super) fn required<T>(&self, column: &str) -> Result<T, Damage>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.get::<Option<T>>(column)?.ok_or_else(|| Damage::new(column, "it is NULL"))
    }

    /// A number of 64 bits without a sign.
    pub(super) fn number(&self, column: &str) -> Result<u64, Damage> {
        self.get(column).map(i64::cast_unsigned)
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
        Attribution::new(self.required(actor)?, self.required(reason)?)
            .map_err(|error| Damage::new(actor, error))
    }
}
