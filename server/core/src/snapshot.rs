//! A breaker as plain data, for storage. Restoring a snapshot changes no later decision, unless it
//! holds what cannot be: a time that a clock set back has put into the future, or that nobody wrote.

mod bounds;
mod memory;

use thiserror::Error;

pub use self::memory::{
    AdaptedSnapshot, BadCallsSnapshot, MemorySnapshot, QuorumSnapshot, WindowSnapshot,
};

use crate::breaker::{Breaker, GENERATION_START};
use crate::config::Config;
use crate::counters::Counters;
use crate::metrics::{LastFailure, Metrics, RecentCalls, Totals};
use crate::overrides::Override;
use crate::probes::{Permit, Probes};
use crate::ramp::Ramping;
use crate::state::{HalfOpen, State};
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
    /// What the rules remember; `None` where none needs to.
    pub memory: Option<MemorySnapshot>,
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
        /// How many probes have failed.
        failures: u32,
        /// The serial number of the next permit.
        next_serial: u32,
        /// Where the ramp stands, once the probes have succeeded.
        ramp: Option<Ramping>,
    },
}

/// One call of the window, packed: two bits of outcome, one of slowness, nanoseconds above.
pub type WindowCall = u64;

/// The metrics as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsSnapshot {
    /// Counts since the breaker was created.
    pub totals: Totals,
    /// The calls of the window.
    pub window: WindowSnapshot,
    /// The outcomes of the last ten calls, two bits each, the latest in the lowest bits.
    pub recent: u32,
    /// The last call that failed.
    pub last_failure: Option<LastFailure>,
}

/// The highest generation that is taken for one: far above what counting reaches, and far enough
/// below the end of the numbers to count on.
const MAX_GENERATION: u64 = 1 << 62;

/// Why a snapshot is not one of a breaker.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Generations start at 1, and grow one by one.
    #[error("{0} is not a generation")]
    BadGeneration(u64),
    /// An OPEN that no override holds has no end.
    #[error("OPEN has no end, and no override that holds it")]
    EndlessOpen,
    /// The window of the metrics is none.
    #[error("{0}")]
    BadMetrics(ContentsError),
    /// What the rules remember is nothing that they can have seen.
    #[error("{0}")]
    BadMemory(ContentsError),
}

/// Why the contents of a window, or the shares of reporters, are none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ContentsError {
    /// A call of the window has no outcome.
    #[error("call {0} of the window has no outcome")]
    BadCall(usize),
    /// The buckets of a window are not in order, or too many.
    #[error("the buckets of a window are not in order, or too many")]
    BadBuckets,
    /// The shares of the reporters are not as many as there are places.
    #[error("the reporters' shares are {0}, not as many as there are places")]
    BadShares(usize),
}

impl Breaker {
    /// The breaker as plain data.
    pub fn snapshot(&self) -> BreakerSnapshot {
        BreakerSnapshot {
            state: match &self.state {
                State::Closed => StateSnapshot::Closed,
                State::Open { retry_at } => StateSnapshot::Open { retry_at: *retry_at },
                State::HalfOpen(half_open) => StateSnapshot::HalfOpen {
                    permits: half_open.probes.out().to_vec(),
                    successes: half_open.probes.successes(),
                    failures: half_open.probes.failures(),
                    next_serial: half_open.probes.next_serial(),
                    ramp: half_open.ramp,
                },
            },
            since: self.since,
            generation: self.generation,
            failure_count: self.counters.failures,
            consecutive_failures: self.counters.consecutive,
            override_: self.override_.as_deref().cloned(),
            metrics: self.metrics.as_deref().map(Metrics::snapshot),
            memory: self.memory.as_deref().map(MemorySnapshot::of),
        }
    }

    /// The breaker of a snapshot, under the configuration that it lives by now, with nothing
    /// further in the future than it [may be](BreakerSnapshot::bound).
    ///
    /// # Errors
    /// If no breaker has such a snapshot.
    pub fn restore(
        mut snapshot: BreakerSnapshot,
        config: &Config,
        now: Time,
    ) -> Result<Self, SnapshotError> {
        if !(GENERATION_START..=MAX_GENERATION).contains(&snapshot.generation) {
            return Err(SnapshotError::BadGeneration(snapshot.generation));
        }
        snapshot.bound(config, now);
        let mut breaker = Self {
            state: match snapshot.state {
                StateSnapshot::Closed => State::Closed,
                StateSnapshot::Open { retry_at } => State::Open { retry_at },
                StateSnapshot::HalfOpen { permits, successes, failures, next_serial, ramp } => {
                    let probes = Probes::restored(permits, (successes, failures), next_serial);
                    let ramp = ramp.map(Ramping::restored);
                    State::HalfOpen(Box::new(HalfOpen { probes, ramp }))
                }
            },
            since: snapshot.since,
            generation: snapshot.generation,
            counters: Counters {
                failures: snapshot.failure_count,
                consecutive: snapshot.consecutive_failures,
            },
            override_: snapshot.override_.map(Box::new),
            metrics: snapshot
                .metrics
                .map(Metrics::restore)
                .transpose()
                .map_err(SnapshotError::BadMetrics)?
                .map(Box::new),
            memory: snapshot
                .memory
                .map(MemorySnapshot::restore)
                .transpose()
                .map_err(SnapshotError::BadMemory)?
                .map(Box::new),
        };
        if breaker.state == (State::Open { retry_at: None }) && !breaker.is_held() {
            return Err(SnapshotError::EndlessOpen);
        }
        breaker.reconfigure(config);
        Ok(breaker)
    }
}

impl Metrics {
    fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot {
            totals: self.totals,
            window: WindowSnapshot::of(&self.window),
            recent: self.recent.0,
            last_failure: self.last_failure.clone(),
        }
    }

    fn restore(snapshot: MetricsSnapshot) -> Result<Self, ContentsError> {
        Ok(Self {
            totals: snapshot.totals,
            window: snapshot.window.restore()?,
            recent: RecentCalls::from_bits(snapshot.recent),
            last_failure: snapshot.last_failure,
        })
    }
}
