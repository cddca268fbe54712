use breaker_core::BreakerName;
use breaker_engine::{
    Acknowledgement, AlertRow, AlertRule, Damage, MAX_NUMBER, Severity, StoredAlerts,
};

use super::columns::Columns;
use super::receivers::load as load_receiver;
use super::{Cells, Kind, OnConflict, Sink, SinkExt, Table};

pub(crate) const ALERTS: Table<AlertRow> = Table {
    name: "alerts",
    key: "id",
    columns: &[
        ("id", Kind::Integer),
        ("revision", Kind::Integer),
        ("rule", Kind::Text),
        ("severity", Kind::Text),
        ("breaker", Kind::Text),
        ("summary", Kind::Text),
        ("started_at", Kind::Integer),
        ("ended_at", Kind::Integer),
        ("notified_at", Kind::Integer),
        ("repeat_count", Kind::Integer),
        ("seen_by", Kind::Text),
        ("seen_comment", Kind::Text),
        ("seen_at", Kind::Integer),
    ],
    on_conflict: OnConflict::Replace,
    fill,
};

fn fill<'r>(row: &'r AlertRow, sink: &mut dyn Sink<'r>) {
    sink.number(row.id);
    sink.number(row.revision);
    sink.word(row.rule.as_str());
    sink.word(row.severity.as_str());
    sink.written(row.breaker.as_ref().map(ToString::to_string));
    sink.written(Some(storable(&row.summary)));
    sink.time(row.started_at);
    sink.time_if_any(row.ended_at);
    sink.time(row.notified_at);
    sink.small(row.repeat_count);
    let seen = row.acknowledgement.as_ref();
    sink.written(seen.map(|seen| storable(&seen.actor)));
    sink.written(seen.map(|seen| storable(&seen.comment)));
    sink.time_if_any(seen.map(|seen| seen.at));
}

/// A text of a database cannot hold everything that one of ours can.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The alerts in rows, and their receivers, as far as they can be understood.
pub(crate) fn load<'r>(
    rows: impl Iterator<Item = &'r dyn Cells>,
    receivers: impl Iterator<Item = &'r dyn Cells>,
) -> StoredAlerts {
    let mut alerts = StoredAlerts::default();
    for receiver in receivers {
        match load_receiver(receiver) {
            Ok(row) => alerts.receivers.push(row),
            Err(damaged) => alerts.damaged_receivers.push(damaged),
        }
    }
    for row in rows {
        let columns = Columns::new(row);
        match read(&columns) {
            Ok(row) => alerts.rows.push(row),
            Err(damage) => {
                alerts.damaged.push((columns.number("id").unwrap_or_default(), damage));
            }
        }
    }
    alerts
}

fn read(columns: &Columns<'_>) -> Result<AlertRow, Damage> {
    let word = |column: &'static str| columns.get::<&str>(column);
    let number = |column: &'static str| match columns.number(column)? {
        number if number < MAX_NUMBER => Ok(number),
        number => Err(Damage::new(column, format!("{number} is not a number of an alert"))),
    };
    let (rule, severity) = (word("rule")?, word("severity")?);
    let breaker = columns.get::<Option<&str>>("breaker")?;
    let breaker = breaker.map(BreakerName::new).transpose();
    let seen_at = columns.time_if_any("seen_at")?;
    Ok(AlertRow {
        id: number("id")?,
        revision: number("revision")?,
        rule: AlertRule::from_name(rule)
            .ok_or_else(|| Damage::new("rule", format!("`{rule}` is not a rule")))?,
        severity: Severity::from_name(severity)
            .ok_or_else(|| Damage::new("severity", format!("`{severity}` is not a severity")))?,
        breaker: breaker.map_err(|error| Damage::new("breaker", error))?,
        summary: word("summary")?.to_owned(),
        started_at: columns.time("started_at")?,
        ended_at: columns.time_if_any("ended_at")?,
        notified_at: columns.time("notified_at")?,
        repeat_count: columns.get("repeat_count")?,
        acknowledgement: match seen_at {
            Some(at) => Some(Acknowledgement {
                actor: word("seen_by")?.to_owned(),
                comment: word("seen_comment")?.to_owned(),
                at,
            }),
            None => None,
        },
    })
}
