//! HALF_OPEN: permits, their deadlines, and what the probes decide.

use std::time::Duration;

use crate::tests::story::Seen::{
    FailureCount, Generation, Late, PermitsOut, RetryAt, Since, State, Successes, Totals,
};
use crate::tests::story::{Step, at, check};
use crate::{Cause, ConfigPatch, DenyReason, StateKind};

/// OPEN for 100 ms; two successes close; a permit is good for 10 ms.
fn probing() -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(1),
        open_duration: Some(Duration::from_millis(100)),
        success_threshold: Some(2),
        call_timeout: Some(Duration::from_millis(10)),
        ..Default::default()
    }
}

/// The story after the breaker became HALF_OPEN at 100.
fn check_half_open(patch: &ConfigPatch, story: &[Step]) {
    let opening = [
        at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
        at(100).enters(StateKind::HalfOpen, Cause::OpenElapsed).sees(&[Generation(3)]),
    ];
    check(patch, &[&opening, story].concat());
}

#[test]
fn no_more_permits_are_out_at_a_time_than_max_probes() {
    check_half_open(
        &ConfigPatch { max_probes: Some(2), success_threshold: Some(5), ..probing() },
        &[
            at(101).asks().gets_probe("a", 111),
            at(102).asks().gets_probe("b", 112),
            at(103).asks().denied(DenyReason::NoPermit, Some(8)).sees(&[PermitsOut(2)]),
            at(104).succeeds(1).of_probe("a").sees(&[PermitsOut(1), Successes(1)]),
            at(105).asks().gets_probe("c", 115),
            at(106).asks().denied(DenyReason::NoPermit, Some(6)),
        ],
    );
}

#[test]
fn unless_set_max_probes_is_the_success_threshold() {
    check_half_open(
        &probing(),
        &[
            at(100).asks().gets_probe("a", 110),
            at(100).asks().gets_probe("b", 110),
            at(100).asks().denied(DenyReason::NoPermit, Some(10)),
        ],
    );
}

#[test]
fn enough_successful_probes_close_one_after_another_too() {
    check_half_open(
        &ConfigPatch { max_probes: Some(1), ..probing() },
        &[
            at(101).asks().gets_probe("a", 111),
            at(102).succeeds(1).of_probe("a").sees(&[Successes(1), State(StateKind::HalfOpen)]),
            at(103).asks().gets_probe("b", 113),
            at(104)
                .succeeds(1)
                .of_probe("b")
                .enters(StateKind::Closed, Cause::ProbesSucceeded)
                .sees(&[Generation(4), Since(104), Successes(0), FailureCount(0)]),
        ],
    );
}

#[test]
fn a_probe_that_is_still_out_when_the_breaker_closes_comes_late() {
    check_half_open(
        &ConfigPatch { max_probes: Some(3), ..probing() },
        &[
            at(101).asks().gets_probe("a", 111),
            at(101).asks().gets_probe("b", 111),
            at(101).asks().gets_probe("c", 111),
            at(102).succeeds(1).of_probe("a"),
            at(103).succeeds(1).of_probe("b").enters(StateKind::Closed, Cause::ProbesSucceeded),
            at(104).fails(1).of_probe("c").sees(&[
                State(StateKind::Closed),
                FailureCount(0),
                Late(1),
            ]),
            at(200).sees(&[State(StateKind::Closed)]),
        ],
    );
}

#[test]
fn any_failed_probe_reopens_from_that_failure() {
    check_half_open(
        &probing(),
        &[
            at(101).asks().gets_probe("a", 111),
            at(102).asks().gets_probe("b", 112),
            at(103).succeeds(1).of_probe("a"),
            at(109)
                .fails(1)
                .of_probe("b")
                .ago(4)
                .enters(StateKind::Open, Cause::ProbeFailed)
                .sees(&[RetryAt(Some(205)), Since(109), Generation(4)]),
            at(205)
                .enters(StateKind::HalfOpen, Cause::OpenElapsed)
                .sees(&[Successes(0), PermitsOut(0)]),
        ],
    );
}

#[test]
fn a_probe_that_timed_out_or_took_too_long_has_failed() {
    check_half_open(
        &probing(),
        &[
            at(101).asks().gets_probe("a", 111),
            at(102).times_out(1).of_probe("a").enters(StateKind::Open, Cause::ProbeFailed),
            at(202).enters(StateKind::HalfOpen, Cause::OpenElapsed),
            at(203).asks().gets_probe("b", 213),
            at(204)
                .succeeds(1)
                .lasting(Duration::from_millis(11))
                .of_probe("b")
                .enters(StateKind::Open, Cause::ProbeFailed),
        ],
    );
}

#[test]
fn a_permit_is_good_up_to_and_including_its_deadline() {
    check_half_open(
        &ConfigPatch { success_threshold: Some(1), ..probing() },
        &[
            at(101).asks().gets_probe("a", 111),
            at(111).sees(&[PermitsOut(1)]),
            at(111).succeeds(1).of_probe("a").enters(StateKind::Closed, Cause::ProbesSucceeded),
        ],
    );
}

#[test]
fn a_permit_past_its_deadline_is_a_timeout_and_reopens_from_the_deadline() {
    check_half_open(
        &probing(),
        &[
            at(101).asks().gets_probe("a", 111),
            at(102).asks().gets_probe("b", 112),
            at(150).entered(111, StateKind::Open, Cause::ProbeExpired).sees(&[
                RetryAt(Some(211)),
                Since(111),
                Totals(0, 1, 1, 0),
            ]),
            at(151).succeeds(1).of_probe("a").sees(&[State(StateKind::Open), Late(1)]),
            at(152).succeeds(1).of_probe("b").sees(&[State(StateKind::Open), Late(2)]),
        ],
    );
}

#[test]
fn dead_holders_of_permits_cannot_hold_a_breaker_half_open() {
    check_half_open(
        &probing(),
        &[
            at(101).asks().gets_probe("a", 111),
            at(500)
                .asks()
                .entered(111, StateKind::Open, Cause::ProbeExpired)
                .entered(211, StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("b", 510),
        ],
    );
}

#[test]
fn an_ignored_probe_gives_its_permit_back_and_decides_nothing() {
    check_half_open(
        &ConfigPatch { max_probes: Some(1), ..probing() },
        &[
            at(101).asks().gets_probe("a", 111),
            at(102).ends_ignored(1).of_probe("a").sees(&[PermitsOut(0), Successes(0)]),
            at(103).asks().gets_probe("b", 113),
            at(104)
                .fails(1)
                .of_kind("cancelled")
                .of_probe("b")
                .enters(StateKind::Open, Cause::ProbeFailed),
        ],
    );
}

#[test]
fn outcomes_without_a_permit_decide_nothing() {
    check_half_open(
        &probing(),
        &[
            at(101).fails(10).sees(&[State(StateKind::HalfOpen), Totals(0, 11, 0, 0)]),
            at(102).succeeds(10).of_generation(3).sees(&[
                State(StateKind::HalfOpen),
                Successes(0),
                Totals(10, 11, 0, 0),
                Late(0),
            ]),
        ],
    );
}

#[test]
fn a_permit_counts_once() {
    check_half_open(
        &probing(),
        &[
            at(101).asks().gets_probe("a", 111),
            at(102).succeeds(1).of_probe("a").sees(&[Successes(1), Late(0)]),
            at(103).succeeds(1).of_probe("a").sees(&[Successes(1), Late(1)]),
            at(104).fails(1).of_probe("a").sees(&[State(StateKind::HalfOpen), Late(2)]),
        ],
    );
}

#[test]
fn of_a_run_with_a_permit_the_first_call_is_the_probe() {
    check_half_open(
        &probing(),
        &[
            at(101).asks().gets_probe("a", 111),
            at(102).succeeds(5).of_probe("a").sees(&[Successes(1), Late(4)]),
        ],
    );
}

#[test]
fn a_breaker_without_probes_stays_half_open_for_as_long_as_nobody_calls() {
    check_half_open(&probing(), &[at(1_000_000).sees(&[State(StateKind::HalfOpen), Since(100)])]);
}
