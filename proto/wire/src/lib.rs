//! The core's types in their outside forms: messages of `breaker.v1`, TOML and JSON.
//!
//! Server, clients and tools convert here and nowhere else, so that a key has one name and one
//! meaning in a file, on the wire and in the database.

mod alert_rules;
mod config_message;
mod config_value;
mod enums;
mod rule_messages;
mod rule_values;
#[cfg(test)]
mod samples;
mod time;

pub use alert_rules::{
    alert_rule_value, alerts_from_message, alerts_from_value, alerts_to_message, alerts_to_value,
};
pub use config_message::{config_to_message, patch_from_message, patch_to_message};
pub use config_value::{
    ConfigFileError, duration_text, parse_config, parse_config_json, parse_config_toml,
    parse_duration, patch_from_value, patch_to_value,
};
pub use enums::{
    cause_from_message, cause_to_message, duration_reason_from_message, duration_reason_to_message,
    expired_probe_from_message, expired_probe_to_message, mode_from_message, mode_to_message,
    on_unavailable_from_message, on_unavailable_to_message, outcome_from_message,
    outcome_to_message, source_from_message, source_to_message, state_from_message,
    state_to_message, threshold_reason_from_message, threshold_reason_to_message,
};
pub use time::{duration_from_message, duration_to_message, time_from_message, time_to_message};
