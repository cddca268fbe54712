//! `levels`: a breaker that opens while most calls fail becomes harder to please.

use std::time::Duration;

use crate::tests::story::Seen::{
    Level as OnLevel, MaxProbes, Mode as InMode, OpenMs, RetryAt, State, Threshold,
};
use crate::tests::story::{Step, at, check, config, last_calls, ms};
use crate::{
    Breaker, Cause, ConfigPatch, Levels, Mode, Outcome, OverrideKind, Report, Run, StateKind,
};

const MINUTES: u64 = 60_000;

/// warning { 3, 30 s, 2 }, critical { 7, 60 s, 3 }, emergency { 10, 120 s, 5 }; above 60 %; 5 min.
fn levels() -> ConfigPatch {
    ConfigPatch {
        levels: Some(Some(Levels::default())),
        window: last_calls(10),
        ..Default::default()
    }
}

/// Escalates at 0 to critical, and is reset but for its level at 1 by way of FORCED_CLOSED.
fn critical_and_closed_at_2() -> [Step; 3] {
    [
        at(0).fails(3).enters(StateKind::Open, Cause::FailureThreshold).sees(&[
            OnLevel("critical"),
            RetryAt(Some(60_000)),
            OpenMs(60_000),
        ]),
        at(1).overrides(OverrideKind::ForcedClosed).enters(StateKind::Closed, Cause::ForcedClosed),
        at(2).releases().enters(StateKind::Closed, Cause::Released).sees(&[
            OnLevel("critical"),
            Threshold(7),
            MaxProbes(3),
        ]),
    ]
}

#[test]
fn a_breaker_lives_on_its_first_level() {
    check(
        &levels(),
        &[at(0).sees(&[OnLevel("warning"), Threshold(3), OpenMs(30_000), MaxProbes(2)])],
    );
}

#[test]
fn one_that_opens_while_most_fail_goes_up_and_opens_for_as_long_as_that_level_says() {
    check(&levels(), &critical_and_closed_at_2());
}

#[test]
fn exactly_escalate_above_is_not_above() {
    check(
        &levels(),
        &[
            at(0).succeeds(2),
            at(1)
                .fails(3)
                .enters(StateKind::Open, Cause::FailureThreshold)
                .sees(&[OnLevel("warning"), RetryAt(Some(30_001))]),
        ],
    );
}

#[test]
fn each_reopen_can_go_up_and_the_last_level_is_the_last() {
    let reopens = |at_ms: u64, probe, level, until| {
        [
            at(at_ms)
                .asks()
                .enters(StateKind::HalfOpen, Cause::OpenElapsed)
                .gets_probe(probe, at_ms + 10_000),
            at(at_ms)
                .fails(1)
                .of_probe(probe)
                .enters(StateKind::Open, Cause::ProbeFailed)
                .sees(&[OnLevel(level), RetryAt(Some(until))]),
        ]
    };
    let story = [
        &[at(0).fails(3).enters(StateKind::Open, Cause::FailureThreshold)][..],
        &reopens(MINUTES, "a", "emergency", 3 * MINUTES),
        &reopens(3 * MINUTES, "b", "emergency", 5 * MINUTES),
        &[at(5 * MINUTES)
            .asks()
            .enters(StateKind::HalfOpen, Cause::OpenElapsed)
            .gets_probe("c", 5 * MINUTES + 10_000)
            .sees(&[MaxProbes(5)])],
        &[at(5 * MINUTES).succeeds(1).of_probe("c").sees(&[State(StateKind::HalfOpen)])],
    ];
    check(&levels(), &story.concat());
}

#[test]
fn it_comes_down_one_level_for_each_time_it_stays_closed_long_enough() {
    let down = [
        at(5 * MINUTES + 1).sees(&[OnLevel("critical")]),
        at(5 * MINUTES + 2)
            .enters(StateKind::Closed, Cause::Deescalated)
            .sees(&[OnLevel("warning"), Threshold(3)]),
        at(60 * MINUTES).sees(&[OnLevel("warning")]),
    ];
    check(&levels(), &[&critical_and_closed_at_2()[..], &down].concat());
}

#[test]
fn two_levels_take_twice_as_long() {
    let story = [
        at(0).fails(3).enters(StateKind::Open, Cause::FailureThreshold),
        at(MINUTES)
            .asks()
            .enters(StateKind::HalfOpen, Cause::OpenElapsed)
            .gets_probe("a", MINUTES + 10_000),
        at(MINUTES).fails(1).of_probe("a").enters(StateKind::Open, Cause::ProbeFailed),
        at(MINUTES)
            .overrides(OverrideKind::ForcedClosed)
            .enters(StateKind::Closed, Cause::ForcedClosed),
        at(MINUTES).releases().enters(StateKind::Closed, Cause::Released),
        at(60 * MINUTES)
            .entered(6 * MINUTES, StateKind::Closed, Cause::Deescalated)
            .entered(11 * MINUTES, StateKind::Closed, Cause::Deescalated)
            .sees(&[OnLevel("warning")]),
    ];
    check(&levels(), &story);
}

#[test]
fn the_time_under_an_override_that_holds_it_does_not_count() {
    let held = [
        at(10).overrides(OverrideKind::Disabled).enters(StateKind::Closed, Cause::Disabled),
        at(60 * MINUTES).sees(&[OnLevel("critical"), InMode(Mode::Disabled)]),
        at(60 * MINUTES)
            .overrides(OverrideKind::Shadow)
            .enters(StateKind::Closed, Cause::Shadowed)
            .sees(&[OnLevel("critical")]),
        at(65 * MINUTES - 1).sees(&[OnLevel("critical")]),
        at(65 * MINUTES).enters(StateKind::Closed, Cause::Deescalated),
    ];
    check(&levels(), &[&critical_and_closed_at_2()[..], &held].concat());
}

#[test]
fn reset_goes_to_the_first_level_and_trip_changes_none() {
    let story = [
        at(3)
            .trips()
            .enters(StateKind::Open, Cause::Tripped)
            .sees(&[OnLevel("critical"), RetryAt(Some(60_003))]),
        at(4).resets().enters(StateKind::Closed, Cause::Reset).sees(&[OnLevel("warning")]),
    ];
    check(&levels(), &[&critical_and_closed_at_2()[..], &story].concat());
}

#[test]
fn a_trip_lasts_as_long_as_the_level_that_was_due_by_then_says() {
    let story = [at(60 * MINUTES)
        .trips()
        .entered(5 * MINUTES + 2, StateKind::Closed, Cause::Deescalated)
        .enters(StateKind::Open, Cause::Tripped)
        .sees(&[RetryAt(Some(60 * MINUTES + 30_000))])];
    check(&levels(), &[&critical_and_closed_at_2()[..], &story].concat());
}

#[test]
fn fewer_levels_leave_a_breaker_on_the_highest_there_is() {
    let mut one = Levels::default();
    one.levels.truncate(1);
    let fewer = ConfigPatch { levels: Some(Some(one)), ..levels() };
    let none = ConfigPatch { levels: None, ..levels() };
    let story = [
        at(3).reconfigures(fewer).sees(&[OnLevel("warning"), Threshold(3)]),
        at(4).reconfigures(levels()).sees(&[OnLevel("warning")]),
        at(5).reconfigures(none).sees(&[OnLevel(""), Threshold(5)]),
    ];
    check(&levels(), &[&critical_and_closed_at_2()[..], &story].concat());
}

#[test]
fn a_deescalation_that_a_shorter_time_has_made_due_is_not_stamped_before_the_last_override() {
    let sooner = Levels { deescalate_after: Duration::from_millis(10), ..Levels::default() };
    let sooner = ConfigPatch { levels: Some(Some(sooner)), ..levels() };
    let story = [
        at(100).overrides(OverrideKind::Shadow).enters(StateKind::Closed, Cause::Shadowed),
        at(200).reconfigures(sooner),
        at(200).entered(100, StateKind::Closed, Cause::Deescalated),
    ];
    check(&levels(), &[&critical_and_closed_at_2()[..], &story].concat());
}

#[test]
fn a_transition_tells_both_levels() {
    let config = config(&levels());
    let mut breaker = Breaker::new(ms(0));
    let failures = Report::current(Run::new(Outcome::Failure, 3));
    let opened = &breaker.record(&config, &failures, ms(1))[0];
    let names = (opened.from_level.as_deref(), opened.to_level.as_deref());
    assert_eq!(names, (Some("warning"), Some("critical")));
    assert_eq!(breaker.level(&config).unwrap().serve, "degraded");
}
