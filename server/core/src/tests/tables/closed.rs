//! CLOSED → OPEN by `failure_threshold`, `failure_decay` and `consecutive_failures`.

use crate::tests::story::Seen::{Consecutive, FailureCount, State};
use crate::tests::story::{at, check};
use crate::{AllowReason, Cause, ConfigPatch, DenyReason, StateKind};

fn threshold(failures: u32) -> ConfigPatch {
    ConfigPatch { failure_threshold: Some(failures), ..Default::default() }
}

fn in_a_row(failures: u32) -> ConfigPatch {
    ConfigPatch { consecutive_failures: Some(failures), ..threshold(0) }
}

#[test]
fn the_failure_that_reaches_the_threshold_trips_and_not_the_one_before() {
    check(
        &threshold(3),
        &[
            at(0).asks().allowed(AllowReason::Closed),
            at(1).fails(1).sees(&[FailureCount(1)]),
            at(2).fails(1).sees(&[FailureCount(2), State(StateKind::Closed)]),
            at(3).asks().allowed(AllowReason::Closed),
            at(4).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(5).asks().denied(DenyReason::Open, Some(59_999)),
        ],
    );
}

#[test]
fn a_threshold_of_one_trips_at_the_first_failure() {
    check(&threshold(1), &[at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold)]);
}

#[test]
fn a_timeout_is_a_failure_like_any_other() {
    check(
        &threshold(2),
        &[
            at(0).times_out(1).sees(&[FailureCount(1), Consecutive(1)]),
            at(1).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn each_success_takes_one_failure_off_the_count_but_never_below_none() {
    check(
        &threshold(3),
        &[
            at(0).succeeds(5).sees(&[FailureCount(0)]),
            at(1).fails(2).sees(&[FailureCount(2)]),
            at(2).succeeds(1).sees(&[FailureCount(1)]),
            at(3).fails(1).sees(&[FailureCount(2), State(StateKind::Closed)]),
            at(4).succeeds(7).sees(&[FailureCount(0)]),
            at(5).fails(2).sees(&[FailureCount(2), State(StateKind::Closed)]),
            at(6).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn a_larger_decay_takes_more_off() {
    check(
        &ConfigPatch { failure_decay: Some(3), ..threshold(10) },
        &[
            at(0).fails(8).sees(&[FailureCount(8)]),
            at(1).succeeds(2).sees(&[FailureCount(2)]),
            at(2).succeeds(1).sees(&[FailureCount(0)]),
        ],
    );
}

#[test]
fn without_decay_failures_are_never_forgotten() {
    check(
        &ConfigPatch { failure_decay: Some(0), ..threshold(2) },
        &[
            at(0).fails(1),
            at(1).succeeds(1_000_000).sees(&[FailureCount(1), Consecutive(0)]),
            at(2).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn the_decay_of_a_long_run_does_not_overflow() {
    // 2^26 × 1,000,000 is a multiple of 2^32.
    check(
        &ConfigPatch { failure_decay: Some(1_000_000), ..threshold(1_000_000) },
        &[
            at(0).fails(999_999).sees(&[FailureCount(999_999)]),
            at(1).succeeds(1 << 26).sees(&[FailureCount(0)]),
        ],
    );
}

#[test]
fn failures_in_a_row_trip_and_a_success_breaks_the_row() {
    check(
        &in_a_row(3),
        &[
            at(0).fails(2).sees(&[Consecutive(2)]),
            at(1).succeeds(1).sees(&[Consecutive(0), FailureCount(1)]),
            at(2).fails(2).sees(&[Consecutive(2), State(StateKind::Closed)]),
            at(3).fails(1).enters(StateKind::Open, Cause::ConsecutiveFailures),
        ],
    );
}

#[test]
fn with_both_conditions_the_one_that_is_met_first_trips() {
    let both = ConfigPatch { consecutive_failures: Some(3), ..threshold(4) };
    check(&both, &[at(0).fails(9).enters(StateKind::Open, Cause::ConsecutiveFailures)]);
    let slow_to_forget = ConfigPatch { failure_decay: Some(0), ..both };
    check(
        &slow_to_forget,
        &[
            at(0).fails(2),
            at(1).succeeds(1),
            at(2).fails(1).sees(&[FailureCount(3), Consecutive(1)]),
            at(3).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn a_failure_that_meets_both_conditions_is_put_down_to_the_threshold() {
    let both = ConfigPatch { consecutive_failures: Some(3), ..threshold(3) };
    check(&both, &[at(0).fails(3).enters(StateKind::Open, Cause::FailureThreshold)]);
}

#[test]
fn an_ignored_call_neither_counts_nor_breaks_a_row() {
    check(
        &ConfigPatch { consecutive_failures: Some(3), ..threshold(10) },
        &[
            at(0).fails(2),
            at(1).ends_ignored(100).sees(&[FailureCount(2), Consecutive(2)]),
            at(2).fails(1).enters(StateKind::Open, Cause::ConsecutiveFailures),
        ],
    );
}

#[test]
fn the_counts_start_afresh_when_the_breaker_closes_again() {
    check(
        &ConfigPatch { success_threshold: Some(1), ..threshold(2) },
        &[
            at(0).fails(2).enters(StateKind::Open, Cause::FailureThreshold),
            at(1).sees(&[FailureCount(2), Consecutive(2)]),
            at(60_000)
                .asks()
                .entered(60_000, StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("a", 70_000)
                .sees(&[FailureCount(2)]),
            at(60_001)
                .succeeds(1)
                .of_probe("a")
                .enters(StateKind::Closed, Cause::ProbesSucceeded)
                .sees(&[FailureCount(0), Consecutive(0)]),
            at(60_002).fails(1).sees(&[FailureCount(1), State(StateKind::Closed)]),
            at(60_003).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}
