//! What one report carries.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{ErrorKind, PermitId};
use breaker_proto::v1;
use breaker_wire::{duration_to_message, outcome_to_message};
use tokio::time::Instant;

use crate::cell::Cell;
use crate::metrics;
use crate::registry::Registry;
use crate::runs::Run;

/// Most breakers and runs in one report.
const MAX_BREAKERS: usize = 1_000;
const MAX_RUNS: usize = 10_000;
/// Outcomes that could not be reported for so long are history.
const MAX_AGE: Duration = Duration::from_secs(15);
/// Oldest age that the protocol takes.
const MOST_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs on their way to the server.
#[derive(Debug)]
pub(crate) struct Batch {
    entries: Vec<Entry>,
    /// What is history by now is decided once, so that a repetition says the same.
    made_at: Instant,
}

#[derive(Debug)]
struct Entry {
    cell: Arc<Cell>,
    run: Run,
}

impl Batch {
    /// Takes what waits; whether something is left.
    pub(crate) fn take(registry: &Registry, now: Instant) -> (Self, bool) {
        let mut entries = Vec::new();
        let (mut breakers, mut is_left) = (0, false);
        registry.try_each(|cell| {
            if !cell.ends_waiting() {
                return true;
            }
            let room = MAX_RUNS - entries.len();
            let (runs, has_more) = cell.take_runs(room, now);
            for run in &runs {
                metrics::ended(cell.name().as_str(), run);
            }
            breakers += usize::from(!runs.is_empty());
            entries.extend(runs.into_iter().map(|run| Entry { cell: Arc::clone(cell), run }));
            if has_more {
                cell.begin_to_wait();
            }
            is_left = has_more || breakers == MAX_BREAKERS;
            !is_left
        });
        (Self { entries, made_at: now }, is_left)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many calls it tells of.
    pub(crate) fn calls(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.run.count)).sum()
    }

    /// Halves it; `None` if it is a single run.
    pub(crate) fn halve(&mut self) -> Option<Self> {
        let half = self.entries.len() / 2;
        (half > 0).then(|| Self { entries: self.entries.split_off(half), made_at: self.made_at })
    }

    /// What it says when it is sent now.
    pub(crate) fn reports(&self, now: Instant) -> Vec<v1::BreakerReport> {
        let mut reports: Vec<v1::BreakerReport> = Vec::new();
        for Entry { cell, run } in &self.entries {
            let late = self.made_at.saturating_duration_since(run.ended_at) > MAX_AGE;
            let name = cell.name().as_str();
            match reports.last_mut() {
                Some(last)
                    if last.breaker == name
                        && last.generation == run.generation
                        && last.late == late =>
                {
                    last.runs.push(message(run, now));
                }
                _ => reports.push(v1::BreakerReport {
                    breaker: name.to_owned(),
                    generation: run.generation,
                    runs: vec![message(run, now)],
                    late,
                }),
            }
        }
        reports
    }
}

fn message(run: &Run, now: Instant) -> v1::Run {
    let age = now.saturating_duration_since(run.ended_at).min(MOST_AGE);
    v1::Run {
        outcome: outcome_to_message(run.outcome).into(),
        count: run.count,
        total_duration: Some(duration_to_message(run.total)),
        max_duration: (!run.longest.is_zero()).then(|| duration_to_message(run.longest)),
        slow_count: if run.is_slow { run.count } else { 0 },
        error_kind: run.error_kind.as_ref().map(ErrorKind::as_str).unwrap_or_default().to_owned(),
        age: Some(duration_to_message(age)),
        permit_id: run.permit.map_or(0, PermitId::as_u64),
    }
}
