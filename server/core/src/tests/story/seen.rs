use super::{millis, whole_millis};
use crate::{Breaker, Config, Metrics, Mode, Outcome, Probes, Rates, StateKind, Time};

/// What can be seen of a breaker.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tests) enum Seen {
    Mode(Mode),
    State(StateKind),
    Generation(u64),
    Since(u64),
    RetryAt(Option<u64>),
    FailureCount(u32),
    Consecutive(u32),
    Successes(u32),
    FailedProbes(u32),
    PermitsOut(usize),
    WindowCalls(u32),
    WindowFailures(u32),
    SlowCalls(u32),
    FailureRate(f64),
    SuccessRate(f64),
    SlowRate(f64),
    AverageMs(f64),
    /// The last ten calls, the latest last, by their first letters.
    Recent(&'static str),
    /// Successes, failures, timeouts and ignored calls since the beginning.
    Totals(u64, u64, u64, u64),
    Late(u64),
    Denied(u64),
    /// When the last failure was, and of which kind.
    LastFailure(Option<(u64, &'static str)>),
    /// The share of the calls that the ramp lets through, in percent.
    Admits(Option<u32>),
    /// The failures that trip just now.
    Threshold(u32),
    /// How long OPEN lasts just now, before backoff.
    OpenMs(u64),
    /// How many probes may be out just now.
    MaxProbes(u32),
    /// The name of the level.
    Level(&'static str),
}

impl Seen {
    /// The same question with the breaker's own answer.
    pub(super) fn really(&self, breaker: &Breaker, config: &Config, now: Time) -> Self {
        let counts = breaker.counts(now);
        let metrics = breaker.metrics();
        let rates = metrics.map_or_else(Rates::default, |metrics| metrics.rates(now));
        let effective = breaker.effective(config);
        let totals = breaker.metrics().map(|metrics| *metrics.totals()).unwrap_or_default();
        match self {
            Self::Mode(_) => Self::Mode(breaker.mode()),
            Self::State(_) => Self::State(breaker.state()),
            Self::Generation(_) => Self::Generation(breaker.generation()),
            Self::Since(_) => Self::Since(millis(breaker.since())),
            Self::RetryAt(_) => Self::RetryAt(breaker.retry_at().map(millis)),
            Self::FailureCount(_) => Self::FailureCount(counts.failure_count),
            Self::Consecutive(_) => Self::Consecutive(counts.consecutive_failures),
            Self::Successes(_) => Self::Successes(counts.success_count),
            Self::FailedProbes(_) => {
                Self::FailedProbes(breaker.probes().map_or(0, Probes::failures))
            }
            Self::PermitsOut(_) => {
                Self::PermitsOut(breaker.probes().map_or(&[][..], Probes::out).len())
            }
            Self::WindowCalls(_) => Self::WindowCalls(counts.window_calls),
            Self::WindowFailures(_) => Self::WindowFailures(counts.window_failures),
            Self::SlowCalls(_) => Self::SlowCalls(rates.slow),
            Self::FailureRate(_) => Self::FailureRate(rates.failure_rate),
            Self::SuccessRate(_) => Self::SuccessRate(rates.success_rate),
            Self::SlowRate(_) => Self::SlowRate(rates.slow_rate),
            Self::AverageMs(_) => Self::AverageMs(rates.average_response_time_ms),
            Self::Recent(_) => Self::Recent(recent(breaker).leak()),
            Self::Totals(..) => {
                Self::Totals(totals.successes, totals.failures, totals.timeouts, totals.ignored)
            }
            Self::Late(_) => Self::Late(totals.late),
            Self::Denied(_) => Self::Denied(totals.denied),
            Self::LastFailure(_) => Self::LastFailure(last_failure(breaker)),
            Self::Admits(_) => Self::Admits(breaker.admit_percent(config)),
            Self::Threshold(_) => Self::Threshold(effective.failure_threshold),
            Self::OpenMs(_) => Self::OpenMs(whole_millis(effective.open_duration)),
            Self::MaxProbes(_) => Self::MaxProbes(effective.max_probes),
            Self::Level(_) => {
                Self::Level(breaker.level(config).map_or("", |level| level.name.clone().leak()))
            }
        }
    }
}

fn recent(breaker: &Breaker) -> String {
    let calls = breaker.metrics().into_iter().flat_map(Metrics::recent_calls);
    calls
        .map(|outcome| match outcome {
            Outcome::Success => 'S',
            Outcome::Failure => 'F',
            Outcome::Timeout => 'T',
            Outcome::Ignored => 'I',
        })
        .collect()
}

/// A test process ends soon; a leaked word is cheaper than a second vocabulary of owned ones.
fn last_failure(breaker: &Breaker) -> Option<(u64, &'static str)> {
    let last = breaker.metrics()?.last_failure()?;
    let kind = last.error_kind().unwrap_or_default();
    Some((millis(last.at), String::from(kind).leak()))
}
