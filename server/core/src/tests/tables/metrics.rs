//! What a breaker knows about its calls.

use std::time::Duration;

use crate::tests::story::Seen::{
    AverageMs, Denied, FailureCount, FailureRate, LastFailure, Recent, SlowCalls, SlowRate,
    SuccessRate, Totals, WindowCalls, WindowFailures,
};
use crate::tests::story::{admin, at, check, config, last_calls, ms};
use crate::{
    Breaker, Cause, ConfigPatch, DenyReason, Outcome, OverrideKind, Report, Run, StateKind,
};

/// Never trips by itself within a story.
fn patient(window_calls: u32) -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(1_000_000),
        window: last_calls(window_calls),
        ..Default::default()
    }
}

#[test]
fn a_breaker_that_was_never_called_has_no_metrics() {
    let mut breaker = Breaker::new(ms(0));
    breaker.advance(&config(&patient(4)), ms(1));
    assert_eq!(breaker.metrics(), None);
    let report = Report::current(Run::new(Outcome::Ignored, 1));
    breaker.record(&config(&patient(4)), &report, ms(2));
    let rates = breaker.metrics().unwrap().rates(ms(2));
    assert_eq!((rates.calls, rates.failure_rate, rates.success_rate), (0, 0.0, 0.0));
    assert_eq!((rates.slow_rate, rates.average_response_time_ms), (0.0, 0.0));
}

#[test]
fn the_window_holds_the_last_calls_and_forgets_the_oldest_first() {
    check(
        &patient(4),
        &[
            at(0).fails(3).sees(&[WindowCalls(3), WindowFailures(3), FailureRate(1.0)]),
            at(1).succeeds(1).sees(&[WindowCalls(4), FailureRate(0.75), SuccessRate(0.25)]),
            at(2).succeeds(1).sees(&[WindowCalls(4), WindowFailures(2), FailureRate(0.5)]),
            at(3).times_out(1).sees(&[WindowFailures(2), SuccessRate(0.5)]),
            at(4).succeeds(9).sees(&[WindowCalls(4), FailureRate(0.0), SuccessRate(1.0)]),
        ],
    );
}

#[test]
fn ignored_calls_are_counted_and_are_in_no_rate() {
    check(
        &patient(4),
        &[
            at(0).succeeds(1),
            at(1).ends_ignored(9).sees(&[
                WindowCalls(1),
                SuccessRate(1.0),
                Recent("S"),
                Totals(1, 0, 0, 9),
                LastFailure(None),
            ]),
        ],
    );
}

#[test]
fn the_average_response_time_is_that_of_the_successes_in_the_window() {
    check(
        &patient(3),
        &[
            at(0).succeeds(1).lasting(Duration::from_millis(90)).sees(&[AverageMs(90.0)]),
            at(1).fails(1).lasting(Duration::from_secs(9)).sees(&[AverageMs(90.0)]),
            at(2).succeeds(1).lasting(Duration::from_millis(10)).sees(&[AverageMs(50.0)]),
            at(3).succeeds(1).lasting(Duration::from_millis(20)).sees(&[AverageMs(15.0)]),
            at(4).fails(3).sees(&[AverageMs(0.0)]),
        ],
    );
}

#[test]
fn a_call_can_be_slow_whatever_its_outcome() {
    check(
        &patient(10),
        &[
            at(0).succeeds(2).slow(1).sees(&[SlowCalls(1), SlowRate(0.5)]),
            at(1).fails(2).slow(2).sees(&[SlowCalls(3), SlowRate(0.75)]),
            at(2).ends_ignored(4).slow(4).sees(&[SlowCalls(3), SlowRate(0.75)]),
            at(3).succeeds(10).sees(&[SlowCalls(0), SlowRate(0.0)]),
        ],
    );
}

#[test]
fn the_last_ten_calls_are_kept_one_by_one() {
    check(
        &patient(2),
        &[
            at(0).succeeds(2).sees(&[Recent("SS")]),
            at(1).fails(1).sees(&[Recent("SSF")]),
            at(2).times_out(3).sees(&[Recent("SSFTTT")]),
            at(3).succeeds(5).sees(&[Recent("SFTTTSSSSS")]),
            at(4).fails(1_000_000 - 10).sees(&[Recent("FFFFFFFFFF")]),
        ],
    );
}

#[test]
fn the_last_failure_is_the_one_that_ended_last_and_not_the_one_reported_last() {
    check(
        &patient(10),
        &[
            at(100).fails(1).of_kind("a").sees(&[LastFailure(Some((100, "a")))]),
            at(200).fails(1).of_kind("b").ago(50).sees(&[LastFailure(Some((150, "b")))]),
            at(210).fails(1).of_kind("c").ago(100).sees(&[LastFailure(Some((150, "b")))]),
            at(220).fails(1).of_kind("d").ago(70).sees(&[LastFailure(Some((150, "d")))]),
            at(230).succeeds(1).of_kind("e").sees(&[LastFailure(Some((150, "d")))]),
        ],
    );
}

#[test]
fn denied_calls_are_counted_and_allowed_ones_are_not() {
    check(
        &patient(10),
        &[
            at(0).asks().allowed(crate::AllowReason::Closed).sees(&[Denied(0)]),
            at(1).trips().enters(StateKind::Open, Cause::Tripped),
            at(2).asks().denied(DenyReason::Open, Some(59_999)).sees(&[Denied(1)]),
            at(3).overrides(OverrideKind::ForcedOpen).enters(StateKind::Open, Cause::ForcedOpen),
            at(4).asks().denied(DenyReason::ForcedOpen, None).sees(&[Denied(2)]),
        ],
    );
}

#[test]
fn the_window_goes_on_over_changes_of_state_where_the_counts_start_afresh() {
    check(
        &patient(10),
        &[
            at(0).fails(4),
            at(1).trips().enters(StateKind::Open, Cause::Tripped),
            at(2).succeeds(4),
            at(3).resets().enters(StateKind::Closed, Cause::Reset).sees(&[
                FailureCount(0),
                WindowCalls(8),
                FailureRate(0.5),
                Recent("FFFFSSSS"),
            ]),
        ],
    );
}

#[test]
fn a_transition_tells_the_counts_that_led_to_it() {
    let config = config(&ConfigPatch { failure_threshold: Some(3), ..Default::default() });
    let mut breaker = Breaker::new(ms(0));
    breaker.record(&config, &Report::current(Run::new(Outcome::Success, 6)), ms(1));
    let run = Report::current(Run::new(Outcome::Failure, 9));
    let [opened] = &breaker.record(&config, &run, ms(2))[..] else { panic!("one transition") };
    assert_eq!((opened.counts.failure_count, opened.counts.consecutive_failures), (3, 3));
    assert_eq!((opened.counts.window_calls, opened.counts.window_failures), (9, 3));
    let [reset] = &breaker.reset(&config, admin(), ms(3))[..] else { panic!("one transition") };
    assert_eq!((reset.counts.failure_count, reset.counts.window_failures), (3, 9));
    assert_eq!((reset.by.actor(), reset.by.reason()), ("ada", "because"));
}
