//! Generations: which outcomes can still move the state.

use std::time::Duration;

use crate::tests::story::Seen::{
    Consecutive, FailureCount, Generation, Late, PermitsOut, State, Successes, Totals,
    WindowFailures,
};
use crate::tests::story::{at, check, config, ms};
use crate::{Breaker, Cause, ConfigPatch, Outcome, Report, Run, StateKind};

fn two_failures_open() -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(2),
        open_duration: Some(Duration::from_millis(100)),
        success_threshold: Some(1),
        ..Default::default()
    }
}

#[test]
fn each_change_of_state_is_a_new_generation() {
    check(
        &two_failures_open(),
        &[
            at(0).sees(&[Generation(1)]),
            at(1).fails(2).enters(StateKind::Open, Cause::FailureThreshold).sees(&[Generation(2)]),
            at(101).enters(StateKind::HalfOpen, Cause::OpenElapsed).sees(&[Generation(3)]),
            at(102).asks().gets_probe("a", 10_102),
            at(103)
                .succeeds(1)
                .of_probe("a")
                .enters(StateKind::Closed, Cause::ProbesSucceeded)
                .sees(&[Generation(4)]),
        ],
    );
}

#[test]
fn outcomes_of_an_older_generation_reach_the_metrics_and_nothing_else() {
    check(
        &two_failures_open(),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(1).resets().enters(StateKind::Closed, Cause::Reset).sees(&[Generation(3)]),
            at(2).fails(1).of_generation(3).sees(&[FailureCount(1), Late(0)]),
            at(3).fails(10).of_generation(1).sees(&[
                State(StateKind::Closed),
                FailureCount(1),
                Consecutive(1),
                Late(10),
                WindowFailures(11),
            ]),
            at(4).succeeds(10).of_generation(2).sees(&[
                FailureCount(1),
                Late(20),
                Totals(10, 11, 0, 0),
            ]),
            at(5).ends_ignored(1).of_generation(2).sees(&[Late(21), Totals(10, 11, 0, 1)]),
            at(6).fails(1).of_generation(3).enters(StateKind::Open, Cause::FailureThreshold),
        ],
    );
}

#[test]
fn outcomes_without_a_generation_are_taken_as_of_the_current_one() {
    check(
        &two_failures_open(),
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(1).resets().enters(StateKind::Closed, Cause::Reset),
            at(2).fails(1).sees(&[FailureCount(1), Late(0)]),
            at(3).fails(1).enters(StateKind::Open, Cause::FailureThreshold),
            at(4).fails(1).sees(&[Late(0)]),
        ],
    );
}

#[test]
fn a_probe_of_an_older_generation_gives_back_nothing_that_is_out_now() {
    check(
        &two_failures_open(),
        &[
            at(0).fails(2).enters(StateKind::Open, Cause::FailureThreshold),
            at(100).enters(StateKind::HalfOpen, Cause::OpenElapsed),
            at(101).asks().gets_probe("a", 10_101),
            at(102).trips().enters(StateKind::Open, Cause::Tripped),
            at(202).enters(StateKind::HalfOpen, Cause::OpenElapsed),
            at(203).asks().gets_probe("b", 10_203),
            at(204).succeeds(1).of_probe("a").of_generation(3).sees(&[
                State(StateKind::HalfOpen),
                Successes(0),
                PermitsOut(1),
                Late(1),
            ]),
            at(205)
                .succeeds(1)
                .of_probe("b")
                .of_generation(5)
                .enters(StateKind::Closed, Cause::ProbesSucceeded),
        ],
    );
}

#[test]
fn calls_that_are_history_are_late_in_every_generation() {
    let config = config(&two_failures_open());
    let mut breaker = Breaker::new(ms(0));
    let history = |outcome| Report::late(Run::new(outcome, 1));
    for at in 1..4 {
        assert_eq!(breaker.record(&config, &history(Outcome::Failure), ms(at)), []);
    }
    assert_eq!((breaker.state(), breaker.generation()), (StateKind::Closed, 1));
    breaker.record(&config, &Report::current(Run::new(Outcome::Failure, 2)), ms(4));
    let probe = breaker.acquire(&config, ms(104)).0.permit().unwrap();
    let late_probe = history(Outcome::Success).with_permit(probe.id);
    assert_eq!(breaker.record(&config, &late_probe, ms(105)), []);
    assert_eq!((breaker.state(), breaker.probes().unwrap().out()), (StateKind::HalfOpen, &[][..]));
    let totals = breaker.metrics().unwrap().totals();
    assert_eq!((totals.successes, totals.failures, totals.late), (1, 5, 4));
}
