//! `slow_call_rate`: the share of slow calls in the window, whatever their outcome.

use std::time::Duration;

use crate::tests::story::Seen::{SlowCalls, State};
use crate::tests::story::{at, check, last_calls};
use crate::{Cause, ConfigPatch, FailureRate, SlowCallRate, StateKind};

const LIMIT: Duration = Duration::from_millis(100);

fn half_of_four() -> ConfigPatch {
    let rate = SlowCallRate { percent: 50, minimum_calls: 4, duration: LIMIT };
    ConfigPatch {
        failure_threshold: Some(0),
        slow_call_rate: Some(Some(rate)),
        window: last_calls(10),
        ..Default::default()
    }
}

#[test]
fn a_call_is_slow_if_it_took_longer_than_the_duration_and_not_just_as_long() {
    check(
        &half_of_four(),
        &[
            at(0).succeeds(1).lasting(LIMIT).sees(&[SlowCalls(0)]),
            at(1).succeeds(1).lasting(LIMIT + Duration::from_nanos(1)).sees(&[SlowCalls(1)]),
        ],
    );
}

#[test]
fn slow_successes_trip() {
    check(
        &half_of_four(),
        &[
            at(0).succeeds(2).lasting(LIMIT),
            at(1).succeeds(1).lasting(LIMIT * 2).sees(&[SlowCalls(1), State(StateKind::Closed)]),
            at(2).succeeds(1).lasting(LIMIT * 2).enters(StateKind::Open, Cause::SlowCallRate),
        ],
    );
}

#[test]
fn a_call_that_the_caller_took_for_slow_is_slow_however_short() {
    check(
        &half_of_four(),
        &[at(0).succeeds(4).slow(2).enters(StateKind::Open, Cause::SlowCallRate)],
    );
}

#[test]
fn failures_and_timeouts_are_slow_calls_too_and_ignored_ones_are_none() {
    check(
        &half_of_four(),
        &[
            at(0).succeeds(2),
            at(1).ends_ignored(9).lasting(LIMIT * 90).sees(&[SlowCalls(0)]),
            at(2).fails(1).lasting(LIMIT * 2).sees(&[SlowCalls(1)]),
            at(3).times_out(1).lasting(LIMIT * 2).enters(StateKind::Open, Cause::SlowCallRate),
        ],
    );
}

#[test]
fn of_a_run_that_straddles_the_duration_only_the_later_calls_are_slow() {
    // Of ten calls the last three have a nanosecond more.
    let total = LIMIT * 10 + Duration::from_nanos(3);
    check(&half_of_four(), &[at(0).succeeds(10).lasting(total).sees(&[SlowCalls(3)])]);
    check(&half_of_four(), &[at(0).succeeds(10).lasting(total).slow(4).sees(&[SlowCalls(4)])]);
}

#[test]
fn without_the_rule_no_call_is_slow_but_those_that_the_caller_took_for_slow() {
    check(
        &ConfigPatch::default(),
        &[at(0).succeeds(2).lasting(Duration::from_secs(18)).slow(1).sees(&[SlowCalls(1)])],
    );
}

#[test]
fn a_call_that_meets_both_rates_is_put_down_to_the_failures() {
    let both = ConfigPatch {
        failure_rate: Some(Some(FailureRate { percent: 50, minimum_calls: 4 })),
        ..half_of_four()
    };
    check(&both, &[at(0).fails(4).slow(4).enters(StateKind::Open, Cause::FailureRate)]);
}
