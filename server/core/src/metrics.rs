//! What a breaker knows about its calls: a window of the last N, and totals.

use std::collections::VecDeque;
use std::ops::Range;

use crate::config::Config;
use crate::outcome::{ErrorKind, Outcome, Run};
use crate::time::Time;

/// Counts since the breaker was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Successful calls.
    pub successes: u64,
    /// Failed calls.
    pub failures: u64,
    /// Calls that took longer than `call_timeout`, and permits that passed their deadline.
    pub timeouts: u64,
    /// Calls that count for nothing.
    pub ignored: u64,
    /// Those of the above that ended in a later generation than the one they were admitted under.
    pub late: u64,
    /// Calls that were denied.
    pub denied: u64,
}

impl Totals {
    /// Calls that count: successes, failures and timeouts.
    pub const fn calls(&self) -> u64 {
        self.successes + self.failures + self.timeouts
    }
}

/// The last call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// When it ended.
    pub at: Time,
    /// The kind of its error, where one was reported.
    pub error_kind: Option<ErrorKind>,
}

/// Rates over the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Calls in the window.
    pub calls: u32,
    /// Failures and timeouts in the window.
    pub failures: u32,
    /// Calls in the window that were reported as slow.
    pub slow: u32,
    /// Failures per call, 0 to 1; 0 without calls.
    pub failure_rate: f64,
    /// Successes per call, 0 to 1; 0 without calls.
    pub success_rate: f64,
    /// Slow calls per call, 0 to 1; 0 without calls.
    pub slow_rate: f64,
    /// Mean duration of the successes in milliseconds; 0 without successes.
    pub average_response_time_ms: f64,
}

/// How many of the last outcomes are kept one by one for people to look at.
const RECENT_CALLS: usize = 10;

/// The metrics of one breaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    pub(crate) window: CallWindow,
    pub(crate) totals: Totals,
    pub(crate) recent: RecentCalls,
    pub(crate) last_failure: Option<LastFailure>,
}

impl Metrics {
    /// Records those calls of a run, which were judged to be `outcome` and ended at `ended_at`.
    pub(crate) fn record(
        &mut self,
        config: &Config,
        run: &Run,
        calls: Range<u32>,
        outcome: Outcome,
        ended_at: Time,
    ) {
        let count = u64::from(calls.end - calls.start);
        match outcome {
            Outcome::Success => self.totals.successes += count,
            Outcome::Failure => self.totals.failures += count,
            Outcome::Timeout => self.totals.timeouts += count,
            Outcome::Ignored => {
                self.totals.ignored += count;
                return;
            }
        }
        // Reports of several clients do not arrive in the order in which their calls ended.
        if outcome.is_failure() && self.last_failure.as_ref().is_none_or(|l| l.at <= ended_at) {
            self.last_failure =
                Some(LastFailure { at: ended_at, error_kind: run.error_kind.clone() });
        }
        self.recent.push(outcome, calls.end - calls.start);
        self.window.push(run, calls, outcome, config.window_calls());
    }

    /// Counts since the breaker was created.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Rates over the window.
    pub fn rates(&self) -> Rates {
        self.window.rates()
    }

    /// The outcomes of the last ten calls, the latest last.
    pub fn recent_calls(&self) -> impl Iterator<Item = Outcome> {
        self.recent.iter()
    }

    /// The last call that failed.
    pub const fn last_failure(&self) -> Option<&LastFailure> {
        self.last_failure.as_ref()
    }
}

/// One call in eight bytes: outcome in bits 0 and 1, slow in bit 2, nanoseconds above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedCall(pub(crate) u64);

const SLOW_BIT: u64 = 1 << 2;
const DURATION_SHIFT: u32 = 3;

impl PackedCall {
    fn new(outcome: Outcome, nanos: u64, slow: bool) -> Self {
        let nanos = nanos.min(u64::MAX >> DURATION_SHIFT);
        Self(nanos << DURATION_SHIFT | u64::from(slow) << 2 | u64::from(code(outcome)))
    }

    pub(crate) const fn is_success(self) -> bool {
        self.0 & 3 == code(Outcome::Success) as u64
    }

    const fn is_slow(self) -> bool {
        self.0 & SLOW_BIT != 0
    }

    const fn nanos(self) -> u64 {
        self.0 >> DURATION_SHIFT
    }

    pub(crate) const fn is_valid(self) -> bool {
        self.0 & 3 != 0
    }
}

/// An outcome in two bits; 0 is no call at all.
const fn code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ignored => 0,
        Outcome::Success => 1,
        Outcome::Failure => 2,
        Outcome::Timeout => 3,
    }
}

/// The last N calls with running sums, so that a rate is a division and not a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallWindow {
    calls: VecDeque<PackedCall>,
    successes: u32,
    slow: u32,
    success_nanos: u64,
}

impl CallWindow {
    /// Adds those calls of a run. Of more than the window has room for only the last are walked.
    fn push(&mut self, run: &Run, calls: Range<u32>, outcome: Outcome, capacity: u32) {
        let durations = run.durations();
        for index in calls.start.max(calls.end.saturating_sub(capacity))..calls.end {
            let call = PackedCall::new(outcome, durations.of(index), run.is_slow(index));
            self.push_call(call, capacity);
        }
    }

    pub(crate) fn push_call(&mut self, call: PackedCall, capacity: u32) {
        self.truncate(capacity.saturating_sub(1));
        if call.is_success() {
            self.successes += 1;
            self.success_nanos = self.success_nanos.saturating_add(call.nanos());
        }
        self.slow += u32::from(call.is_slow());
        self.calls.push_back(call);
    }

    /// Drops the oldest calls until at most `capacity` are left.
    pub(crate) fn truncate(&mut self, capacity: u32) {
        while self.calls.len() > capacity as usize {
            let Some(oldest) = self.calls.pop_front() else { return };
            if oldest.is_success() {
                self.successes -= 1;
                self.success_nanos = self.success_nanos.saturating_sub(oldest.nanos());
            }
            self.slow -= u32::from(oldest.is_slow());
        }
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = PackedCall> {
        self.calls.iter().copied()
    }

    pub(crate) fn len(&self) -> u32 {
        self.calls.len() as u32
    }

    pub(crate) fn failures(&self) -> u32 {
        self.len() - self.successes
    }

    fn rates(&self) -> Rates {
        let share = |part: u32| match self.len() {
            0 => 0.0,
            calls => f64::from(part) / f64::from(calls),
        };
        Rates {
            calls: self.len(),
            failures: self.failures(),
            slow: self.slow,
            failure_rate: share(self.failures()),
            success_rate: share(self.successes),
            slow_rate: share(self.slow),
            average_response_time_ms: match self.successes {
                0 => 0.0,
                successes => self.success_nanos as f64 / f64::from(successes) / 1e6,
            },
        }
    }
}

/// The outcomes of the last ten calls, two bits each, the latest in the lowest bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecentCalls(pub(crate) u32);

impl RecentCalls {
    const MASK: u32 = (1 << (2 * RECENT_CALLS)) - 1;

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits & Self::MASK)
    }

    fn push(&mut self, outcome: Outcome, count: u32) {
        for _ in 0..count.min(RECENT_CALLS as u32) {
            self.0 = (self.0 << 2 | u32::from(code(outcome))) & Self::MASK;
        }
    }

    fn iter(self) -> impl Iterator<Item = Outcome> {
        (0..RECENT_CALLS).rev().filter_map(move |position| match self.0 >> (2 * position) & 3 {
            1 => Some(Outcome::Success),
            2 => Some(Outcome::Failure),
            3 => Some(Outcome::Timeout),
            _ => None,
        })
    }
}
