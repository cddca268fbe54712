//! Words for people.

use std::time::Duration;

use breaker_core::{Cause, Mode, StateKind, Transition};

/// What has happened to a breaker, as a sentence.
pub(super) fn transition(name: &str, transition: &Transition) -> String {
    let (from, to) = (state(transition.from), state(transition.to));
    let mut told = format!("{name} went from {from} to {to}: {}", cause(transition.cause));
    let (actor, reason) = (transition.by.actor(), transition.by.reason());
    if !actor.is_empty() {
        told += &format!(" by {actor}");
    }
    if !reason.is_empty() {
        told += &format!(" ({reason})");
    }
    told
}

/// A duration in the one or two units that matter.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Normal => "NORMAL",
        Mode::ForcedOpen => "FORCED_OPEN",
        Mode::ForcedClosed => "FORCED_CLOSED",
        Mode::Disabled => "DISABLED",
        Mode::Shadow => "SHADOW",
    }
}

const fn state(state: StateKind) -> &'static str {
    match state {
        StateKind::Closed => "CLOSED",
        StateKind::Open => "OPEN",
        StateKind::HalfOpen => "HALF_OPEN",
    }
}

const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::FailureThreshold => "too many calls failed",
        Cause::ConsecutiveFailures => "too many calls failed in a row",
        Cause::FailureRate => "too large a share of the calls failed",
        Cause::SlowCallRate => "too large a share of the calls was slow",
        Cause::OpenElapsed => "it is time to probe",
        Cause::ProbesSucceeded => "the probes succeeded",
        Cause::RampCompleted => "the ramp is over",
        Cause::ProbeFailed => "a probe failed",
        Cause::ProbeRate => "too large a share of the probes failed",
        Cause::ProbeExpired => "a probe never came back",
        Cause::Deescalated => "it came down a level",
        Cause::ForcedOpen => "forced open",
        Cause::ForcedClosed => "forced closed",
        Cause::Disabled => "disabled",
        Cause::Shadowed => "put into SHADOW",
        Cause::Released => "released",
        Cause::OverrideExpired => "the override has ended",
        Cause::Tripped => "tripped",
        Cause::Reset => "reset",
    }
}
