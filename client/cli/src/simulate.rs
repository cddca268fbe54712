//! `breakerctl simulate`: replays a trace of calls through the core, under the trace's own clock;
//! or, with `--replicas`, plays a story through a whole fleet (see [`fleet`]).
//!
//! What happens at one instant happens in this order: first what was due by itself (the core sees
//! to that), then calls that end, then calls that start; calls among themselves in the order of
//! the trace.

mod chart;
pub mod fleet;
mod output;
pub mod story;
mod trace;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use breaker_core::{
    Breaker, Config, ConfigPatch, Effective, PermitId, Rates, Report, Resolved, Run, Source,
    StateKind, Time, Transition, Violation,
};
use breaker_wire::ConfigFileError;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::output::notice;
use fleet::FleetArguments;

pub use trace::{Call, TraceError, parse as parse_trace};

/// Shows what a breaker would have decided: of calls that you bring, or in a fleet.
///
/// The configuration holds the keys of a breaker as TOML or JSON.
///
/// With --trace, the calls of a file are replayed. It holds one call a line:
/// {"at_ms": 0, "outcome": "success|failure|timeout|ignored", "duration_ms": 12.5}: when the call
/// starts, and what it would do if it were let through. An "error_kind" may stand beside them.
///
/// With --replicas, a fleet makes calls at random while a dependency falls ill and recovers, once
/// sharing a breaker through breakerd, and once with a breaker in each replica.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("calls").required(true).args(["trace", "replicas"]))]
pub struct SimulateArguments {
    /// The configuration of the breaker, TOML or JSON.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The calls, one JSON object a line; `-` reads the standard input.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// The fleet, in place of a trace.
    #[command(flatten)]
    pub fleet: FleetArguments,
}

/// How the result of a simulation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A summary and a chart.
    Summary,
    /// A line of JSON for each call, and one for the end.
    Json,
}

/// What became of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Whether it was let through.
    pub is_allowed: bool,
    /// The state once its outcome was recorded; of a denied call, when it was denied.
    pub state: StateKind,
    /// The failures counted towards `failure_threshold`, at the same moment.
    pub failure_count: u32,
    /// The successful probes, at the same moment.
    pub success_count: u32,
    /// What is in force, at the same moment.
    pub effective: Effective,
    /// The number of the level, at the same moment.
    pub level_number: usize,
}

/// What became of a trace.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Each call, in the order of their starts.
    pub calls: Vec<Replayed>,
    /// What happened to the breaker.
    pub transitions: Vec<Transition>,
    /// The rates over the window at the end.
    pub rates: Rates,
    /// How many calls counted.
    pub total_calls: u64,
    /// The state at the end.
    pub state: StateKind,
}

/// A call that was let through and has not ended.
struct Admitted {
    generation: u64,
    permit: Option<PermitId>,
}

struct Replayer<'a> {
    config: &'a Config,
    trace: &'a [Call],
    breaker: Breaker,
    /// When something last happened.
    now: Time,
    in_flight: BinaryHeap<Reverse<(Time, usize)>>,
    admitted: Vec<Option<Admitted>>,
    calls: Vec<Replayed>,
    transitions: Vec<Transition>,
}

/// Replays calls, which stand in the order of their starts.
pub fn replay(config: &Config, trace: &[Call]) -> Replay {
    let begin = trace.first().map_or(Time::EPOCH, |call| call.at);
    let mut replayer = Replayer {
        config,
        trace,
        breaker: Breaker::new(begin),
        now: begin,
        in_flight: BinaryHeap::new(),
        admitted: Vec::with_capacity(trace.len()),
        calls: Vec::with_capacity(trace.len()),
        transitions: Vec::new(),
    };
    for call in trace {
        replayer.end_calls(Some(call.at));
        replayer.start(call);
    }
    replayer.end_calls(None);
    replayer.finish()
}

impl Replayer<'_> {
    /// Ends the calls that are over by `until`; without one, all.
    fn end_calls(&mut self, until: Option<Time>) {
        while let Some(&Reverse((at, index))) = self.in_flight.peek()
            && until.is_none_or(|until| at <= until)
        {
            self.in_flight.pop();
            self.now = at;
            let Some(admitted) = self.admitted[index].take() else { continue };
            let call = &self.trace[index];
            let run = Run { error_kind: call.error_kind.clone(), ..Run::new(call.outcome, 1) };
            let mut report = Report::admitted(run.lasting(call.duration), admitted.generation);
            report.permit = admitted.permit;
            self.transitions.extend(self.breaker.record(self.config, &report, at));
            self.calls[index] = self.seen(true, at);
        }
    }

    fn start(&mut self, call: &Call) {
        let index = self.calls.len();
        self.now = call.at;
        let (decision, transitions) = self.breaker.acquire(self.config, call.at);
        self.transitions.extend(transitions);
        let is_allowed = decision.is_allowed();
        self.admitted.push(is_allowed.then(|| Admitted {
            generation: self.breaker.generation(),
            permit: decision.permit().map(|permit| permit.id),
        }));
        self.calls.push(self.seen(is_allowed, call.at));
        if is_allowed {
            self.in_flight.push(Reverse((call.at + call.duration, index)));
        }
    }

    fn seen(&self, is_allowed: bool, now: Time) -> Replayed {
        let counts = self.breaker.counts(now);
        Replayed {
            is_allowed,
            state: self.breaker.state(),
            failure_count: counts.failure_count,
            success_count: counts.success_count,
            effective: self.breaker.effective(self.config),
            level_number: self.breaker.level_number(),
        }
    }

    fn finish(self) -> Replay {
        let metrics = self.breaker.metrics();
        Replay {
            rates: metrics.map(|metrics| metrics.rates(self.now)).unwrap_or_default(),
            total_calls: metrics.map_or(0, |metrics| metrics.totals().calls()),
            state: self.breaker.state(),
            calls: self.calls,
            transitions: self.transitions,
        }
    }
}

/// Runs the command: reads the files, replays, and writes to the standard output.
///
/// # Errors
/// What is wrong with a file, or with the output.
pub fn command(arguments: &SimulateArguments, format: Format) -> anyhow::Result<()> {
    let config = read_config(&arguments.config)?;
    if let Some(replicas) = arguments.fleet.replicas {
        return fleet::command(&config, &arguments.fleet, replicas, format);
    }
    let trace = arguments.trace.as_deref();
    let trace = trace.ok_or_else(|| Error::Usage("--trace or --replicas is missing".to_owned()))?;
    let trace = read_trace(trace)?;
    let replay = replay(&config, &trace);
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let mut out = BufWriter::new(stdout.lock());
    match format {
        Format::Json => output::write_json(&mut out, &config, &trace, &replay)?,
        Format::Summary => {
            output::write_summary(&mut out, &trace, &replay)?;
            chart::write(&mut out, &trace, &replay, chart::Colours::fitting(is_terminal))?;
        }
    }
    out.flush().context("cannot write the result")
}

fn read_config(path: &Path) -> anyhow::Result<Config> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    let resolved =
        settled(&text).with_context(|| format!("in the configuration {}", path.display()))?;
    for warning in &resolved.warnings {
        notice(format_args!("warning: {warning}"));
    }
    Ok(resolved.config)
}

/// The configuration that a text makes. Of a text with keys that cannot be read the others are
/// checked nevertheless, so that all is told at once.
fn settled(text: &str) -> anyhow::Result<Resolved> {
    let mut violations = match breaker_wire::parse_config(text) {
        Ok(patch) => return resolved(&patch).map_err(|refused| listed(&refused)),
        Err(ConfigFileError::Invalid(violations)) => violations,
        Err(error) => return Err(error.into()),
    };
    let mut keys: Map<String, Value> = if text.trim_start().starts_with('{') {
        serde_json::from_str(text)?
    } else {
        toml::from_str(text)?
    };
    let root = |violation: &Violation| violation.field.split(['.', '[']).next().map(str::to_owned);
    let unreadable: HashSet<_> = violations.iter().filter_map(root).collect();
    keys.retain(|key, _| !unreadable.contains(key));
    let others = breaker_wire::patch_from_value(&Value::Object(keys));
    violations.extend(others.and_then(|patch| resolved(&patch)).err().unwrap_or_default());
    Err(listed(&violations))
}

fn resolved(patch: &ConfigPatch) -> Result<Resolved, Vec<Violation>> {
    Config::resolve(&[(Source::Breaker, patch)])
}

fn listed(violations: &[Violation]) -> anyhow::Error {
    let lines: String = violations.iter().map(|violation| format!("\n  {violation}")).collect();
    anyhow!("refused:{lines}")
}

fn read_trace(path: &Path) -> anyhow::Result<Vec<Call>> {
    let trace = if path == Path::new("-") {
        trace::parse(io::stdin().lock())
    } else {
        let file = File::open(path)
            .with_context(|| format!("cannot read the trace {}", path.display()))?;
        trace::parse(BufReader::new(file))
    };
    trace.with_context(|| format!("in the trace {}", path.display()))
}

#[cfg(test)]
mod tests;
