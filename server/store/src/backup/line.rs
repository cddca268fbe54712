//! A row as the members of a JSON object: a third way to hold one, beside those of the databases.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::rows::{Cells, Kind, Sink, Table};

type Columns = &'static [(&'static str, Kind)];

/// Writes a row as an object.
pub(super) fn write<R>(table: &Table<R>, row: &R, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut members = Members { columns: table.columns.iter(), is_first: true, out };
    (table.fill)(row, &mut members);
    out.push(b'}');
}

struct Members<'o> {
    columns: std::slice::Iter<'static, (&'static str, Kind)>,
    is_first: bool,
    out: &'o mut Vec<u8>,
}

impl Members<'_> {
    /// The place for the value of the next column, whose name is written if there is a value.
    fn value<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
        let Some((name, _)) = self.columns.next() else { return };
        let Some(value) = value else { return };
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        // Names of columns have nothing to escape.
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        write(self.out, value);
    }
}

impl<'r> Sink<'r> for Members<'_> {
    fn integer(&mut self, value: Option<i64>) {
        self.value(value, |out, value| to_json(out, &value));
    }

    fn text(&mut self, value: Option<Cow<'r, str>>) {
        self.value(value, |out, value| to_json(out, &value));
    }

    fn bytes(&mut self, value: Option<Vec<u8>>) {
        self.value(value, |out, value| to_json(out, &BASE64_STANDARD.encode(value)));
    }
}

/// Writes a number or a text, of which neither can fail to be written.
fn to_json(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    let _ = serde_json::to_writer(out, value);
}

/// A row that was read from an object.
pub(super) struct Row {
    columns: Columns,
    /// In the order of the columns.
    cells: Vec<Option<Cell>>,
}

enum Cell {
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Row {
    fn cell(&self, column: &str) -> Result<Option<&Cell>, sqlx::Error> {
        let place = self.columns.iter().position(|(name, _)| *name == column);
        let place = place.ok_or_else(|| sqlx::Error::ColumnNotFound(column.to_owned()))?;
        Ok(self.cells.get(place).and_then(Option::as_ref))
    }
}

/// The kinds of the cells were checked when they were read.
impl Cells for Row {
    fn integer(&self, column: &str) -> Result<Option<i64>, sqlx::Error> {
        Ok(self.cell(column)?.and_then(|cell| match cell {
            Cell::Integer(number) => Some(*number),
            Cell::Text(_) | Cell::Bytes(_) => None,
        }))
    }

    fn text(&self, column: &str) -> Result<Option<&str>, sqlx::Error> {
        Ok(self.cell(column)?.and_then(|cell| match cell {
            Cell::Text(text) => Some(text.as_str()),
            Cell::Integer(_) | Cell::Bytes(_) => None,
        }))
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, sqlx::Error> {
        Ok(self.cell(column)?.and_then(|cell| match cell {
            Cell::Bytes(bytes) => Some(bytes.as_slice()),
            Cell::Integer(_) | Cell::Text(_) => None,
        }))
    }
}

/// Reads a row of a table with these columns from an object.
pub(super) struct RowOf(pub(super) Columns);

impl<'de> DeserializeSeed<'de> for RowOf {
    type Value = Row;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowOf {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the columns of a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Row, A::Error> {
        let columns = self.0;
        let mut cells: Vec<Option<Cell>> = columns.iter().map(|_| None).collect();
        // Columns mostly come in their order.
        let mut expected = 0;
        while let Some(Name(name)) = members.next_key()? {
            let place = match columns.get(expected) {
                Some((next, _)) if *next == name => expected,
                _ => columns.iter().position(|(known, _)| *known == name).unwrap_or(columns.len()),
            };
            let (Some((_, kind)), Some(cell)) = (columns.get(place), cells.get_mut(place)) else {
                members.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format_args!(
                    "column {}: it is not known; restore with a breakerd that is not older than the \
                     one that wrote the backup",
                    name.escape_debug()
                )));
            };
            if cell.is_some() {
                return Err(A::Error::custom(format_args!("column {name}: it comes twice")));
            }
            *cell = members.next_value_seed(CellOf { name: &name, kind: *kind })?;
            expected = place + 1;
        }
        Ok(Row { columns, cells })
    }
}

/// Borrowed where nothing is escaped.
#[derive(Deserialize)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

/// Reads a value of a column.
struct CellOf<'n> {
    name: &'n str,
    kind: Kind,
}

impl CellOf<'_> {
    fn refuse<E: serde::de::Error>(&self, given: fmt::Arguments<'_>) -> E {
        let wanted = match self.kind {
            Kind::Integer => "a whole number of 64 bits with a sign",
            Kind::Text => "a text",
            Kind::Bytes => "bytes in base64",
        };
        E::custom(format_args!("column {}: {given} is not {wanted}", self.name))
    }
}

impl<'de> DeserializeSeed<'de> for CellOf<'_> {
    type Value = Option<Cell>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellOf<'_> {
    type Value = Option<Cell>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of column {}", self.name)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        match self.kind {
            Kind::Integer => Ok(Some(Cell::Integer(number))),
            Kind::Text | Kind::Bytes => Err(self.refuse(format_args!("{number}"))),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(self.refuse(format_args!("{number}"))),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Err(self.refuse(format_args!("{number}")))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Err(self.refuse(format_args!("{value}")))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match self.kind {
            Kind::Text => Ok(Some(Cell::Text(text.to_owned()))),
            Kind::Bytes => match BASE64_STANDARD.decode(text) {
                Ok(bytes) => Ok(Some(Cell::Bytes(bytes))),
                Err(_) => Err(self.refuse(format_args!("the text"))),
            },
            Kind::Integer => Err(self.refuse(format_args!("a text"))),
        }
    }
}
