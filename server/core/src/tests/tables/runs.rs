//! Runs of calls where something happens in their midst. That runs mean what their calls mean
//! one by one is a walk's business; here it can be read.

use std::time::Duration;

use crate::tests::story::Seen::{
    AverageMs, FailureCount, LastFailure, Late, RetryAt, SlowCalls, State, Totals, WindowCalls,
    WindowFailures,
};
use crate::tests::story::{at, check, last_calls};
use crate::{Cause, ConfigPatch, StateKind};

fn three_failures_open() -> ConfigPatch {
    ConfigPatch { failure_threshold: Some(3), ..Default::default() }
}

#[test]
fn failures_after_the_one_that_trips_were_admitted_under_a_generation_that_is_over() {
    check(
        &three_failures_open(),
        &[at(0)
            .fails(10)
            .of_generation(1)
            .enters(StateKind::Open, Cause::FailureThreshold)
            .sees(&[FailureCount(3), Late(7), Totals(0, 10, 0, 0), WindowFailures(10)])],
    );
}

#[test]
fn failures_after_the_one_that_trips_are_not_late_if_nobody_knows_when_they_were_admitted() {
    check(
        &three_failures_open(),
        &[at(0).fails(10).enters(StateKind::Open, Cause::FailureThreshold).sees(&[
            FailureCount(3),
            Late(0),
            Totals(0, 10, 0, 0),
        ])],
    );
}

#[test]
fn a_run_that_opens_for_no_time_at_all_ends_as_outcomes_without_permits() {
    check(
        &three_failures_open(),
        &[at(100_000)
            .fails(10)
            .ago(90_000)
            .enters(StateKind::Open, Cause::FailureThreshold)
            .enters(StateKind::HalfOpen, Cause::OpenElapsed)
            .sees(&[State(StateKind::HalfOpen), Late(0), LastFailure(Some((10_000, "")))])],
    );
}

#[test]
fn a_run_of_no_calls_means_nothing() {
    check(
        &three_failures_open(),
        &[at(0).fails(0).sees(&[Totals(0, 0, 0, 0), FailureCount(0), WindowCalls(0)])],
    );
}

#[test]
fn the_largest_run_is_as_quick_as_the_smallest() {
    check(
        &ConfigPatch { failure_threshold: Some(1_000_000), ..Default::default() },
        &[
            at(0)
                .succeeds(u32::MAX)
                .lasting(Duration::from_secs(u64::from(u32::MAX)))
                .sees(&[WindowCalls(100), AverageMs(1_000.0)]),
            at(1)
                .fails(u32::MAX)
                .enters(StateKind::Open, Cause::FailureThreshold)
                .sees(&[FailureCount(1_000_000), WindowFailures(100)]),
        ],
    );
}

#[test]
fn the_time_of_a_run_is_dealt_out_evenly_and_what_remains_to_its_later_calls() {
    let window_of_two = ConfigPatch { window: last_calls(2), ..Default::default() };
    // 3, 4 and 4 ns: the window keeps the last two.
    check(
        &window_of_two,
        &[at(0)
            .succeeds(3)
            .lasting(Duration::from_nanos(11))
            .sees(&[WindowCalls(2), AverageMs(4e-6)])],
    );
}

#[test]
fn of_a_run_whose_calls_straddle_call_timeout_only_those_past_it_time_out() {
    let timeout = Duration::from_millis(10);
    check(
        &ConfigPatch { call_timeout: Some(timeout), ..Default::default() },
        &[
            at(0).succeeds(3).lasting(timeout * 3).sees(&[Totals(3, 0, 0, 0)]),
            at(1)
                .succeeds(3)
                .lasting(timeout * 3 + Duration::from_nanos(2))
                .sees(&[Totals(4, 0, 2, 0), FailureCount(2)]),
            at(2)
                .succeeds(3)
                .lasting(timeout * 3 + Duration::from_nanos(3))
                .enters(StateKind::Open, Cause::FailureThreshold)
                .sees(&[Totals(4, 0, 5, 0)]),
        ],
    );
}

#[test]
fn the_slow_calls_of_a_run_are_its_last() {
    let window_of_four = ConfigPatch { window: last_calls(4), ..Default::default() };
    check(
        &window_of_four,
        &[
            at(0).succeeds(6).slow(3).sees(&[SlowCalls(3)]),
            at(1).succeeds(1).sees(&[SlowCalls(3)]),
            at(2).succeeds(1).sees(&[SlowCalls(2)]),
        ],
    );
}

#[test]
fn a_run_trips_at_the_age_all_its_calls_have() {
    check(
        &three_failures_open(),
        &[
            at(1_000).fails(2).ago(900),
            at(2_000)
                .fails(5)
                .ago(500)
                .enters(StateKind::Open, Cause::FailureThreshold)
                .sees(&[RetryAt(Some(61_500))]),
        ],
    );
}
