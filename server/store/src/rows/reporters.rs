use breaker_core::Time;
use breaker_engine::{Damage, LoadedReporter, ReporterRow};

use super::columns::Columns;
use super::{Cells, Kind, OnConflict, Sink, SinkExt, Table};

/// Ids are stored as bytes: a text of a database cannot hold everything that an id can, and bytes
/// have one order everywhere.
pub(crate) const REPORTERS: Table<ReporterRow> = Table {
    name: "reporters",
    key: "id",
    columns: &[
        ("id", Kind::Bytes),
        ("highest", Kind::Integer),
        ("recent", Kind::Bytes),
        ("heard_at", Kind::Integer),
    ],
    on_conflict: OnConflict::Replace,
    fill,
};

/// Those that were heard of last, and of these the one first that was silent for longest. Both
/// databases speak this part of the language alike, and the next one.
pub(crate) const REPORTERS_HEARD_LAST: &str = "SELECT id, highest, recent, heard_at FROM \
     (SELECT * FROM reporters ORDER BY heard_at DESC LIMIT $1) AS latest ORDER BY heard_at";

/// Of so many reporters behind an id: the last one, how many there are, and how many were silent.
pub(crate) const SILENT_REPORTERS: &str = "WITH those AS MATERIALIZED \
     (SELECT id, heard_at FROM reporters WHERE id > $1 ORDER BY id LIMIT $2) \
     SELECT (SELECT id FROM those ORDER BY id DESC LIMIT 1) AS last, count(*) AS looked_at, \
     count(CASE WHEN heard_at < $3 THEN 1 END) AS silent FROM those";

fn fill<'r>(row: &'r ReporterRow, sink: &mut dyn Sink<'r>) {
    let ReporterRow { id, highest, recent, heard_at } = row;
    sink.bytes(Some(id.as_bytes().to_vec()));
    sink.number(*highest);
    sink.bytes(Some(recent.to_le_bytes().to_vec()));
    sink.time(*heard_at);
}

/// The reporter in a row, if it can be understood.
pub(crate) fn load(row: &dyn Cells) -> LoadedReporter {
    let columns = Columns::new(row);
    read(&columns).map_err(|damage| {
        let id = columns.get::<&[u8]>("id").unwrap_or_default();
        (String::from_utf8_lossy(id).into_owned(), damage)
    })
}

fn read(columns: &Columns<'_>) -> Result<ReporterRow, Damage> {
    let id = str::from_utf8(columns.get("id")?).map_err(|error| Damage::new("id", error))?;
    let highest = columns.number("highest")?;
    if highest == 0 {
        return Err(Damage::new("highest", "0 is not a sequence number"));
    }
    let bytes: &[u8] = columns.get("recent")?;
    let recent = bytes.try_into().map(u128::from_le_bytes).map_err(|_| {
        Damage::new("recent", format!("{} bytes are not the 16 of 128 reports", bytes.len()))
    })?;
    if recent & 1 == 0 {
        return Err(Damage::new("recent", "the highest report is missing"));
    }
    let heard_at: Time = columns.time("heard_at")?;
    Ok(ReporterRow { id: id.into(), highest, recent, heard_at })
}
