//! `min_reporters` and `max_reporter_share`: one sick replica must not open the fleet's breaker.

use std::time::Duration;

use crate::tests::story::Seen::{Consecutive, FailureCount, State};
use crate::tests::story::{at, check, config, last_calls, last_millis, ms};
use crate::{
    Breaker, Cause, ConfigPatch, FailureRate, Outcome, Ramp, Report, ReporterId, Run, SlowCallRate,
    StateKind,
};

/// Four failures, of two reporters at least.
fn of_two() -> ConfigPatch {
    ConfigPatch { failure_threshold: Some(4), min_reporters: Some(2), ..Default::default() }
}

/// Ten failures, of which one reporter brings three at most.
fn thirty_percent_each() -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(10),
        max_reporter_share: Some(Some(30)),
        ..Default::default()
    }
}

#[test]
fn one_reporter_alone_never_trips_and_the_first_failure_of_another_does() {
    check(
        &of_two(),
        &[
            at(0)
                .fails(1_000_000)
                .told_by("a")
                .sees(&[State(StateKind::Closed), FailureCount(1_000_000)]),
            at(1).fails(1).told_by("b").enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn the_second_reporter_may_have_failed_before_the_first() {
    check(
        &of_two(),
        &[
            at(0).fails(1).told_by("b"),
            at(1).fails(9).told_by("a").enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn those_who_do_not_say_who_they_are_are_one_reporter() {
    check(
        &of_two(),
        &[
            at(0).fails(9).sees(&[State(StateKind::Closed)]),
            at(1).fails(1).told_by("a").enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn a_success_takes_off_its_own_reporters_failures_first() {
    check(
        &of_two(),
        &[
            at(0).fails(2).told_by("a"),
            at(1).fails(1).told_by("b"),
            at(2).succeeds(1).told_by("b").sees(&[FailureCount(2)]),
            at(3).fails(9).told_by("a").sees(&[State(StateKind::Closed)]),
        ],
    );
}

#[test]
fn a_success_of_a_reporter_without_failures_takes_off_the_largest_share() {
    check(
        &of_two(),
        &[
            at(0).fails(2).told_by("a"),
            at(1).fails(1).told_by("b"),
            at(2).succeeds(1).told_by("c").sees(&[FailureCount(2)]),
            at(3).fails(2).told_by("a").enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn an_anonymous_success_takes_off_the_anonymous_failures_first() {
    check(
        &of_two(),
        &[
            at(0).fails(1),
            at(1).fails(2).told_by("a"),
            at(2).succeeds(1).sees(&[FailureCount(2)]),
            at(3).fails(9).told_by("a").sees(&[State(StateKind::Closed)]),
        ],
    );
}

#[test]
fn many_successes_in_one_report_take_off_the_largest_shares_one_after_another() {
    let patch = ConfigPatch { failure_threshold: Some(8), ..of_two() };
    let opening =
        [at(0).fails(4).told_by("a"), at(1).fails(3).told_by("b"), at(2).succeeds(5).told_by("c")];
    // One is left of each, and not two of one.
    let trips = [at(3).fails(6).told_by("a").enters(StateKind::Open, Cause::FailureThreshold)];
    check(&patch, &[&opening[..], &trips].concat());
    let trips = [at(3).fails(6).told_by("b").enters(StateKind::Open, Cause::FailureThreshold)];
    check(&patch, &[&opening[..], &trips].concat());
}

#[test]
fn a_reporter_counts_for_no_more_than_its_share() {
    check(
        &thirty_percent_each(),
        &[
            at(0).fails(500).told_by("a"),
            at(1).fails(500).told_by("b"),
            at(2).fails(500).told_by("c").sees(&[State(StateKind::Closed)]),
            at(3).fails(1).told_by("d").enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn a_share_is_one_failure_at_least() {
    let patch = ConfigPatch {
        failure_threshold: Some(3),
        max_reporter_share: Some(Some(1)),
        ..Default::default()
    };
    check(
        &patch,
        &[
            at(0).fails(9).told_by("a"),
            at(1).fails(9).told_by("b"),
            at(2).fails(9).told_by("c").enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn a_streak_needs_reporters_of_its_own() {
    let patch =
        ConfigPatch { failure_threshold: Some(0), consecutive_failures: Some(3), ..of_two() };
    check(
        &patch,
        &[
            at(0).fails(1).told_by("b"),
            at(1).succeeds(1).told_by("c").sees(&[Consecutive(0)]),
            at(2).fails(5).told_by("a").sees(&[State(StateKind::Closed), Consecutive(5)]),
            at(3).fails(1).told_by("b").enters(StateKind::Open, Cause::ConsecutiveFailures),
        ],
    );
}

#[test]
fn a_rate_needs_reporters_in_its_window() {
    let rate = FailureRate { percent: 50, minimum_calls: 4 };
    let patch = ConfigPatch {
        failure_threshold: Some(0),
        failure_rate: Some(Some(rate)),
        window: last_calls(4),
        ..of_two()
    };
    check(
        &patch,
        &[
            at(0).fails(1).told_by("b"),
            at(1).succeeds(4).told_by("a"),
            at(2).fails(4).told_by("a").sees(&[State(StateKind::Closed)]),
            at(3).succeeds(1).told_by("b").sees(&[State(StateKind::Closed)]),
            at(4).fails(1).told_by("b").enters(StateKind::Open, Cause::FailureRate),
        ],
    );
}

#[test]
fn slow_calls_need_reporters_who_saw_slow_ones() {
    let duration = std::time::Duration::from_millis(100);
    let rate = SlowCallRate { percent: 50, minimum_calls: 4, duration };
    let patch = ConfigPatch {
        failure_threshold: Some(0),
        slow_call_rate: Some(Some(rate)),
        window: last_millis(10_000),
        ..of_two()
    };
    check(
        &patch,
        &[
            at(0).succeeds(4).lasting(duration * 8).told_by("a").sees(&[State(StateKind::Closed)]),
            at(1).fails(3).told_by("b").sees(&[State(StateKind::Closed)]),
            at(2).succeeds(1).slow(1).told_by("b").enters(StateKind::Open, Cause::SlowCallRate),
        ],
    );
}

#[test]
fn the_places_of_reporters_whose_failures_have_left_the_window_are_free() {
    let rate = FailureRate { percent: 50, minimum_calls: 30 };
    let patch = ConfigPatch {
        failure_threshold: Some(0),
        failure_rate: Some(Some(rate)),
        window: last_millis(10_000),
        ..of_two()
    };
    let early = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let early = early.into_iter().map(|name| at(0).fails(1).told_by(name));
    let breaks_the_row = [at(1).succeeds(9)];
    // One that had a place among the crowd first and of its own then would count as two.
    let later = [
        at(20_000).fails(60).told_by("x").sees(&[State(StateKind::Closed)]),
        at(20_001).fails(1).told_by("y").enters(StateKind::Open, Cause::FailureRate),
    ];
    let story: Vec<_> = early.chain(breaks_the_row).chain(later).collect();
    check(&patch, &story);
}

#[test]
fn more_reporters_than_are_told_apart_are_estimated() {
    let of_thirty =
        ConfigPatch { failure_threshold: Some(20), min_reporters: Some(30), ..Default::default() };
    let config = config(&of_thirty);
    let mut breaker = Breaker::new(ms(0));
    let reporters = (1..=64).find(|number| {
        let reporter = ReporterId::of(&format!("reporter-{number}"));
        let failure = Report::current(Run::new(Outcome::Failure, 1)).by(reporter);
        !breaker.record(&config, &failure, ms(0)).is_empty()
    });
    assert!(reporters.is_some_and(|count| (24..=38).contains(&count)), "{reporters:?}");
}

/// Eight reporters have the places, and a ninth is in the crowd when places become free.
#[test]
fn a_reporter_of_the_crowd_does_not_count_twice() {
    let of_two =
        ConfigPatch { failure_threshold: Some(10), min_reporters: Some(2), ..Default::default() };
    let eight = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let fail = eight.map(|name| at(0).fails(1).told_by(name));
    let succeed = eight.map(|name| at(2).succeeds(1).told_by(name));
    let alone = [
        at(1).fails(1).told_by("sick"),
        at(3).fails(9).told_by("sick").sees(&[State(StateKind::Closed), FailureCount(10)]),
        at(4).fails(1).told_by("a").enters(StateKind::Open, Cause::FailureThreshold),
    ];
    let [crowded, again, other] = alone;
    let story: Vec<_> =
        fail.into_iter().chain([crowded]).chain(succeed).chain([again, other]).collect();
    check(&of_two, &story);
}

#[test]
fn a_quorum_that_is_turned_on_knows_only_those_who_fail_from_then_on() {
    let alone = ConfigPatch { min_reporters: Some(1), failure_threshold: Some(9), ..of_two() };
    check(
        &alone,
        &[
            at(0).fails(5).told_by("a"),
            at(1).reconfigures(of_two()),
            at(2).fails(3).told_by("b").sees(&[State(StateKind::Closed)]),
            at(3).fails(1).told_by("a").enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

/// A permit that nobody brought back counts, but is no second reporter.
#[test]
fn an_expired_permit_vouches_for_nobody() {
    let patch = ConfigPatch {
        failure_threshold: Some(2),
        min_reporters: Some(2),
        success_threshold: Some(1),
        max_probes: Some(2),
        open_duration: Some(Duration::from_millis(10)),
        call_timeout: Some(Duration::from_millis(100)),
        ramp: Some(Some(Ramp { percents: vec![50], step: Duration::from_secs(10) })),
        ..Default::default()
    };
    check(
        &patch,
        &[
            at(0).fails(1).told_by("a"),
            at(1).fails(1).told_by("b").enters(StateKind::Open, Cause::FailureThreshold),
            at(11)
                .asks()
                .entered(11, StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("lost", 111),
            at(12).asks().gets_probe("back", 112),
            at(13).succeeds(1).of_probe("back"),
            at(20).fails(2).told_by("a"),
            at(200).sees(&[State(StateKind::HalfOpen), FailureCount(3)]),
            at(201).fails(1).told_by("b").enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}
