//! A configuration in which every rule is on or turned off, for tests.

use std::time::Duration;

use breaker_core::{
    Adaptive, Backoff, ConfigPatch, ExpiredProbe, FailureRate, Levels, ProbeCalls, Ramp,
    SlowCallRate, Thousandths, WindowSize,
};

pub(crate) fn every_rule() -> ConfigPatch {
    ConfigPatch {
        failure_rate: Some(Some(FailureRate { percent: 50, minimum_calls: 20 })),
        slow_call_rate: Some(Some(SlowCallRate {
            percent: 80,
            minimum_calls: 10,
            duration: Duration::from_millis(1_500),
        })),
        window: Some(WindowSize::Duration(Duration::from_secs(30))),
        min_reporters: Some(2),
        max_reporter_share: Some(None),
        backoff: Some(Some(Backoff {
            multiplier: Thousandths(1_250),
            max: Duration::from_secs(600),
            jitter: Thousandths(100),
        })),
        probe_calls: Some(Some(ProbeCalls { calls: 10, failure_percent: 30 })),
        expired_probe: Some(ExpiredProbe::Ignore),
        ramp: Some(Some(Ramp { percents: vec![5, 25, 50], step: Duration::from_secs(10) })),
        adaptive: Some(Some(Adaptive::default())),
        levels: Some(Some(Levels::default())),
        ..ConfigPatch::default()
    }
}
