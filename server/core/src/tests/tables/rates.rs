//! `failure_rate`: the share of failed calls in the window.

use std::time::Duration;

use crate::tests::story::Seen::{FailureRate as Rate, RetryAt, State, WindowCalls};
use crate::tests::story::{at, check, last_calls};
use crate::{Cause, ConfigPatch, FailureRate, StateKind};

/// Half of at least four calls, of the last ten; nothing else trips.
fn half_of_four() -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(0),
        failure_rate: Some(Some(FailureRate { percent: 50, minimum_calls: 4 })),
        window: last_calls(10),
        success_threshold: Some(1),
        ..Default::default()
    }
}

#[test]
fn a_rate_means_nothing_before_there_are_minimum_calls() {
    check(
        &half_of_four(),
        &[
            at(0).fails(3).sees(&[State(StateKind::Closed), Rate(1.0)]),
            at(1).fails(1).enters(StateKind::Open, Cause::FailureRate),
        ],
    );
}

#[test]
fn a_success_that_brings_the_calls_to_the_minimum_trips() {
    check(
        &half_of_four(),
        &[
            at(0).fails(3),
            at(7)
                .succeeds(5)
                .ago(2)
                .enters(StateKind::Open, Cause::FailureRate)
                .sees(&[RetryAt(Some(60_005)), Rate(0.375)]),
        ],
    );
}

#[test]
fn a_rate_trips_at_its_percent_and_not_below() {
    check(
        &half_of_four(),
        &[
            at(0).succeeds(3),
            at(1).fails(2).sees(&[State(StateKind::Closed), Rate(0.4)]),
            at(2).fails(1).enters(StateKind::Open, Cause::FailureRate).sees(&[Rate(0.5)]),
        ],
    );
}

#[test]
fn the_oldest_call_leaves_a_full_window_before_the_rate_is_looked_at() {
    check(
        &half_of_four(),
        &[
            at(0).succeeds(2),
            at(1).fails(1),
            at(2).succeeds(7).sees(&[Rate(0.1)]),
            at(3).fails(2).sees(&[Rate(0.3)]),
            at(4).succeeds(1).sees(&[Rate(0.2), WindowCalls(10)]),
            at(5).fails(2).sees(&[Rate(0.4)]),
            at(6).fails(1).enters(StateKind::Open, Cause::FailureRate).sees(&[Rate(0.5)]),
        ],
    );
}

#[test]
fn the_conditions_window_restarts_on_closed_where_that_of_the_metrics_goes_on() {
    check(
        &half_of_four(),
        &[
            at(0).fails(4).enters(StateKind::Open, Cause::FailureRate),
            at(60_000)
                .asks()
                .enters(StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("a", 70_000),
            at(60_001).succeeds(1).of_probe("a").enters(StateKind::Closed, Cause::ProbesSucceeded),
            at(60_002).succeeds(1).sees(&[Rate(4.0 / 6.0), WindowCalls(6)]),
            at(60_003).fails(2).sees(&[State(StateKind::Closed)]),
            at(60_004).fails(1).enters(StateKind::Open, Cause::FailureRate),
        ],
    );
}

#[test]
fn calls_that_nobody_admitted_while_open_are_in_no_conditions_window() {
    check(
        &half_of_four(),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(1).fails(50),
            at(2).resets().enters(StateKind::Closed, Cause::Reset),
            at(3).fails(3).of_generation(2),
            at(4).succeeds(4).sees(&[State(StateKind::Closed)]),
            at(5).ends_ignored(4).sees(&[State(StateKind::Closed)]),
            at(6).fails(3).sees(&[State(StateKind::Closed)]),
            at(7).fails(1).enters(StateKind::Open, Cause::FailureRate),
        ],
    );
}

#[test]
fn a_call_that_meets_several_conditions_is_put_down_to_the_first_of_them() {
    let all =
        ConfigPatch { failure_threshold: Some(4), consecutive_failures: Some(4), ..half_of_four() };
    check(&all, &[at(0).fails(9).enters(StateKind::Open, Cause::FailureThreshold)]);
    let no_count = ConfigPatch { failure_threshold: Some(0), ..all };
    check(&no_count, &[at(0).fails(9).enters(StateKind::Open, Cause::ConsecutiveFailures)]);
}

#[test]
fn a_rate_that_a_changed_configuration_has_met_trips_at_the_next_outcome_of_any_kind() {
    let strict = ConfigPatch {
        failure_rate: Some(Some(FailureRate { percent: 20, minimum_calls: 4 })),
        ..half_of_four()
    };
    check(
        &half_of_four(),
        &[
            at(0).succeeds(4),
            at(1).fails(2),
            at(2).reconfigures(strict).sees(&[State(StateKind::Closed)]),
            at(3).succeeds(5).enters(StateKind::Open, Cause::FailureRate),
        ],
    );
}

#[test]
fn a_rate_that_is_turned_on_begins_with_an_empty_window() {
    let off = ConfigPatch {
        failure_threshold: Some(100),
        failure_rate: None,
        open_duration: Some(Duration::from_secs(1)),
        ..half_of_four()
    };
    check(
        &off,
        &[
            at(0).fails(10),
            at(1).reconfigures(half_of_four()),
            at(2).fails(3).sees(&[State(StateKind::Closed)]),
            at(3).fails(1).enters(StateKind::Open, Cause::FailureRate),
        ],
    );
}
