//! What a reported outcome counts as: `call_timeout`, `failure_errors` and `ignored_errors`.

use std::time::Duration;

use crate::tests::story::Seen::{Consecutive, FailureCount, LastFailure, Recent, Totals};
use crate::tests::story::{at, check};
use crate::{Cause, ConfigPatch, StateKind};

fn kinds(failures: &[&str], ignored: &[&str]) -> ConfigPatch {
    let list = |globs: &[&str]| Some(globs.iter().copied().map(str::to_owned).collect());
    ConfigPatch {
        failure_errors: list(failures),
        ignored_errors: list(ignored),
        ..Default::default()
    }
}

#[test]
fn a_call_longer_than_call_timeout_is_a_timeout_whatever_the_caller_says() {
    let timeout = Duration::from_secs(10);
    let longer = timeout + Duration::from_nanos(1);
    check(
        &ConfigPatch { call_timeout: Some(timeout), ..Default::default() },
        &[
            at(0).succeeds(1).lasting(timeout).sees(&[Totals(1, 0, 0, 0), FailureCount(0)]),
            at(1).succeeds(1).lasting(longer).sees(&[Totals(1, 0, 1, 0), FailureCount(1)]),
            at(2).fails(1).lasting(longer).sees(&[Totals(1, 0, 2, 0), FailureCount(2)]),
            at(3).times_out(1).sees(&[Totals(1, 0, 3, 0), FailureCount(3)]),
            at(4).ends_ignored(1).lasting(longer).sees(&[Totals(1, 0, 3, 1), FailureCount(3)]),
        ],
    );
}

#[test]
fn every_error_is_a_failure_unless_said_otherwise() {
    check(
        &ConfigPatch::default(),
        &[
            at(0).fails(1).of_kind("http.404").sees(&[FailureCount(1)]),
            at(1).fails(1).sees(&[FailureCount(2), LastFailure(Some((1, "")))]),
        ],
    );
}

#[test]
fn an_error_that_is_not_among_the_failures_counts_for_nothing() {
    check(
        &kinds(&["http.5*", "*Error"], &[]),
        &[
            at(0).fails(1).of_kind("http.503").sees(&[FailureCount(1)]),
            at(1).fails(1).of_kind("TimeoutError").sees(&[FailureCount(2)]),
            at(2).fails(9).of_kind("http.404").sees(&[
                FailureCount(2),
                Consecutive(2),
                Totals(0, 2, 0, 9),
                Recent("FF"),
                LastFailure(Some((1, "TimeoutError"))),
            ]),
            at(3).times_out(9).of_kind("grpc.DEADLINE_EXCEEDED").sees(&[Totals(0, 2, 0, 18)]),
        ],
    );
}

#[test]
fn an_ignored_error_counts_for_nothing_even_if_it_is_among_the_failures() {
    check(
        &kinds(&["http.*"], &["http.4*"]),
        &[
            at(0).fails(1).of_kind("http.429").sees(&[FailureCount(0), Totals(0, 0, 0, 1)]),
            at(1).fails(1).of_kind("http.500").sees(&[FailureCount(1)]),
        ],
    );
}

#[test]
fn an_error_without_a_kind_is_always_a_failure() {
    check(&kinds(&["http.5*"], &["*"]), &[at(0).fails(1).sees(&[FailureCount(1)])]);
}

#[test]
fn a_success_is_not_pardoned_by_its_kind() {
    check(
        &kinds(&["*"], &["*"]),
        &[
            at(0).succeeds(1).of_kind("http.200").sees(&[Totals(1, 0, 0, 0)]),
            at(1)
                .succeeds(1)
                .of_kind("http.200")
                .lasting(Duration::from_secs(11))
                .sees(&[Totals(1, 0, 1, 0)]),
        ],
    );
}

#[test]
fn a_pardoned_error_is_pardoned_however_long_it_took() {
    check(
        &kinds(&["*"], &["cancelled"]),
        &[at(0)
            .fails(1)
            .of_kind("cancelled")
            .lasting(Duration::from_secs(11))
            .sees(&[Totals(0, 0, 0, 1), FailureCount(0)])],
    );
}

#[test]
fn a_pardoned_probe_frees_its_permit_and_decides_nothing() {
    check(
        &ConfigPatch { max_probes: Some(1), ..kinds(&["*"], &["cancelled"]) },
        &[
            at(0).trips().enters(StateKind::Open, Cause::Tripped),
            at(60_000).enters(StateKind::HalfOpen, Cause::OpenElapsed),
            at(60_001).asks().gets_probe("a", 70_001),
            at(60_002).fails(1).of_kind("cancelled").of_probe("a"),
            at(60_003).asks().gets_probe("b", 70_003),
        ],
    );
}
