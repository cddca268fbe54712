//! The metrics of a breaker kept the simple way: every call in a list, every sum made anew.

use std::time::Duration;

use super::walker::{Answer, Event};
use crate::tests::globs::matches_simply;
use crate::{
    Config, Decision, ErrorKind, ExpiredProbe, LastFailure, Metrics, Outcome, Permit, Rates, Run,
    Time, Totals, WindowSize,
};

/// One call that has ended.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) outcome: Outcome,
    pub(super) nanos: u64,
    pub(super) slow: bool,
    pub(super) error_kind: Option<ErrorKind<'static>>,
    pub(super) age: Duration,
}

/// The calls of a run one by one, as [`Run`] says they are.
pub(super) fn calls(run: &Run<'static>) -> Vec<Call> {
    let total = run.total_duration.as_nanos() as u64;
    let (count, slow_count) = (u64::from(run.count), u64::from(run.slow_count));
    let call = |index: u64| Call {
        outcome: run.outcome,
        nanos: if index < count - total % count { total / count } else { total / count + 1 },
        slow: index >= count - slow_count,
        error_kind: run.error_kind.clone(),
        age: run.age,
    };
    (0..count).map(call).collect()
}

impl Call {
    /// What a permit past its deadline counts as.
    pub(super) fn expired(config: &Config) -> Self {
        Self {
            outcome: match config.expired_probe() {
                ExpiredProbe::Timeout => Outcome::Timeout,
                ExpiredProbe::Ignore => Outcome::Ignored,
            },
            nanos: config.call_timeout().as_nanos() as u64,
            slow: false,
            error_kind: None,
            age: Duration::ZERO,
        }
    }

    /// Whether the call is slow under this configuration.
    pub(super) fn is_slow(&self, config: &Config) -> bool {
        let limit = config.slow_call_rate().map(|slow| slow.duration.as_nanos());
        self.slow || limit.is_some_and(|limit| u128::from(self.nanos) > limit)
    }

    /// What the call counts as.
    pub(super) fn judged(&self, config: &Config) -> Outcome {
        let failed = self.outcome == Outcome::Failure || self.outcome == Outcome::Timeout;
        match &self.error_kind {
            _ if self.outcome == Outcome::Ignored => Outcome::Ignored,
            Some(kind) if failed && is_among(config.ignored_errors(), kind) => Outcome::Ignored,
            Some(kind) if failed && !is_among(config.failure_errors(), kind) => Outcome::Ignored,
            _ if u128::from(self.nanos) > config.call_timeout().as_nanos() => Outcome::Timeout,
            _ => self.outcome,
        }
    }
}

fn is_among<'a>(mut globs: impl Iterator<Item = &'a str>, kind: &ErrorKind) -> bool {
    globs.any(|glob| matches_simply(glob.as_bytes(), kind.as_str().as_bytes()))
}

/// Calls that ended one after another with the same outcome, as one run.
pub(super) fn run_of(calls: &[Call]) -> Run<'static> {
    Run {
        outcome: calls[0].outcome,
        count: calls.len() as u32,
        total_duration: calls.iter().map(|call| Duration::from_nanos(call.nanos)).sum(),
        slow_count: calls.iter().filter(|call| call.slow).count() as u32,
        error_kind: calls[0].error_kind.clone(),
        age: calls[0].age,
    }
}

/// A call that counts, as it is entered.
#[derive(Clone, Debug)]
struct Entry {
    ended_at: Time,
    outcome: Outcome,
    nanos: u64,
    slow: bool,
}

/// Whether a call that ended then is in a window of this duration that ends now: in the bucket of
/// now, or in one of the 99 before.
pub(super) fn is_within(duration: Duration, ended_at: Time, now: Time) -> bool {
    let width = (duration.as_nanos() / 100).max(1);
    let bucket = |time: Time| u128::from(time.as_nanos()) / width;
    bucket(ended_at) <= bucket(now) && bucket(ended_at) + 100 > bucket(now)
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Every call that counts, as long as the window never was too small for it.
    window: Vec<Entry>,
    recent: Vec<Outcome>,
    totals: Totals,
    last_failure: Option<LastFailure>,
}

impl Ledger {
    /// Enters what happened: under `config`, the one before a change of configuration, after these
    /// permits had passed their deadline.
    pub(super) fn enter(
        &mut self,
        config: &Config,
        event: &Event,
        expired: &[Permit],
        answer: &Answer,
        now: Time,
    ) {
        for permit in expired {
            self.enter_call(config, &Call::expired(config), permit.deadline, permit.deadline);
        }
        match event {
            Event::Record(report) => {
                for call in calls(&report.run) {
                    self.enter_call(config, &call, now - call.age, now);
                }
            }
            Event::Reconfigure(new) => self.resize(config.window(), new.window()),
            _ => {}
        }
        if let Some(Decision::Denied { .. }) = answer.decision {
            self.totals.denied += 1;
        }
    }

    /// How many calls timed out or were ignored.
    pub(super) fn timeouts_and_ignored(&self) -> u64 {
        self.totals.timeouts + self.totals.ignored
    }

    fn enter_call(&mut self, config: &Config, call: &Call, ended_at: Time, now: Time) {
        let outcome = call.judged(config);
        match outcome {
            Outcome::Success => self.totals.successes += 1,
            Outcome::Failure => self.totals.failures += 1,
            Outcome::Timeout => self.totals.timeouts += 1,
            Outcome::Ignored => self.totals.ignored += 1,
        }
        if outcome == Outcome::Ignored {
            return;
        }
        let last_at = self.last_failure.as_ref().map(|last| last.at);
        if outcome != Outcome::Success && last_at.is_none_or(|last_at| last_at <= ended_at) {
            self.last_failure = Some(LastFailure::new(ended_at, call.error_kind.as_ref()));
        }
        self.recent.push(outcome);
        let (nanos, slow) = (call.nanos, call.is_slow(config));
        self.window.push(Entry { ended_at, outcome, nanos, slow });
        match config.window() {
            WindowSize::Calls(calls) => self.keep(calls),
            // What is not in the window when a call is recorded never comes back, wherever the
            // clock jumps to.
            WindowSize::Duration(length) => {
                self.window.retain(|entry| is_within(length, entry.ended_at, now));
            }
        }
    }

    fn keep(&mut self, window_calls: u32) {
        let surplus = self.window.len().saturating_sub(window_calls as usize);
        self.window.drain(..surplus);
    }

    fn resize(&mut self, old: WindowSize, new: WindowSize) {
        match (old, new) {
            (WindowSize::Calls(_), WindowSize::Calls(calls)) => self.keep(calls),
            (WindowSize::Duration(old), WindowSize::Duration(new))
                if old.as_nanos() / 100 == new.as_nanos() / 100 => {}
            _ => self.window.clear(),
        }
    }

    /// Compares the books. Whether a call was late depends on the state, which no book keeps here.
    pub(super) fn check(&self, metrics: Option<&Metrics>, config: &Config, now: Time) {
        let rates = metrics.map(|metrics| metrics.rates(now)).unwrap_or_default();
        assert_eq!(rates, self.rates(config, now));
        let Some(metrics) = metrics else {
            assert_eq!(self.totals, Totals::default());
            return;
        };
        assert_eq!(*metrics.totals(), Totals { late: metrics.totals().late, ..self.totals });
        let last_ten = &self.recent[self.recent.len().saturating_sub(10)..];
        assert_eq!(metrics.recent_calls().collect::<Vec<_>>(), last_ten);
        assert_eq!(metrics.last_failure(), self.last_failure.as_ref());
    }

    fn rates(&self, config: &Config, now: Time) -> Rates {
        let is_in = |entry: &&Entry| match config.window() {
            WindowSize::Calls(_) => true,
            WindowSize::Duration(length) => is_within(length, entry.ended_at, now),
        };
        let window: Vec<_> = self.window.iter().filter(is_in).collect();
        let calls = window.len() as u32;
        let with =
            |outcome: Outcome| window.iter().filter(|call| call.outcome == outcome).count() as u32;
        let successes = with(Outcome::Success);
        let failures = with(Outcome::Failure) + with(Outcome::Timeout);
        let slow = window.iter().filter(|call| call.slow).count() as u32;
        let succeeded = window.iter().filter(|call| call.outcome == Outcome::Success);
        let nanos: u64 = succeeded.map(|call| call.nanos).sum();
        let per = |part: f64, whole: u32| if whole == 0 { 0.0 } else { part / f64::from(whole) };
        Rates {
            calls,
            failures,
            slow,
            failure_rate: per(f64::from(failures), calls),
            success_rate: per(f64::from(successes), calls),
            slow_rate: per(f64::from(slow), calls),
            average_response_time_ms: per(nanos as f64, successes) / 1e6,
        }
    }
}
