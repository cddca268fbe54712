use std::time::Duration;

use breaker_proto::v1;
use breaker_wire::duration_to_message;

/// How long a reported call is said to have lasted.
const CALL_DURATION: Duration = Duration::from_millis(1);

/// What a load consists of. Everything follows from the number of a call, so that shares hold
/// exactly and every breaker gets as many calls as the others.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    pub(super) breakers: Vec<String>,
    pub(super) client_id: String,
    /// What the ids of all reporters begin with.
    pub(super) reporter_id: String,
    /// How many calls of a hundred report; the others acquire.
    pub(super) report_percent: u64,
    pub(super) report: ReportShape,
}

/// What stands in a report.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReportShape {
    pub(super) runs: u64,
    pub(super) outcomes_per_run: u32,
    /// How many runs of a hundred are failures.
    pub(super) failure_percent: u64,
}

/// Whoever makes calls one after another, as a client process does.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    pub(super) id: String,
    /// Of the last report.
    pub(super) sequence: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Call {
    Acquire(v1::AcquireRequest),
    Report(v1::ReportRequest),
}

impl Mix {
    pub(super) fn call(&self, number: u64, reporter: &mut Reporter) -> Call {
        match share(number, self.report_percent) {
            Ok(report) => Call::Report(self.report(report, reporter)),
            Err(acquire) => Call::Acquire(v1::AcquireRequest {
                breaker: self.breaker(acquire),
                client_id: self.client_id.clone(),
            }),
        }
    }

    fn report(&self, number: u64, reporter: &mut Reporter) -> v1::ReportRequest {
        reporter.sequence += 1;
        // How many reports the same breaker got before.
        let earlier = number.checked_div(self.breakers.len() as u64).unwrap_or(0);
        let first = earlier.saturating_mul(self.report.runs);
        let runs = (0..self.report.runs).map(|run| self.report.run(first + run));
        let report = v1::BreakerReport {
            breaker: self.breaker(number),
            runs: runs.collect(),
            ..Default::default()
        };
        v1::ReportRequest {
            reporter_id: reporter.id.clone(),
            sequence: reporter.sequence,
            reports: vec![report],
        }
    }

    fn breaker(&self, number: u64) -> String {
        let place = number.checked_rem(self.breakers.len() as u64).unwrap_or(0);
        usize::try_from(place)
            .ok()
            .and_then(|place| self.breakers.get(place))
            .cloned()
            .unwrap_or_default()
    }
}

impl ReportShape {
    /// How many outcomes a report holds.
    pub(super) fn outcomes(&self) -> u64 {
        self.runs * u64::from(self.outcomes_per_run)
    }

    fn run(&self, number: u64) -> v1::Run {
        let outcome = match share(number, self.failure_percent) {
            Ok(_) => v1::Outcome::Failure,
            Err(_) => v1::Outcome::Success,
        };
        v1::Run {
            outcome: outcome.into(),
            count: self.outcomes_per_run,
            total_duration: Some(duration_to_message(CALL_DURATION * self.outcomes_per_run)),
            ..Default::default()
        }
    }
}

/// Whether one of many is of a share of so many percent, and its number among its like: `Ok` within
/// the share, `Err` outside. The share is spread as evenly as can be.
fn share(number: u64, percent: u64) -> Result<u64, u64> {
    let within = |number: u64| (u128::from(number) * u128::from(percent) / 100) as u64;
    let before = within(number);
    if within(number + 1) > before { Ok(before) } else { Err(number - before) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn mix(breakers: usize, report_percent: u64, report: ReportShape) -> Mix {
        let breakers = (0..breakers).map(|place| format!("bench/{place}")).collect();
        Mix { breakers, client_id: "c".into(), reporter_id: "r".into(), report_percent, report }
    }

    fn shape(runs: u64, failure_percent: u64) -> ReportShape {
        ReportShape { runs, outcomes_per_run: 7, failure_percent }
    }

    fn reporter() -> Reporter {
        Reporter { id: "r".into(), sequence: 0 }
    }

    /// For each breaker: how often it is acquired, reported, and how many of its runs failed.
    fn tally(mix: &Mix, calls: u64) -> BTreeMap<String, [usize; 3]> {
        let mut tally = BTreeMap::<_, [usize; 3]>::new();
        let mut reporter = reporter();
        for number in 0..calls {
            match mix.call(number, &mut reporter) {
                Call::Acquire(request) => tally.entry(request.breaker).or_default()[0] += 1,
                Call::Report(request) => {
                    let [report] = &request.reports[..] else { panic!("{request:?}") };
                    let counts = tally.entry(report.breaker.clone()).or_default();
                    let failed = |run: &&v1::Run| run.outcome() == v1::Outcome::Failure;
                    counts[1] += 1;
                    counts[2] += report.runs.iter().filter(failed).count();
                }
            }
        }
        tally
    }

    #[test]
    fn shares_hold_exactly_and_for_every_breaker() {
        for breakers in [1, 2, 10, 101] {
            let calls = 2_000 * breakers as u64;
            let tally = tally(&mix(breakers, 50, shape(2, 25)), calls);
            assert_eq!(tally.len(), breakers);
            for (breaker, counts) in tally {
                assert_eq!(counts, [1_000, 1_000, 500], "{breaker} of {breakers}");
            }
        }
    }

    #[test]
    fn all_calls_acquire_or_all_report() {
        let tally_of = |percent| tally(&mix(4, percent, shape(1, 0)), 400);
        assert!(tally_of(0).into_values().all(|counts| counts == [100, 0, 0]));
        assert!(tally_of(100).into_values().all(|counts| counts == [0, 100, 0]));
    }

    #[test]
    fn a_report_holds_what_was_asked_for_under_a_sequence_of_its_own() {
        let mix = mix(3, 100, shape(5, 0));
        let mut reporter = reporter();
        let sequences: Vec<_> = (0..4)
            .map(|number| match mix.call(number, &mut reporter) {
                Call::Report(request) => {
                    let runs = &request.reports[0].runs;
                    assert!(runs.iter().all(|run| run.count == 7));
                    assert_eq!(runs.len(), 5);
                    assert_eq!(runs[0].total_duration.unwrap().nanos, 7_000_000);
                    request.sequence
                }
                Call::Acquire(request) => panic!("{request:?}"),
            })
            .collect();
        assert_eq!(sequences, [1, 2, 3, 4]);
        assert_eq!(mix.report.outcomes(), 35);
    }
}
