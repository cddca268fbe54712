//! OPEN: how long it lasts, and what it listens to.

use crate::tests::story::Seen::{Denied, Generation, RetryAt, Since, State, Totals};
use crate::tests::story::{at, check};
use crate::{Cause, ConfigPatch, DenyReason, StateKind};

fn one_failure_opens() -> ConfigPatch {
    ConfigPatch { failure_threshold: Some(1), ..Default::default() }
}

#[test]
fn open_lasts_open_duration_and_ends_by_a_timer() {
    check(
        &one_failure_opens(),
        &[
            at(100).fails(1).enters(StateKind::Open, Cause::FailureThreshold).sees(&[
                RetryAt(Some(60_100)),
                Since(100),
                Generation(2),
            ]),
            at(101).asks().denied(DenyReason::Open, Some(59_999)),
            at(60_099).asks().denied(DenyReason::Open, Some(1)).sees(&[Denied(2)]),
            at(60_100).enters(StateKind::HalfOpen, Cause::OpenElapsed).sees(&[
                RetryAt(None),
                Since(60_100),
                Generation(3),
            ]),
        ],
    );
}

#[test]
fn a_timer_that_fires_late_is_stamped_with_the_time_it_was_due() {
    check(
        &one_failure_opens(),
        &[
            at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(90_000)
                .entered(60_000, StateKind::HalfOpen, Cause::OpenElapsed)
                .sees(&[Since(60_000)]),
        ],
    );
}

#[test]
fn a_call_that_asks_after_retry_at_gets_the_first_permit() {
    check(
        &one_failure_opens(),
        &[
            at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(61_000)
                .asks()
                .entered(60_000, StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("a", 71_000),
        ],
    );
}

#[test]
fn open_lasts_from_the_failure_and_not_from_its_report() {
    check(
        &one_failure_opens(),
        &[
            at(30_000)
                .fails(1)
                .ago(20_000)
                .enters(StateKind::Open, Cause::FailureThreshold)
                .sees(&[RetryAt(Some(70_000)), Since(30_000)]),
            at(70_000).enters(StateKind::HalfOpen, Cause::OpenElapsed),
        ],
    );
}

#[test]
fn a_failure_reported_after_its_open_would_have_ended_opens_for_no_time_at_all() {
    check(
        &one_failure_opens(),
        &[at(100_000)
            .fails(1)
            .ago(60_000)
            .enters(StateKind::Open, Cause::FailureThreshold)
            .enters(StateKind::HalfOpen, Cause::OpenElapsed)
            .sees(&[Since(100_000)])],
    );
}

#[test]
fn open_never_lasts_from_before_the_closed_that_it_ended() {
    check(
        &one_failure_opens(),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(50_000).resets().enters(StateKind::Closed, Cause::Reset),
            at(51_000)
                .fails(1)
                .ago(40_000)
                .enters(StateKind::Open, Cause::FailureThreshold)
                .sees(&[RetryAt(Some(110_000))]),
        ],
    );
}

#[test]
fn outcomes_of_calls_nobody_admitted_move_nothing_while_open() {
    check(
        &one_failure_opens(),
        &[
            at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(2).succeeds(50),
            at(3).fails(50).sees(&[
                State(StateKind::Open),
                RetryAt(Some(60_000)),
                Totals(50, 51, 0, 0),
            ]),
        ],
    );
}
