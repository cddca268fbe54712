use std::io::{self, BufRead};
use std::time::Duration;

use breaker_core::{ErrorKind, Outcome, Time};
use serde::Deserialize;
use serde_json::Number;
use thiserror::Error;

/// Latest start and longest duration, in milliseconds: about 285 years.
const MAX_MS: u64 = 9_000_000_000_000;

const NANOS_PER_MS: u64 = 1_000_000;

/// A call: when it starts, and what it would do if it were let through.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// When it starts, on the clock of the trace.
    pub at: Time,
    /// When it starts, in milliseconds, as it was written.
    pub at_ms: Number,
    /// What becomes of it.
    pub outcome: Outcome,
    /// How long it takes.
    pub duration: Duration,
    /// The kind of its error, where one is given.
    pub error_kind: Option<ErrorKind<'static>>,
}

/// Why a trace was refused.
#[derive(Debug, Error)]
pub enum TraceError {
    /// It cannot be read.
    #[error("line {line}: cannot be read")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// Why.
        source: io::Error,
    },
    /// A line is no call.
    #[error("line {line}: {problem}")]
    BadLine {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at_ms: Number,
    outcome: Word,
    #[serde(default)]
    duration_ms: Option<Number>,
    #[serde(default)]
    error_kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Success,
    Failure,
    Timeout,
    Ignored,
}

/// Reads a trace and puts it into the order of the calls' starts; calls that start together stay
/// in the order in which they were written.
///
/// # Errors
/// The first line that is no call.
pub fn parse(reader: impl BufRead) -> Result<Vec<Call>, TraceError> {
    let mut calls = Vec::new();
    for (index, text) in reader.lines().enumerate() {
        let line = index + 1;
        let text = text.map_err(|source| TraceError::Unreadable { line, source })?;
        if !text.trim().is_empty() {
            calls.push(call(&text).map_err(|problem| TraceError::BadLine { line, problem })?);
        }
    }
    calls.sort_by_key(|call| call.at);
    Ok(calls)
}

fn call(text: &str) -> Result<Call, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| {
        format!(
            "{error}; a call is {{\"at_ms\": 0, \"outcome\": \"success\", \"duration_ms\": 12.5}}"
        )
    })?;
    let at = nanos("at_ms", &line.at_ms)?;
    let duration = line.duration_ms.map_or(Ok(0), |millis| nanos("duration_ms", &millis))?;
    let kind = ErrorKind::parse(&line.error_kind).map_err(|error| error.to_string())?;
    Ok(Call {
        at: Time::from_nanos(at),
        at_ms: line.at_ms,
        outcome: match line.outcome {
            Word::Success => Outcome::Success,
            Word::Failure => Outcome::Failure,
            Word::Timeout => Outcome::Timeout,
            Word::Ignored => Outcome::Ignored,
        },
        duration: Duration::from_nanos(duration),
        error_kind: kind.map(ErrorKind::into_owned),
    })
}

/// Whole milliseconds are taken exactly, as is what stands before the point: a product of seconds
/// since 1970 and a million does not fit the digits of a float, and a call that ends when another
/// one starts must not end after it.
fn nanos(field: &str, millis: &Number) -> Result<u64, String> {
    let out_of_range = || format!("{field} is {millis}; it must be 0 to {MAX_MS}");
    if let Some(millis) = millis.as_u64().filter(|&millis| millis <= MAX_MS) {
        return Ok(millis * NANOS_PER_MS);
    }
    let in_range = |millis: &f64| (0.0..=MAX_MS as f64).contains(millis);
    let millis = millis.as_f64().filter(in_range).ok_or_else(out_of_range)?;
    let fraction = (millis.fract() * NANOS_PER_MS as f64).round() as u64;
    Ok(millis.trunc() as u64 * NANOS_PER_MS + fraction)
}
