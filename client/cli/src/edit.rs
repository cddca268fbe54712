//! What the arguments of `create` and `update` make of a breaker's configuration.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use breaker_core::{AlertKey, AlertPatch, ConfigPatch, Key, Violation};
use breaker_wire::{ConfigFileError, alerts_from_value, parse_config, patch_from_value};
use clap::Args;
use serde_json::{Map, Value};

use crate::error::Error;

#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    /// A value of the configuration, `key=value`, such as `open_duration=30s`, `window.calls=50`
    /// or `ignored_errors=http.404,http.410`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = Setting::parse)]
    set: Vec<Setting>,
    /// A file with values of the configuration, TOML or JSON. `--set` goes over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AlertSetArguments {
    /// A rule of alerts about its breakers, `rule=value`, such as `prolonged_outage=10m`,
    /// `flapping=false` or `flapping.count=5`; may be given several times.
    #[arg(long = "alert", value_name = "RULE=VALUE", value_parser = Setting::parse)]
    rules: Vec<Setting>,
}

impl AlertSetArguments {
    pub(crate) fn patch(&self) -> anyhow::Result<AlertPatch> {
        let patch = from_settings(&self.rules, alerts_from_value);
        Ok(patch.map_err(|refused| {
            Error::Configuration(refused.into_iter().map(|v| v.within("alerts")).collect())
        })?)
    }
}

/// Reads the name of a rule of alerts.
pub(crate) fn parse_alert_key(text: &str) -> Result<AlertKey, String> {
    AlertKey::from_name(text)
        .ok_or_else(|| format!("the rules are {}", AlertKey::ALL.map(AlertKey::as_str).join(", ")))
}

/// One `key=value`.
#[derive(Clone, Debug)]
struct Setting {
    key: String,
    value: Value,
}

impl SetArguments {
    /// The values that are given, those of `--set` over those of the file.
    pub(crate) fn patch(&self) -> anyhow::Result<ConfigPatch> {
        let mut patch = self.file()?;
        let over = patch_from_settings(&self.set).map_err(Error::Configuration)?;
        for key in keys_of(&over) {
            patch.copy_key(key, &over);
        }
        Ok(patch)
    }

    fn file(&self) -> anyhow::Result<ConfigPatch> {
        let Some(path) = &self.config else { return Ok(ConfigPatch::default()) };
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        match parse_config(&text) {
            Ok(patch) => Ok(patch),
            Err(ConfigFileError::Invalid(violations)) => {
                Err(Error::Configuration(violations).into())
            }
            Err(error) => {
                Err(Error::Usage(format!("in the configuration {}: {error}", path.display())))?
            }
        }
    }
}

impl Setting {
    /// Reads `key=value`; the value as TOML, or as plain text where it is none.
    fn parse(text: &str) -> Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else {
            return Err("write it as key=value".to_owned());
        };
        let (key, value) = (key.trim(), value.trim());
        let is_list = matches!(Key::from_name(key), Some(Key::FailureErrors | Key::IgnoredErrors));
        let value = match toml_value(value) {
            Some(value @ Value::Array(_)) => value,
            Some(value) if !is_list => value,
            None if !is_list => Value::from(value),
            _ => value.split(',').map(str::trim).filter(|glob| !glob.is_empty()).collect(),
        };
        Ok(Self { key: key.to_owned(), value })
    }
}

fn toml_value(text: &str) -> Option<Value> {
    let mut table: Map<String, Value> = toml::from_str(&format!("value = {text}")).ok()?;
    // More than one key: the text had lines of its own.
    if table.len() == 1 { table.remove("value") } else { None }
}

/// Reads the settings as if they stood in a file together. `a.b=1` is `{b = 1}` under `a`.
fn patch_from_settings(settings: &[Setting]) -> Result<ConfigPatch, Vec<Violation>> {
    from_settings(settings, patch_from_value)
}

fn from_settings<P>(
    settings: &[Setting],
    read: impl FnOnce(&Value) -> Result<P, Vec<Violation>>,
) -> Result<P, Vec<Violation>> {
    let mut tree = Map::new();
    let mut violations = Vec::new();
    for Setting { key, value } in settings {
        let is_free = match key.split_once('.') {
            Some((key, inner)) => {
                let table = tree.entry(key).or_insert_with(|| Map::new().into());
                table
                    .as_object_mut()
                    .is_some_and(|table| table.insert(inner.to_owned(), value.clone()).is_none())
            }
            None => tree.insert(key.clone(), value.clone()).is_none(),
        };
        if !is_free {
            violations.push(Violation::new(key, "is set twice; set it once"));
        }
    }
    match read(&Value::Object(tree)) {
        Ok(patch) if violations.is_empty() => Ok(patch),
        Ok(_) => Err(violations),
        Err(refused) => Err(violations.into_iter().chain(refused).collect()),
    }
}

/// The keys that a patch sets.
pub(crate) fn keys_of(patch: &ConfigPatch) -> impl Iterator<Item = Key> {
    Key::ALL.into_iter().filter(|&key| patch.is_set(key))
}

/// The update mask: what the patch sets, and what goes back to the defaults.
pub(crate) fn mask(patch: &ConfigPatch, unset: &[Key]) -> Result<Vec<String>, Error> {
    let set: HashSet<_> = keys_of(patch).map(Key::as_str).collect();
    if let Some(both) = unset.iter().find(|key| set.contains(key.as_str())) {
        return Err(Error::Usage(format!("{} is both set and unset", both.as_str())));
    }
    let keys: HashSet<_> = set.into_iter().chain(unset.iter().map(|key| key.as_str())).collect();
    if keys.is_empty() {
        let message = "nothing to change: give --set, --unset or --config".to_owned();
        return Err(Error::Usage(message));
    }
    let mut paths: Vec<_> = keys.into_iter().map(str::to_owned).collect();
    paths.sort_unstable();
    Ok(paths)
}

/// Reads the name of a key.
pub(crate) fn parse_key(text: &str) -> Result<Key, String> {
    Key::from_name(text).ok_or_else(|| {
        let known: Vec<_> = Key::ALL.iter().map(|key| key.as_str()).collect();
        format!("the keys are {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests;
