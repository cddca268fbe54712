use breaker_core::{
    BreakerSnapshot, ConfigPatch, ErrorKind, LastFailure, MetricsSnapshot, Mode, OverrideKind,
    OverrideSnapshot, StateKind, StateSnapshot, Time, Totals, WindowSnapshot,
};
use breaker_engine::{BreakerRow, Damage, DamagedRow, Loaded};
use breaker_wire::{patch_from_value, patch_to_value};

use super::columns::Columns;
use super::{Cells, Kind, OnConflict, Sink, SinkExt, Table};
use crate::json::Stored;
use crate::text::Word;

pub(crate) const BREAKERS: Table<BreakerRow> = Table {
    name: "breakers",
    key: "name",
    columns: &[
        ("name", Kind::Text),
        ("revision", Kind::Integer),
        ("config_revision", Kind::Integer),
        ("created_at", Kind::Integer),
        ("state", Kind::Text),
        ("since", Kind::Integer),
        ("generation", Kind::Integer),
        ("retry_at", Kind::Integer),
        ("permits", Kind::Text),
        ("probe_successes", Kind::Integer),
        ("next_permit_serial", Kind::Integer),
        ("probe_failures", Kind::Integer),
        ("ramp", Kind::Text),
        ("failure_count", Kind::Integer),
        ("consecutive_failures", Kind::Integer),
        ("mode", Kind::Text),
        ("override_actor", Kind::Text),
        ("override_reason", Kind::Text),
        ("override_set_at", Kind::Integer),
        ("override_expires_at", Kind::Integer),
        ("own_config", Kind::Text),
        ("successes", Kind::Integer),
        ("failures", Kind::Integer),
        ("timeouts", Kind::Integer),
        ("ignored", Kind::Integer),
        ("late", Kind::Integer),
        ("denied", Kind::Integer),
        ("recent_calls", Kind::Integer),
        ("last_failure_at", Kind::Integer),
        ("last_failure_kind", Kind::Text),
        ("window_calls", Kind::Bytes),
        ("window_buckets", Kind::Text),
        ("memory", Kind::Text),
        ("used_at", Kind::Integer),
    ],
    on_conflict: OnConflict::Replace,
    fill,
};

/// A configuration without any value.
const EMPTY_CONFIG: &str = "{}";

fn fill<'r>(row: &'r BreakerRow, sink: &mut dyn Sink<'r>) {
    let BreakerRow { name, snapshot, own_config, revision, config_revision, created_at, used_at } =
        row;
    sink.word(name.as_str());
    sink.number(*revision);
    sink.number(*config_revision);
    sink.time(*created_at);
    fill_state(snapshot, sink);
    sink.small(snapshot.failure_count);
    sink.small(snapshot.consecutive_failures);
    fill_override(snapshot.override_.as_ref(), sink);
    if *own_config == ConfigPatch::default() {
        sink.word(EMPTY_CONFIG);
    } else {
        sink.written(Some(patch_to_value(own_config).to_string()));
    }
    fill_metrics(snapshot.metrics.as_ref(), sink);
    sink.written(snapshot.memory.as_ref().map(Stored::to_text));
    sink.time_if_any(*used_at);
}

fn fill_state<'r>(snapshot: &'r BreakerSnapshot, sink: &mut dyn Sink<'r>) {
    let (kind, retry_at) = match &snapshot.state {
        StateSnapshot::Closed => (StateKind::Closed, None),
        StateSnapshot::Open { retry_at } => (StateKind::Open, *retry_at),
        StateSnapshot::HalfOpen { .. } => (StateKind::HalfOpen, None),
    };
    sink.word(kind.as_word());
    sink.time(snapshot.since);
    sink.number(snapshot.generation);
    sink.time_if_any(retry_at);
    match &snapshot.state {
        StateSnapshot::HalfOpen { permits, successes, failures, next_serial, ramp } => {
            sink.written(Some(permits.to_text()));
            sink.small(*successes);
            sink.small(*next_serial);
            sink.small(*failures);
            sink.written(ramp.as_ref().map(Stored::to_text));
        }
        StateSnapshot::Closed | StateSnapshot::Open { .. } => {
            sink.text(None);
            sink.integer(None);
            sink.integer(None);
            sink.integer(None);
            sink.text(None);
        }
    }
}

fn fill_override<'r>(override_: Option<&'r OverrideSnapshot>, sink: &mut dyn Sink<'r>) {
    sink.word(override_.map_or(Mode::Normal, |o| o.kind.mode()).as_word());
    sink.text(override_.map(|o| o.by.actor().into()));
    sink.text(override_.map(|o| o.by.reason().into()));
    sink.time_if_any(override_.map(|o| o.set_at));
    sink.time_if_any(override_.and_then(|o| o.expires_at));
}

fn fill_metrics<'r>(metrics: Option<&'r MetricsSnapshot>, sink: &mut dyn Sink<'r>) {
    let totals = metrics.map_or_else(Totals::default, |m| m.totals);
    let last_failure = metrics.and_then(|m| m.last_failure.as_ref());
    let Totals { successes, failures, timeouts, ignored, late, denied } = totals;
    for total in [successes, failures, timeouts, ignored, late, denied] {
        sink.number(total);
    }
    sink.small(metrics.map_or(0, |m| m.recent));
    sink.time_if_any(last_failure.map(|failure| failure.at));
    let kind = last_failure.and_then(|failure| failure.error_kind());
    sink.text(kind.map(Into::into));
    sink.bytes(metrics.map(|m| window_to_bytes(&m.window)));
    sink.written(metrics.and_then(|m| buckets_to_text(&m.window)));
}

/// The breaker in a row, as far as it can be understood.
pub(crate) fn load(row: &dyn Cells) -> Loaded {
    let columns = Columns::new(row);
    match read(&columns) {
        Ok(row) => Loaded::Breaker(row),
        Err(damage) => Loaded::Damaged(read_legible(&columns, damage)),
    }
}

fn read(columns: &Columns<'_>) -> Result<BreakerRow, Damage> {
    Ok(BreakerRow {
        name: columns.breaker("name")?,
        snapshot: BreakerSnapshot {
            state: read_state(columns)?,
            since: columns.time("since")?,
            generation: columns.number("generation")?,
            failure_count: columns.get("failure_count")?,
            consecutive_failures: columns.get("consecutive_failures")?,
            override_: read_override(columns)?,
            metrics: read_metrics(columns)?,
            memory: columns.json("memory")?,
        },
        own_config: read_own_config(columns)?,
        revision: columns.number("revision")?,
        config_revision: columns.number("config_revision")?,
        created_at: columns.time("created_at")?,
        used_at: columns.time_if_any("used_at")?,
    })
}

/// What of a damaged row can be read all the same.
fn read_legible(columns: &Columns<'_>, damage: Damage) -> DamagedRow {
    DamagedRow {
        damage,
        name: columns.breaker("name").ok(),
        own_config: read_own_config(columns).ok(),
        revision: columns.number("revision").ok(),
        config_revision: columns.number("config_revision").ok(),
        generation: columns.number("generation").ok(),
        created_at: columns.time("created_at").ok(),
        used_at: columns.time_if_any("used_at").ok().flatten(),
    }
}

fn read_state(columns: &Columns<'_>) -> Result<StateSnapshot, Damage> {
    Ok(match columns.word("state")? {
        StateKind::Closed => StateSnapshot::Closed,
        StateKind::Open => StateSnapshot::Open { retry_at: columns.time_if_any("retry_at")? },
        StateKind::HalfOpen => StateSnapshot::HalfOpen {
            permits: columns
                .json("permits")?
                .ok_or_else(|| Damage::new("permits", "it is NULL"))?,
            successes: columns.get("probe_successes")?,
            // Rows from before there were ways for a failed probe not to end HALF_OPEN have none.
            failures: columns.get::<Option<u32>>("probe_failures")?.unwrap_or(0),
            next_serial: columns.get("next_permit_serial")?,
            ramp: columns.json("ramp")?,
        },
    })
}

fn read_override(columns: &Columns<'_>) -> Result<Option<OverrideSnapshot>, Damage> {
    let kind = match columns.word("mode")? {
        Mode::Normal => return Ok(None),
        Mode::ForcedOpen => OverrideKind::ForcedOpen,
        Mode::ForcedClosed => OverrideKind::ForcedClosed,
        Mode::Disabled => OverrideKind::Disabled,
        Mode::Shadow => OverrideKind::Shadow,
    };
    let set_at: i64 = columns.get("override_set_at")?;
    Ok(Some(OverrideSnapshot {
        kind,
        by: columns.attribution("override_actor", "override_reason")?,
        set_at: Time::from_nanos(set_at.cast_unsigned()),
        expires_at: columns.time_if_any("override_expires_at")?,
    }))
}

fn read_own_config(columns: &Columns<'_>) -> Result<ConfigPatch, Damage> {
    let text: &str = columns.get("own_config")?;
    if text == EMPTY_CONFIG {
        return Ok(ConfigPatch::default());
    }
    let value = serde_json::from_str(text).map_err(|error| Damage::new("own_config", error))?;
    patch_from_value(&value).map_err(|violations| {
        let told: Vec<_> = violations.iter().map(ToString::to_string).collect();
        Damage::new("own_config", told.join("; "))
    })
}

fn read_metrics(columns: &Columns<'_>) -> Result<Option<MetricsSnapshot>, Damage> {
    let Some(window) = columns.get::<Option<&[u8]>>("window_calls")? else { return Ok(None) };
    Ok(Some(MetricsSnapshot {
        totals: Totals {
            successes: columns.number("successes")?,
            failures: columns.number("failures")?,
            timeouts: columns.number("timeouts")?,
            ignored: columns.number("ignored")?,
            late: columns.number("late")?,
            denied: columns.number("denied")?,
        },
        window: match columns.json("window_buckets")? {
            Some(buckets) => buckets,
            None => window_from_bytes(window).map(WindowSnapshot::Calls).ok_or_else(|| {
                let problem = format!("{} bytes are no whole calls", window.len());
                Damage::new("window_calls", problem)
            })?,
        },
        recent: columns.get("recent_calls")?,
        last_failure: read_last_failure(columns)?,
    }))
}

fn read_last_failure(columns: &Columns<'_>) -> Result<Option<LastFailure>, Damage> {
    let Some(at) = columns.time_if_any("last_failure_at")? else { return Ok(None) };
    let kind: Option<&str> = columns.get("last_failure_kind")?;
    let error_kind = ErrorKind::parse(kind.unwrap_or_default())
        .map_err(|error| Damage::new("last_failure_kind", error))?;
    Ok(Some(LastFailure::new(at, error_kind.as_ref())))
}

/// The calls of a window that keeps them; a window over time has a column of its own.
fn window_to_bytes(window: &WindowSnapshot) -> Vec<u8> {
    match window {
        WindowSnapshot::Calls(calls) => calls.iter().flat_map(|call| call.to_le_bytes()).collect(),
        WindowSnapshot::Buckets { .. } => Vec::new(),
    }
}

fn buckets_to_text(window: &WindowSnapshot) -> Option<String> {
    matches!(window, WindowSnapshot::Buckets { .. }).then(|| window.to_text())
}

fn window_from_bytes(bytes: &[u8]) -> Option<Vec<u64>> {
    let (calls, rest) = bytes.as_chunks();
    rest.is_empty().then(|| calls.iter().map(|&call| u64::from_le_bytes(call)).collect())
}
