use crate::overrides::{Attribution, Mode};
use crate::state::StateKind;
use crate::time::Time;

/// Why a breaker changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The failure count reached `failure_threshold`.
    FailureThreshold,
    /// `consecutive_failures` calls failed in a row.
    ConsecutiveFailures,
    /// The share of failed calls in the window reached that of `failure_rate`.
    FailureRate,
    /// The share of slow calls in the window reached that of `slow_call_rate`.
    SlowCallRate,
    /// OPEN had lasted `open_duration`.
    OpenElapsed,
    /// `success_threshold` probes succeeded.
    ProbesSucceeded,
    /// The last step of the ramp was over.
    RampCompleted,
    /// A probe failed.
    ProbeFailed,
    /// The share of failed probes reached that of `probe_calls`.
    ProbeRate,
    /// A permit passed its deadline: the holder never came back.
    ProbeExpired,
    /// It stayed CLOSED for `deescalate_after` and came down one level.
    Deescalated,
    /// An admin forced it open.
    ForcedOpen,
    /// An admin forced it closed.
    ForcedClosed,
    /// An admin disabled it.
    Disabled,
    /// An admin put it into SHADOW.
    Shadowed,
    /// An admin released an override.
    Released,
    /// An override's time to live ended.
    OverrideExpired,
    /// An admin tripped it.
    Tripped,
    /// An admin reset it.
    Reset,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::FailureThreshold,
        Self::ConsecutiveFailures,
        Self::FailureRate,
        Self::SlowCallRate,
        Self::OpenElapsed,
        Self::ProbesSucceeded,
        Self::RampCompleted,
        Self::ProbeFailed,
        Self::ProbeRate,
        Self::ProbeExpired,
        Self::Deescalated,
        Self::ForcedOpen,
        Self::ForcedClosed,
        Self::Disabled,
        Self::Shadowed,
        Self::Released,
        Self::OverrideExpired,
        Self::Tripped,
        Self::Reset,
    ];
}

/// The counts at the moment of a transition, the outcome that caused it included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Failures counted towards `failure_threshold`.
    pub failure_count: u32,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Successful probes.
    pub success_count: u32,
    /// Calls in the window.
    pub window_calls: u32,
    /// Failures and timeouts in the window.
    pub window_failures: u32,
}

/// A change of a breaker's state, mode or level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: StateKind,
    /// The state after.
    pub to: StateKind,
    /// The mode before.
    pub from_mode: Mode,
    /// The mode after.
    pub to_mode: Mode,
    /// The name of the level before; `None` without levels.
    pub from_level: Option<Box<str>>,
    /// The name of the level after; `None` without levels.
    pub to_level: Option<Box<str>>,
    /// The generation after.
    pub generation: u64,
    /// Why.
    pub cause: Cause,
    /// Who did it and why; empty for automatic transitions, except that the end of an override by
    /// its time to live repeats who had set it.
    pub by: Attribution,
    /// When it took effect.
    pub at: Time,
    /// The counts that led to it.
    pub counts: Counts,
}
