//! `adaptive`: threshold and open duration follow the recent calls.

use std::time::Duration;

use crate::tests::story::Seen::{FailureCount, OpenMs, RetryAt, State, Threshold};
use crate::tests::story::{Step, at, check};
use crate::{Adaptive, Cause, ConfigPatch, OverrideKind, StateKind};

/// The defaults over the last ten calls, with failures that are never forgotten: 5 trip, 3 where
/// more than half of the last ten failed, 7 where less than a tenth did. OPEN lasts 60 s.
fn adaptive() -> ConfigPatch {
    ConfigPatch {
        failure_decay: Some(0),
        success_threshold: Some(1),
        adaptive: Some(Some(Adaptive { window: 10, ..Default::default() })),
        ..Default::default()
    }
}

#[test]
fn the_threshold_is_the_configured_one_until_the_history_is_full() {
    check(
        &adaptive(),
        &[
            at(0).succeeds(9).sees(&[Threshold(5)]),
            at(1).succeeds(1).sees(&[Threshold(7)]),
            at(2).fails(1).sees(&[Threshold(5)]),
            at(3).fails(4).enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn few_failures_raise_the_threshold_and_many_lower_it() {
    let fifty = Adaptive { window: 50, ..Default::default() };
    check(
        &ConfigPatch { adaptive: Some(Some(fifty)), ..adaptive() },
        &[
            at(0).succeeds(50).sees(&[Threshold(7)]),
            at(1).fails(4).sees(&[Threshold(7), State(StateKind::Closed)]),
            // The fifth makes a tenth of the history and is itself still judged under 7.
            at(2).fails(1).sees(&[Threshold(5), State(StateKind::Closed), FailureCount(5)]),
            at(3).succeeds(60).sees(&[Threshold(7)]),
            at(4).fails(1).sees(&[FailureCount(6), State(StateKind::Closed)]),
            at(5).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn a_threshold_that_falls_in_the_midst_of_a_run_holds_for_its_next_call() {
    // Judged under 7, then under 5 from the second on, and that is what the fifth reaches.
    let story = [
        at(0).succeeds(10).sees(&[Threshold(7)]),
        at(1).fails(9).enters(StateKind::Open, Cause::FailureThreshold).sees(&[FailureCount(5)]),
    ];
    check(&adaptive(), &story);
}

#[test]
fn exactly_half_is_not_many_and_exactly_a_tenth_is_not_few() {
    check(
        &ConfigPatch { failure_threshold: Some(6), ..adaptive() },
        &[
            at(0).succeeds(9),
            at(1).fails(1).sees(&[Threshold(6)]),
            at(2).fails(4).sees(&[Threshold(6), State(StateKind::Closed)]),
            at(3).fails(1).enters(StateKind::Open, Cause::FailureThreshold).sees(&[Threshold(4)]),
        ],
    );
}

#[test]
fn a_lowered_threshold_is_two_at_least_and_a_raised_one_ten_at_most() {
    let base = |failures| ConfigPatch { failure_threshold: Some(failures), ..adaptive() };
    check(&base(9), &[at(0).succeeds(10).sees(&[Threshold(10)])]);
    check(&base(1_000), &[at(0).fails(10).sees(&[Threshold(998)])]);
    let three = ConfigPatch { failure_decay: Some(1), ..base(3) };
    let alternating = (0..5).flat_map(|i| [at(i).fails(1), at(i).succeeds(1)]);
    let last = [at(9).fails(1).sees(&[Threshold(3)]), at(10).fails(1).sees(&[Threshold(2)])];
    check(&three, &alternating.chain(last).collect::<Vec<_>>());
}

#[test]
fn a_threshold_that_is_off_stays_off() {
    let off =
        ConfigPatch { failure_threshold: Some(0), consecutive_failures: Some(90), ..adaptive() };
    check(&off, &[at(0).fails(50).sees(&[Threshold(0), State(StateKind::Closed)])]);
}

/// Successes that took so long, and five failures, which open at this time.
fn opens_after(at_ms: u64, success: Duration, retry_after: u64) -> [Step; 2] {
    [
        at(at_ms).succeeds(4).lasting(success * 4),
        at(at_ms)
            .fails(5)
            .enters(StateKind::Open, Cause::FailureThreshold)
            .sees(&[RetryAt(Some(at_ms + retry_after))]),
    ]
}

fn patient() -> ConfigPatch {
    ConfigPatch { adaptive: Some(Some(Adaptive { window: 9, ..Default::default() })), ..adaptive() }
}

#[test]
fn slow_successes_make_open_longer_and_fast_ones_shorter() {
    check(&patient(), &opens_after(0, Duration::from_millis(1_001), 90_000));
    check(&patient(), &opens_after(0, Duration::from_millis(1_000), 60_000));
    check(&patient(), &opens_after(0, Duration::from_millis(200), 60_000));
    check(&patient(), &opens_after(0, Duration::from_millis(199), 48_000));
}

#[test]
fn without_successes_open_lasts_as_it_did() {
    check(
        &patient(),
        &[at(0)
            .fails(5)
            .enters(StateKind::Open, Cause::FailureThreshold)
            .sees(&[RetryAt(Some(60_000)), OpenMs(60_000)])],
    );
}

#[test]
fn each_reopen_multiplies_once_and_closed_does_not_begin_afresh() {
    let fast = [
        &opens_after(0, Duration::from_millis(1), 48_000)[..],
        &[
            at(48_000)
                .asks()
                .enters(StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("a", 58_000),
            at(48_000)
                .fails(1)
                .of_probe("a")
                .enters(StateKind::Open, Cause::ProbeFailed)
                .sees(&[RetryAt(Some(86_400)), OpenMs(38_400)]),
            at(86_400)
                .asks()
                .enters(StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("b", 96_400),
            at(86_400)
                .succeeds(1)
                .of_probe("b")
                .enters(StateKind::Closed, Cause::ProbesSucceeded)
                .sees(&[OpenMs(38_400)]),
            at(86_401)
                .trips()
                .enters(StateKind::Open, Cause::Tripped)
                .sees(&[RetryAt(Some(124_801)), OpenMs(38_400)]),
        ],
    ];
    check(&patient(), &fast.concat());
}

#[test]
fn open_grows_and_shrinks_to_its_bounds_even_if_it_lay_beyond_them() {
    let lasting =
        |seconds| ConfigPatch { open_duration: Some(Duration::from_secs(seconds)), ..patient() };
    check(&lasting(250), &opens_after(0, Duration::from_secs(2), 300_000));
    check(&lasting(11), &opens_after(0, Duration::from_millis(1), 10_000));
    check(&lasting(400), &opens_after(0, Duration::from_secs(2), 300_000));
    check(&lasting(5), &opens_after(0, Duration::from_millis(1), 10_000));
}

#[test]
fn late_and_unheard_calls_teach_nothing_and_probes_do() {
    check(
        &adaptive(),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(1).succeeds(50).sees(&[Threshold(5)]),
            at(2).resets().enters(StateKind::Closed, Cause::Reset),
            at(3).succeeds(50).of_generation(1).sees(&[Threshold(5)]),
            at(4).ends_ignored(50).sees(&[Threshold(5)]),
            at(5).overrides(OverrideKind::Disabled).enters(StateKind::Closed, Cause::Disabled),
            at(6).succeeds(50).sees(&[Threshold(5)]),
            at(7).releases().enters(StateKind::Closed, Cause::Released),
            at(8).succeeds(9).sees(&[Threshold(5)]),
            at(9).trips().enters(StateKind::Open, Cause::Tripped),
            at(60_009)
                .asks()
                .enters(StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe("a", 70_009),
            at(60_010)
                .succeeds(1)
                .of_probe("a")
                .enters(StateKind::Closed, Cause::ProbesSucceeded)
                .sees(&[Threshold(7)]),
        ],
    );
}

#[test]
fn another_open_duration_starts_anew_and_keeps_what_was_learnt_of_the_calls() {
    let longer = ConfigPatch { open_duration: Some(Duration::from_secs(70)), ..patient() };
    let change = [
        at(1).reconfigures(patient()).sees(&[OpenMs(48_000)]),
        at(2).reconfigures(longer).sees(&[OpenMs(70_000), Threshold(3)]),
    ];
    check(&patient(), &[&opens_after(0, Duration::from_millis(1), 48_000)[..], &change].concat());
}
