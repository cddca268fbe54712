//! Counters over all breakers, for metrics. Each is exact by itself; together they are a glimpse.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use breaker_core::{Cause, Decision, Mode, Outcome, StateKind, Transition};
use parking_lot::Mutex;

use crate::histogram::{DURATIONS, Histogram, ROWS};

/// Damaged transitions that are told apart; more of them are not counted.
const MAX_DAMAGED_TRANSITIONS: usize = 10_000;

/// What was written to storage so far.
#[derive(Debug)]
pub struct StorageStats {
    /// How long transitions took from when they took effect, or from the start of the server for
    /// those that took effect before, to when they were on disk.
    pub lag: Histogram,
    /// How long commits took.
    pub commit_duration: Histogram,
    /// How many rows, and transitions, each commit wrote.
    pub batch_size: Histogram,
    failures: AtomicU64,
}

impl Default for StorageStats {
    fn default() -> Self {
        Self {
            lag: Histogram::new(DURATIONS),
            commit_duration: Histogram::new(DURATIONS),
            batch_size: Histogram::new(ROWS),
            failures: AtomicU64::new(0),
        }
    }
}

impl StorageStats {
    /// Commits that failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(crate) fn count_failure(&self) {
        add(&self.failures, 1);
    }
}

/// Counts of the engine's life so far.
#[derive(Debug, Default)]
pub struct Stats {
    storage: StorageStats,
    allowed: AtomicU64,
    denied: AtomicU64,
    successes: AtomicU64,
    failures: AtomicU64,
    timeouts: AtomicU64,
    ignored: AtomicU64,
    reports: AtomicU64,
    duplicate_reports: AtomicU64,
    transitions: [AtomicU64; 3],
    causes: [AtomicU64; Cause::ALL.len()],
    dropped_transitions: AtomicU64,
    idle_dropped: AtomicU64,
    damaged_rows: AtomicU64,
    /// The ids of those that were met: they are met again whenever somebody reads the history.
    damaged_transitions: Mutex<BTreeSet<u64>>,
    states: [AtomicI64; 3],
    modes: [AtomicI64; 5],
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Stats {
    /// What was written to storage.
    pub const fn storage(&self) -> &StorageStats {
        &self.storage
    }

    /// Calls that asked and were allowed.
    pub fn allowed(&self) -> u64 {
        self.allowed.load(Ordering::Relaxed)
    }

    /// Calls that asked and were denied.
    pub fn denied(&self) -> u64 {
        self.denied.load(Ordering::Relaxed)
    }

    /// Calls that were reported with this outcome.
    pub fn reported(&self, outcome: Outcome) -> u64 {
        self.of_outcome(outcome).load(Ordering::Relaxed)
    }

    /// Reports that were counted, whatever they told; repetitions are not among them.
    pub fn reports(&self) -> u64 {
        self.reports.load(Ordering::Relaxed)
    }

    /// Reports that counted for nothing because they had come before.
    pub fn duplicate_reports(&self) -> u64 {
        self.duplicate_reports.load(Ordering::Relaxed)
    }

    /// Transitions into this state; changes of the mode alone count for the state they leave.
    pub fn transitions_to(&self, state: StateKind) -> u64 {
        self.transitions[state as usize].load(Ordering::Relaxed)
    }

    /// Transitions of this cause.
    pub fn transitions_by(&self, cause: Cause) -> u64 {
        self.causes[cause as usize].load(Ordering::Relaxed)
    }

    /// Transitions that found their queue full and are missing in the history.
    pub fn dropped_transitions(&self) -> u64 {
        self.dropped_transitions.load(Ordering::Relaxed)
    }

    /// Breakers that were dropped because nobody used them any more.
    pub fn idle_dropped(&self) -> u64 {
        self.idle_dropped.load(Ordering::Relaxed)
    }

    /// Rows of storage that were met since the start and could not be understood.
    pub fn damaged_rows(&self) -> u64 {
        let transitions = self.damaged_transitions.lock().len() as u64;
        self.damaged_rows.load(Ordering::Relaxed).saturating_add(transitions)
    }

    /// Breakers in this state.
    pub fn breakers_in_state(&self, state: StateKind) -> i64 {
        self.states[state as usize].load(Ordering::Relaxed)
    }

    /// Breakers in this mode.
    pub fn breakers_in_mode(&self, mode: Mode) -> i64 {
        self.modes[mode as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn count_decision(&self, decision: &Decision) {
        add(if decision.is_allowed() { &self.allowed } else { &self.denied }, 1);
    }

    /// Counts the runs of a report together: every report of every breaker adds to these counters.
    pub(crate) fn count_reported(&self, runs: impl Iterator<Item = (Outcome, u32)>) {
        let mut counts = [0; 4];
        for (outcome, count) in runs {
            counts[outcome as usize] += u64::from(count);
        }
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::Timeout, Outcome::Ignored] {
            match counts[outcome as usize] {
                0 => {}
                count => add(self.of_outcome(outcome), count),
            }
        }
    }

    pub(crate) fn count_report(&self) {
        add(&self.reports, 1);
    }

    pub(crate) fn count_duplicate_report(&self) {
        add(&self.duplicate_reports, 1);
    }

    pub(crate) fn count_dropped_transitions(&self, count: usize) {
        add(&self.dropped_transitions, count as u64);
    }

    pub(crate) fn count_idle_dropped(&self, count: usize) {
        add(&self.idle_dropped, count as u64);
    }

    pub(crate) fn count_damaged_rows(&self, count: usize) {
        add(&self.damaged_rows, count as u64);
    }

    pub(crate) fn count_damaged_transitions(&self, ids: impl IntoIterator<Item = u64>) {
        let mut known = self.damaged_transitions.lock();
        for id in ids {
            if known.len() < MAX_DAMAGED_TRANSITIONS {
                known.insert(id);
            }
        }
    }

    pub(crate) fn count_transition(&self, transition: &Transition) {
        add(&self.transitions[transition.to as usize], 1);
        add(&self.causes[transition.cause as usize], 1);
    }

    pub(crate) fn enter(&self, state: StateKind, mode: Mode) {
        self.states[state as usize].fetch_add(1, Ordering::Relaxed);
        self.modes[mode as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self, state: StateKind, mode: Mode) {
        self.states[state as usize].fetch_sub(1, Ordering::Relaxed);
        self.modes[mode as usize].fetch_sub(1, Ordering::Relaxed);
    }

    const fn of_outcome(&self, outcome: Outcome) -> &AtomicU64 {
        match outcome {
            Outcome::Success => &self.successes,
            Outcome::Failure => &self.failures,
            Outcome::Timeout => &self.timeouts,
            Outcome::Ignored => &self.ignored,
        }
    }
}
