use std::io::{Write, stdout};
use std::process;

use breaker_client::{Denial, Mode, StateKind, WatchEvent};
use serde_json::{Value, json};

use crate::clock;

/// Writes a line; without a reader the replica has no purpose any more.
pub(crate) fn write(line: &Value) {
    if writeln!(stdout().lock(), "{line}").is_err() {
        process::exit(1);
    }
}

/// A call that was made.
pub(crate) fn called(
    worker: usize,
    began_ns: u64,
    outcome: &str,
    generation: u64,
    is_probe: bool,
    seconds: f64,
) -> Value {
    json!({
        "event": "call",
        "worker": worker,
        "began_ns": began_ns,
        "ended_ns": clock::now_ns(),
        "outcome": outcome,
        "generation": generation,
        "probe": is_probe,
        "seconds": seconds,
    })
}

/// A call that was not made.
pub(crate) fn denied(worker: usize, began_ns: u64, denial: &Denial) -> Value {
    json!({
        "event": "denied",
        "worker": worker,
        "began_ns": began_ns,
        "ended_ns": clock::now_ns(),
        "reason": denial.reason.as_str(),
    })
}

/// What the watch told; nothing for what the proofs do not look at.
pub(crate) fn seen(event: &WatchEvent) -> Option<Value> {
    let seen_ns = clock::now_ns();
    match event {
        WatchEvent::Connected => Some(json!({ "event": "connected", "seen_ns": seen_ns })),
        WatchEvent::Disconnected { .. } => {
            Some(json!({ "event": "disconnected", "seen_ns": seen_ns }))
        }
        WatchEvent::Changed(status) => Some(json!({
            "event": "state",
            "seen_ns": seen_ns,
            "state": state(status.state),
            "mode": mode(status.mode),
            "generation": status.generation,
        })),
        WatchEvent::Deleted(_) | WatchEvent::SnapshotComplete | WatchEvent::Reset => None,
    }
}

const fn state(state: StateKind) -> &'static str {
    match state {
        StateKind::Closed => "closed",
        StateKind::Open => "open",
        StateKind::HalfOpen => "half_open",
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Normal => "normal",
        Mode::ForcedOpen => "forced_open",
        Mode::ForcedClosed => "forced_closed",
        Mode::Disabled => "disabled",
        Mode::Shadow => "shadow",
    }
}
