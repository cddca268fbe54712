//! What trips, under which thresholds, and for how long.

use std::cmp::Ordering;
use std::time::Duration;

use super::calls::{Brought, Heard, mean_is, needs_quorum};
use super::{Change, Reference};
use crate::{Cause, Counts, Outcome, StateKind, Time};

/// A duration times so many thousandths, cut to whole nanoseconds.
fn times(duration: Duration, thousandths: u32) -> Duration {
    let nanos = duration.as_nanos() * u128::from(thousandths) / 1_000;
    Duration::from_nanos(u64::try_from(nanos).unwrap())
}

impl Reference {
    pub(super) fn max_probes(&self) -> u32 {
        let closing = match self.config.probe_calls() {
            Some(judged) => judged.calls,
            None => self.success_threshold(),
        };
        let follows = self.config.to_patch().max_probes.is_none();
        if follows { closing } else { self.config.max_probes() }
    }

    pub(super) fn success_threshold(&self) -> u32 {
        match self.config.levels() {
            Some(levels) => levels.levels[self.level].success_threshold,
            None => self.config.success_threshold(),
        }
    }

    /// The threshold that the calls so far make.
    pub(in crate::tests::walks) fn threshold(&self) -> u32 {
        if let Some(levels) = self.config.levels() {
            return levels.levels[self.level].failure_threshold;
        }
        let base = self.config.failure_threshold();
        let Some(adaptive) = self.config.adaptive() else { return base };
        let history = self.history();
        if base == 0 || history.calls < adaptive.window {
            return base;
        }
        let percent = f64::from(history.failures) * 100.0 / f64::from(history.calls);
        if percent > f64::from(adaptive.high_failure_percent) {
            base.saturating_sub(adaptive.threshold_step).max(adaptive.min_failure_threshold)
        } else if percent < f64::from(adaptive.low_failure_percent) {
            (base + adaptive.threshold_step).min(adaptive.max_failure_threshold)
        } else {
            base
        }
    }

    pub(in crate::tests::walks) fn open_duration(&self) -> Duration {
        match self.config.levels() {
            Some(levels) => levels.levels[self.level].open_duration,
            None => self.learnt_duration,
        }
    }

    /// A call that counts: it is judged under the threshold before it.
    pub(super) fn counts(&mut self, heard: Heard, now: Time) {
        let threshold = self.threshold();
        let (outcome, ended_at) = (heard.outcome, heard.at);
        self.learns(heard.clone());
        self.counts_in(heard);
        if let Some(cause) = self.condition_met(outcome, threshold, now) {
            self.opens_by_itself(now, ended_at, cause);
        }
    }

    fn condition_met(&self, outcome: Outcome, threshold: u32, now: Time) -> Option<Cause> {
        let tally = self.tally();
        let is_failure = outcome != Outcome::Success;
        if is_failure
            && threshold > 0
            && tally.failures >= threshold
            && self.agrees(&tally.failures_by, threshold)
        {
            return Some(Cause::FailureThreshold);
        }
        let in_a_row = self.config.consecutive_failures();
        if is_failure
            && in_a_row > 0
            && tally.in_a_row >= in_a_row
            && self.agrees(&tally.in_a_row_by, in_a_row)
        {
            return Some(Cause::ConsecutiveFailures);
        }
        let rated = self.rated(now);
        if let Some(rate) = self.config.failure_rate()
            && rated.calls >= rate.minimum_calls
            && rated.failures * 100 >= rate.percent * rated.calls
            && self.agrees(&rated.failures_by, (rate.percent * rated.calls).div_ceil(100))
        {
            return Some(Cause::FailureRate);
        }
        if let Some(rate) = self.config.slow_call_rate()
            && rated.calls >= rate.minimum_calls
            && rated.slow * 100 >= rate.percent * rated.calls
            && self.agrees(&rated.slow_by, (rate.percent * rated.calls).div_ceil(100))
        {
            return Some(Cause::SlowCallRate);
        }
        None
    }

    fn agrees(&self, brought: &Brought, needed: u32) -> bool {
        if !needs_quorum(&self.config) {
            return true;
        }
        let shares: Vec<_> = brought.values().copied().filter(|&share| share > 0).collect();
        let most = match self.config.max_reporter_share() {
            Some(percent) => (needed * percent / 100).max(1),
            None => u32::MAX,
        };
        let of_all: u32 = shares.iter().map(|&share| share.min(most)).sum();
        shares.len() >= self.config.min_reporters() as usize
            && (self.config.max_reporter_share().is_none() || of_all >= needed)
    }

    pub(super) fn opens_by_itself(&mut self, at: Time, failed_at: Time, cause: Cause) {
        self.adapts_open_duration();
        let from_level = self.level;
        if let Some(levels) = self.config.levels() {
            let metrics = self.metrics(at);
            let is_above = metrics.failures * 100 > levels.escalate_above * metrics.calls;
            if is_above && self.level + 1 < levels.levels.len() {
                self.level += 1;
            }
        }
        let mut duration = self.open_duration();
        if let Some(backoff) = self.config.backoff() {
            if self.state == StateKind::HalfOpen {
                self.reopens += 1;
                for _ in 0..self.reopens {
                    duration = times(duration.min(backoff.max), backoff.multiplier.0);
                }
            }
            duration = duration.min(backoff.max);
        }
        let retry_at = failed_at.max(self.since) + duration;
        self.become_open(at, retry_at, cause, from_level);
    }

    fn adapts_open_duration(&mut self) {
        let Some(adaptive) = self.config.adaptive() else { return };
        let successes = self.history().success_nanos;
        if successes.is_empty() {
            return;
        }
        if mean_is(&successes, adaptive.slow_response) == Ordering::Greater {
            let longer = times(self.learnt_duration, adaptive.slow_multiplier.0);
            self.learnt_duration = longer.min(adaptive.max_open_duration);
        } else if mean_is(&successes, adaptive.fast_response) == Ordering::Less {
            let shorter = times(self.learnt_duration, adaptive.fast_multiplier.0);
            self.learnt_duration = shorter.max(adaptive.min_open_duration);
        }
    }

    pub(in crate::tests::walks) fn counts_now(&self, now: Time) -> Counts {
        let (tally, metrics) = (self.tally(), self.metrics(now));
        Counts {
            failure_count: tally.failures,
            consecutive_failures: tally.in_a_row,
            success_count: self.probes.iter().filter(|ok| **ok).count() as u32,
            window_calls: metrics.calls,
            window_failures: metrics.failures,
        }
    }

    pub(in crate::tests::walks) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }
}
