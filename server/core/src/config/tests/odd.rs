//! Every warning, by the field that it names: what is allowed and makes no sense.

use std::time::Duration;

use crate::{
    Adaptive, Backoff, Config, ConfigPatch, Levels, ProbeCalls, SlowCallRate, Source, Thousandths,
};

fn unset() -> ConfigPatch {
    ConfigPatch::default()
}

#[track_caller]
fn warns_of(patch: ConfigPatch, fields: &[&str]) {
    let warnings = Config::resolve(&[(Source::Breaker, &patch)]).unwrap().warnings;
    let named: Vec<_> = warnings.iter().map(|warning| warning.field.as_str()).collect();
    assert_eq!(named, fields, "{warnings:?}");
    assert!(warnings.iter().all(|warning| !warning.description.is_empty()));
}

#[test]
fn nothing_is_odd_about_the_defaults() {
    warns_of(unset(), &[]);
}

#[test]
fn failures_in_a_row_that_the_threshold_is_met_by_first() {
    let in_a_row = |consecutive| ConfigPatch { consecutive_failures: Some(consecutive), ..unset() };
    warns_of(in_a_row(4), &[]);
    warns_of(in_a_row(5), &["consecutive_failures"]);
    warns_of(ConfigPatch { failure_threshold: Some(0), ..in_a_row(5) }, &[]);
    warns_of(ConfigPatch { levels: Some(Some(Levels::default())), ..in_a_row(5) }, &[]);
    warns_of(ConfigPatch { adaptive: Some(Some(Adaptive::default())), ..in_a_row(5) }, &[]);
}

#[test]
fn calls_that_time_out_before_they_are_slow() {
    let slow = |seconds| {
        let duration = Duration::from_secs(seconds);
        let rate = SlowCallRate { percent: 50, minimum_calls: 10, duration };
        ConfigPatch { slow_call_rate: Some(Some(rate)), ..unset() }
    };
    warns_of(slow(9), &[]);
    warns_of(slow(10), &["slow_call_rate.duration"]);
}

#[test]
fn a_backoff_that_changes_nothing() {
    let backoff = |multiplier, jitter| {
        let max = Duration::from_secs(60);
        let (multiplier, jitter) = (Thousandths(multiplier), Thousandths(jitter));
        ConfigPatch { backoff: Some(Some(Backoff { multiplier, max, jitter })), ..unset() }
    };
    warns_of(backoff(1_000, 0), &["backoff"]);
    warns_of(backoff(1_001, 0), &[]);
    warns_of(backoff(1_000, 1), &[]);
}

#[test]
fn what_means_nothing_beside_probe_calls() {
    let judged = ProbeCalls { calls: 4, failure_percent: 50 };
    let judged = ConfigPatch { probe_calls: Some(Some(judged)), ..unset() };
    warns_of(judged.clone(), &[]);
    warns_of(ConfigPatch { success_threshold: Some(3), ..judged.clone() }, &["success_threshold"]);
    warns_of(ConfigPatch { max_probes: Some(4), ..judged.clone() }, &[]);
    warns_of(ConfigPatch { max_probes: Some(5), ..judged }, &["max_probes"]);
}

#[test]
fn values_that_an_adaptive_breaker_leaves_at_once() {
    let adaptive = ConfigPatch { adaptive: Some(Some(Adaptive::default())), ..unset() };
    let from = |failures| ConfigPatch { failure_threshold: Some(failures), ..adaptive.clone() };
    warns_of(adaptive.clone(), &[]);
    warns_of(ConfigPatch { consecutive_failures: Some(1), ..from(0) }, &["adaptive"]);
    warns_of(from(1), &["failure_threshold"]);
    warns_of(from(2), &[]);
    warns_of(from(10), &[]);
    warns_of(from(11), &["failure_threshold"]);
    let lasting = |seconds| ConfigPatch {
        open_duration: Some(Duration::from_secs(seconds)),
        ..adaptive.clone()
    };
    warns_of(lasting(9), &["open_duration"]);
    warns_of(lasting(10), &[]);
    warns_of(lasting(301), &["open_duration"]);
}

#[test]
fn what_each_level_sets_for_itself() {
    let levels = ConfigPatch { levels: Some(Some(Levels::default())), ..unset() };
    let all = ConfigPatch {
        failure_threshold: Some(5),
        open_duration: Some(Duration::from_secs(60)),
        success_threshold: Some(3),
        ..levels.clone()
    };
    warns_of(levels, &[]);
    warns_of(all, &["failure_threshold", "open_duration", "success_threshold"]);
}

#[test]
fn levels_that_are_never_reached() {
    let levels = |count| {
        let mut levels = Levels { escalate_above: 100, ..Levels::default() };
        levels.levels.truncate(count);
        ConfigPatch { levels: Some(Some(levels)), ..unset() }
    };
    warns_of(levels(3), &["levels.escalate_above"]);
    warns_of(levels(1), &[]);
}
