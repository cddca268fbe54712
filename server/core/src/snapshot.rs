//! A breaker as plain data, for storage. Restoring a snapshot changes no later decision.

use thiserror::Error;

use crate::breaker::Breaker;
use crate::counters::Counters;
use crate::metrics::{CallWindow, LastFailure, Metrics, PackedCall, RecentCalls, Totals};
use crate::overrides::Override;
use crate::probes::{Permit, Probes};
use crate::state::State;
use crate::time::Time;

/// Everything a breaker is, as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerSnapshot {
    /// The state and what belongs to it.
    pub state: StateSnapshot,
    /// When the state began.
    pub since: Time,
    /// The generation.
    pub generation: u64,
    /// Failures counted towards `failure_threshold`.
    pub failure_count: u32,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// The override in force.
    pub override_: Option<OverrideSnapshot>,
    /// The metrics; `None` before the first call.
    pub metrics: Option<MetricsSnapshot>,
}

/// An override, as it is.
pub type OverrideSnapshot = Override;

/// A state and what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub enum StateSnapshot {
    /// CLOSED.
    Closed,
    /// OPEN.
    Open {
        /// When it ends by itself.
        retry_at: Option<Time>,
    },
    /// HALF_OPEN.
    HalfOpen {
        /// The permits that are out.
        permits: Vec<Permit>,
        /// How many probes have succeeded.
        successes: u32,
        /// The serial number of the next permit.
        next_serial: u32,
    },
}

/// One call of the window, packed: two bits of outcome, one of slowness, nanoseconds above.
pub type WindowCall = u64;

/// The metrics as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsSnapshot {
    /// Counts since the breaker was created.
    pub totals: Totals,
    /// The calls of the window, the oldest first.
    pub window: Vec<WindowCall>,
    /// The outcomes of the last ten calls, two bits each, the latest in the lowest bits.
    pub recent: u32,
    /// The last call that failed.
    pub last_failure: Option<LastFailure>,
}

/// Why a snapshot is not one of a breaker.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Generations start at 1.
    #[error("the generation is 0")]
    NoGeneration,
    /// A call of the window has no outcome.
    #[error("call {0} of the window has no outcome")]
    BadCall(usize),
}

impl Breaker {
    /// The breaker as plain data.
    pub fn snapshot(&self) -> BreakerSnapshot {
        BreakerSnapshot {
            state: match &self.state {
                State::Closed => StateSnapshot::Closed,
                State::Open { retry_at } => StateSnapshot::Open { retry_at: *retry_at },
                State::HalfOpen(probes) => StateSnapshot::HalfOpen {
                    permits: probes.out().to_vec(),
                    successes: probes.successes(),
                    next_serial: probes.next_serial(),
                },
            },
            since: self.since,
            generation: self.generation,
            failure_count: self.counters.failures,
            consecutive_failures: self.counters.consecutive,
            override_: self.override_.as_deref().cloned(),
            metrics: self.metrics.as_deref().map(Metrics::snapshot),
        }
    }

    /// The breaker of a snapshot.
    ///
    /// # Errors
    /// If no breaker has such a snapshot.
    pub fn restore(snapshot: BreakerSnapshot) -> Result<Self, SnapshotError> {
        if snapshot.generation == 0 {
            return Err(SnapshotError::NoGeneration);
        }
        Ok(Self {
            state: match snapshot.state {
                StateSnapshot::Closed => State::Closed,
                StateSnapshot::Open { retry_at } => State::Open { retry_at },
                StateSnapshot::HalfOpen { permits, successes, next_serial } => {
                    State::HalfOpen(Probes::restored(permits, successes, next_serial))
                }
            },
            since: snapshot.since,
            generation: snapshot.generation,
            counters: Counters {
                failures: snapshot.failure_count,
                consecutive: snapshot.consecutive_failures,
            },
            override_: snapshot.override_.map(Box::new),
            metrics: snapshot.metrics.map(Metrics::restore).transpose()?.map(Box::new),
        })
    }
}

impl Metrics {
    fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot {
            totals: self.totals,
            window: self.window.calls().map(|call| call.0).collect(),
            recent: self.recent.0,
            last_failure: self.last_failure.clone(),
        }
    }

    fn restore(snapshot: MetricsSnapshot) -> Result<Self, SnapshotError> {
        let mut window = CallWindow::default();
        for (index, call) in snapshot.window.into_iter().map(PackedCall).enumerate() {
            if !call.is_valid() {
                return Err(SnapshotError::BadCall(index));
            }
            window.push_call(call, u32::MAX);
        }
        Ok(Self {
            totals: snapshot.totals,
            window,
            recent: RecentCalls::from_bits(snapshot.recent),
            last_failure: snapshot.last_failure,
        })
    }
}
