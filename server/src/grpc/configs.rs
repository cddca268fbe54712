//! Configurations in requests, and what guards their changes: masks and etags.

use breaker_core::{AlertPatch, ConfigPatch, Key, Violation};
use breaker_engine::EngineError;
use breaker_proto::v1;
use breaker_wire::{alerts_from_message, patch_from_message};

use super::answers::warnings_to_messages;
use super::requests::Check;

/// A configuration as a request holds it, in its field `config`.
pub(crate) fn patch(check: &mut Check, message: &v1::BreakerConfig) -> Option<ConfigPatch> {
    patch_from_message(message)
        .map_err(|violations| check.extend(violations.into_iter().map(|v| v.within("config"))))
        .ok()
}

/// Rules of alerts as a request holds them in a field; none where it holds none.
pub(crate) fn alerts(
    check: &mut Check,
    field: &str,
    message: Option<&v1::AlertRules>,
) -> Option<AlertPatch> {
    let Some(message) = message else { return Some(AlertPatch::default()) };
    alerts_from_message(message)
        .map_err(|violations| check.extend(violations.into_iter().map(|v| v.within(field))))
        .ok()
}

/// Violations of a configuration as violations of the request's field `config`.
pub(crate) fn within_config(error: EngineError) -> EngineError {
    let within = |violation: Violation| violation.within("config");
    match error {
        EngineError::Invalid(violations) => {
            EngineError::Invalid(violations.into_iter().map(within).collect())
        }
        other => other,
    }
}

/// What is odd about a configuration, as warnings about the request's field `config`.
pub(crate) fn config_warnings(warnings: Vec<Violation>) -> Vec<v1::Warning> {
    warnings_to_messages(warnings.into_iter().map(|warning| warning.within("config")))
}

/// The keys that an update is about: those of the mask, or without one those that are set.
pub(crate) fn keys(
    check: &mut Check,
    mask: Option<prost_types::FieldMask>,
    values: &ConfigPatch,
) -> Vec<Key> {
    let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else {
        return set_keys(values);
    };
    let mut keys = Vec::new();
    for (index, path) in mask.paths.iter().enumerate() {
        match Key::from_name(path) {
            Some(key) => keys.push(key),
            None if path == "*" => keys.extend(Key::ALL),
            None => {
                let description =
                    format!("{path:?} is not a key; the keys are {} and `*`", key_names());
                check.refuse(format!("update_mask.paths[{index}]"), description);
            }
        }
    }
    keys
}

/// The keys that a configuration has values for.
pub(crate) fn set_keys(values: &ConfigPatch) -> Vec<Key> {
    Key::ALL.into_iter().filter(|&key| values.is_set(key)).collect()
}

/// Every key, for messages.
pub(crate) fn key_names() -> String {
    Key::ALL.map(Key::as_str).join(", ")
}

pub(crate) fn etag(check: &mut Check, text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let etag = text.parse().ok();
    if etag.is_none() {
        let description =
            format!("{text:?} is not one; give the one that Get shows, or leave it empty");
        check.refuse("etag", description);
    }
    etag
}
