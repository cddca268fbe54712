//! A configuration in a file: TOML or JSON, the same keys in both.
//!
//! The text is parsed to a tree by a library and the tree is read key by key here, so that an
//! answer can name every bad key at once instead of the first.

use std::time::Duration;

use breaker_core::{ConfigPatch, ExpiredProbe, Key, OnUnavailable, Violation};
use serde_json::{Map, Value, json};

use crate::rule_values::{
    adaptive_value, backoff_value, duration_value, failure_rate_value, levels_value,
    probe_calls_value, ramp_value, slow_call_rate_value, window_value,
};

/// Why a configuration could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The text is not TOML.
    #[error("not valid TOML: {0}")]
    Toml(#[from] toml::de::Error),
    /// The text is not JSON.
    #[error("not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Keys or values were refused.
    #[error("{}", list(.0))]
    Invalid(Vec<Violation>),
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(Violation::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads a configuration from text: JSON if it begins with a brace, TOML otherwise.
///
/// # Errors
/// If the text cannot be read, or with every key that was refused.
pub fn parse_config(text: &str) -> Result<ConfigPatch, ConfigFileError> {
    if text.trim_start().starts_with('{') {
        parse_config_json(text)
    } else {
        parse_config_toml(text)
    }
}

/// Reads a configuration from TOML.
///
/// # Errors
/// If the text cannot be read, or with every key that was refused.
pub fn parse_config_toml(text: &str) -> Result<ConfigPatch, ConfigFileError> {
    let value: Value = toml::from_str(text)?;
    patch_from_value(&value).map_err(ConfigFileError::Invalid)
}

/// Reads a configuration from JSON.
///
/// # Errors
/// If the text cannot be read, or with every key that was refused.
pub fn parse_config_json(text: &str) -> Result<ConfigPatch, ConfigFileError> {
    let value: Value = serde_json::from_str(text)?;
    patch_from_value(&value).map_err(ConfigFileError::Invalid)
}

/// Reads a configuration from a tree. `null` leaves a value unset, as leaving out its key does.
///
/// # Errors
/// Every key that was refused.
pub fn patch_from_value(value: &Value) -> Result<ConfigPatch, Vec<Violation>> {
    let Value::Object(table) = value else {
        return Err(vec![Violation::new("config", "must be a table of keys")]);
    };
    let mut reader = Reader::default();
    let mut patch = ConfigPatch::default();
    for (name, value) in table.iter().filter(|(_, value)| !value.is_null()) {
        let Some(key) = Key::from_name(name) else {
            reader.refuse(name, unknown_key());
            continue;
        };
        reader.read_key(&mut patch, key, value);
    }
    if reader.violations.is_empty() { Ok(patch) } else { Err(reader.violations) }
}

/// A patch as a tree that [`patch_from_value`] reads back: durations as text, rules that are turned
/// off as `false`, unset values left out.
pub fn patch_to_value(patch: &ConfigPatch) -> Value {
    let mut table = Map::new();
    let mut set = |key: Key, value: Option<Value>| {
        if let Some(value) = value {
            table.insert(key.as_str().to_owned(), value);
        }
    };
    let duration = |d: Option<Duration>| d.map(duration_value);
    set(Key::FailureThreshold, patch.failure_threshold.map(Value::from));
    set(Key::FailureDecay, patch.failure_decay.map(Value::from));
    set(Key::ConsecutiveFailures, patch.consecutive_failures.map(Value::from));
    set(Key::FailureRate, switched(&patch.failure_rate, failure_rate_value));
    set(Key::SlowCallRate, switched(&patch.slow_call_rate, slow_call_rate_value));
    set(Key::Window, patch.window.map(window_value));
    set(Key::MinReporters, patch.min_reporters.map(Value::from));
    set(Key::MaxReporterShare, switched(&patch.max_reporter_share, |&share| share.into()));
    set(Key::OpenDuration, duration(patch.open_duration));
    set(Key::Backoff, switched(&patch.backoff, backoff_value));
    set(Key::SuccessThreshold, patch.success_threshold.map(Value::from));
    set(Key::MaxProbes, patch.max_probes.map(Value::from));
    set(Key::ProbeCalls, switched(&patch.probe_calls, probe_calls_value));
    set(Key::ExpiredProbe, patch.expired_probe.map(|choice| json!(expired_probe_name(choice))));
    set(Key::Ramp, switched(&patch.ramp, ramp_value));
    set(Key::CallTimeout, duration(patch.call_timeout));
    set(Key::FailureErrors, patch.failure_errors.clone().map(Value::from));
    set(Key::IgnoredErrors, patch.ignored_errors.clone().map(Value::from));
    set(Key::OnUnavailable, patch.on_unavailable.map(|choice| json!(on_unavailable_name(choice))));
    set(Key::Adaptive, switched(&patch.adaptive, adaptive_value));
    set(Key::Levels, switched(&patch.levels, levels_value));
    Value::Object(table)
}

/// A rule that is on, off, or not set.
fn switched<T>(rule: &Option<Option<T>>, value: fn(&T) -> Value) -> Option<Value> {
    rule.as_ref().map(|rule| rule.as_ref().map_or(Value::Bool(false), value))
}

/// Reads a duration such as `60s`, `1m 30s` or `250ms`.
///
/// # Errors
/// What was wrong with it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| {
        format!("`{text}` is not a duration such as \"60s\" or \"250ms\": {error}")
    })
}

/// A duration as [`parse_duration`] reads it: `1m 30s`.
pub fn duration_text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

const ON_UNAVAILABLE: [(OnUnavailable, &str); 3] = [
    (OnUnavailable::Allow, on_unavailable_name(OnUnavailable::Allow)),
    (OnUnavailable::Deny, on_unavailable_name(OnUnavailable::Deny)),
    (OnUnavailable::Local, on_unavailable_name(OnUnavailable::Local)),
];

const EXPIRED_PROBES: [(ExpiredProbe, &str); 2] = [
    (ExpiredProbe::Timeout, expired_probe_name(ExpiredProbe::Timeout)),
    (ExpiredProbe::Ignore, expired_probe_name(ExpiredProbe::Ignore)),
];

const fn on_unavailable_name(choice: OnUnavailable) -> &'static str {
    match choice {
        OnUnavailable::Allow => "allow",
        OnUnavailable::Deny => "deny",
        OnUnavailable::Local => "local",
    }
}

const fn expired_probe_name(choice: ExpiredProbe) -> &'static str {
    match choice {
        ExpiredProbe::Timeout => "timeout",
        ExpiredProbe::Ignore => "ignore",
    }
}

fn unknown_key() -> String {
    let known: Vec<_> = Key::ALL.iter().map(|key| key.as_str()).collect();
    format!("unknown key; the keys are {}", known.join(", "))
}

/// Reads keys, and collects what is wrong with them.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) violations: Vec<Violation>,
}

impl Reader {
    pub(crate) fn refuse(&mut self, field: &str, description: impl Into<String>) {
        self.violations.push(Violation::new(field, description));
    }

    fn read_key(&mut self, patch: &mut ConfigPatch, key: Key, value: &Value) {
        let name = key.as_str();
        match key {
            Key::FailureThreshold => patch.failure_threshold = self.number(name, value),
            Key::FailureDecay => patch.failure_decay = self.number(name, value),
            Key::ConsecutiveFailures => patch.consecutive_failures = self.number(name, value),
            Key::FailureRate => patch.failure_rate = self.switch(value, Self::failure_rate),
            Key::SlowCallRate => patch.slow_call_rate = self.switch(value, Self::slow_call_rate),
            Key::Window => patch.window = self.window(value),
            Key::MinReporters => patch.min_reporters = self.number(name, value),
            Key::MaxReporterShare => {
                patch.max_reporter_share =
                    self.switch(value, |reader, value| reader.number(name, value));
            }
            Key::OpenDuration => patch.open_duration = self.duration(name, value),
            Key::Backoff => patch.backoff = self.switch(value, Self::backoff),
            Key::SuccessThreshold => patch.success_threshold = self.number(name, value),
            Key::MaxProbes => patch.max_probes = self.number(name, value),
            Key::ProbeCalls => patch.probe_calls = self.switch(value, Self::probe_calls),
            Key::ExpiredProbe => patch.expired_probe = self.choice(name, value, &EXPIRED_PROBES),
            Key::Ramp => patch.ramp = self.switch(value, Self::ramp),
            Key::CallTimeout => patch.call_timeout = self.duration(name, value),
            Key::FailureErrors => patch.failure_errors = self.texts(name, value),
            Key::IgnoredErrors => patch.ignored_errors = self.texts(name, value),
            Key::OnUnavailable => patch.on_unavailable = self.choice(name, value, &ON_UNAVAILABLE),
            Key::Adaptive => patch.adaptive = self.switch(value, Self::adaptive),
            Key::Levels => patch.levels = self.switch(value, Self::levels),
        }
    }

    /// A rule that `false` or `"off"` turns off.
    fn switch<T>(
        &mut self,
        value: &Value,
        read: impl FnOnce(&mut Self, &Value) -> Option<T>,
    ) -> Option<Option<T>> {
        if *value == Value::Bool(false) || value.as_str() == Some("off") {
            return Some(None);
        }
        read(self, value).map(Some)
    }

    pub(crate) fn number(&mut self, field: &str, value: &Value) -> Option<u32> {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.refuse(field, format!("{value} is not a whole number from 0 to {}", u32::MAX));
        }
        number
    }

    pub(crate) fn duration(&mut self, field: &str, value: &Value) -> Option<Duration> {
        let Some(text) = value.as_str() else {
            self.refuse(field, format!("{value} is not a duration in quotes, such as \"60s\""));
            return None;
        };
        parse_duration(text).map_err(|description| self.refuse(field, description)).ok()
    }

    fn texts(&mut self, field: &str, value: &Value) -> Option<Vec<String>> {
        let texts = value.as_array().and_then(|items| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        if texts.is_none() {
            self.refuse(field, format!("{value} is not a list of texts such as [\"http.5*\"]"));
        }
        texts
    }

    /// One of a few words.
    fn choice<T: Copy>(&mut self, field: &str, value: &Value, choices: &[(T, &str)]) -> Option<T> {
        let choice = choices.iter().find(|(_, name)| value.as_str() == Some(name));
        if choice.is_none() {
            let names: Vec<_> = choices.iter().map(|(_, name)| format!("{name:?}")).collect();
            self.refuse(field, format!("{value} is not one of {}", names.join(", ")));
        }
        choice.map(|&(choice, _)| choice)
    }
}

#[cfg(test)]
mod tests {
    use breaker_core::{Adaptive, Config};

    use super::*;
    use crate::samples;

    const TOML: &str = r#"
        failure_threshold = 3
        window = { calls = 20 }
        open_duration = "1m 30s"
        call_timeout = "250ms"
        ignored_errors = ["http.404"]
        on_unavailable = "deny"
    "#;

    #[test]
    fn toml_and_json_say_the_same() {
        let from_toml = parse_config(TOML).unwrap();
        assert_eq!(from_toml.open_duration, Some(Duration::from_secs(90)));
        let json = patch_to_value(&from_toml).to_string();
        assert_eq!(parse_config(&json).unwrap(), from_toml);
    }

    #[test]
    fn every_value_survives_a_file() {
        for patch in [Config::default().to_patch(), ConfigPatch::default(), samples::every_rule()] {
            assert_eq!(patch_from_value(&patch_to_value(&patch)), Ok(patch.clone()));
            let toml = toml::to_string(&patch_to_value(&patch)).unwrap();
            assert_eq!(parse_config(&toml).unwrap(), patch, "{toml}");
        }
    }

    #[test]
    fn rules_are_turned_on_with_defaults_and_off_again() {
        let on = parse_config("adaptive = true\nlevels = { escalate_above = 80 }").unwrap();
        assert_eq!(on.adaptive, Some(Some(Adaptive::default())));
        let escalate_above = on.levels.flatten().map(|levels| levels.escalate_above);
        assert_eq!(escalate_above, Some(80));
        let off = parse_config("adaptive = false\nlevels = \"off\"\nbackoff = false").unwrap();
        assert_eq!((off.adaptive, off.levels, off.backoff), (Some(None), Some(None), Some(None)));
        let listed = "levels = [{ name = \"a\", failure_threshold = 1, open_duration = \"1s\", \
                      success_threshold = 2 }]";
        let levels = parse_config(listed).unwrap().levels.flatten().unwrap();
        assert_eq!((levels.levels[0].serve.as_str(), levels.escalate_above), ("degraded", 60));
    }

    #[test]
    fn every_bad_key_of_a_rule_is_named() {
        let bad = r#"{
            "failure_rate": {"percent": 50, "calls": 3},
            "slow_call_rate": true,
            "backoff": {"multiplier": 1.00001, "max": "1m"},
            "ramp": {"percents": [5, "x"], "step": 3},
            "window": {"calls": 1, "duration": "1s"},
            "adaptive": {"windows": 5},
            "levels": [{"name": 3}]
        }"#;
        let ConfigFileError::Invalid(violations) = parse_config(bad).unwrap_err() else {
            panic!("keys are refused")
        };
        let mut fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "adaptive.windows",
                "backoff.multiplier",
                "failure_rate.calls",
                "failure_rate.minimum_calls",
                "levels[0].failure_threshold",
                "levels[0].name",
                "levels[0].open_duration",
                "levels[0].success_threshold",
                "ramp.percents[1]",
                "ramp.step",
                "slow_call_rate",
                "window",
            ]
        );
    }

    #[test]
    fn every_bad_key_is_named() {
        let bad = r#"{
            "failure_treshold": 3,
            "failure_decay": -1,
            "window": {"cals": 3},
            "open_duration": 60,
            "call_timeout": "-3s",
            "ignored_errors": "http.404",
            "on_unavailable": "panic",
            "max_probes": null
        }"#;
        let ConfigFileError::Invalid(violations) = parse_config(bad).unwrap_err() else {
            panic!("keys are refused")
        };
        let mut fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "call_timeout",
                "failure_decay",
                "failure_treshold",
                "ignored_errors",
                "on_unavailable",
                "open_duration",
                "window",
                "window.cals",
            ]
        );
    }

    #[test]
    fn text_that_cannot_be_read_says_where() {
        assert!(parse_config("failure_threshold = ").unwrap_err().to_string().contains("TOML"));
        assert!(parse_config("{\"a\": ").unwrap_err().to_string().contains("JSON"));
    }
}
