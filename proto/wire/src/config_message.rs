//! `breaker.v1.BreakerConfig` and [`ConfigPatch`] hold the same values.

use breaker_core::{Config, ConfigPatch, Violation};
use breaker_proto::v1;

use crate::enums::{
    expired_probe_from_message, expired_probe_to_message, on_unavailable_from_message,
    on_unavailable_to_message,
};
use crate::rule_messages::{
    Reader, adaptive_to_message, backoff_to_message, failure_rate_to_message, levels_to_message,
    probe_calls_to_message, ramp_to_message, slow_call_rate_to_message, window_to_message,
};
use crate::time::duration_to_message;

/// A message as a patch. Values are checked when the patch is resolved; only what a patch cannot
/// hold is refused here.
///
/// # Errors
/// Every value that was refused.
pub fn patch_from_message(message: &v1::BreakerConfig) -> Result<ConfigPatch, Vec<Violation>> {
    let mut reader = Reader::default();
    let patch = ConfigPatch {
        failure_threshold: message.failure_threshold,
        failure_decay: message.failure_decay,
        consecutive_failures: message.consecutive_failures,
        failure_rate: reader.failure_rate(message.failure_rate.as_ref()),
        slow_call_rate: reader.slow_call_rate(message.slow_call_rate.as_ref()),
        window: reader.window(message.window.as_ref()),
        min_reporters: message.min_reporters,
        max_reporter_share: message.max_reporter_share.map(|share| (share != 0).then_some(share)),
        open_duration: reader.duration("open_duration", message.open_duration.as_ref()),
        backoff: reader.backoff(message.backoff.as_ref()),
        success_threshold: message.success_threshold,
        max_probes: message.max_probes,
        probe_calls: reader.probe_calls(message.probe_calls.as_ref()),
        expired_probe: reader.choice(
            "expired_probe",
            message.expired_probe,
            expired_probe_from_message,
        ),
        ramp: reader.ramp(message.ramp.as_ref()),
        call_timeout: reader.duration("call_timeout", message.call_timeout.as_ref()),
        failure_errors: message.failure_errors.as_ref().map(|list| list.globs.clone()),
        ignored_errors: message.ignored_errors.as_ref().map(|list| list.globs.clone()),
        on_unavailable: reader.choice(
            "on_unavailable",
            message.on_unavailable,
            on_unavailable_from_message,
        ),
        adaptive: reader.adaptive(message.adaptive.as_ref()),
        levels: reader.levels(message.levels.as_ref()),
    };
    if reader.0.is_empty() { Ok(patch) } else { Err(reader.0) }
}

impl Reader {
    /// A value of an enum, of which 0 is not set.
    fn choice<T>(&mut self, field: &str, value: i32, known: fn(i32) -> Option<T>) -> Option<T> {
        if value == 0 {
            return None;
        }
        let choice = known(value);
        if choice.is_none() {
            self.refuse(field, format!("{value} is not a value that this version knows"));
        }
        choice
    }
}

/// A patch as a message: values that are not set stay unset.
pub fn patch_to_message(patch: &ConfigPatch) -> v1::BreakerConfig {
    let globs = |globs: &Option<Vec<String>>| {
        globs.as_ref().map(|globs| v1::ErrorGlobs { globs: globs.clone() })
    };
    v1::BreakerConfig {
        failure_threshold: patch.failure_threshold,
        failure_decay: patch.failure_decay,
        consecutive_failures: patch.consecutive_failures,
        failure_rate: patch.failure_rate.map(failure_rate_to_message),
        slow_call_rate: patch.slow_call_rate.map(slow_call_rate_to_message),
        window: patch.window.map(window_to_message),
        min_reporters: patch.min_reporters,
        max_reporter_share: patch.max_reporter_share.map(Option::unwrap_or_default),
        open_duration: patch.open_duration.map(duration_to_message),
        backoff: patch.backoff.map(backoff_to_message),
        success_threshold: patch.success_threshold,
        max_probes: patch.max_probes,
        probe_calls: patch.probe_calls.map(probe_calls_to_message),
        expired_probe: patch
            .expired_probe
            .map_or(v1::ExpiredProbe::Unspecified, expired_probe_to_message)
            .into(),
        ramp: patch.ramp.as_ref().map(|ramp| ramp_to_message(ramp.as_ref())),
        call_timeout: patch.call_timeout.map(duration_to_message),
        failure_errors: globs(&patch.failure_errors),
        ignored_errors: globs(&patch.ignored_errors),
        on_unavailable: patch
            .on_unavailable
            .map_or(v1::OnUnavailable::Unspecified, on_unavailable_to_message)
            .into(),
        adaptive: patch.adaptive.as_ref().map(|adaptive| adaptive_to_message(adaptive.as_ref())),
        levels: patch.levels.as_ref().map(|levels| levels_to_message(levels.as_ref())),
    }
}

/// A complete configuration as a message, every field set.
pub fn config_to_message(config: &Config) -> v1::BreakerConfig {
    patch_to_message(&config.to_patch())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_configuration_survives_the_wire() {
        for patch in [Config::default().to_patch(), ConfigPatch::default(), samples::every_rule()] {
            assert_eq!(patch_from_message(&patch_to_message(&patch)), Ok(patch));
        }
    }

    #[test]
    fn every_value_that_a_patch_cannot_hold_is_named() {
        let message = v1::BreakerConfig {
            open_duration: Some(prost_types::Duration { seconds: -5, nanos: 0 }),
            call_timeout: Some(prost_types::Duration { seconds: 0, nanos: -5 }),
            on_unavailable: 77,
            slow_call_rate: Some(v1::SlowCallRate { percent: 1, ..Default::default() }),
            window: Some(v1::Window { calls: 1, duration: Some(prost_types::Duration::default()) }),
            backoff: Some(v1::Backoff { multiplier: f64::NAN, ..Default::default() }),
            adaptive: Some(v1::Adaptive { fast_multiplier: Some(0.000_1), ..Default::default() }),
            levels: Some(v1::Levels { levels: vec![v1::Level::default()], ..Default::default() }),
            ..Default::default()
        };
        let mut fields: Vec<_> =
            patch_from_message(&message).unwrap_err().into_iter().map(|v| v.field).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "adaptive.fast_multiplier",
                "backoff.max",
                "backoff.multiplier",
                "call_timeout",
                "levels.levels[0].open_duration",
                "on_unavailable",
                "open_duration",
                "slow_call_rate.duration",
                "window",
            ]
        );
    }
}
