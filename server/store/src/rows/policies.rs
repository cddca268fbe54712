use breaker_core::{AlertPatch, ConfigPatch, Violation};
use breaker_engine::{Damage, PolicyName, PolicyRow, PolicySpec, Selector, StoredPolicies};
use breaker_wire::{alerts_from_value, alerts_to_value, patch_from_value, patch_to_value};

use super::columns::Columns;
use super::{Cells, Kind, OnConflict, Sink, SinkExt, Table};

pub(crate) const POLICIES: Table<PolicyRow> = Table {
    name: "policies",
    key: "name",
    columns: &[
        ("name", Kind::Text),
        ("revision", Kind::Integer),
        ("selector", Kind::Text),
        ("priority", Kind::Integer),
        ("config", Kind::Text),
        ("created_at", Kind::Integer),
        ("updated_at", Kind::Integer),
        ("alerts", Kind::Text),
    ],
    on_conflict: OnConflict::Replace,
    fill,
};

fn fill<'r>(row: &'r PolicyRow, sink: &mut dyn Sink<'r>) {
    let PolicyRow { name, spec, revision, created_at, updated_at } = row;
    sink.word(name.as_str());
    sink.number(*revision);
    sink.word(spec.selector.as_str());
    sink.integer(Some(spec.priority.into()));
    sink.written(Some(patch_to_value(&spec.config).to_string()));
    sink.time(*created_at);
    sink.time_if_any(*updated_at);
    sink.written(Some(alerts_to_value(&spec.alerts).to_string()));
}

/// The policies in rows, as far as they can be understood.
pub(crate) fn load<'r>(rows: impl Iterator<Item = &'r dyn Cells>) -> StoredPolicies {
    StoredPolicies::of(rows.map(|row| {
        let columns = Columns::new(row);
        (columns.get::<&str>("name").unwrap_or_default().to_owned(), read(&columns))
    }))
}

/// The policy in a row.
pub(crate) fn load_one(row: &dyn Cells) -> Result<PolicyRow, Damage> {
    read(&Columns::new(row))
}

fn read(columns: &Columns<'_>) -> Result<PolicyRow, Damage> {
    let name = PolicyName::new(columns.get("name")?).map_err(|e| Damage::new("name", e))?;
    let selector = Selector::parse(columns.get("selector")?);
    let spec = PolicySpec {
        selector: selector.map_err(|error| Damage::new("selector", error))?,
        priority: columns.get("priority")?,
        config: read_config(columns)?,
        alerts: read_alerts(columns)?,
    };
    Ok(PolicyRow {
        name,
        spec,
        revision: columns.number("revision")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time_if_any("updated_at")?,
    })
}

fn read_config(columns: &Columns<'_>) -> Result<ConfigPatch, Damage> {
    let text: &str = columns.get("config")?;
    let value = serde_json::from_str(text).map_err(|error| Damage::new("config", error))?;
    patch_from_value(&value).map_err(|violations| refused("config", &violations))
}

/// Backups from before there were alerts have no such column.
fn read_alerts(columns: &Columns<'_>) -> Result<AlertPatch, Damage> {
    let Some(text) = columns.get::<Option<&str>>("alerts")? else {
        return Ok(AlertPatch::default());
    };
    let value = serde_json::from_str(text).map_err(|error| Damage::new("alerts", error))?;
    alerts_from_value(&value).map_err(|violations| refused("alerts", &violations))
}

fn refused(column: &'static str, violations: &[Violation]) -> Damage {
    let told: Vec<_> = violations.iter().map(ToString::to_string).collect();
    Damage::new(column, told.join("; "))
}
