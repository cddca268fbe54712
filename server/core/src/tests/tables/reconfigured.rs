//! A configuration that changes while the breaker lives.

use std::time::Duration;

use crate::tests::story::Seen::{
    FailureCount, FailureRate, PermitsOut, Recent, RetryAt, State, WindowCalls, WindowFailures,
};
use crate::tests::story::{at, check, last_calls};
use crate::{Cause, ConfigPatch, DenyReason, StateKind};

#[test]
fn a_smaller_window_keeps_the_latest_calls_and_a_larger_one_brings_none_back() {
    let window = |calls| ConfigPatch {
        window: last_calls(calls),
        failure_threshold: Some(100),
        ..Default::default()
    };
    check(
        &window(10),
        &[
            at(0).fails(6),
            at(1).succeeds(4).sees(&[WindowCalls(10), FailureRate(0.6)]),
            at(2).reconfigures(window(5)).sees(&[
                WindowCalls(5),
                WindowFailures(1),
                FailureRate(0.2),
                Recent("FFFFFFSSSS"),
                FailureCount(2),
            ]),
            at(3).reconfigures(window(8)).sees(&[WindowCalls(5)]),
            at(4).fails(3).sees(&[WindowCalls(8), FailureRate(0.5)]),
            at(5).fails(1).sees(&[WindowCalls(8), FailureRate(0.5)]),
        ],
    );
}

#[test]
fn a_threshold_below_the_count_trips_at_the_next_failure_and_not_before() {
    let threshold =
        |failures| ConfigPatch { failure_threshold: Some(failures), ..Default::default() };
    check(
        &threshold(10),
        &[
            at(0).fails(8),
            at(1).reconfigures(threshold(3)).sees(&[FailureCount(8), State(StateKind::Closed)]),
            at(2).succeeds(2).sees(&[FailureCount(6), State(StateKind::Closed)]),
            at(3)
                .fails(4)
                .enters(StateKind::Open, Cause::FailureThreshold)
                .sees(&[FailureCount(7)]),
        ],
    );
}

#[test]
fn an_open_breaker_stays_open_for_as_long_as_was_said_when_it_opened() {
    let open_for =
        |ms| ConfigPatch { open_duration: Some(Duration::from_millis(ms)), ..Default::default() };
    check(
        &open_for(100),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(1).reconfigures(open_for(5)).sees(&[RetryAt(Some(100))]),
            at(100).enters(StateKind::HalfOpen, Cause::OpenElapsed),
        ],
    );
}

#[test]
fn fewer_max_probes_wait_until_the_permits_that_are_out_come_back() {
    let probes = |max_probes| ConfigPatch {
        max_probes: Some(max_probes),
        success_threshold: Some(10),
        ..Default::default()
    };
    check(
        &probes(2),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(60_000)
                .asks()
                .enters(StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("a", 70_000),
            at(60_001).asks().gets_probe("b", 70_001),
            at(60_002).reconfigures(probes(1)).sees(&[PermitsOut(2)]),
            at(60_003).succeeds(1).of_probe("b"),
            at(60_004).asks().denied(DenyReason::NoPermit, Some(9_996)),
            at(60_005).succeeds(1).of_probe("a"),
            at(60_006).asks().gets_probe("c", 70_006),
        ],
    );
}

#[test]
fn a_permit_keeps_the_deadline_it_was_handed_out_with() {
    let timeout =
        |ms| ConfigPatch { call_timeout: Some(Duration::from_millis(ms)), ..Default::default() };
    check(
        &timeout(100),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(60_000)
                .asks()
                .enters(StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("a", 60_100),
            at(60_001).reconfigures(timeout(10)),
            at(60_002).asks().gets_probe("b", 60_012),
            at(60_011).ends_ignored(1).of_probe("b"),
            at(60_100).sees(&[PermitsOut(1)]),
            at(60_101).entered(60_100, StateKind::Open, Cause::ProbeExpired),
        ],
    );
}

#[test]
fn what_was_due_before_the_change_is_due_under_the_old_configuration() {
    let open_for = |ms| ConfigPatch {
        open_duration: Some(Duration::from_millis(ms)),
        call_timeout: Some(Duration::from_millis(10)),
        ..Default::default()
    };
    check(
        &open_for(100),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(100).asks().enters(StateKind::HalfOpen, Cause::OpenElapsed).gets_probe("a", 110),
            at(150)
                .reconfigures(open_for(1_000))
                .entered(110, StateKind::Open, Cause::ProbeExpired)
                .sees(&[RetryAt(Some(210))]),
        ],
    );
}
