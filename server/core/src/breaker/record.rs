//! How calls that have ended move a breaker.
//!
//! A run means what its calls mean one by one. It is taken in pieces of calls that mean the same,
//! and a piece ends where the next call meets another state: after the failure that trips, after
//! the probe. What is due by then passes between two pieces as it would between two reports.

use crate::breaker::Breaker;
use crate::config::{Config, ProbeCalls};
use crate::counters::Counters;
use crate::memory::Memory;
use crate::outcome::{Alike, Calls, CountsAs, Outcome, Report};
use crate::ramp::Ramping;
use crate::state::State;
use crate::time::Time;
use crate::transition::{Cause, Transition};

/// What the calls of a report are to the state in which they are recorded.
#[derive(Clone, Copy)]
enum Standing {
    /// Of an older generation, or with a permit that was taken back: metrics, as late ones.
    Late,
    /// Of this generation, but nothing that the state listens to: metrics.
    Unheard,
    /// Calls of a CLOSED breaker, or of one on its ramp: they count towards the conditions.
    Counted,
    /// The probe of a HALF_OPEN breaker.
    Probe,
}

impl Breaker {
    /// Records how calls ended.
    pub fn record(&mut self, config: &Config, report: &Report<'_>, now: Time) -> Vec<Transition> {
        let mut transitions = self.advance(config, now);
        let counts = report.run.counts_as(config);
        let mut recorded = 0;
        // Where the state last changed within the run.
        let mut changed_at = 0;
        while recorded < report.run.count {
            let known = transitions.len();
            let piece = (changed_at, recorded);
            recorded += self.record_piece(config, report, counts, piece, now, &mut transitions);
            // Nothing becomes due without a change.
            if transitions.len() > known {
                self.pass_timers(config, now, &mut transitions);
                changed_at = recorded;
            }
        }
        transitions
    }

    /// Records the calls from `first` on that mean the same; returns how many, at least one. Those
    /// since `changed_at` met the state as it is now.
    fn record_piece(
        &mut self,
        config: &Config,
        report: &Report<'_>,
        counts: CountsAs,
        (changed_at, first): (u32, u32),
        now: Time,
        transitions: &mut Vec<Transition>,
    ) -> u32 {
        let run = &report.run;
        let Alike { outcome, nanos, is_slow, begin, end } = run.alike(config, first, counts);
        let standing = self.standing(report);
        let mut calls = Calls {
            outcome,
            count: end - first,
            nanos,
            is_slow,
            error_kind: run.error_kind.as_ref(),
            ended_at: now - run.age,
            reporter: Some(report.reporter),
        };
        match standing {
            // The permit is good for one call.
            Standing::Probe => calls.count = 1,
            Standing::Counted if report.permit.is_some() => calls.count = 1,
            Standing::Counted if outcome != Outcome::Ignored && calls.count > 1 => {
                self.advance_windows(now);
                let threshold = self.threshold_for(config, outcome);
                let before = first - begin.max(changed_at);
                calls.count = self.calls_at_once(config, threshold, &calls, before, now);
            }
            _ => {}
        }
        let metrics = self.metrics_mut(config);
        metrics.record(&calls, now);
        if matches!(standing, Standing::Late) {
            let late = &mut metrics.totals.late;
            *late = late.saturating_add(u64::from(calls.count));
        }
        match standing {
            Standing::Counted => self.count(config, &calls, now, transitions),
            Standing::Probe => {
                self.take_in_probe(config, &calls, Cause::ProbeFailed, now, transitions)
            }
            Standing::Late | Standing::Unheard => {}
        }
        calls.count
    }

    /// Counts calls that are alike towards the conditions; the last of them can meet one.
    pub(super) fn count(
        &mut self,
        config: &Config,
        calls: &Calls<'_>,
        now: Time,
        transitions: &mut Vec<Transition>,
    ) {
        if calls.outcome == Outcome::Ignored {
            return;
        }
        let is_failure = calls.outcome.is_failure();
        // A call is judged under the threshold that those before it have made.
        let threshold = self.threshold_for(config, calls.outcome);
        let taken = if is_failure {
            self.counters.fail(calls.count);
            0
        } else {
            self.counters.succeed(config, calls.count)
        };
        if Memory::is_needed(config) {
            let memory = self.memory_mut(now);
            memory.count(config, calls, taken, now);
            memory.learn(config, calls, now);
        }
        if let Some(cause) = self.condition_met(config, threshold, is_failure) {
            self.open_by_itself(config, cause, (calls.ended_at, now), transitions);
        }
    }

    /// Judges a probe, or all of them once they are in.
    pub(super) fn take_in_probe(
        &mut self,
        config: &Config,
        probe: &Calls<'_>,
        cause: Cause,
        now: Time,
        transitions: &mut Vec<Transition>,
    ) {
        if probe.outcome == Outcome::Ignored {
            return;
        }
        if config.has_adaptive() {
            self.memory_mut(now).learn(config, probe, now);
        }
        let success_threshold = self.effective(config).success_threshold;
        let State::HalfOpen(half_open) = &mut self.state else { return };
        let probes = &mut half_open.probes;
        let is_failure = probe.outcome.is_failure();
        if is_failure {
            probes.fail();
        } else {
            probes.succeed();
        }
        let (succeeded, failed) = (probes.successes(), probes.failures());
        let verdict = match config.probe_calls() {
            None if is_failure => Some(Err(cause)),
            None => (succeeded >= success_threshold).then_some(Ok(())),
            Some(ProbeCalls { calls, .. }) if succeeded.saturating_add(failed) < calls => None,
            Some(ProbeCalls { failure_percent, .. }) => {
                let of_all = u64::from(succeeded) + u64::from(failed);
                let is_met = u64::from(failed) * 100 >= u64::from(failure_percent) * of_all;
                Some(if is_met { Err(Cause::ProbeRate) } else { Ok(()) })
            }
        };
        match verdict {
            None => {}
            Some(Ok(())) => self.leave_probing(config, now, transitions),
            Some(Err(cause)) => {
                self.open_by_itself(config, cause, (probe.ended_at, now), transitions);
            }
        }
    }

    /// The probes have shown that calls can flow again: all of them, or a share to begin with.
    fn leave_probing(&mut self, config: &Config, now: Time, transitions: &mut Vec<Transition>) {
        match (config.ramp(), &mut self.state) {
            (Some(ramp), State::HalfOpen(half_open)) => {
                half_open.ramp = Some(Ramping::begin(ramp, now));
                self.counters = Counters::ZERO;
                if let Some(memory) = &mut self.memory {
                    memory.restart_conditions();
                }
            }
            _ => {
                let cause = Cause::ProbesSucceeded;
                self.enter_by_itself(config, State::Closed, cause, now, transitions);
            }
        }
    }

    /// The threshold that failures are judged under; nothing else is, and need not find it out.
    fn threshold_for(&self, config: &Config, outcome: Outcome) -> u32 {
        if outcome.is_failure() { self.failure_threshold(config).0 } else { 0 }
    }

    fn advance_windows(&mut self, now: Time) {
        if let Some(window) = self.memory.as_deref_mut().and_then(|memory| memory.window.as_mut()) {
            window.advance(now);
        }
    }

    /// Finds out what the report's next calls are; the permit, if it is out, comes back with it.
    fn standing(&mut self, report: &Report<'_>) -> Standing {
        let permit_was_out = report.permit.map(|id| self.take_back(id));
        let of_older = report.generation.is_some_and(|generation| generation != self.generation);
        let is_counting = match &self.state {
            State::Closed => !self.is_held(),
            State::HalfOpen(half_open) => half_open.ramp.is_some(),
            State::Open { .. } => false,
        };
        match permit_was_out {
            _ if of_older => Standing::Late,
            Some(false) => Standing::Late,
            Some(true) if !is_counting => Standing::Probe,
            Some(true) | None if is_counting => Standing::Counted,
            _ => Standing::Unheard,
        }
    }
}
