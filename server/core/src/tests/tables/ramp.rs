//! `ramp`: after the probes a growing share of the calls, and then CLOSED.

use std::time::Duration;

use crate::tests::story::Seen::{
    Admits, Denied, FailureCount, Generation, Late, PermitsOut, RetryAt, Since, State, WindowCalls,
};
use crate::tests::story::{Step, at, check, last_calls};
use crate::{
    AllowReason, Backoff, Cause, ConfigPatch, DenyReason, ExpiredProbe, FailureRate, OverrideKind,
    Ramp, StateKind, Thousandths,
};

/// Two failures open for 100 ms, one probe begins a ramp of 10 % and 50 %, 20 ms each.
fn ramping() -> ConfigPatch {
    let ramp = Ramp { percents: vec![10, 50], step: Duration::from_millis(20) };
    ConfigPatch {
        failure_threshold: Some(2),
        open_duration: Some(Duration::from_millis(100)),
        success_threshold: Some(1),
        call_timeout: Some(Duration::from_millis(50)),
        ramp: Some(Some(ramp)),
        ..Default::default()
    }
}

/// The story after the ramp began at 101, in generation 3.
fn check_ramp(patch: &ConfigPatch, story: &[Step]) {
    let opening = [
        at(0).fails(2).enters(StateKind::Open, Cause::FailureThreshold),
        at(100).asks().enters(StateKind::HalfOpen, Cause::OpenElapsed).gets_probe("a", 150),
        at(101).succeeds(1).of_probe("a").sees(&[
            State(StateKind::HalfOpen),
            Admits(Some(10)),
            Generation(3),
            FailureCount(0),
        ]),
    ];
    check(patch, &[&opening, story].concat());
}

/// So many calls ask, and of these exactly each so-manyth flows.
fn asks_of_which_each(at_ms: u64, nth: usize, calls: usize) -> Vec<Step> {
    let ask = |number: usize| match number % nth {
        0 => at(at_ms).asks().allowed(AllowReason::Ramp),
        _ => at(at_ms).asks().denied(DenyReason::Ramp, None),
    };
    (1..=calls).map(ask).collect()
}

#[test]
fn exactly_the_share_of_each_step_flows_and_after_the_last_everything() {
    let story = [
        asks_of_which_each(102, 10, 50),
        vec![at(120).sees(&[Admits(Some(10)), Denied(45)]), at(121).sees(&[Admits(Some(50))])],
        asks_of_which_each(121, 2, 20),
        vec![
            at(140).sees(&[State(StateKind::HalfOpen), Denied(55)]),
            at(141).enters(StateKind::Closed, Cause::RampCompleted).sees(&[
                Generation(4),
                Admits(None),
                Since(141),
            ]),
            at(142).asks().allowed(AllowReason::Closed),
        ],
    ];
    check_ramp(&ramping(), &story.concat());
}

#[test]
fn a_share_that_does_not_divide_a_hundred_is_exact_all_the_same() {
    let ramp = Ramp { percents: vec![30], step: Duration::from_millis(20) };
    let flows = [4, 7, 10, 14, 17, 20];
    let ask = |number| match flows.contains(&number) {
        true => at(102).asks().allowed(AllowReason::Ramp),
        false => at(102).asks().denied(DenyReason::Ramp, None),
    };
    let patch = ConfigPatch { ramp: Some(Some(ramp)), ..ramping() };
    let opening = [
        at(0).fails(2).enters(StateKind::Open, Cause::FailureThreshold),
        at(100).asks().enters(StateKind::HalfOpen, Cause::OpenElapsed).gets_probe("a", 150),
        at(101).succeeds(1).of_probe("a").sees(&[Admits(Some(30))]),
    ];
    check(&patch, &opening.into_iter().chain((1..=20).map(ask)).collect::<Vec<_>>());
}

#[test]
fn what_was_not_used_of_one_share_is_used_in_the_next_step() {
    let story = [
        asks_of_which_each(102, 10, 5),
        vec![at(121).asks().allowed(AllowReason::Ramp)],
        vec![at(121).asks().denied(DenyReason::Ramp, None)],
    ];
    check_ramp(&ramping(), &story.concat());
}

#[test]
fn steps_that_nobody_watched_end_when_they_were_due() {
    check_ramp(
        &ramping(),
        &[at(900).entered(141, StateKind::Closed, Cause::RampCompleted).sees(&[Since(141)])],
    );
}

#[test]
fn the_outcomes_of_the_generation_count_as_in_closed_and_reopen() {
    check_ramp(
        &ramping(),
        &[
            at(102).fails(1).of_generation(3).sees(&[FailureCount(1)]),
            at(103).succeeds(1).sees(&[FailureCount(0)]),
            at(104).fails(9).of_generation(1).sees(&[FailureCount(0), Late(9)]),
            at(105).fails(1).sees(&[FailureCount(1), State(StateKind::HalfOpen)]),
            at(110).fails(1).ago(2).enters(StateKind::Open, Cause::FailureThreshold).sees(&[
                RetryAt(Some(208)),
                Generation(4),
                Admits(None),
            ]),
        ],
    );
}

#[test]
fn the_conditions_window_begins_with_the_ramp_and_again_with_closed() {
    let by_rate = ConfigPatch {
        failure_threshold: Some(0),
        failure_rate: Some(Some(FailureRate { percent: 50, minimum_calls: 2 })),
        window: last_calls(10),
        ..ramping()
    };
    let opening = [
        at(0).fails(2).enters(StateKind::Open, Cause::FailureRate),
        at(100).asks().enters(StateKind::HalfOpen, Cause::OpenElapsed).gets_probe("a", 150),
        at(101).succeeds(1).of_probe("a").sees(&[WindowCalls(3)]),
        at(102).fails(1).sees(&[State(StateKind::HalfOpen)]),
    ];
    let reopens = [at(103).succeeds(1).enters(StateKind::Open, Cause::FailureRate)];
    check(&by_rate, &[&opening[..], &reopens].concat());
    let closes = [
        at(141).enters(StateKind::Closed, Cause::RampCompleted),
        at(142).fails(1).sees(&[State(StateKind::Closed)]),
        at(143).fails(1).enters(StateKind::Open, Cause::FailureRate),
    ];
    check(&by_rate, &[&opening[..], &closes].concat());
}

#[test]
fn a_permit_that_is_still_out_counts_as_any_call_when_it_comes_back_or_passes_its_deadline() {
    let patch = ConfigPatch { max_probes: Some(3), ..ramping() };
    let opening = [
        at(0).fails(2).enters(StateKind::Open, Cause::FailureThreshold),
        at(100).asks().enters(StateKind::HalfOpen, Cause::OpenElapsed).gets_probe("a", 150),
        at(100).asks().gets_probe("b", 150),
        at(100).asks().gets_probe("c", 150),
        at(110).succeeds(1).of_probe("a").sees(&[Admits(Some(10)), PermitsOut(2)]),
        at(111).fails(1).of_probe("b").sees(&[FailureCount(1), PermitsOut(1), Late(0)]),
        at(112).fails(1).of_probe("b").sees(&[FailureCount(1), Late(1)]),
    ];
    // The ramp would end at exactly this time.
    let expires = [at(160)
        .entered(150, StateKind::Open, Cause::FailureThreshold)
        .sees(&[RetryAt(Some(250)), Since(150)])];
    let story = [&opening[..], &expires].concat();
    check(&ConfigPatch { ramp: longer_ramp(), ..patch.clone() }, &story);
    let ignores = ConfigPatch { expired_probe: Some(ExpiredProbe::Ignore), ..patch };
    let goes_on = [at(151).sees(&[FailureCount(1), PermitsOut(0), State(StateKind::HalfOpen)])];
    let story = [&opening[..], &goes_on].concat();
    check(&ConfigPatch { ramp: longer_ramp(), ..ignores }, &story);
}

#[test]
fn of_a_run_with_a_permit_that_comes_back_on_the_ramp_the_first_call_counts() {
    for ignored in [false, true] {
        let run = at(102);
        let run = if ignored { run.ends_ignored(3) } else { run.fails(3) };
        let opening = [
            at(0).fails(2).enters(StateKind::Open, Cause::FailureThreshold),
            at(100).asks().enters(StateKind::HalfOpen, Cause::OpenElapsed).gets_probe("a", 150),
            at(100).asks().gets_probe("b", 150),
            at(101).succeeds(1).of_probe("a").sees(&[Admits(Some(10))]),
            run.of_probe("b").sees(&[
                FailureCount(u32::from(!ignored)),
                Late(2),
                State(StateKind::HalfOpen),
            ]),
        ];
        check(&ConfigPatch { max_probes: Some(2), ..ramping() }, &opening);
    }
}

fn longer_ramp() -> Option<Option<Ramp>> {
    Some(Some(Ramp { percents: vec![10], step: Duration::from_millis(500) }))
}

#[test]
fn a_reopen_from_the_ramp_counts_for_backoff() {
    let backoff = Backoff {
        multiplier: Thousandths(2_000),
        max: Duration::from_secs(1),
        jitter: Thousandths(0),
    };
    check_ramp(
        &ConfigPatch { backoff: Some(Some(backoff)), ..ramping() },
        &[at(102)
            .fails(2)
            .enters(StateKind::Open, Cause::FailureThreshold)
            .sees(&[RetryAt(Some(302))])],
    );
}

#[test]
fn under_shadow_a_ramp_denies_nobody() {
    check_ramp(
        &ramping(),
        &[
            at(102).overrides(OverrideKind::Shadow).enters(StateKind::HalfOpen, Cause::Shadowed),
            at(103).asks().allowed(AllowReason::Shadow).sees(&[Denied(0)]),
        ],
    );
}

#[test]
fn a_ramp_that_is_taken_away_lets_all_flow_until_its_step_is_over() {
    check_ramp(
        &ramping(),
        &[
            at(102).reconfigures(ConfigPatch { ramp: Some(None), ..ramping() }),
            at(103).asks().allowed(AllowReason::Ramp).sees(&[Admits(Some(100))]),
            at(121).enters(StateKind::Closed, Cause::RampCompleted),
        ],
    );
}
