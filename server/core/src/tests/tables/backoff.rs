//! `backoff`: OPEN lasts longer with each re-open.

use std::collections::HashSet;
use std::time::Duration;

use crate::tests::story::Seen::RetryAt;
use crate::tests::story::{Step, at, check, config, ms};
use crate::{
    Backoff, Breaker, Cause, Config, ConfigPatch, Outcome, Report, Run, StateKind, Thousandths,
};

/// 100 ms, doubled up to 500, and back to 100.
fn doubling(jitter: u32) -> ConfigPatch {
    let max = Duration::from_millis(500);
    let backoff = Backoff { multiplier: Thousandths(2_000), max, jitter: Thousandths(jitter) };
    ConfigPatch {
        failure_threshold: Some(1),
        open_duration: Some(Duration::from_millis(100)),
        success_threshold: Some(1),
        backoff: Some(Some(backoff)),
        ..Default::default()
    }
}

/// At this time OPEN is over and the probe fails, which opens until then.
fn reopens(at_ms: u64, probe: &'static str, until: u64) -> [Step; 2] {
    [
        at(at_ms)
            .asks()
            .enters(StateKind::HalfOpen, Cause::OpenElapsed)
            .gets_probe(probe, at_ms + 10_000),
        at(at_ms)
            .fails(1)
            .of_probe(probe)
            .enters(StateKind::Open, Cause::ProbeFailed)
            .sees(&[RetryAt(Some(until))]),
    ]
}

#[test]
fn each_reopen_lasts_longer_up_to_max_and_closed_begins_afresh() {
    let first = [at(0)
        .fails(1)
        .enters(StateKind::Open, Cause::FailureThreshold)
        .sees(&[RetryAt(Some(100))])];
    let to_the_end = [
        &first[..],
        &reopens(100, "a", 300),
        &reopens(300, "b", 700),
        &reopens(700, "c", 1_200),
        &reopens(1_200, "d", 1_700),
    ];
    check(&doubling(0), &to_the_end.concat());
    let closed = [&first[..], &reopens(100, "a", 300), &reopens(300, "b", 700)].concat();
    let after = [
        at(700).asks().enters(StateKind::HalfOpen, Cause::OpenElapsed).gets_probe("c", 10_700),
        at(700).succeeds(1).of_probe("c").enters(StateKind::Closed, Cause::ProbesSucceeded),
        at(800)
            .fails(1)
            .enters(StateKind::Open, Cause::FailureThreshold)
            .sees(&[RetryAt(Some(900))]),
    ];
    check(&doubling(0), &[&closed[..], &after, &reopens(900, "d", 1_100)].concat());
}

/// The durations of the first OPEN and of the re-opens after it, of a breaker that first failed then.
fn durations(config: &Config, first_failure: u64, reopens: usize) -> Vec<Duration> {
    let mut breaker = Breaker::new(ms(0));
    let mut now = ms(first_failure);
    let failure = || Report::current(Run::new(Outcome::Failure, 1));
    breaker.record(config, &failure(), now);
    let mut durations = vec![breaker.retry_at().unwrap().since(now)];
    for _ in 0..reopens {
        now = breaker.retry_at().unwrap();
        let permit = breaker.acquire(config, now).0.permit().unwrap();
        breaker.record(config, &failure().with_permit(permit.id), now);
        durations.push(breaker.retry_at().unwrap().since(now));
    }
    durations
}

#[test]
fn jitter_shortens_a_reopen_by_up_to_its_share_and_never_the_first_open() {
    let config = config(&doubling(300));
    let mut third = HashSet::new();
    for first_failure in 0..200 {
        let durations = durations(&config, first_failure, 4);
        assert_eq!(durations[0], Duration::from_millis(100));
        for (duration, longest_ms) in durations[1..].iter().zip([200, 400, 500, 500]) {
            let longest = Duration::from_millis(longest_ms);
            assert!(*duration <= longest && *duration >= longest * 7 / 10, "{duration:?}");
        }
        third.insert(durations[3]);
    }
    let (least, most) = (third.iter().min().unwrap(), third.iter().max().unwrap());
    assert!(
        third.len() > 190,
        "breakers that fail at different times come back at different times"
    );
    assert!(*least < Duration::from_millis(360) && *most > Duration::from_millis(490));
}

#[test]
fn the_same_past_has_the_same_future() {
    let config = config(&doubling(1_000));
    assert_eq!(durations(&config, 7, 9), durations(&config, 7, 9));
}

#[test]
fn a_trip_lasts_the_first_duration_and_does_not_count() {
    let story = [
        &[at(0).trips().enters(StateKind::Open, Cause::Tripped).sees(&[RetryAt(Some(100))])][..],
        &reopens(100, "a", 300),
        &[at(200).trips().enters(StateKind::Open, Cause::Tripped).sees(&[RetryAt(Some(300))])],
        &reopens(300, "b", 700),
    ];
    check(&doubling(0), &story.concat());
}

#[test]
fn a_great_many_reopens_overflow_nothing() {
    let patch = doubling(0);
    assert_eq!(durations(&config(&patch), 0, 500).last(), Some(&Duration::from_millis(500)));
}
