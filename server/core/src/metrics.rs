//! What a breaker knows about its calls: a window, and totals.

use crate::calls::{CallSums, code};
use crate::config::WindowSize;
use crate::outcome::{Calls, ErrorKind, Outcome};
use crate::time::Time;
use crate::window::Window;

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
        self.successes.saturating_add(self.failures).saturating_add(self.timeouts)
    }
}

/// The last call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// When it ended.
    pub at: Time,
    /// The kind of its error; empty where none was reported. It keeps its memory from one failure
    /// to the next.
    kind: String,
}

impl LastFailure {
    /// A call that failed at this time, with an error of this kind.
    pub fn new(at: Time, error_kind: Option<&ErrorKind<'_>>) -> Self {
        let mut failure = Self { at, kind: String::new() };
        failure.replace(at, error_kind);
        failure
    }

    /// The kind of its error, where one was reported.
    pub fn error_kind(&self) -> Option<&str> {
        (!self.kind.is_empty()).then_some(self.kind.as_str())
    }

    /// A later call failed.
    fn replace(&mut self, at: Time, error_kind: Option<&ErrorKind<'_>>) {
        self.at = at;
        self.kind.clear();
        self.kind.push_str(error_kind.map_or("", ErrorKind::as_str));
    }
}

/// Rates over the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Calls in the window.
    pub calls: u32,
    /// Failures and timeouts in the window.
    pub failures: u32,
    /// Slow calls in the window: those that the clients took for slow and, with `slow_call_rate`,
    /// those longer than its duration.
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

impl Rates {
    fn of(sums: &CallSums) -> Self {
        let share = |part: u32| match sums.calls {
            0 => 0.0,
            calls => f64::from(part) / f64::from(calls),
        };
        Self {
            calls: sums.calls,
            failures: sums.failures,
            slow: sums.slow,
            failure_rate: share(sums.failures),
            success_rate: share(sums.successes()),
            slow_rate: share(sums.slow),
            average_response_time_ms: match sums.successes() {
                0 => 0.0,
                successes => sums.success_nanos as f64 / f64::from(successes) / 1e6,
            },
        }
    }
}

/// How many of the last outcomes are kept one by one for people to look at.
const RECENT_CALLS: usize = 10;

/// The metrics of one breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    pub(crate) window: Window<CallSums>,
    pub(crate) totals: Totals,
    pub(crate) recent: RecentCalls,
    pub(crate) last_failure: Option<LastFailure>,
}

impl Metrics {
    pub(crate) fn new(window: WindowSize) -> Self {
        Self {
            window: Window::new(window),
            totals: Totals::default(),
            recent: RecentCalls::default(),
            last_failure: None,
        }
    }

    /// Records calls that are alike.
    pub(crate) fn record(&mut self, calls: &Calls<'_>, now: Time) {
        let Calls { outcome, count, ended_at, .. } = *calls;
        let total = match outcome {
            Outcome::Success => &mut self.totals.successes,
            Outcome::Failure => &mut self.totals.failures,
            Outcome::Timeout => &mut self.totals.timeouts,
            Outcome::Ignored => &mut self.totals.ignored,
        };
        *total = total.saturating_add(u64::from(count));
        if outcome == Outcome::Ignored {
            return;
        }
        // Reports of several clients do not arrive in the order in which their calls ended.
        if outcome.is_failure() {
            match &mut self.last_failure {
                Some(last) if last.at > ended_at => {}
                Some(last) => last.replace(ended_at, calls.error_kind),
                None => self.last_failure = Some(LastFailure::new(ended_at, calls.error_kind)),
            }
        }
        self.recent.push(outcome, count);
        self.window.push(calls.packed(), count, ended_at, now);
    }

    /// Counts since the breaker was created.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Rates over the window as it is now.
    pub fn rates(&self, now: Time) -> Rates {
        Rates::of(&self.window.sums_at(now))
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
