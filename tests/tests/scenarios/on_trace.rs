//! The core as `breakerctl simulate` drives it: the calls of a scenario as a trace.

use std::fmt::Write;

use breaker_core::{Config, Time};
use breaker_wire::{cause_to_message, outcome_to_message, state_to_message};
use breakerctl::simulate::{Call as TracedCall, Replay, Replayed, parse_trace, replay};
use serde_json::json;

use crate::model::{Call, Event, Scenario, Step, resolved};
use crate::on_core::{millis, outcome};
use crate::play::{allowed, told};
use crate::subject::{BEGIN_MS, Seen, or_none, word};

/// Whether a trace can tell the scenario: whole calls and nothing else, and nobody asks who made
/// them.
pub(crate) fn can_tell(scenario: &Scenario) -> bool {
    scenario.steps.iter().all(|step| match &step.event {
        Event::Call(call) => call.reporter.is_empty(),
        Event::Passes => true,
        Event::Acquire(_) | Event::Report(_) | Event::Admin(_) | Event::Reconfigure(_) => false,
    })
}

/// Replays the scenario; what comes out otherwise than expected, and how many expectations were
/// looked at.
///
/// # Errors
/// If the trace or the configuration is none.
pub(crate) fn play(scenario: &Scenario) -> anyhow::Result<(usize, Vec<String>)> {
    let config = resolved(std::slice::from_ref(&scenario.config))?;
    let trace = parse_trace(trace_of(scenario).as_bytes())?;
    let replay = replay(&config, &trace);
    let (mut checked, mut problems, mut first) = (0, Vec::new(), 0);
    for (index, step) in scenario.steps.iter().enumerate() {
        let Event::Call(call) = &step.event else { continue };
        let after = first + call.count as usize;
        let mut seen = seen(&config, &replay.calls[first..after]);
        if after == trace.len() {
            seen.extend(seen_at_end(&replay, &trace));
        }
        first = after;
        for (key, expected) in &step.expect {
            let Some(actual) = seen.get(key.as_str()) else { continue };
            checked += 1;
            if actual != expected {
                let problem = format!("{key} is {actual}, expected {expected}");
                problems.push(told(scenario, index, &problem));
            }
        }
    }
    Ok((checked, problems))
}

fn trace_of(scenario: &Scenario) -> String {
    let mut trace = String::new();
    for Step { at_ms, event, .. } in &scenario.steps {
        let Event::Call(Call { outcome: kind, count, duration_ms, error_kind, .. }) = event else {
            continue;
        };
        let name = outcome_to_message(outcome(*kind)).as_str_name();
        let line = json!({
            "at_ms": BEGIN_MS + at_ms,
            "outcome": name.trim_start_matches("OUTCOME_").to_lowercase(),
            "duration_ms": duration_ms,
            "error_kind": error_kind,
        });
        for _ in 0..*count {
            // Writing to a string cannot fail.
            let _ = writeln!(trace, "{line}");
        }
    }
    trace
}

/// What a replay shows of the calls of one step: whether they got leave, and the breaker after the
/// last.
fn seen(config: &Config, calls: &[Replayed]) -> Seen {
    let got_leave = calls.iter().filter(|call| call.is_allowed).count() as u32;
    let mut seen = allowed(got_leave, calls.len() as u32 - got_leave);
    let Some(last) = calls.last() else { return seen };
    let levels = config.levels().map_or(&[][..], |levels| &levels.levels);
    let level = levels.get(last.level_number).map(|level| level.name.as_str());
    seen.extend([
        ("state", word(state_to_message(last.state).as_str_name(), "STATE_")),
        ("failure_count", json!(last.failure_count)),
        ("success_count", json!(last.success_count)),
        ("failure_threshold", json!(last.effective.failure_threshold)),
        ("open_duration_ms", millis(last.effective.open_duration)),
        ("success_threshold", json!(last.effective.success_threshold)),
        ("max_probes", json!(last.effective.max_probes)),
        ("level", or_none(level)),
    ]);
    seen
}

/// What a replay tells of its end, where that is when the last call ends.
fn seen_at_end(replay: &Replay, trace: &[TracedCall]) -> Seen {
    let end = |call: &TracedCall| call.at + call.duration;
    let last: Option<Time> = trace.last().map(end);
    if trace.iter().map(end).max() != last {
        return Seen::new();
    }
    let cause = replay.transitions.last().map(|last| cause_to_message(last.cause).as_str_name());
    Seen::from([
        ("transitions", json!(replay.transitions.len())),
        ("cause", or_none(cause.map(|cause| word(cause, "CAUSE_")))),
        ("total_calls", json!(replay.total_calls)),
    ])
}
