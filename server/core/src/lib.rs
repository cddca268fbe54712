//! The circuit breaker as a pure state machine.
//!
//! Nothing here does I/O, reads a clock or waits: every entry point takes the configuration and
//! the time, changes a [`Breaker`] and returns what was decided together with the
//! [`Transition`]s it caused. The server, the clients' local fallback and `breakerctl simulate`
//! all decide with this crate, so they cannot disagree.
//!
//! ```
//! use breaker_core::{Breaker, Config, Outcome, Report, Run, StateKind, Time};
//!
//! let config = Config::default();
//! let now = Time::from_millis(0);
//! let mut breaker = Breaker::new(now);
//! let failures = Report::current(Run::new(Outcome::Failure, 5));
//! let transitions = breaker.record(&config, &failures, now);
//! assert_eq!(breaker.state(), StateKind::Open);
//! assert_eq!(transitions.len(), 1);
//! ```

mod adapted;
mod alert_rules;
mod breaker;
mod calls;
mod conditions;
mod config;
mod counters;
mod decision;
mod glob;
mod memory;
mod metrics;
mod name;
mod outcome;
mod overrides;
mod probes;
mod quorum;
mod ramp;
mod snapshot;
mod state;
mod time;
mod transition;
mod window;

pub use adapted::{DurationReason, ThresholdReason};
pub use alert_rules::{AlertKey, AlertPatch, AlertRules, Flapping};
pub use breaker::{Aspect, Breaker, Effective, GENERATION_START};
pub use calls::CallSums;
pub use config::{
    Adaptive, Backoff, Config, ConfigPatch, ExpiredProbe, FailureRate, Key, Level, Levels,
    OnUnavailable, ProbeCalls, Ramp, Resolved, SlowCallRate, Source, Sources, Thousandths,
    Violation, WindowSize, limits,
};
pub use decision::{AllowReason, Decision, DenyReason};
pub use glob::{ErrorGlob, GlobError, NameGlob};
pub use metrics::{LastFailure, Metrics, Rates, Totals};
pub use name::{BreakerName, NameError};
pub use outcome::{ErrorKind, ErrorKindError, Outcome, Report, ReporterId, Run};
pub use overrides::{Attribution, AttributionError, Mode, Override, OverrideKind};
pub use probes::{Permit, PermitId, Probes};
pub use ramp::Ramping;
pub use snapshot::{
    AdaptedSnapshot, BadCallsSnapshot, BreakerSnapshot, ContentsError, MemorySnapshot,
    MetricsSnapshot, OverrideSnapshot, QuorumSnapshot, SnapshotError, StateSnapshot, WindowCall,
    WindowSnapshot,
};
pub use state::StateKind;
pub use time::Time;
pub use transition::{Cause, Counts, Transition};

#[cfg(test)]
mod tests;
