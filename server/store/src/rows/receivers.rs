use breaker_engine::{Damage, ReceiverRow};

use super::columns::Columns;
use super::{Cells, Kind, OnConflict, Sink, SinkExt, Table};

pub(crate) const RECEIVERS: Table<ReceiverRow> = Table {
    name: "alert_receivers",
    key: "name",
    columns: &[("name", Kind::Text), ("told", Kind::Integer)],
    on_conflict: OnConflict::Replace,
    fill,
};

fn fill<'r>(row: &'r ReceiverRow, sink: &mut dyn Sink<'r>) {
    sink.word(&row.name);
    sink.number(row.told);
}

/// The receiver in a row, or its name as it stands there, and what is wrong.
pub(crate) fn load(row: &dyn Cells) -> Result<ReceiverRow, (String, Damage)> {
    let columns = Columns::new(row);
    read(&columns).map_err(|damage| {
        let name = columns.get::<&str>("name").unwrap_or_default();
        (name.to_owned(), damage)
    })
}

fn read(columns: &Columns<'_>) -> Result<ReceiverRow, Damage> {
    let name: &str = columns.get("name")?;
    Ok(ReceiverRow { name: name.into(), told: columns.number("told")? })
}
