//! Every refusal, by the field that it names.

use std::time::Duration;

use super::resolve;
use crate::{
    Adaptive, Backoff, ConfigPatch, FailureRate, Level, Levels, ProbeCalls, Ramp, SlowCallRate,
    Thousandths, WindowSize,
};

const SECOND: Duration = Duration::from_secs(1);
const TOO_LONG: Duration = Duration::from_secs(7 * 24 * 60 * 60 + 1);

fn unset() -> ConfigPatch {
    ConfigPatch::default()
}

/// The fields that are refused, in the order in which the answer names them.
#[track_caller]
fn refuses(patch: ConfigPatch, fields: &[&str]) {
    let violations = resolve(patch).unwrap_err();
    let named: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(named, fields, "{violations:?}");
    assert!(violations.iter().all(|violation| !violation.description.is_empty()));
}

#[track_caller]
fn accepts(patch: ConfigPatch) {
    resolve(patch).unwrap();
}

fn failure_rate(percent: u32, minimum_calls: u32) -> ConfigPatch {
    ConfigPatch { failure_rate: Some(Some(FailureRate { percent, minimum_calls })), ..unset() }
}

#[test]
fn a_rate_is_of_1_to_100_percent_over_calls_that_its_window_can_hold() {
    accepts(failure_rate(1, 1));
    accepts(failure_rate(100, 100));
    refuses(failure_rate(0, 1), &["failure_rate.percent"]);
    refuses(failure_rate(101, 1), &["failure_rate.percent"]);
    refuses(failure_rate(50, 0), &["failure_rate.minimum_calls"]);
    refuses(failure_rate(50, 101), &["failure_rate.minimum_calls"]);
    let window = Some(WindowSize::Duration(SECOND));
    accepts(ConfigPatch { window, ..failure_rate(50, 1_000_000) });
    refuses(ConfigPatch { window, ..failure_rate(50, 1_000_001) }, &["failure_rate.minimum_calls"]);
}

#[test]
fn a_slow_call_rate_has_a_duration_as_well() {
    let slow = |percent, minimum_calls, duration| ConfigPatch {
        slow_call_rate: Some(Some(SlowCallRate { percent, minimum_calls, duration })),
        ..unset()
    };
    accepts(slow(50, 10, SECOND));
    refuses(
        slow(0, 101, Duration::ZERO),
        &["slow_call_rate.percent", "slow_call_rate.minimum_calls", "slow_call_rate.duration"],
    );
    refuses(slow(50, 10, TOO_LONG), &["slow_call_rate.duration"]);
}

#[test]
fn a_window_is_of_1_to_10_000_calls_or_of_a_millisecond_to_a_week() {
    let window = |window| ConfigPatch { window: Some(window), ..unset() };
    accepts(window(WindowSize::Calls(10_000)));
    refuses(window(WindowSize::Calls(10_001)), &["window.calls"]);
    refuses(window(WindowSize::Calls(0)), &["window.calls"]);
    accepts(window(WindowSize::Duration(Duration::from_millis(1))));
    refuses(window(WindowSize::Duration(Duration::from_micros(999))), &["window.duration"]);
    refuses(window(WindowSize::Duration(TOO_LONG)), &["window.duration"]);
}

#[test]
fn a_quorum_is_of_1_to_64_reporters_who_bring_1_to_100_percent() {
    let quorum = |min_reporters, share| ConfigPatch {
        min_reporters: Some(min_reporters),
        max_reporter_share: Some(share),
        ..unset()
    };
    accepts(quorum(64, Some(100)));
    accepts(quorum(1, None));
    refuses(quorum(0, Some(0)), &["min_reporters", "max_reporter_share"]);
    refuses(quorum(65, Some(101)), &["min_reporters", "max_reporter_share"]);
}

#[test]
fn a_backoff_grows_to_no_less_than_where_it_starts() {
    let backoff = |multiplier, max, jitter| ConfigPatch {
        backoff: Some(Some(Backoff {
            multiplier: Thousandths(multiplier),
            max,
            jitter: Thousandths(jitter),
        })),
        ..unset()
    };
    accepts(backoff(1_000, 60 * SECOND, 0));
    accepts(backoff(1_000_000, 60 * SECOND, 1_000));
    refuses(backoff(999, 60 * SECOND, 1_001), &["backoff.multiplier", "backoff.jitter"]);
    refuses(backoff(1_000_001, TOO_LONG, 0), &["backoff.multiplier", "backoff.max"]);
    refuses(backoff(2_000, 59 * SECOND, 0), &["backoff.max"]);
    let with_levels =
        |max| ConfigPatch { levels: Some(Some(Levels::default())), ..backoff(2_000, max, 0) };
    accepts(with_levels(120 * SECOND));
    refuses(with_levels(119 * SECOND), &["backoff.max"]);
}

#[test]
fn probe_calls_judge_1_to_10_000_probes() {
    let judged = |calls, failure_percent| ConfigPatch {
        probe_calls: Some(Some(ProbeCalls { calls, failure_percent })),
        ..unset()
    };
    accepts(judged(1, 1));
    accepts(judged(10_000, 100));
    refuses(judged(0, 0), &["probe_calls.calls", "probe_calls.failure_percent"]);
    refuses(judged(10_001, 101), &["probe_calls.calls", "probe_calls.failure_percent"]);
}

#[test]
fn a_ramp_rises_in_1_to_32_steps_below_100_percent() {
    let ramp = |percents: &[u32], step| ConfigPatch {
        ramp: Some(Some(Ramp { percents: percents.to_vec(), step })),
        ..unset()
    };
    accepts(ramp(&[1, 99], SECOND));
    accepts(ramp(&(1..=32).collect::<Vec<_>>(), SECOND));
    refuses(ramp(&[], SECOND), &["ramp.percents"]);
    refuses(ramp(&(1..=33).collect::<Vec<_>>(), SECOND), &["ramp.percents"]);
    refuses(ramp(&[0, 100], SECOND), &["ramp.percents[0]", "ramp.percents[1]"]);
    refuses(ramp(&[50, 25], SECOND), &["ramp.percents"]);
    refuses(ramp(&[50, 50], SECOND), &["ramp.percents"]);
    refuses(ramp(&[50], Duration::ZERO), &["ramp.step"]);
}

fn adaptive(change: impl FnOnce(&mut Adaptive)) -> ConfigPatch {
    let mut adaptive = Adaptive::default();
    change(&mut adaptive);
    ConfigPatch { adaptive: Some(Some(adaptive)), ..unset() }
}

#[test]
fn an_adaptive_breaker_has_numbers_in_their_ranges() {
    accepts(adaptive(|_| {}));
    accepts(adaptive(|a| (a.window, a.threshold_step) = (1_000, 0)));
    refuses(adaptive(|a| a.window = 0), &["adaptive.window"]);
    refuses(adaptive(|a| a.window = 1_001), &["adaptive.window"]);
    refuses(adaptive(|a| a.high_failure_percent = 101), &["adaptive.high_failure_percent"]);
    refuses(adaptive(|a| a.threshold_step = 1_000_001), &["adaptive.threshold_step"]);
    refuses(adaptive(|a| a.min_failure_threshold = 0), &["adaptive.min_failure_threshold"]);
    refuses(adaptive(|a| a.max_failure_threshold = 1_000_001), &["adaptive.max_failure_threshold"]);
    refuses(adaptive(|a| a.slow_response = TOO_LONG), &["adaptive.slow_response"]);
    refuses(adaptive(|a| a.fast_response = Duration::ZERO), &["adaptive.fast_response"]);
    refuses(adaptive(|a| a.min_open_duration = Duration::ZERO), &["adaptive.min_open_duration"]);
    refuses(adaptive(|a| a.max_open_duration = TOO_LONG), &["adaptive.max_open_duration"]);
    refuses(adaptive(|a| a.slow_multiplier = Thousandths(999)), &["adaptive.slow_multiplier"]);
    refuses(
        adaptive(|a| a.slow_multiplier = Thousandths(1_000_001)),
        &["adaptive.slow_multiplier"],
    );
    refuses(adaptive(|a| a.fast_multiplier = Thousandths(0)), &["adaptive.fast_multiplier"]);
    refuses(adaptive(|a| a.fast_multiplier = Thousandths(1_001)), &["adaptive.fast_multiplier"]);
}

#[test]
fn what_an_adaptive_breaker_stays_between_is_in_order() {
    refuses(adaptive(|a| a.low_failure_percent = 51), &["adaptive.low_failure_percent"]);
    refuses(adaptive(|a| a.min_failure_threshold = 11), &["adaptive.min_failure_threshold"]);
    refuses(adaptive(|a| a.fast_response = 2 * SECOND), &["adaptive.fast_response"]);
    refuses(adaptive(|a| a.min_open_duration = 301 * SECOND), &["adaptive.min_open_duration"]);
    accepts(adaptive(|a| a.low_failure_percent = 50));
    accepts(adaptive(|a| a.min_failure_threshold = 10));
}

fn levels(change: impl FnOnce(&mut Levels)) -> ConfigPatch {
    let mut levels = Levels::default();
    change(&mut levels);
    ConfigPatch { levels: Some(Some(levels)), ..unset() }
}

#[test]
fn levels_are_1_to_16_of_different_names() {
    accepts(levels(|_| {}));
    accepts(levels(|l| l.levels.truncate(1)));
    refuses(levels(|l| l.levels.clear()), &["levels.levels"]);
    let numbered = |count: usize| {
        levels(|l| {
            let name = |number| Level { name: format!("l{number}"), ..l.levels[0].clone() };
            l.levels = (0..count).map(name).collect();
        })
    };
    accepts(numbered(16));
    refuses(numbered(17), &["levels.levels"]);
    refuses(levels(|l| l.levels[2].name = "warning".to_owned()), &["levels.levels[2].name"]);
    refuses(levels(|l| l.escalate_above = 101), &["levels.escalate_above"]);
    refuses(levels(|l| l.deescalate_after = Duration::ZERO), &["levels.deescalate_after"]);
}

#[test]
fn a_level_has_words_and_numbers_in_their_ranges() {
    let level = |change: fn(&mut Level)| levels(|l| change(&mut l.levels[1]));
    refuses(level(|l| l.name = String::new()), &["levels.levels[1].name"]);
    refuses(level(|l| l.name = "two words".to_owned()), &["levels.levels[1].name"]);
    refuses(level(|l| l.serve = "x".repeat(65)), &["levels.levels[1].serve"]);
    accepts(level(|l| l.serve = "x".repeat(64)));
    refuses(level(|l| l.failure_threshold = 1_000_001), &["levels.levels[1].failure_threshold"]);
    refuses(level(|l| l.open_duration = Duration::ZERO), &["levels.levels[1].open_duration"]);
    refuses(level(|l| l.success_threshold = 0), &["levels.levels[1].success_threshold"]);
    refuses(level(|l| l.success_threshold = 10_001), &["levels.levels[1].success_threshold"]);
}

#[test]
fn a_breaker_that_nothing_can_trip_is_refused() {
    let off = ConfigPatch { failure_threshold: Some(0), ..unset() };
    refuses(off.clone(), &["failure_threshold"]);
    accepts(ConfigPatch { consecutive_failures: Some(1), ..off.clone() });
    accepts(ConfigPatch { failure_threshold: Some(0), ..failure_rate(50, 10) });
    let level_off = |consecutive_failures| ConfigPatch {
        consecutive_failures: Some(consecutive_failures),
        ..levels(|l| l.levels[1].failure_threshold = 0)
    };
    refuses(level_off(0), &["failure_threshold"]);
    accepts(level_off(3));
    accepts(ConfigPatch { failure_threshold: Some(0), ..levels(|_| {}) });
}

#[test]
fn adaptive_and_levels_contradict_each_other() {
    let both = ConfigPatch { levels: levels(|_| {}).levels, ..adaptive(|_| {}) };
    refuses(both, &["adaptive"]);
}

#[test]
fn a_list_of_errors_has_64_globs_at_most() {
    let globs = |count: usize| Some(vec!["x".to_owned(); count]);
    accepts(ConfigPatch { failure_errors: globs(64), ignored_errors: globs(64), ..unset() });
    refuses(
        ConfigPatch { failure_errors: globs(65), ignored_errors: globs(65), ..unset() },
        &["failure_errors", "ignored_errors"],
    );
}
