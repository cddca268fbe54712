//! Configurations of every kind, with values so small that every rule comes into play.

use std::time::Duration;

use proptest::option::weighted;
use proptest::prelude::*;

use crate::{
    Adaptive, Backoff, ConfigPatch, ExpiredProbe, FailureRate, Level, Levels, ProbeCalls, Ramp,
    SlowCallRate, Thousandths, WindowSize,
};

pub(super) fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn globs() -> impl Strategy<Value = Option<Vec<String>>> {
    let globs = prop::sample::select(vec!["*", "http.*", "http.4*", "*Error", "http.503"]);
    weighted(0.3, prop::collection::vec(globs.prop_map(str::to_owned), 1..3))
}

fn window() -> impl Strategy<Value = WindowSize> {
    prop_oneof![
        (1..20_u32).prop_map(WindowSize::Calls),
        // Lengths that a hundredth does and does not divide, in nanoseconds too.
        (1_000_000..60_000_000_u64).prop_map(|n| WindowSize::Duration(Duration::from_nanos(n))),
        millis(1..60).prop_map(WindowSize::Duration),
    ]
}

/// What trips by a share of the calls, and over which calls.
fn rates() -> impl Strategy<Value = ConfigPatch> {
    let percent = || prop_oneof![1..=100_u32, prop::sample::select(vec![34_u32, 50, 100])];
    let failure = weighted(0.4, (percent(), 1..9_u32));
    let slow = weighted(0.4, (percent(), 1..9_u32, millis(1..6)));
    (failure, slow, window()).prop_map(|(failure, slow, window)| {
        let within = |minimum_calls: u32| match window {
            WindowSize::Calls(calls) => minimum_calls.min(calls),
            WindowSize::Duration(_) => minimum_calls,
        };
        ConfigPatch {
            failure_rate: Some(
                failure.map(|(percent, minimum)| FailureRate {
                    percent,
                    minimum_calls: within(minimum),
                }),
            ),
            slow_call_rate: Some(slow.map(|(percent, minimum, duration)| SlowCallRate {
                percent,
                minimum_calls: within(minimum),
                duration,
            })),
            window: Some(window),
            ..Default::default()
        }
    })
}

fn probing() -> impl Strategy<Value = ConfigPatch> {
    let probe_calls = weighted(0.3, (1..6_u32, 1..=100_u32));
    let percents = prop::sample::select(vec![vec![50], vec![5, 25, 50], vec![1, 99], vec![33, 34]]);
    let ramp = weighted(0.4, (percents, millis(1..15)));
    (1..5_u32, prop::option::of(1..5_u32), probe_calls, any::<bool>(), ramp).prop_map(
        |(success_threshold, max_probes, probe_calls, ignores, ramp)| ConfigPatch {
            success_threshold: Some(success_threshold),
            max_probes,
            probe_calls: Some(
                probe_calls.map(|(calls, failure_percent)| ProbeCalls { calls, failure_percent }),
            ),
            expired_probe: Some(if ignores { ExpiredProbe::Ignore } else { ExpiredProbe::Timeout }),
            ramp: Some(ramp.map(|(percents, step)| Ramp { percents, step })),
            ..Default::default()
        },
    )
}

fn adaptive() -> impl Strategy<Value = Adaptive> {
    let percents = (0..=100_u32, 0..=100_u32);
    let thresholds = (0..4_u32, 1..6_u32, 1..6_u32);
    let responses = (millis(1..5), millis(1..5));
    let durations = (millis(1..40), millis(1..40));
    let multipliers = (1_000..3_000_u32, 300..=1_000_u32);
    (1..9_u32, percents, thresholds, responses, durations, multipliers).prop_map(
        |(window, percents, (step, one, other), responses, durations, multipliers)| Adaptive {
            window,
            high_failure_percent: percents.0.max(percents.1),
            low_failure_percent: percents.0.min(percents.1),
            threshold_step: step,
            min_failure_threshold: one.min(other),
            max_failure_threshold: one.max(other),
            slow_response: responses.0.max(responses.1),
            fast_response: responses.0.min(responses.1),
            slow_multiplier: Thousandths(multipliers.0),
            fast_multiplier: Thousandths(multipliers.1),
            max_open_duration: durations.0.max(durations.1),
            min_open_duration: durations.0.min(durations.1),
        },
    )
}

fn levels() -> impl Strategy<Value = Levels> {
    let level = (1..6_u32, millis(1..30), 1..5_u32);
    (prop::collection::vec(level, 1..4), 0..=100_u32, millis(1..40)).prop_map(
        |(levels, escalate_above, deescalate_after)| Levels {
            levels: levels
                .into_iter()
                .enumerate()
                .map(|(number, (failure_threshold, open_duration, success_threshold))| Level {
                    name: format!("level-{number}"),
                    failure_threshold,
                    open_duration,
                    success_threshold,
                    serve: "degraded".to_owned(),
                })
                .collect(),
            escalate_above,
            deescalate_after,
        },
    )
}

/// Either, or neither: they contradict each other.
fn severity() -> impl Strategy<Value = (Option<Adaptive>, Option<Levels>)> {
    prop_oneof![
        3 => Just((None, None)),
        2 => adaptive().prop_map(|adaptive| (Some(adaptive), None)),
        1 => levels().prop_map(|levels| (None, Some(levels))),
    ]
}

fn backoff() -> impl Strategy<Value = Option<Backoff>> {
    let jitter = prop_oneof![Just(0), 0..=1_000_u32];
    weighted(0.4, (1_000..3_000_u32, millis(30..90), jitter)).prop_map(|backoff| {
        backoff.map(|(multiplier, max, jitter)| Backoff {
            multiplier: Thousandths(multiplier),
            max,
            jitter: Thousandths(jitter),
        })
    })
}

/// Configurations that resolve.
pub(crate) fn config() -> impl Strategy<Value = ConfigPatch> {
    let trips = (1..7_u32, 0..4_u32, 0..6_u32, any::<bool>());
    let quorum = (prop_oneof![2 => Just(1), 1 => 2..4_u32], weighted(0.3, 1..=100_u32));
    let durations = (millis(1..30), millis(1..6));
    let errors = (globs(), globs());
    (trips, rates(), quorum, durations, backoff(), probing(), errors, severity()).prop_map(
        |(trips, rates, quorum, durations, backoff, probing, errors, severity)| {
            let (failures, failure_decay, consecutive_failures, counts) = trips;
            let has_another = consecutive_failures > 0
                || rates.failure_rate.flatten().is_some()
                || rates.slow_call_rate.flatten().is_some();
            ConfigPatch {
                failure_threshold: Some(if counts || !has_another { failures } else { 0 }),
                failure_decay: Some(failure_decay),
                consecutive_failures: Some(consecutive_failures),
                min_reporters: Some(quorum.0),
                max_reporter_share: Some(quorum.1),
                open_duration: Some(durations.0),
                call_timeout: Some(durations.1),
                backoff: Some(backoff),
                failure_errors: errors.0,
                ignored_errors: errors.1,
                on_unavailable: None,
                adaptive: Some(severity.0),
                levels: Some(severity.1),
                failure_rate: rates.failure_rate,
                slow_call_rate: rates.slow_call_rate,
                window: rates.window,
                ..probing
            }
        },
    )
}

/// The same without chance, which a twin could not foretell.
pub(super) fn config_without_jitter() -> impl Strategy<Value = ConfigPatch> {
    config().prop_map(|mut patch| {
        if let Some(Some(backoff)) = &mut patch.backoff {
            backoff.jitter = Thousandths(0);
        }
        patch
    })
}
