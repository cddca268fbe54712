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

/// The receivers in rows. One that cannot be understood is told from now on, as one that is new.
pub(crate) fn load<'r>(rows: impl Iterator<Item = &'r dyn Cells>) -> Vec<ReceiverRow> {
    rows.filter_map(|row| read(&Columns::new(row)).ok()).collect()
}

fn read(columns: &Columns<'_>) -> Result<ReceiverRow, Damage> {
    let name: &str = columns.get("name")?;
    Ok(ReceiverRow { name: name.into(), told: columns.number("told")? })
}
