use std::time::Duration;

use hdrhistogram::Histogram;
use tonic::Code;

/// Of what latencies are told apart: a tenth of a microsecond to ten minutes, to three digits.
const LEAST_NANOS: u64 = 100;
const MOST_NANOS: u64 = 600_000_000_000;
const DIGITS: u8 = 3;
/// How many codes gRPC has.
const CODES: usize = 17;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Answered,
    /// Answered, by a breaker that denied the call.
    Denied,
    Failed(Code),
}

/// Latencies in bounded memory.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

/// What is shown of latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Percentiles {
    pub(super) p50: Duration,
    pub(super) p90: Duration,
    pub(super) p99: Duration,
    pub(super) p99_9: Duration,
    pub(super) max: Duration,
}

/// What became of measured calls.
#[derive(Clone, Debug)]
pub(super) struct Statistics {
    /// The denied ones included.
    pub(super) answered: u64,
    pub(super) denied: u64,
    /// Begun later than they were due.
    pub(super) late: u64,
    /// Of answered calls, from when they were due; in a closed loop, from when they were sent.
    pub(super) latency: Latencies,
    /// Of answered calls, from when they were sent.
    pub(super) answer_time: Latencies,
    pub(super) failures: Failures,
}

/// Calls without an answer, by their code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures([u64; CODES]);

impl Latencies {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new_with_bounds(LEAST_NANOS, MOST_NANOS, DIGITS)?))
    }

    pub(super) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// `None` if nothing was recorded.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let at = |quantile| Duration::from_nanos(self.0.value_at_quantile(quantile));
        (self.count() > 0).then(|| Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: Duration::from_nanos(self.0.max()),
        })
    }
}

impl Statistics {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            answered: 0,
            denied: 0,
            late: 0,
            latency: Latencies::new()?,
            answer_time: Latencies::new()?,
            failures: Failures::default(),
        })
    }

    /// Takes a call that ended. Only an answer has a latency.
    pub(super) fn record(&mut self, ending: Ending, latency: Duration, answer_time: Duration) {
        match ending {
            Ending::Failed(code) => return self.failures.record(code),
            Ending::Denied => self.denied += 1,
            Ending::Answered => {}
        }
        self.answered += 1;
        self.latency.record(latency);
        self.answer_time.record(answer_time);
    }

    pub(super) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.answered += other.answered;
        self.denied += other.denied;
        self.late += other.late;
        self.failures.add(&other.failures);
        self.latency.add(&other.latency)?;
        self.answer_time.add(&other.answer_time)
    }
}

impl Failures {
    pub(super) fn record(&mut self, code: Code) {
        if let Some(count) = self.0.get_mut(code as usize) {
            *count += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// Those that the server refused because it had too much to do, or a limit was reached.
    pub(super) fn shed(&self) -> u64 {
        self.0[Code::ResourceExhausted as usize]
    }

    /// All others.
    pub(super) fn other_count(&self) -> u64 {
        self.others().map(|(_, count)| count).sum()
    }

    /// The codes of all others, with how many there were.
    pub(super) fn others(&self) -> impl Iterator<Item = (String, u64)> {
        let codes = (0_i32..).map(Code::from_i32).zip(self.0);
        codes
            .filter(|&(code, count)| code != Code::ResourceExhausted && count > 0)
            .map(|(code, count)| (code_word(code), count))
    }
}

/// A code as gRPC writes it: `DEADLINE_EXCEEDED`.
fn code_word(code: Code) -> String {
    let mut word = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_uppercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// To the three digits that are kept.
    fn is_near(latency: Duration, expected: Duration) -> bool {
        latency.abs_diff(expected) <= expected / 500
    }

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let mut latencies = Latencies::new().unwrap();
        (1..=10_000).for_each(|step| latencies.record(micros(step)));
        let shown = latencies.percentiles().unwrap();
        let pairs = [
            (shown.p50, 5_000),
            (shown.p90, 9_000),
            (shown.p99, 9_900),
            (shown.p99_9, 9_990),
            (shown.max, 10_000),
        ];
        for (latency, expected) in pairs {
            assert!(is_near(latency, micros(expected)), "{latency:?} for {expected} us");
        }
    }

    #[test]
    fn without_an_answer_there_are_no_percentiles() {
        let mut statistics = Statistics::new().unwrap();
        statistics.record(Ending::Failed(Code::Unavailable), micros(5), micros(5));
        assert_eq!(statistics.latency.percentiles(), None);
        assert_eq!(statistics.answered, 0);
    }

    #[test]
    fn a_latency_beyond_all_bounds_is_the_longest_there_is() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(Duration::MAX);
        latencies.record(Duration::ZERO);
        let shown = latencies.percentiles().unwrap();
        assert!(is_near(shown.max, Duration::from_nanos(MOST_NANOS)), "{shown:?}");
        assert!(shown.p50 < micros(1), "{shown:?}");
    }

    #[test]
    fn what_lanes_have_seen_adds_up() {
        let mut sum = Statistics::new().unwrap();
        let mut lane = Statistics::new().unwrap();
        lane.record(Ending::Answered, micros(900), micros(100));
        lane.record(Ending::Denied, micros(900), micros(100));
        lane.record(Ending::Failed(Code::ResourceExhausted), micros(1), micros(1));
        lane.record(Ending::Failed(Code::DeadlineExceeded), micros(1), micros(1));
        lane.late = 3;
        sum.add(&lane).unwrap();
        sum.add(&lane).unwrap();
        assert_eq!((sum.answered, sum.denied, sum.late), (4, 2, 6));
        assert_eq!((sum.latency.count(), sum.answer_time.count()), (4, 4));
        assert!(is_near(sum.latency.percentiles().unwrap().p50, micros(900)));
        assert!(is_near(sum.answer_time.percentiles().unwrap().p50, micros(100)));
        assert_eq!(sum.failures.shed(), 2);
        let others: Vec<_> = sum.failures.others().collect();
        assert_eq!(others, [("DEADLINE_EXCEEDED".to_owned(), 2)]);
    }

    #[test]
    fn codes_read_as_grpc_writes_them() {
        assert_eq!(code_word(Code::Unavailable), "UNAVAILABLE");
        assert_eq!(code_word(Code::NotFound), "NOT_FOUND");
        assert_eq!(code_word(Code::Unauthenticated), "UNAUTHENTICATED");
    }
}
