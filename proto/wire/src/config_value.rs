//! A configuration in a file: TOML or JSON, the same keys in both.
//!
//! The text is parsed to a tree by a library and the tree is read key by key here, so that an
//! answer can name every bad key at once instead of the first.

use std::time::Duration;

use breaker_core::{ConfigPatch, Key, OnUnavailable, Violation};
use serde_json::{Map, Value, json};

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

/// A patch as a tree that [`patch_from_value`] reads back: durations as text, unset values left
/// out.
pub fn patch_to_value(patch: &ConfigPatch) -> Value {
    let mut table = Map::new();
    let mut set = |key: Key, value: Option<Value>| {
        if let Some(value) = value {
            table.insert(key.as_str().to_owned(), value);
        }
    };
    let duration =
        |d: Option<Duration>| d.map(|d| json!(humantime::format_duration(d).to_string()));
    set(Key::FailureThreshold, patch.failure_threshold.map(Value::from));
    set(Key::FailureDecay, patch.failure_decay.map(Value::from));
    set(Key::ConsecutiveFailures, patch.consecutive_failures.map(Value::from));
    set(Key::Window, patch.window_calls.map(|calls| json!({ "calls": calls })));
    set(Key::OpenDuration, duration(patch.open_duration));
    set(Key::SuccessThreshold, patch.success_threshold.map(Value::from));
    set(Key::MaxProbes, patch.max_probes.map(Value::from));
    set(Key::CallTimeout, duration(patch.call_timeout));
    set(Key::FailureErrors, patch.failure_errors.clone().map(Value::from));
    set(Key::IgnoredErrors, patch.ignored_errors.clone().map(Value::from));
    set(Key::OnUnavailable, patch.on_unavailable.map(|choice| json!(on_unavailable_name(choice))));
    Value::Object(table)
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

const fn on_unavailable_name(choice: OnUnavailable) -> &'static str {
    match choice {
        OnUnavailable::Allow => "allow",
        OnUnavailable::Deny => "deny",
        OnUnavailable::Local => "local",
    }
}

fn unknown_key() -> String {
    let known: Vec<_> = Key::ALL.iter().map(|key| key.as_str()).collect();
    format!("unknown key; the keys are {}", known.join(", "))
}

#[derive(Default)]
struct Reader {
    violations: Vec<Violation>,
}

impl Reader {
    fn refuse(&mut self, field: &str, description: impl Into<String>) {
        self.violations.push(Violation::new(field, description));
    }

    fn read_key(&mut self, patch: &mut ConfigPatch, key: Key, value: &Value) {
        let name = key.as_str();
        match key {
            Key::FailureThreshold => patch.failure_threshold = self.number(name, value),
            Key::FailureDecay => patch.failure_decay = self.number(name, value),
            Key::ConsecutiveFailures => patch.consecutive_failures = self.number(name, value),
            Key::Window => patch.window_calls = self.window(value),
            Key::OpenDuration => patch.open_duration = self.duration(name, value),
            Key::SuccessThreshold => patch.success_threshold = self.number(name, value),
            Key::MaxProbes => patch.max_probes = self.number(name, value),
            Key::CallTimeout => patch.call_timeout = self.duration(name, value),
            Key::FailureErrors => patch.failure_errors = self.texts(name, value),
            Key::IgnoredErrors => patch.ignored_errors = self.texts(name, value),
            Key::OnUnavailable => patch.on_unavailable = self.on_unavailable(name, value),
        }
    }

    fn number(&mut self, field: &str, value: &Value) -> Option<u32> {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.refuse(field, format!("{value} is not a whole number from 0 to {}", u32::MAX));
        }
        number
    }

    fn duration(&mut self, field: &str, value: &Value) -> Option<Duration> {
        let Some(text) = value.as_str() else {
            self.refuse(field, format!("{value} is not a duration in quotes, such as \"60s\""));
            return None;
        };
        parse_duration(text).map_err(|description| self.refuse(field, description)).ok()
    }

    fn window(&mut self, value: &Value) -> Option<u32> {
        let Value::Object(table) = value else {
            self.refuse("window", format!("{value} is not a table such as {{ calls = 100 }}"));
            return None;
        };
        for name in table.keys().filter(|name| *name != "calls") {
            self.refuse(&format!("window.{name}"), "unknown key; the key is calls");
        }
        match table.get("calls") {
            Some(calls) => self.number("window.calls", calls),
            None => {
                self.refuse("window", "`calls` is missing: write { calls = 100 }");
                None
            }
        }
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

    fn on_unavailable(&mut self, field: &str, value: &Value) -> Option<OnUnavailable> {
        let choices = [OnUnavailable::Allow, OnUnavailable::Deny, OnUnavailable::Local];
        let choice = choices.into_iter().find(|&c| value.as_str() == Some(on_unavailable_name(c)));
        if choice.is_none() {
            self.refuse(field, format!("{value} is not \"allow\", \"deny\" or \"local\""));
        }
        choice
    }
}

#[cfg(test)]
mod tests {
    use breaker_core::Config;

    use super::*;

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
        let patch = Config::default().to_patch();
        assert_eq!(patch_from_value(&patch_to_value(&patch)), Ok(patch));
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
