//! Trip and Reset: now, and the automatic life goes on.

use crate::tests::story::Seen::{
    FailureCount, Generation, Mode as InMode, RetryAt, State, Successes,
};
use crate::tests::story::{at, check};
use crate::{Cause, ConfigPatch, DenyReason, Mode, OverrideKind, StateKind};

#[test]
fn trip_opens_now_for_open_duration() {
    check(
        &ConfigPatch::default(),
        &[
            at(5).trips().enters(StateKind::Open, Cause::Tripped).sees(&[
                RetryAt(Some(60_005)),
                InMode(Mode::Normal),
                Generation(2),
            ]),
            at(6).asks().denied(DenyReason::Open, Some(59_999)),
            at(60_005).enters(StateKind::HalfOpen, Cause::OpenElapsed),
        ],
    );
}

#[test]
fn trip_of_an_open_breaker_begins_its_time_anew() {
    check(
        &ConfigPatch::default(),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(30_000)
                .trips()
                .enters(StateKind::Open, Cause::Tripped)
                .sees(&[RetryAt(Some(90_000)), Generation(2)]),
        ],
    );
}

#[test]
fn reset_closes_now_with_fresh_counters() {
    check(
        &ConfigPatch::default(),
        &[
            at(0).fails(5).enters(StateKind::Open, Cause::FailureThreshold),
            at(1).resets().enters(StateKind::Closed, Cause::Reset).sees(&[
                FailureCount(0),
                RetryAt(None),
                Generation(3),
            ]),
            at(2).fails(4).sees(&[FailureCount(4)]),
            at(3)
                .resets()
                .enters(StateKind::Closed, Cause::Reset)
                .sees(&[FailureCount(0), Generation(3)]),
            at(60_000).sees(&[State(StateKind::Closed)]),
        ],
    );
}

#[test]
fn trip_and_reset_end_a_half_open_with_its_probes() {
    check(
        &ConfigPatch::default(),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(60_000)
                .asks()
                .enters(StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("a", 70_000),
            at(60_001).succeeds(1).of_probe("a").sees(&[Successes(1)]),
            at(60_002).trips().enters(StateKind::Open, Cause::Tripped),
            at(120_002).enters(StateKind::HalfOpen, Cause::OpenElapsed).sees(&[Successes(0)]),
            at(120_003).asks().gets_probe("b", 130_003),
            at(120_004).resets().enters(StateKind::Closed, Cause::Reset),
            at(140_000).sees(&[State(StateKind::Closed)]),
        ],
    );
}

#[test]
fn trip_and_reset_leave_a_breaker_alone_that_an_override_holds() {
    let cases = [
        (OverrideKind::ForcedOpen, StateKind::Open, Cause::ForcedOpen),
        (OverrideKind::ForcedClosed, StateKind::Closed, Cause::ForcedClosed),
        (OverrideKind::Disabled, StateKind::Closed, Cause::Disabled),
    ];
    for (kind, state, cause) in cases {
        check(
            &ConfigPatch::default(),
            &[
                at(0).overrides(kind).enters(state, cause),
                at(1).trips(),
                at(2).resets(),
                at(1_000_000).sees(&[State(state), InMode(kind.mode()), RetryAt(None)]),
            ],
        );
    }
}

#[test]
fn trip_and_reset_work_under_shadow() {
    check(
        &ConfigPatch::default(),
        &[
            at(0).overrides(OverrideKind::Shadow).enters(StateKind::Closed, Cause::Shadowed),
            at(1).trips().enters(StateKind::Open, Cause::Tripped),
            at(2).resets().enters(StateKind::Closed, Cause::Reset).sees(&[InMode(Mode::Shadow)]),
        ],
    );
}
