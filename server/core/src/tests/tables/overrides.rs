//! Overrides: sticky until Release or until their time to live ends.

use std::time::Duration;

use crate::tests::story::Seen::{
    Denied, FailureCount, Generation, Mode as InMode, PermitsOut, RetryAt, State, Totals,
};
use crate::tests::story::{admin, at, check, config, ms};
use crate::{AllowReason, Breaker, Cause, ConfigPatch, DenyReason, Mode, OverrideKind, StateKind};

/// One failure opens for 100 ms, one probe closes.
fn quick() -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(1),
        open_duration: Some(Duration::from_millis(100)),
        success_threshold: Some(1),
        call_timeout: Some(Duration::from_millis(10)),
        ..Default::default()
    }
}

#[test]
fn forced_open_denies_every_call_until_release_and_then_probes_first() {
    check(
        &quick(),
        &[
            at(0)
                .overrides(OverrideKind::ForcedOpen)
                .enters(StateKind::Open, Cause::ForcedOpen)
                .sees(&[InMode(Mode::ForcedOpen), RetryAt(None), Generation(2)]),
            at(1).asks().denied(DenyReason::ForcedOpen, None),
            at(1_000_000).asks().denied(DenyReason::ForcedOpen, None),
            at(1_000_001)
                .releases()
                .enters(StateKind::HalfOpen, Cause::Released)
                .sees(&[InMode(Mode::Normal), Generation(3)]),
            at(1_000_002).asks().gets_probe("a", 1_000_012),
        ],
    );
}

#[test]
fn forced_open_stops_the_timer_of_an_open_breaker() {
    check(
        &quick(),
        &[
            at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(50)
                .overrides(OverrideKind::ForcedOpen)
                .enters(StateKind::Open, Cause::ForcedOpen)
                .sees(&[RetryAt(None), Generation(2)]),
            at(500).sees(&[State(StateKind::Open)]),
        ],
    );
}

#[test]
fn forced_open_takes_the_permits_of_a_half_open_breaker() {
    check(
        &quick(),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(100).asks().enters(StateKind::HalfOpen, Cause::OpenElapsed).gets_probe("a", 110),
            at(101).overrides(OverrideKind::ForcedOpen).enters(StateKind::Open, Cause::ForcedOpen),
            at(102).succeeds(1).of_probe("a").sees(&[State(StateKind::Open)]),
            at(500).releases().enters(StateKind::HalfOpen, Cause::Released).sees(&[PermitsOut(0)]),
        ],
    );
}

#[test]
fn forced_closed_allows_every_call_and_no_failure_trips_it() {
    check(
        &quick(),
        &[
            at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(1)
                .overrides(OverrideKind::ForcedClosed)
                .enters(StateKind::Closed, Cause::ForcedClosed)
                .sees(&[InMode(Mode::ForcedClosed)]),
            at(2).asks().allowed(AllowReason::ForcedClosed),
            at(3).fails(1_000).sees(&[
                State(StateKind::Closed),
                FailureCount(0),
                Totals(0, 1_001, 0, 0),
            ]),
            at(4)
                .releases()
                .enters(StateKind::Closed, Cause::Released)
                .sees(&[InMode(Mode::Normal), FailureCount(0)]),
            at(5).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn disabled_allows_every_call_and_only_records() {
    check(
        &quick(),
        &[
            at(0)
                .overrides(OverrideKind::Disabled)
                .enters(StateKind::Closed, Cause::Disabled)
                .sees(&[InMode(Mode::Disabled)]),
            at(1).asks().allowed(AllowReason::Disabled),
            at(2).fails(9).sees(&[FailureCount(0), Totals(0, 9, 0, 0)]),
            at(3).succeeds(9).sees(&[Totals(9, 9, 0, 0)]),
            at(4).releases().enters(StateKind::Closed, Cause::Released),
        ],
    );
}

#[test]
fn shadow_lives_on_and_reports_but_never_denies() {
    check(
        &quick(),
        &[
            at(0)
                .overrides(OverrideKind::Shadow)
                .enters(StateKind::Closed, Cause::Shadowed)
                .sees(&[InMode(Mode::Shadow), Generation(1)]),
            at(1).asks().allowed(AllowReason::Closed),
            at(2).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(3).asks().allowed(AllowReason::Shadow).sees(&[Denied(0), RetryAt(Some(102))]),
            at(102).enters(StateKind::HalfOpen, Cause::OpenElapsed),
            at(103).asks().gets_probe("a", 113),
            at(104).asks().allowed(AllowReason::Shadow),
            at(105).fails(1).sees(&[State(StateKind::HalfOpen)]),
            at(106).succeeds(1).of_probe("a").enters(StateKind::Closed, Cause::ProbesSucceeded),
            at(107).sees(&[InMode(Mode::Shadow), Denied(0)]),
        ],
    );
}

#[test]
fn a_shadow_falls_on_a_breaker_in_any_state_without_moving_it() {
    check(
        &quick(),
        &[
            at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(50)
                .overrides(OverrideKind::Shadow)
                .enters(StateKind::Open, Cause::Shadowed)
                .sees(&[RetryAt(Some(100)), Generation(2)]),
            at(100).enters(StateKind::HalfOpen, Cause::OpenElapsed),
            at(101).releases().enters(StateKind::Closed, Cause::Released),
        ],
    );
}

#[test]
fn a_shadow_over_forced_open_goes_on_as_if_released() {
    check(
        &quick(),
        &[
            at(0).overrides(OverrideKind::ForcedOpen).enters(StateKind::Open, Cause::ForcedOpen),
            at(1)
                .overrides(OverrideKind::Shadow)
                .enters(StateKind::HalfOpen, Cause::Shadowed)
                .sees(&[InMode(Mode::Shadow)]),
            at(2).asks().gets_probe("a", 12),
        ],
    );
}

#[test]
fn one_override_replaces_another_and_its_time_to_live() {
    check(
        &quick(),
        &[
            at(0)
                .overrides_for(OverrideKind::ForcedOpen, 100)
                .enters(StateKind::Open, Cause::ForcedOpen),
            at(1).overrides(OverrideKind::Disabled).enters(StateKind::Closed, Cause::Disabled),
            at(1_000).sees(&[InMode(Mode::Disabled)]),
        ],
    );
}

#[test]
fn every_override_ends_with_its_time_to_live_where_release_would_have_led() {
    let cases = [
        (OverrideKind::ForcedOpen, StateKind::Open, Cause::ForcedOpen, StateKind::HalfOpen),
        (OverrideKind::ForcedClosed, StateKind::Closed, Cause::ForcedClosed, StateKind::Closed),
        (OverrideKind::Disabled, StateKind::Closed, Cause::Disabled, StateKind::Closed),
        (OverrideKind::Shadow, StateKind::Closed, Cause::Shadowed, StateKind::Closed),
    ];
    for (kind, during, cause, afterwards) in cases {
        check(
            &quick(),
            &[
                at(10).overrides_for(kind, 30).enters(during, cause),
                at(39).sees(&[InMode(kind.mode()), State(during)]),
                at(500)
                    .entered(40, afterwards, Cause::OverrideExpired)
                    .sees(&[InMode(Mode::Normal)]),
            ],
        );
    }
}

#[test]
fn a_denied_call_under_forced_open_learns_when_the_override_ends() {
    check(
        &quick(),
        &[
            at(0)
                .overrides_for(OverrideKind::ForcedOpen, 30)
                .enters(StateKind::Open, Cause::ForcedOpen),
            at(10).asks().denied(DenyReason::ForcedOpen, Some(20)),
            at(30).asks().enters(StateKind::HalfOpen, Cause::OverrideExpired).gets_probe("a", 40),
        ],
    );
}

#[test]
fn of_two_timers_due_together_the_override_goes_first() {
    check(
        &quick(),
        &[
            at(0)
                .overrides_for(OverrideKind::Shadow, 100)
                .enters(StateKind::Closed, Cause::Shadowed),
            at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(200).entered(100, StateKind::Closed, Cause::OverrideExpired),
        ],
    );
}

#[test]
fn timers_that_fire_late_fire_in_the_order_in_which_they_were_due() {
    check(
        &quick(),
        &[
            at(0)
                .overrides_for(OverrideKind::Shadow, 150)
                .enters(StateKind::Closed, Cause::Shadowed),
            at(0).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(100).asks().enters(StateKind::HalfOpen, Cause::OpenElapsed).gets_probe("a", 110),
            at(900).entered(110, StateKind::Open, Cause::ProbeExpired).entered(
                150,
                StateKind::Closed,
                Cause::OverrideExpired,
            ),
        ],
    );
}

#[test]
fn release_without_an_override_changes_nothing() {
    check(
        &quick(),
        &[
            at(0).releases(),
            at(1).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(2).releases().sees(&[State(StateKind::Open), RetryAt(Some(101))]),
        ],
    );
}

#[test]
fn an_override_tells_who_set_it_and_its_end_repeats_it() {
    let config = config(&quick());
    let mut breaker = Breaker::new(ms(0));
    let ttl = Some(Duration::from_millis(5));
    let set = breaker.override_with(&config, OverrideKind::Disabled, admin(), ttl, ms(1));
    let in_force = breaker.override_in_force().unwrap();
    assert_eq!(
        (&in_force.by, in_force.set_at, in_force.expires_at),
        (&admin(), ms(1), Some(ms(6)))
    );
    assert_eq!(
        (set[0].from_mode, set[0].to_mode, &set[0].by),
        (Mode::Normal, Mode::Disabled, &admin())
    );
    let ended = breaker.advance(&config, ms(6));
    assert_eq!(
        (ended[0].from_mode, ended[0].to_mode, &ended[0].by),
        (Mode::Disabled, Mode::Normal, &admin())
    );
    assert_eq!(breaker.override_in_force(), None);
}
