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

mod breaker;
mod config;
mod counters;
mod decision;
mod glob;
mod metrics;
mod name;
mod outcome;
mod overrides;
mod probes;
mod snapshot;
mod state;
mod time;
mod transition;

pub use breaker::{Breaker, GENERATION_START};
pub use config::{
    Config, ConfigPatch, Key, OnUnavailable, Resolved, Source, Sources, Violation, limits,
};
pub use decision::{AllowReason, Decision, DenyReason};
pub use glob::{ErrorGlob, GlobError, NameGlob};
pub use metrics::{LastFailure, Metrics, Rates, Totals};
pub use name::{BreakerName, NameError};
pub use outcome::{ErrorKind, ErrorKindError, Outcome, Report, Run};
pub use overrides::{Attribution, AttributionError, Mode, Override, OverrideKind};
pub use probes::{Permit, PermitId, Probes};
pub use snapshot::{
    BreakerSnapshot, MetricsSnapshot, OverrideSnapshot, SnapshotError, StateSnapshot, WindowCall,
};
pub use state::StateKind;
pub use time::Time;
pub use transition::{Cause, Counts, Transition};

#[cfg(test)]
mod tests;
