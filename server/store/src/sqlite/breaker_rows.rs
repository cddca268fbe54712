use breaker_core::{
    BreakerSnapshot, ConfigPatch, ErrorKind, LastFailure, MetricsSnapshot, Mode, OverrideKind,
    OverrideSnapshot, StateKind, StateSnapshot, Time, Totals, WindowSnapshot,
};
use breaker_engine::{BreakerRow, Damage, DamagedRow, Loaded, StoreError};
use breaker_wire::{patch_from_value, patch_to_value};
use futures::TryStreamExt;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqlitePool};

use super::columns::{Columns, time_to_column};
use super::errors::unavailable;
use crate::json::Stored;
use crate::text::Word;

/// The columns of `breakers` in the order in which [`bind`] gives their values.
pub(super) const COLUMNS: &[&str] = &[
    "name",
    "revision",
    "config_revision",
    "created_at",
    "state",
    "since",
    "generation",
    "retry_at",
    "permits",
    "probe_successes",
    "next_permit_serial",
    "probe_failures",
    "ramp",
    "failure_count",
    "consecutive_failures",
    "mode",
    "override_actor",
    "override_reason",
    "override_set_at",
    "override_expires_at",
    "own_config",
    "successes",
    "failures",
    "timeouts",
    "ignored",
    "late",
    "denied",
    "recent_calls",
    "last_failure_at",
    "last_failure_kind",
    "window_calls",
    "window_buckets",
    "memory",
];

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// A configuration without any value.
const EMPTY_CONFIG: &str = "{}";

/// Hands every breaker to `sink` as it is read.
pub(super) async fn load(
    readers: &SqlitePool,
    sink: &mut (dyn FnMut(Loaded) + Send),
) -> Result<(), StoreError> {
    let mut rows = sqlx::query("SELECT * FROM breakers").fetch(readers);
    while let Some(row) = rows.try_next().await.map_err(unavailable)? {
        let columns = Columns::new(&row);
        sink(match read(&columns) {
            Ok(row) => Loaded::Breaker(row),
            Err(damage) => Loaded::Damaged(read_legible(&columns, damage)),
        });
    }
    Ok(())
}

/// Binds the values of a row, in the order of [`COLUMNS`].
pub(super) fn bind<'q>(query: Query<'q>, row: &'q BreakerRow) -> Query<'q> {
    let BreakerRow { name, snapshot, own_config, revision, config_revision, created_at } = row;
    let query = query
        .bind(name.as_str())
        .bind(revision.cast_signed())
        .bind(config_revision.cast_signed())
        .bind(time_to_column(*created_at));
    let query = bind_state(query, snapshot)
        .bind(snapshot.failure_count)
        .bind(snapshot.consecutive_failures);
    let query = bind_override(query, snapshot.override_.as_ref());
    let query = if *own_config == ConfigPatch::default() {
        query.bind(EMPTY_CONFIG)
    } else {
        query.bind(patch_to_value(own_config).to_string())
    };
    bind_metrics(query, snapshot.metrics.as_ref())
        .bind(snapshot.memory.as_ref().map(Stored::to_text))
}

fn bind_state<'q>(query: Query<'q>, snapshot: &BreakerSnapshot) -> Query<'q> {
    let (kind, retry_at) = match &snapshot.state {
        StateSnapshot::Closed => (StateKind::Closed, None),
        StateSnapshot::Open { retry_at } => (StateKind::Open, *retry_at),
        StateSnapshot::HalfOpen { .. } => (StateKind::HalfOpen, None),
    };
    let query = query
        .bind(kind.as_word())
        .bind(time_to_column(snapshot.since))
        .bind(snapshot.generation.cast_signed())
        .bind(retry_at.map(time_to_column));
    match &snapshot.state {
        StateSnapshot::HalfOpen { permits, successes, failures, next_serial, ramp } => query
            .bind(Some(permits.to_text()))
            .bind(Some(*successes))
            .bind(Some(*next_serial))
            .bind(Some(*failures))
            .bind(ramp.as_ref().map(Stored::to_text)),
        StateSnapshot::Closed | StateSnapshot::Open { .. } => query
            .bind(None::<String>)
            .bind(None::<u32>)
            .bind(None::<u32>)
            .bind(None::<u32>)
            .bind(None::<String>),
    }
}

fn bind_override<'q>(query: Query<'q>, override_: Option<&'q OverrideSnapshot>) -> Query<'q> {
    query
        .bind(override_.map_or(Mode::Normal, |o| o.kind.mode()).as_word())
        .bind(override_.map(|o| o.by.actor()))
        .bind(override_.map(|o| o.by.reason()))
        .bind(override_.map(|o| time_to_column(o.set_at)))
        .bind(override_.and_then(|o| o.expires_at).map(time_to_column))
}

fn bind_metrics<'q>(query: Query<'q>, metrics: Option<&'q MetricsSnapshot>) -> Query<'q> {
    let totals = metrics.map_or_else(Totals::default, |m| m.totals);
    let last_failure = metrics.and_then(|m| m.last_failure.as_ref());
    query
        .bind(totals.successes.cast_signed())
        .bind(totals.failures.cast_signed())
        .bind(totals.timeouts.cast_signed())
        .bind(totals.ignored.cast_signed())
        .bind(totals.late.cast_signed())
        .bind(totals.denied.cast_signed())
        .bind(metrics.map_or(0, |m| m.recent))
        .bind(last_failure.map(|failure| time_to_column(failure.at)))
        .bind(last_failure.and_then(|failure| failure.error_kind.as_ref()).map(ErrorKind::as_str))
        .bind(metrics.map(|m| window_to_bytes(&m.window)))
        .bind(metrics.and_then(|m| buckets_to_text(&m.window)))
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
            successes: columns.required("probe_successes")?,
            // Rows from before there were ways for a failed probe not to end HALF_OPEN have none.
            failures: columns.get::<Option<u32>>("probe_failures")?.unwrap_or(0),
            next_serial: columns.required("next_permit_serial")?,
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
    let set_at: i64 = columns.required("override_set_at")?;
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
    Ok(Some(LastFailure { at, error_kind }))
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
