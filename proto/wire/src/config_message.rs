//! `breaker.v1.BreakerConfig` and [`ConfigPatch`] hold the same values.

use breaker_core::{Config, ConfigPatch, OnUnavailable, Violation};
use breaker_proto::v1;

use crate::enums::{on_unavailable_from_message, on_unavailable_to_message};
use crate::time::{duration_from_message, duration_to_message};

/// A message as a patch. Values are checked when the patch is resolved; only what a patch cannot
/// hold is refused here.
///
/// # Errors
/// Every value that was refused.
pub fn patch_from_message(message: &v1::BreakerConfig) -> Result<ConfigPatch, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut duration = |field, message: Option<&prost_types::Duration>| {
        message.and_then(|message| {
            duration_from_message(field, message).map_err(|v| violations.push(v)).ok()
        })
    };
    let patch = ConfigPatch {
        failure_threshold: message.failure_threshold,
        failure_decay: message.failure_decay,
        consecutive_failures: message.consecutive_failures,
        window_calls: message.window.as_ref().map(|window| window.calls),
        open_duration: duration("open_duration", message.open_duration.as_ref()),
        success_threshold: message.success_threshold,
        max_probes: message.max_probes,
        call_timeout: duration("call_timeout", message.call_timeout.as_ref()),
        failure_errors: message.failure_errors.as_ref().map(|list| list.globs.clone()),
        ignored_errors: message.ignored_errors.as_ref().map(|list| list.globs.clone()),
        on_unavailable: on_unavailable(message.on_unavailable, &mut violations),
    };
    if violations.is_empty() { Ok(patch) } else { Err(violations) }
}

fn on_unavailable(value: i32, violations: &mut Vec<Violation>) -> Option<OnUnavailable> {
    if value == v1::OnUnavailable::Unspecified as i32 {
        return None;
    }
    let known = on_unavailable_from_message(value);
    if known.is_none() {
        let description = format!("{value} is not a value of OnUnavailable");
        violations.push(Violation::new("on_unavailable", description));
    }
    known
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
        window: patch.window_calls.map(|calls| v1::Window { calls }),
        open_duration: patch.open_duration.map(duration_to_message),
        success_threshold: patch.success_threshold,
        max_probes: patch.max_probes,
        call_timeout: patch.call_timeout.map(duration_to_message),
        failure_errors: globs(&patch.failure_errors),
        ignored_errors: globs(&patch.ignored_errors),
        on_unavailable: patch
            .on_unavailable
            .map_or(v1::OnUnavailable::Unspecified, on_unavailable_to_message)
            .into(),
    }
}

/// A complete configuration as a message, every field set.
pub fn config_to_message(config: &Config) -> v1::BreakerConfig {
    patch_to_message(&config.to_patch())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives_the_wire() {
        let patch = Config::default().to_patch();
        assert_eq!(patch_from_message(&patch_to_message(&patch)), Ok(patch));
        let nothing = ConfigPatch::default();
        assert_eq!(patch_from_message(&patch_to_message(&nothing)), Ok(nothing));
    }

    #[test]
    fn every_value_that_a_patch_cannot_hold_is_named() {
        let message = v1::BreakerConfig {
            open_duration: Some(prost_types::Duration { seconds: -5, nanos: 0 }),
            call_timeout: Some(prost_types::Duration { seconds: 0, nanos: -5 }),
            on_unavailable: 77,
            ..Default::default()
        };
        let fields: Vec<_> =
            patch_from_message(&message).unwrap_err().into_iter().map(|v| v.field).collect();
        assert_eq!(fields, ["open_duration", "call_timeout", "on_unavailable"]);
    }
}
