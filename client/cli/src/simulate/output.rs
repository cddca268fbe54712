use std::io::{self, Write};
use std::time::Duration;

use breaker_core::{Config, StateKind, Transition};
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Number;

use super::{Call, Replay};

/// Transitions shown one by one in the summary.
const MAX_SHOWN: usize = 20;

/// The keys are a contract.
#[derive(Serialize)]
struct CallLine<'a> {
    at_ms: &'a Number,
    allowed: bool,
    state: &'static str,
    failure_count: u32,
    success_count: u32,
    failure_threshold: u32,
    open_duration_ms: Number,
    level: Option<&'a str>,
}

/// The keys are a contract.
#[derive(Serialize)]
struct EndLine {
    end: End,
}

#[derive(Serialize)]
struct End {
    failure_rate: f64,
    success_rate: f64,
    average_response_time_ms: f64,
    total_calls: u64,
    state: &'static str,
}

pub(super) const fn state_word(state: StateKind) -> &'static str {
    match state {
        StateKind::Closed => "closed",
        StateKind::Open => "open",
        StateKind::HalfOpen => "half_open",
    }
}

/// A line for each call and one for the end.
pub(super) fn write_json(
    out: &mut impl Write,
    config: &Config,
    trace: &[Call],
    replay: &Replay,
) -> io::Result<()> {
    let levels = config.levels().map_or(&[][..], |levels| &levels.levels);
    for (call, replayed) in trace.iter().zip(&replay.calls) {
        let line = CallLine {
            at_ms: &call.at_ms,
            allowed: replayed.is_allowed,
            state: state_word(replayed.state),
            failure_count: replayed.failure_count,
            success_count: replayed.success_count,
            failure_threshold: replayed.effective.failure_threshold,
            open_duration_ms: millis(replayed.effective.open_duration),
            level: levels.get(replayed.level_number).map(|level| level.name.as_str()),
        };
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    let end = End {
        failure_rate: replay.rates.failure_rate,
        success_rate: replay.rates.success_rate,
        average_response_time_ms: replay.rates.average_response_time_ms,
        total_calls: replay.total_calls,
        state: state_word(replay.state),
    };
    serde_json::to_writer(&mut *out, &EndLine { end })?;
    writeln!(out)
}

/// Milliseconds, as a whole number where they are whole.
fn millis(duration: Duration) -> Number {
    let nanos = duration.as_nanos() as u64;
    match nanos % 1_000_000 {
        0 => (nanos / 1_000_000).into(),
        _ => Number::from_f64(nanos as f64 / 1e6).unwrap_or_else(|| 0.into()),
    }
}

/// What happened, for people.
pub(super) fn write_summary(
    out: &mut impl Write,
    trace: &[Call],
    replay: &Replay,
) -> io::Result<()> {
    let allowed = replay.calls.iter().filter(|call| call.is_allowed).count();
    let denied = replay.calls.len() - allowed;
    let opened = replay.transitions.iter().filter(|t| t.to == StateKind::Open).count();
    writeln!(
        out,
        "{} calls: {allowed} allowed, {denied} denied; opened {opened} times; {} at the end",
        trace.len(),
        state_word(replay.state)
    )?;
    writeln!(
        out,
        "over the window: {:.1} % failed, {:.1} ms on average for a success",
        replay.rates.failure_rate * 100.0,
        replay.rates.average_response_time_ms
    )?;
    if replay.transitions.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["at", "from", "to", "cause", "failures"]);
    for transition in replay.transitions.iter().take(MAX_SHOWN) {
        table.add_row(row(transition));
    }
    writeln!(out, "\n{table}")?;
    match replay.transitions.len().saturating_sub(MAX_SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more transitions"),
    }
}

/// A state, with the level where there are levels.
fn side(state: StateKind, level: Option<&str>) -> String {
    let level = level.map(|level| format!(" [{level}]"));
    format!("{}{}", state_word(state), level.unwrap_or_default())
}

fn row(transition: &Transition) -> [String; 5] {
    let cause = breaker_wire::cause_to_message(transition.cause).as_str_name();
    [
        format!("{:.3} s", transition.at.as_nanos() as f64 / 1e9),
        side(transition.from, transition.from_level.as_deref()),
        side(transition.to, transition.to_level.as_deref()),
        cause.trim_start_matches("CAUSE_").to_lowercase(),
        transition.counts.failure_count.to_string(),
    ]
}
