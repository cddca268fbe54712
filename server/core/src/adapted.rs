//! Adaptive breakers: threshold and open duration follow the recent calls.

use std::time::Duration;

use crate::calls::{CallSums, PackedCall};
use crate::config::{Adaptive, WindowSize};
use crate::time::{Time, nanos};
use crate::window::Window;

/// What an adaptive breaker has learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Adapted {
    /// The last calls, successes included.
    pub(crate) history: Window<CallSums>,
    /// How long OPEN lasts by now.
    pub(crate) open_duration: Duration,
    /// What that started from; another configuration starts anew.
    pub(crate) base: Duration,
}

/// Why a threshold is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThresholdReason {
    /// It is the configured one.
    Configured,
    /// It is that of the level.
    Level,
    /// Adaptive, and lowered: many of the recent calls failed.
    HighFailureRate,
    /// Adaptive, and raised: few of the recent calls failed.
    LowFailureRate,
}

/// Why an open duration is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DurationReason {
    /// It is the configured one.
    Configured,
    /// It is that of the level.
    Level,
    /// Adaptive, and longer than configured: successes were slow at trips.
    SlowResponses,
    /// Adaptive, and shorter than configured: successes were fast at trips.
    FastResponses,
}

impl Adapted {
    pub(crate) fn new(adaptive: &Adaptive, base: Duration) -> Self {
        let history = Window::new(WindowSize::Calls(adaptive.window));
        Self { history, open_duration: base, base }
    }

    /// Takes over a changed configuration; what was learnt of the calls stays.
    pub(crate) fn reconfigure(&mut self, adaptive: &Adaptive, base: Duration) {
        self.history.resize(WindowSize::Calls(adaptive.window));
        if self.base != base {
            (self.base, self.open_duration) = (base, base);
        }
    }

    pub(crate) fn record(&mut self, call: PackedCall, count: u32, now: Time) {
        self.history.push(call, count, now, now);
    }

    /// The threshold that the calls so far make of the configured one, which is off if it is 0.
    pub(crate) fn failure_threshold(
        &self,
        adaptive: &Adaptive,
        base: u32,
    ) -> (u32, ThresholdReason) {
        let CallSums { calls, failures, .. } = *self.history.sums();
        let (failed, of_all) = (u64::from(failures) * 100, u64::from(calls));
        if base == 0 || calls < adaptive.window {
            (base, ThresholdReason::Configured)
        } else if failed > of_all * u64::from(adaptive.high_failure_percent) {
            let lowered = base.saturating_sub(adaptive.threshold_step);
            (lowered.max(adaptive.min_failure_threshold), ThresholdReason::HighFailureRate)
        } else if failed < of_all * u64::from(adaptive.low_failure_percent) {
            let raised = base.saturating_add(adaptive.threshold_step);
            (raised.min(adaptive.max_failure_threshold), ThresholdReason::LowFailureRate)
        } else {
            (base, ThresholdReason::Configured)
        }
    }

    /// Lets the open duration follow the calls so far, as it does once at each trip.
    pub(crate) fn adapt_open_duration(&mut self, adaptive: &Adaptive) {
        let sums = self.history.sums();
        let successes = u128::from(sums.successes());
        let total = u128::from(sums.success_nanos);
        let at = |average: Duration| u128::from(nanos(average)) * successes;
        if successes == 0 {
            return;
        }
        if total > at(adaptive.slow_response) {
            let longer = adaptive.slow_multiplier.of(self.open_duration);
            self.open_duration = longer.min(adaptive.max_open_duration);
        } else if total < at(adaptive.fast_response) {
            let shorter = adaptive.fast_multiplier.of(self.open_duration);
            self.open_duration = shorter.max(adaptive.min_open_duration);
        }
    }

    pub(crate) fn duration_reason(&self) -> DurationReason {
        match self.open_duration.cmp(&self.base) {
            std::cmp::Ordering::Less => DurationReason::FastResponses,
            std::cmp::Ordering::Equal => DurationReason::Configured,
            std::cmp::Ordering::Greater => DurationReason::SlowResponses,
        }
    }
}
