use std::borrow::Cow;

use sqlx::Arguments;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;

use crate::rows::{Kind, Sink, Table};

/// The values of many rows, column by column.
pub(super) struct Arrays {
    columns: Vec<Array>,
    /// The column that the next value belongs to.
    next: usize,
}

enum Array {
    Integer(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Arrays {
    pub(super) fn of<R>(table: &Table<R>, rows: &[&R]) -> Self {
        let room = rows.len();
        let array = |&(_, kind): &(_, Kind)| match kind {
            Kind::Integer => Array::Integer(Vec::with_capacity(room)),
            Kind::Text => Array::Text(Vec::with_capacity(room)),
            Kind::Bytes => Array::Bytes(Vec::with_capacity(room)),
        };
        let mut arrays = Self { columns: table.columns.iter().map(array).collect(), next: 0 };
        for row in rows {
            arrays.next = 0;
            (table.fill)(row, &mut arrays);
        }
        arrays
    }

    /// Adds one array for each column.
    pub(super) fn add_to(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        for column in self.columns {
            match column {
                Array::Integer(values) => arguments.add(values)?,
                Array::Text(values) => arguments.add(values)?,
                Array::Bytes(values) => arguments.add(values)?,
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<&mut Array> {
        self.next += 1;
        self.columns.get_mut(self.next - 1)
    }
}

/// A value that does not fit its column is a mistake in the table's list of columns; it is left
/// out, and the statement then fails for its arrays of different lengths.
impl<'r> Sink<'r> for Arrays {
    fn integer(&mut self, value: Option<i64>) {
        if let Some(Array::Integer(values)) = self.next() {
            values.push(value);
        }
    }

    fn text(&mut self, value: Option<Cow<'r, str>>) {
        if let Some(Array::Text(values)) = self.next() {
            values.push(value.map(Cow::into_owned));
        }
    }

    fn bytes(&mut self, value: Option<Vec<u8>>) {
        if let Some(Array::Bytes(values)) = self.next() {
            values.push(value);
        }
    }
}

/// The name of an array of such values in the language of the database.
pub(super) const fn array_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "bigint[]",
        Kind::Text => "text[]",
        Kind::Bytes => "bytea[]",
    }
}
