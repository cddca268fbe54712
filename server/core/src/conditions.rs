//! What trips a breaker, and how many calls can be taken at once without missing the one that does.

use crate::breaker::Breaker;
use crate::calls::CallSums;
use crate::config::{Config, FailureRate, SlowCallRate, WindowSize};
use crate::memory::Memory;
use crate::outcome::Calls;
use crate::quorum::{Quorum, Shares};
use crate::time::Time;
use crate::transition::Cause;
use crate::window::Window;

/// Calls that are alike are looked at one by one up to so many where a window over time remembers
/// who reported. It bounds the time that one run can take.
const MAX_ONE_BY_ONE: u32 = 100_000;

impl Breaker {
    /// The condition that is met, to be asked after a call that counts. The counts can be met by a
    /// failure only.
    pub(crate) fn condition_met(
        &self,
        config: &Config,
        failure_threshold: u32,
        is_failure: bool,
    ) -> Option<Cause> {
        let memory = self.memory.as_deref();
        let window = memory.and_then(|memory| memory.window.as_ref()).map(Window::sums);
        let quorum = memory.and_then(|memory| memory.quorum.as_deref());
        let agreed = |shares: fn(&Quorum) -> Shares, needed: u32| {
            !config.needs_quorum()
                || quorum.is_some_and(|quorum| quorum.agrees(config, &shares(quorum), needed))
        };
        let counted =
            |threshold: u32, count: u32| is_failure && threshold != 0 && count >= threshold;
        if counted(failure_threshold, self.counters.failures)
            && agreed(|quorum| quorum.count, failure_threshold)
        {
            return Some(Cause::FailureThreshold);
        }
        if counted(config.consecutive_failures(), self.counters.consecutive)
            && agreed(|quorum| quorum.streak, config.consecutive_failures())
        {
            return Some(Cause::ConsecutiveFailures);
        }
        let window = window?;
        if let Some(FailureRate { percent, minimum_calls }) = config.failure_rate()
            && is_met(percent, minimum_calls, window.calls, window.failures)
            && agreed(|quorum| quorum.bad_calls().failures, needed(percent, window.calls))
        {
            return Some(Cause::FailureRate);
        }
        if let Some(SlowCallRate { percent, minimum_calls, .. }) = config.slow_call_rate()
            && is_met(percent, minimum_calls, window.calls, window.slow)
            && agreed(|quorum| quorum.bad_calls().slow, needed(percent, window.calls))
        {
            return Some(Cause::SlowCallRate);
        }
        None
    }

    /// How many of these calls can be recorded at once, so that none but the last can meet a
    /// condition; at least one. So many calls just like them were recorded right before.
    pub(crate) fn calls_at_once(
        &self,
        config: &Config,
        failure_threshold: u32,
        calls: &Calls<'_>,
        before: u32,
        now: Time,
    ) -> u32 {
        let is_failure = calls.outcome.is_failure();
        let is_steady = before >= steady_after(config);
        let mut most = calls.count;
        if is_failure {
            most = most.min(self.counters.failures_to_trip(config, failure_threshold));
        }
        let watches_each = (config.needs_quorum() && (is_failure || calls.is_slow))
            || (config.has_adaptive() && is_failure);
        if watches_each && !is_steady {
            return 1;
        }
        if config.has_rates() {
            most = most.min(self.calls_to_rates(config, calls, (before, is_steady), now));
        }
        if config.needs_quorum() && is_steady { calls.count } else { most.max(1) }
    }

    /// How many of these calls it takes at least until a rate can be met.
    fn calls_to_rates(
        &self,
        config: &Config,
        calls: &Calls<'_>,
        (before, is_steady): (u32, bool),
        now: Time,
    ) -> u32 {
        let window = self.memory.as_deref().and_then(|memory: &Memory| memory.window.as_ref());
        let sums = window.map_or_else(CallSums::default, |window| *window.sums());
        let room = match (window, config.window()) {
            (Some(window), _) => window.room().unwrap_or(u32::MAX),
            (None, WindowSize::Calls(calls)) => calls,
            (None, WindowSize::Duration(_)) => u32::MAX,
        };
        // Calls that are too old for the window change no rate: the first is judged like any other,
        // the rest like the first.
        if window.is_some_and(|window| window.has_left(calls.ended_at, now)) {
            return if before == 0 { 1 } else { u32::MAX };
        }
        // Where each call pushes another one out, good ones can only lower the rates: after the
        // first of them none can meet one. Bad ones can push out bad ones or good ones.
        if room == 0 {
            let is_bad = (config.failure_rate().is_some() && calls.outcome.is_failure())
                || (config.slow_call_rate().is_some() && calls.is_slow);
            return if is_steady || (!is_bad && before > 0) { u32::MAX } else { 1 };
        }
        let to_failure_rate = config.failure_rate().map(|rate| {
            let bad = calls.outcome.is_failure();
            calls_to_meet(rate.percent, rate.minimum_calls, (sums.calls, sums.failures), bad)
        });
        let to_slow_rate = config.slow_call_rate().map(|rate| {
            calls_to_meet(rate.percent, rate.minimum_calls, (sums.calls, sums.slow), calls.is_slow)
        });
        let soonest = to_failure_rate.into_iter().chain(to_slow_rate).min();
        soonest.unwrap_or(u32::MAX).min(room)
    }
}

/// After so many calls that are alike, one more of them changes nothing but counts that are past
/// their threshold already.
fn steady_after(config: &Config) -> u32 {
    let window = match config.window() {
        WindowSize::Calls(calls) if config.has_rates() => calls,
        WindowSize::Duration(_) if config.has_rates() && config.needs_quorum() => MAX_ONE_BY_ONE,
        _ => 0,
    };
    let history = config
        .adaptive()
        .map_or(0, |adaptive| adaptive.window.saturating_add(adaptive.max_failure_threshold));
    let counts = if config.needs_quorum() {
        let levels = config.levels().map_or(&[][..], |levels| &levels.levels);
        let of_levels = levels.iter().map(|level| level.failure_threshold).max().unwrap_or(0);
        config.failure_threshold().max(of_levels).max(config.consecutive_failures())
    } else {
        0
    };
    window.max(history).max(counts)
}

/// Whether a rate is at its percent or above it, with enough calls to mean something.
fn is_met(percent: u32, minimum_calls: u32, calls: u32, bad: u32) -> bool {
    calls >= minimum_calls && u64::from(bad) * 100 >= u64::from(percent) * u64::from(calls)
}

/// How many bad calls among so many meet a rate.
fn needed(percent: u32, calls: u32) -> u32 {
    let needed = (u64::from(percent) * u64::from(calls)).div_ceil(100);
    u32::try_from(needed).unwrap_or(u32::MAX)
}

/// After how many more calls, all bad or all good, a window that drops none meets a rate for the
/// first time; `u32::MAX` if never. At least one.
fn calls_to_meet(percent: u32, minimum_calls: u32, (calls, bad): (u32, u32), are_bad: bool) -> u32 {
    let enough = minimum_calls.saturating_sub(calls).max(1);
    let missing = u64::from(percent) * u64::from(calls);
    let there = u64::from(bad) * 100;
    let by_rate = match (are_bad, 100 - u64::from(percent.min(100))) {
        // Good calls only lower the rate: now or never.
        (false, _) => {
            let calls = calls.saturating_add(enough);
            return if is_met(percent, minimum_calls, calls, bad) { enough } else { u32::MAX };
        }
        (true, _) if there >= missing => 1,
        (true, 0) => return u32::MAX,
        (true, gain) => (missing - there).div_ceil(gain),
    };
    u32::try_from(by_rate).unwrap_or(u32::MAX).max(enough)
}
