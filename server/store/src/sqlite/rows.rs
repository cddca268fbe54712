//! Breakers and transitions as rows, and back. What cannot be understood is an error that names
//! the row, never a guess.

use std::fmt::Display;

use breaker_core::{
    Attribution, BreakerName, BreakerSnapshot, Counts, ErrorKind, LastFailure, MetricsSnapshot,
    Mode, Override, OverrideKind, Permit, PermitId, StateKind, StateSnapshot, Time, Totals,
    Transition,
};
use breaker_engine::{BreakerRow, StoreError, TransitionRecord};
use breaker_wire::{patch_from_value, patch_to_value};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use crate::words;

/// What of a breaker has no column of its own.
#[derive(Serialize, Deserialize)]
struct Detail {
    retry_at: Option<u64>,
    probes: Option<Probes>,
    failure_count: u32,
    consecutive_failures: u32,
    #[serde(rename = "override")]
    override_: Option<Set>,
    metrics: Option<Metrics>,
}

#[derive(Serialize, Deserialize)]
struct Probes {
    /// Ids and deadlines.
    out: Vec<(u64, u64)>,
    successes: u32,
    next_serial: u32,
}

#[derive(Serialize, Deserialize)]
struct Set {
    actor: String,
    reason: String,
    set_at: u64,
    expires_at: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Metrics {
    successes: u64,
    failures: u64,
    timeouts: u64,
    ignored: u64,
    late: u64,
    denied: u64,
    window: Vec<u64>,
    recent: u32,
    last_failure: Option<(u64, Option<String>)>,
}

#[derive(FromRow)]
pub(super) struct StoredBreaker {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) mode: String,
    pub(super) generation: i64,
    pub(super) revision: i64,
    pub(super) config_revision: i64,
    pub(super) since: i64,
    pub(super) created_at: i64,
    pub(super) own_config: String,
    pub(super) detail: String,
}

#[derive(FromRow)]
pub(super) struct StoredTransition {
    id: i64,
    breaker: String,
    revision: i64,
    generation: i64,
    from_state: String,
    to_state: String,
    from_mode: String,
    to_mode: String,
    cause: String,
    actor: String,
    reason: String,
    at: i64,
    failure_count: u32,
    consecutive_failures: u32,
    success_count: u32,
    window_calls: u32,
    window_failures: u32,
}

impl StoredBreaker {
    pub(super) fn of(row: &BreakerRow) -> Result<Self, StoreError> {
        let snapshot = &row.snapshot;
        let (state, retry_at, probes) = match &snapshot.state {
            StateSnapshot::Closed => (StateKind::Closed, None, None),
            StateSnapshot::Open { retry_at } => (StateKind::Open, *retry_at, None),
            StateSnapshot::HalfOpen { permits, successes, next_serial } => {
                let out = permits.iter().map(|p| (p.id.as_u64(), p.deadline.as_nanos())).collect();
                let (successes, next_serial) = (*successes, *next_serial);
                (StateKind::HalfOpen, None, Some(Probes { out, successes, next_serial }))
            }
        };
        let detail = Detail {
            retry_at: retry_at.map(Time::as_nanos),
            probes,
            failure_count: snapshot.failure_count,
            consecutive_failures: snapshot.consecutive_failures,
            override_: snapshot.override_.as_ref().map(Set::of),
            metrics: snapshot.metrics.as_ref().map(Metrics::of),
        };
        let detail =
            serde_json::to_string(&detail).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        Ok(Self {
            name: row.name.to_string(),
            state: words::of_state(state),
            mode: words::of_mode(
                snapshot.override_.as_ref().map_or(Mode::Normal, |set| set.kind.mode()),
            ),
            generation: snapshot.generation.cast_signed(),
            revision: row.revision.cast_signed(),
            config_revision: row.config_revision.cast_signed(),
            since: stored(snapshot.since),
            created_at: stored(row.created_at),
            own_config: patch_to_value(&row.own_config).to_string(),
            detail,
        })
    }
}

impl TryFrom<StoredBreaker> for BreakerRow {
    type Error = StoreError;

    fn try_from(row: StoredBreaker) -> Result<Self, StoreError> {
        let place = format!("breaker {:?}", row.name);
        let detail: Detail = understood(&place, "detail", serde_json::from_str(&row.detail))?;
        let own_config = understood(&place, "own_config", serde_json::from_str(&row.own_config))?;
        let own_config = patch_from_value(&own_config)
            .map_err(|violations| corrupt(&place, "own_config", &format!("{violations:?}")))?;
        let state = known(&place, "state", &row.state, words::to_state)?;
        let mode = known(&place, "mode", &row.mode, words::to_mode)?;
        let state = match (state, detail.probes) {
            (StateKind::Closed, _) => StateSnapshot::Closed,
            (StateKind::Open, _) => {
                StateSnapshot::Open { retry_at: detail.retry_at.map(Time::from_nanos) }
            }
            (StateKind::HalfOpen, Some(probes)) => probes.restored(),
            (StateKind::HalfOpen, None) => {
                return Err(corrupt(&place, "detail", &"half_open without probes"));
            }
        };
        let snapshot = BreakerSnapshot {
            state,
            since: loaded(row.since),
            generation: row.generation.cast_unsigned(),
            failure_count: detail.failure_count,
            consecutive_failures: detail.consecutive_failures,
            override_: override_in(mode, detail.override_, &place)?,
            metrics: detail.metrics.map(|metrics| metrics.restored(&place)).transpose()?,
        };
        Ok(Self {
            name: understood(&place, "name", BreakerName::new(&row.name))?,
            snapshot,
            own_config,
            revision: row.revision.cast_unsigned(),
            config_revision: row.config_revision.cast_unsigned(),
            created_at: loaded(row.created_at),
        })
    }
}

impl TryFrom<StoredTransition> for TransitionRecord {
    type Error = StoreError;

    fn try_from(row: StoredTransition) -> Result<Self, StoreError> {
        let place = format!("transition {}", row.id);
        let state = |column, word: &str| known(&place, column, word, words::to_state);
        let mode = |column, word: &str| known(&place, column, word, words::to_mode);
        Ok(Self {
            id: row.id.cast_unsigned(),
            breaker: understood(&place, "breaker", BreakerName::new(&row.breaker))?,
            revision: row.revision.cast_unsigned(),
            transition: Transition {
                from: state("from_state", &row.from_state)?,
                to: state("to_state", &row.to_state)?,
                from_mode: mode("from_mode", &row.from_mode)?,
                to_mode: mode("to_mode", &row.to_mode)?,
                generation: row.generation.cast_unsigned(),
                cause: known(&place, "cause", &row.cause, words::to_cause)?,
                by: understood(&place, "actor", Attribution::new(&row.actor, &row.reason))?,
                at: loaded(row.at),
                counts: Counts {
                    failure_count: row.failure_count,
                    consecutive_failures: row.consecutive_failures,
                    success_count: row.success_count,
                    window_calls: row.window_calls,
                    window_failures: row.window_failures,
                },
            },
        })
    }
}

impl Set {
    fn of(set: &Override) -> Self {
        Self {
            actor: set.by.actor().to_owned(),
            reason: set.by.reason().to_owned(),
            set_at: set.set_at.as_nanos(),
            expires_at: set.expires_at.map(Time::as_nanos),
        }
    }
}

impl Probes {
    fn restored(self) -> StateSnapshot {
        let permit = |(id, deadline)| Permit {
            id: PermitId::from_u64(id),
            deadline: Time::from_nanos(deadline),
        };
        StateSnapshot::HalfOpen {
            permits: self.out.into_iter().map(permit).collect(),
            successes: self.successes,
            next_serial: self.next_serial,
        }
    }
}

impl Metrics {
    fn of(metrics: &MetricsSnapshot) -> Self {
        let Totals { successes, failures, timeouts, ignored, late, denied } = metrics.totals;
        let last_failure = metrics.last_failure.as_ref().map(|last| {
            (last.at.as_nanos(), last.error_kind.as_ref().map(|kind| kind.as_str().to_owned()))
        });
        let (window, recent) = (metrics.window.clone(), metrics.recent);
        Self { successes, failures, timeouts, ignored, late, denied, window, recent, last_failure }
    }

    fn restored(self, place: &str) -> Result<MetricsSnapshot, StoreError> {
        let Self { successes, failures, timeouts, ignored, late, denied, .. } = self;
        let last_failure = match self.last_failure {
            None => None,
            Some((at, kind)) => {
                let kind = ErrorKind::parse(kind.as_deref().unwrap_or_default());
                let error_kind = understood(place, "detail", kind)?;
                Some(LastFailure { at: Time::from_nanos(at), error_kind })
            }
        };
        Ok(MetricsSnapshot {
            totals: Totals { successes, failures, timeouts, ignored, late, denied },
            window: self.window,
            recent: self.recent,
            last_failure,
        })
    }
}

fn override_in(mode: Mode, set: Option<Set>, place: &str) -> Result<Option<Override>, StoreError> {
    let kind = match mode {
        Mode::Normal => return Ok(None),
        Mode::ForcedOpen => OverrideKind::ForcedOpen,
        Mode::ForcedClosed => OverrideKind::ForcedClosed,
        Mode::Disabled => OverrideKind::Disabled,
        Mode::Shadow => OverrideKind::Shadow,
    };
    let Some(set) = set else { return Err(corrupt(place, "detail", &"no override")) };
    Ok(Some(Override {
        kind,
        by: understood(place, "detail", Attribution::new(&set.actor, &set.reason))?,
        set_at: Time::from_nanos(set.set_at),
        expires_at: set.expires_at.map(Time::from_nanos),
    }))
}

/// An instant as a column holds it; one past the year 2262 is clamped.
pub(super) fn stored(time: Time) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn loaded(nanos: i64) -> Time {
    Time::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

fn known<T>(
    place: &str,
    column: &str,
    word: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    parse(word).ok_or_else(|| corrupt(place, column, &format!("{word:?} is not known")))
}

fn understood<T, E: Display>(
    place: &str,
    column: &str,
    value: Result<T, E>,
) -> Result<T, StoreError> {
    value.map_err(|error| corrupt(place, column, &error))
}

fn corrupt(place: &str, column: &str, error: &dyn Display) -> StoreError {
    StoreError::Corrupt(format!("{place}, column {column}: {error}"))
}
