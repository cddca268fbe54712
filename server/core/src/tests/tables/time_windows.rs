//! `window = { duration }`: a hundred buckets, aligned to the epoch.

use crate::tests::story::Seen::{FailureRate as Rate, State, WindowCalls, WindowFailures};
use crate::tests::story::{at, check, last_calls, last_millis};
use crate::{Cause, ConfigPatch, FailureRate, StateKind};

/// Half of at least four calls of the last ten seconds: a bucket lasts 100 ms, and the story begins
/// with one.
fn ten_seconds() -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(0),
        failure_rate: Some(Some(FailureRate { percent: 50, minimum_calls: 4 })),
        window: last_millis(10_000),
        ..Default::default()
    }
}

#[test]
fn a_call_stays_for_its_bucket_and_the_99_after_it() {
    check(
        &ten_seconds(),
        &[
            at(0).succeeds(1),
            at(99).succeeds(1),
            at(100).fails(1),
            at(9_999).sees(&[WindowCalls(3)]),
            at(10_000).sees(&[WindowCalls(1), WindowFailures(1), Rate(1.0)]),
            at(10_099).sees(&[WindowCalls(1)]),
            at(10_100).sees(&[WindowCalls(0), Rate(0.0)]),
        ],
    );
}

#[test]
fn calls_leave_the_conditions_window_with_time() {
    check(
        &ten_seconds(),
        &[
            at(0).fails(3),
            at(10_000).fails(3).sees(&[State(StateKind::Closed), WindowCalls(3)]),
            at(19_999).fails(1).enters(StateKind::Open, Cause::FailureRate),
        ],
    );
}

#[test]
fn good_calls_that_leave_trip_nothing_until_the_next_outcome_of_any_kind() {
    check(
        &ten_seconds(),
        &[
            at(0).succeeds(10),
            at(5_000).fails(6).sees(&[State(StateKind::Closed)]),
            at(10_000).sees(&[State(StateKind::Closed), Rate(1.0)]),
            at(10_001).succeeds(1).enters(StateKind::Open, Cause::FailureRate),
        ],
    );
}

#[test]
fn an_aged_run_lands_where_it_ended() {
    check(
        &ten_seconds(),
        &[
            at(15_000).fails(2).ago(9_000).sees(&[WindowCalls(2)]),
            at(15_001).succeeds(1).ago(0).sees(&[WindowCalls(3)]),
            at(16_000).sees(&[WindowCalls(1)]),
        ],
    );
}

#[test]
fn a_run_whose_time_has_left_lands_nowhere_and_is_judged_all_the_same() {
    check(
        &ten_seconds(),
        &[
            at(20_000).fails(9).ago(10_000).sees(&[WindowCalls(0), State(StateKind::Closed)]),
            at(20_001).succeeds(6).sees(&[WindowCalls(6)]),
            at(25_000).fails(5),
            // Those that succeeded leave, and those that failed are all that is left.
            at(30_100)
                .succeeds(4)
                .of_generation(1)
                .ago(25_000)
                .enters(StateKind::Open, Cause::FailureRate)
                .sees(&[crate::tests::story::Seen::Late(3), WindowCalls(5)]),
        ],
    );
}

#[test]
fn a_window_of_another_kind_or_duration_begins_anew() {
    let window = |window| ConfigPatch { window, ..ten_seconds() };
    check(
        &ten_seconds(),
        &[
            at(0).fails(3).sees(&[WindowCalls(3)]),
            at(1).reconfigures(window(last_millis(10_000))).sees(&[WindowCalls(3)]),
            at(2).reconfigures(window(last_millis(5_000))).sees(&[WindowCalls(0)]),
            at(3).fails(3).sees(&[State(StateKind::Closed)]),
            at(4).reconfigures(window(last_calls(9))).sees(&[WindowCalls(0)]),
            at(5).fails(3).sees(&[State(StateKind::Closed), WindowCalls(3)]),
            at(6).fails(1).enters(StateKind::Open, Cause::FailureRate),
        ],
    );
}

#[test]
fn what_a_clock_that_was_set_back_has_put_into_the_future_is_not_in_the_window() {
    check(
        &ten_seconds(),
        &[
            at(50_000).fails(3).sees(&[WindowCalls(3)]),
            at(20_000).sees(&[WindowCalls(0)]),
            at(20_001).fails(3).sees(&[WindowCalls(3), State(StateKind::Closed)]),
            at(20_002).fails(1).enters(StateKind::Open, Cause::FailureRate),
        ],
    );
}
