//! Reading many breakers as one value.
//!
//! The driver copies every value of a row and hands each row to another thread, and that is most of
//! what loading a million rows costs. So the database itself joins the values of a thousand rows
//! into one, between separators that none of them contains.

use breaker_engine::{Loaded, StoreError};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqlitePool};

use super::errors::unavailable;
use crate::rows::{BREAKERS, Cells, Kind, load_breaker};

/// Rows of one value.
const ROWS_AT_ONCE: i64 = 1_000;
/// A longer window is read by itself: a thousand of the longest would be a lot at a time.
const MAX_WINDOW_BYTES: usize = 4_096;
/// Between the values of a row, and between rows.
const SEPARATORS: [u8; 2] = [31, 30];
/// In the place of NULL, and before every value that is none: a value can be empty.
const NULL: u8 = b'-';

/// The columns of a row that can be packed; all others are NULL in it. The bytes come last.
const PACKED: [&str; 21] = [
    "name",
    "revision",
    "config_revision",
    "created_at",
    "state",
    "since",
    "generation",
    "retry_at",
    "failure_count",
    "consecutive_failures",
    "mode",
    "own_config",
    "successes",
    "failures",
    "timeouts",
    "ignored",
    "late",
    "denied",
    "recent_calls",
    "used_at",
    "window_calls",
];

/// The condition under which a row can be packed.
fn is_packable() -> String {
    let others = BREAKERS.columns.iter().filter(|(column, _)| !PACKED.contains(column));
    let nulls = others.map(|(column, _)| format!("{column} IS NULL"));
    let texts = BREAKERS
        .columns
        .iter()
        .filter(|(column, kind)| *kind == Kind::Text && PACKED.contains(column));
    // A zero byte ends a text early where it is joined.
    let clean = texts.flat_map(|(column, _)| {
        [0, SEPARATORS[0], SEPARATORS[1]].map(|byte| format!("instr({column}, char({byte})) = 0"))
    });
    let short = format!("ifnull(length(window_calls), 0) <= {MAX_WINDOW_BYTES}");
    nulls.chain(clean).chain([short]).collect::<Vec<_>>().join(" AND ")
}

/// Hands every breaker to `sink`: those that can be packed, and then the others.
pub(super) async fn load(
    readers: &SqlitePool,
    sink: &mut (dyn FnMut(Loaded) + Send),
) -> Result<(), StoreError> {
    let is_packable = is_packable();
    let value = |column: &str| {
        let kind = BREAKERS.columns.iter().find(|(name, _)| *name == column).map(|(_, kind)| *kind);
        let text = if kind == Some(Kind::Bytes) { format!("hex({column})") } else { column.into() };
        format!("iif({column} IS NULL, '-', '+' || {text})")
    };
    let line = PACKED.map(value).join(&format!(" || char({}) || ", SEPARATORS[0]));
    let packed = format!(
        "SELECT max(place) AS last, CAST(group_concat(CASE WHEN {is_packable} THEN {line} END, \
         char({})) AS BLOB) AS lines \
         FROM (SELECT rowid AS place, * FROM breakers WHERE rowid > ? ORDER BY rowid LIMIT ?)",
        SEPARATORS[1]
    );
    let mut last = i64::MIN;
    loop {
        let row: SqliteRow = sqlx::query(AssertSqlSafe(packed.as_str()))
            .bind(last)
            .bind(ROWS_AT_ONCE)
            .fetch_one(readers)
            .await
            .map_err(unavailable)?;
        let Some(next) = row.try_get("last").map_err(unavailable)? else { break };
        last = next;
        let lines: Option<&[u8]> = row.try_get("lines").map_err(unavailable)?;
        for line in lines.into_iter().flat_map(|lines| lines.split(|byte| *byte == SEPARATORS[1])) {
            sink(load_breaker(&PackedRow::of(line)));
        }
    }
    // Nobody writes while everything is loaded, so no row is seen twice or not at all.
    let others = format!("SELECT * FROM breakers WHERE NOT ({is_packable})");
    let rows = sqlx::query(AssertSqlSafe(others)).fetch(readers);
    super::load::each(rows, sink).await
}

/// A row whose values were joined.
struct PackedRow<'l> {
    /// In the order of [`PACKED`].
    values: [Option<&'l [u8]>; PACKED.len()],
    window_calls: Option<Vec<u8>>,
}

impl<'l> PackedRow<'l> {
    fn of(line: &'l [u8]) -> Self {
        let mut values = [None; PACKED.len()];
        let given = line.split(|byte| *byte == SEPARATORS[0]);
        for (value, given) in values.iter_mut().zip(given) {
            *value = match given.split_first() {
                Some((&NULL, _)) | None => None,
                Some((_, value)) => Some(value),
            };
        }
        let window_calls = values.last().copied().flatten().and_then(from_hex);
        Self { values, window_calls }
    }

    fn value(&self, column: &str) -> Option<&'l [u8]> {
        let place = PACKED.iter().position(|packed| *packed == column)?;
        self.values[place]
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, _) = text.as_chunks::<2>();
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

fn undecodable(column: &str, error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) }
}

impl Cells for PackedRow<'_> {
    fn integer(&self, column: &str) -> Result<Option<i64>, sqlx::Error> {
        let text = self.text(column)?;
        text.map(str::parse).transpose().map_err(|error| undecodable(column, error))
    }

    fn text(&self, column: &str) -> Result<Option<&str>, sqlx::Error> {
        let text = self.value(column).map(str::from_utf8);
        text.transpose().map_err(|error| undecodable(column, error))
    }

    fn bytes(&self, _: &str) -> Result<Option<&[u8]>, sqlx::Error> {
        Ok(self.window_calls.as_deref())
    }
}
