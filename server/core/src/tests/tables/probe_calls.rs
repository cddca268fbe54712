//! `probe_calls` and `expired_probe`: other ways to judge probes.

use std::time::Duration;

use crate::tests::story::Seen::{
    FailedProbes, MaxProbes, PermitsOut, RetryAt, State, Successes, Totals,
};
use crate::tests::story::{Step, at, check};
use crate::{Cause, ConfigPatch, DenyReason, ExpiredProbe, ProbeCalls, StateKind};

/// Four probes are judged together; half of them may not fail. A permit is good for 10 ms.
fn four_together() -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(1),
        open_duration: Some(Duration::from_millis(100)),
        call_timeout: Some(Duration::from_millis(10)),
        probe_calls: Some(Some(ProbeCalls { calls: 4, failure_percent: 50 })),
        ..Default::default()
    }
}

fn check_half_open(patch: &ConfigPatch, story: &[Step]) {
    let opening = [
        at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
        at(100).enters(StateKind::HalfOpen, Cause::OpenElapsed),
    ];
    check(patch, &[&opening, story].concat());
}

fn hands_out(at_ms: u64, probes: &[&'static str]) -> Vec<Step> {
    probes.iter().map(|name| at(at_ms).asks().gets_probe(name, at_ms + 10)).collect()
}

#[test]
fn no_failure_decides_before_all_probes_are_in() {
    let story = [
        hands_out(101, &["a", "b", "c", "d"]),
        vec![
            at(102).asks().denied(DenyReason::NoPermit, Some(9)).sees(&[MaxProbes(4)]),
            at(103).fails(1).of_probe("a").sees(&[FailedProbes(1), State(StateKind::HalfOpen)]),
            at(104).succeeds(1).of_probe("b").sees(&[Successes(1)]),
            at(105).succeeds(1).of_probe("c").sees(&[Successes(2)]),
            // Three are in and one is out: there is no fifth.
            at(106).asks().denied(DenyReason::NoPermit, Some(5)),
            at(107).succeeds(1).of_probe("d").enters(StateKind::Closed, Cause::ProbesSucceeded),
        ],
    ];
    check_half_open(&four_together(), &story.concat());
}

#[test]
fn the_percent_that_failed_reopens_from_the_probe_that_came_last() {
    let story = [
        hands_out(101, &["a", "b", "c", "d"]),
        vec![
            at(102).fails(1).of_probe("a"),
            at(103).times_out(1).of_probe("b"),
            at(104).succeeds(1).of_probe("c").sees(&[State(StateKind::HalfOpen)]),
            at(109)
                .succeeds(1)
                .of_probe("d")
                .ago(3)
                .enters(StateKind::Open, Cause::ProbeRate)
                .sees(&[RetryAt(Some(206))]),
        ],
    ];
    check_half_open(&four_together(), &story.concat());
}

#[test]
fn an_ignored_probe_makes_room_for_another_and_is_not_judged() {
    let story = [
        hands_out(101, &["a", "b", "c", "d"]),
        vec![
            at(102).ends_ignored(1).of_probe("a").sees(&[PermitsOut(3), FailedProbes(0)]),
            at(103).asks().gets_probe("e", 113),
            at(104).asks().denied(DenyReason::NoPermit, Some(7)),
            at(105).succeeds(1).of_probe("b"),
            at(106).succeeds(1).of_probe("c"),
            at(107).succeeds(1).of_probe("d").sees(&[State(StateKind::HalfOpen)]),
            at(108).succeeds(1).of_probe("e").enters(StateKind::Closed, Cause::ProbesSucceeded),
        ],
    ];
    check_half_open(&four_together(), &story.concat());
}

#[test]
fn max_probes_bounds_how_many_of_them_are_out_at_once() {
    let one_by_one = ConfigPatch { max_probes: Some(1), ..four_together() };
    check_half_open(
        &one_by_one,
        &[
            at(101).asks().gets_probe("a", 111),
            at(101).asks().denied(DenyReason::NoPermit, Some(10)),
            at(102).succeeds(1).of_probe("a"),
            at(103).asks().gets_probe("b", 113),
        ],
    );
}

#[test]
fn probes_that_never_came_back_have_failed() {
    let story = [
        hands_out(101, &["a", "b", "c", "d"]),
        vec![
            at(102).succeeds(1).of_probe("a"),
            at(103).succeeds(1).of_probe("b"),
            at(200)
                .entered(111, StateKind::Open, Cause::ProbeRate)
                .sees(&[RetryAt(Some(211)), Totals(2, 1, 2, 0)]),
        ],
    ];
    check_half_open(&four_together(), &story.concat());
}

#[test]
fn fewer_probes_than_are_in_already_are_judged_with_the_next_one() {
    let two_together = ConfigPatch {
        probe_calls: Some(Some(ProbeCalls { calls: 2, failure_percent: 50 })),
        ..four_together()
    };
    let story = [
        hands_out(101, &["a", "b", "c"]),
        vec![
            at(102).succeeds(1).of_probe("a"),
            at(103).succeeds(1).of_probe("b"),
            at(104).fails(1).of_probe("c"),
            at(105).reconfigures(two_together).sees(&[State(StateKind::HalfOpen)]),
            at(106).asks().gets_probe("d", 116),
            at(107).asks().denied(DenyReason::NoPermit, Some(9)),
            at(108).succeeds(1).of_probe("d").enters(StateKind::Closed, Cause::ProbesSucceeded),
        ],
    ];
    check_half_open(&four_together(), &story.concat());
}

#[test]
fn failures_that_were_to_be_judged_together_do_not_turn_a_later_success_into_one() {
    let by_the_first = ConfigPatch { probe_calls: Some(None), ..four_together() };
    let story = [
        hands_out(101, &["a", "b", "c"]),
        vec![
            at(102).fails(1).of_probe("a"),
            at(103).reconfigures(by_the_first),
            at(104).succeeds(1).of_probe("b").sees(&[State(StateKind::HalfOpen)]),
            at(105).fails(1).of_probe("c").enters(StateKind::Open, Cause::ProbeFailed),
        ],
    ];
    check_half_open(&four_together(), &story.concat());
}

#[test]
fn an_expired_probe_that_is_ignored_frees_its_permit_and_decides_nothing() {
    let ignores = ConfigPatch {
        expired_probe: Some(ExpiredProbe::Ignore),
        probe_calls: Some(None),
        success_threshold: Some(1),
        ..four_together()
    };
    check_half_open(
        &ignores,
        &[
            at(101).asks().gets_probe("a", 111),
            at(111).asks().denied(DenyReason::NoPermit, Some(0)).sees(&[PermitsOut(1)]),
            at(112).asks().gets_probe("b", 122).sees(&[PermitsOut(1), Totals(0, 1, 0, 1)]),
            at(113).fails(1).of_probe("a").sees(&[State(StateKind::HalfOpen)]),
            at(114).succeeds(1).of_probe("b").enters(StateKind::Closed, Cause::ProbesSucceeded),
        ],
    );
}
