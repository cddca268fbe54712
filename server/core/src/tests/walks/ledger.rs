//! The metrics of a breaker kept the simple way: every call in a list, every sum made anew.

use std::time::Duration;

use super::walker::{Answer, Event};
use crate::tests::globs::matches_simply;
use crate::{
    Cause, Config, Decision, ErrorKind, LastFailure, Metrics, Outcome, Rates, Run, Time, Totals,
};

/// One call that has ended.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) outcome: Outcome,
    pub(super) nanos: u64,
    pub(super) slow: bool,
    pub(super) error_kind: Option<ErrorKind>,
    pub(super) age: Duration,
}

/// The calls of a run one by one, as [`Run`] says they are.
pub(super) fn calls(run: &Run) -> Vec<Call> {
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
pub(super) fn run_of(calls: &[Call]) -> Run {
    Run {
        outcome: calls[0].outcome,
        count: calls.len() as u32,
        total_duration: calls.iter().map(|call| Duration::from_nanos(call.nanos)).sum(),
        slow_count: calls.iter().filter(|call| call.slow).count() as u32,
        error_kind: calls[0].error_kind.clone(),
        age: calls[0].age,
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Every call that counts, as long as the window never was too small for it.
    window: Vec<(Outcome, u64, bool)>,
    recent: Vec<Outcome>,
    totals: Totals,
    last_failure: Option<LastFailure>,
}

impl Ledger {
    /// Enters what happened: under `config`, the one before a change of configuration.
    pub(super) fn enter(&mut self, config: &Config, event: &Event, answer: &Answer, now: Time) {
        for transition in &answer.transitions {
            if transition.cause == Cause::ProbeExpired {
                let call = Call {
                    outcome: Outcome::Timeout,
                    nanos: config.call_timeout().as_nanos() as u64,
                    slow: false,
                    error_kind: None,
                    age: Duration::ZERO,
                };
                self.enter_call(config, &call, transition.at);
            }
        }
        match event {
            Event::Record(report) => {
                for call in calls(&report.run) {
                    self.enter_call(config, &call, now - call.age);
                }
            }
            Event::Reconfigure(new) => self.keep(new.window_calls()),
            _ => {}
        }
        if let Some(Decision::Denied { .. }) = answer.decision {
            self.totals.denied += 1;
        }
    }

    fn enter_call(&mut self, config: &Config, call: &Call, ended_at: Time) {
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
            let error_kind = call.error_kind.clone();
            self.last_failure = Some(LastFailure { at: ended_at, error_kind });
        }
        self.recent.push(outcome);
        self.window.push((outcome, call.nanos, call.slow));
        self.keep(config.window_calls());
    }

    fn keep(&mut self, window_calls: u32) {
        let surplus = self.window.len().saturating_sub(window_calls as usize);
        self.window.drain(..surplus);
    }

    /// Compares the books. Whether a call was late depends on the state, which no book keeps here.
    pub(super) fn check(&self, metrics: Option<&Metrics>) {
        let kept = metrics.cloned().unwrap_or_default();
        assert_eq!(*kept.totals(), Totals { late: kept.totals().late, ..self.totals });
        assert_eq!(kept.rates(), self.rates());
        let last_ten = &self.recent[self.recent.len().saturating_sub(10)..];
        assert_eq!(kept.recent_calls().collect::<Vec<_>>(), last_ten);
        assert_eq!(kept.last_failure(), self.last_failure.as_ref());
    }

    fn rates(&self) -> Rates {
        let calls = self.window.len() as u32;
        let with =
            |outcome: Outcome| self.window.iter().filter(|call| call.0 == outcome).count() as u32;
        let successes = with(Outcome::Success);
        let failures = with(Outcome::Failure) + with(Outcome::Timeout);
        let slow = self.window.iter().filter(|call| call.2).count() as u32;
        let nanos: u64 =
            self.window.iter().filter(|call| call.0 == Outcome::Success).map(|call| call.1).sum();
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
