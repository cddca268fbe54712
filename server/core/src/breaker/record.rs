//! How calls that have ended move a breaker.
//!
//! A run means what its calls mean one by one. It is taken in pieces of calls that mean the same,
//! and a piece ends where the next call meets another state: after the failure that trips, after
//! the probe. What is due by then passes between two pieces as it would between two reports.

use crate::breaker::Breaker;
use crate::config::Config;
use crate::outcome::{Outcome, Report};
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
    /// Calls of a CLOSED breaker: they count towards the conditions.
    Counted,
    /// The probe of a HALF_OPEN breaker.
    Probe,
}

impl Breaker {
    /// Records how calls ended.
    pub fn record(&mut self, config: &Config, report: &Report, now: Time) -> Vec<Transition> {
        let mut transitions = self.advance(config, now);
        let mut recorded = 0;
        while recorded < report.run.count {
            recorded += self.record_piece(config, report, recorded, now, &mut transitions);
            self.pass_timers(config, now, &mut transitions);
        }
        transitions
    }

    /// Records the calls from `first` on that mean the same; returns how many, at least one.
    fn record_piece(
        &mut self,
        config: &Config,
        report: &Report,
        first: u32,
        now: Time,
        transitions: &mut Vec<Transition>,
    ) -> u32 {
        let run = &report.run;
        let (outcome, end) = run.judged(config, first);
        let standing = self.standing(report);
        let count = match standing {
            Standing::Probe => 1,
            Standing::Counted if outcome.is_failure() => {
                self.counters.failures_to_trip(config).min(end - first)
            }
            _ => end - first,
        };
        let ended_at = now - run.age;
        let metrics = self.metrics_mut();
        metrics.record(config, run, first..first + count, outcome, ended_at);
        if matches!(standing, Standing::Late) {
            metrics.totals.late += u64::from(count);
        }
        // OPEN lasts from the failure, which cannot lie before the state that it ends.
        let retry_at = ended_at.max(self.since) + config.open_duration();
        let open = State::Open { retry_at: Some(retry_at) };
        if let Some((state, cause)) = self.judge(config, standing, (outcome, count), open) {
            self.enter_by_itself(state, cause, now, transitions);
        }
        count
    }

    /// Judges calls of one outcome, and tells what the breaker changes to: `open`, if they trip it.
    fn judge(
        &mut self,
        config: &Config,
        standing: Standing,
        (outcome, count): (Outcome, u32),
        open: State,
    ) -> Option<(State, Cause)> {
        match (standing, outcome, &mut self.state) {
            (Standing::Counted, Outcome::Success, _) => {
                self.counters.succeed(config, count);
                None
            }
            (Standing::Counted, Outcome::Failure | Outcome::Timeout, _) => {
                self.counters.fail(count);
                self.counters.condition_met(config).map(|cause| (open, cause))
            }
            (Standing::Probe, Outcome::Success, State::HalfOpen(probes)) => {
                probes.succeed();
                let enough = probes.successes() >= config.success_threshold();
                enough.then_some((State::Closed, Cause::ProbesSucceeded))
            }
            (Standing::Probe, Outcome::Failure | Outcome::Timeout, _) => {
                Some((open, Cause::ProbeFailed))
            }
            _ => None,
        }
    }

    /// Finds out what the report's next calls are; the permit, if it is out, comes back with it.
    fn standing(&mut self, report: &Report) -> Standing {
        let permit_was_out = report.permit.map(|id| self.take_back(id));
        let of_older = report.generation.is_some_and(|generation| generation != self.generation);
        match permit_was_out {
            _ if of_older => Standing::Late,
            Some(false) => Standing::Late,
            Some(true) => Standing::Probe,
            None if matches!(self.state, State::Closed) && !self.is_held() => Standing::Counted,
            None => Standing::Unheard,
        }
    }
}
