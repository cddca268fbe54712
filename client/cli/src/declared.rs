//! The file of `apply` and `export`: policies and breakers' own configurations, in TOML or YAML.
//!
//! ```toml
//! [[policy]]
//! name = "payments"
//! match = "payments/*"
//! priority = 10
//! [policy.config]
//! failure_threshold = 3
//!
//! [[breaker]]
//! name = "payments/stripe-api"
//! [breaker.config]
//! open_duration = "30s"
//! ```
//!
//! As with configurations, a library parses the text to a tree and the tree is read key by key here,
//! so that an answer can name every bad key at once.

use std::fmt::Display;
use std::path::Path;

use breaker_core::{AlertPatch, ConfigPatch, Violation};
use breaker_proto::v1;
use breaker_wire::{
    alerts_from_message, alerts_from_value, alerts_to_message, alerts_to_value, patch_from_message,
    patch_from_value, patch_to_message, patch_to_value,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Error;

/// In which language a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Syntax {
    #[default]
    Toml,
    Yaml,
}

/// What policies and breakers' own configurations are to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Declared {
    pub(crate) policies: Vec<v1::PolicySpec>,
    pub(crate) breakers: Vec<v1::BreakerSpec>,
}

/// The file as it is written, with its keys in the order in which people read them.
#[derive(Serialize)]
struct File {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policy: Vec<PolicyTable>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    breaker: Vec<BreakerTable>,
}

#[derive(Serialize)]
struct PolicyTable {
    name: String,
    r#match: String,
    priority: i32,
    config: Value,
    #[serde(skip_serializing_if = "is_empty")]
    alerts: Value,
}

#[derive(Serialize)]
struct BreakerTable {
    name: String,
    config: Value,
}

impl Syntax {
    /// By the ending of a file's name.
    pub(crate) fn of(path: &Path) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending {
            // JSON is YAML.
            Some("yaml" | "yml" | "json") => Self::Yaml,
            _ => Self::Toml,
        }
    }
}

impl Declared {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is not in this language, or with every key that was refused.
    pub(crate) fn parse(text: &str, syntax: Syntax) -> Result<Self, Error> {
        let unreadable = |language: &str, error: &dyn Display| {
            Error::Usage(format!("the file is not valid {language}: {error}"))
        };
        let tree: Value = match syntax {
            Syntax::Toml => toml::from_str(text).map_err(|error| unreadable("TOML", &error))?,
            Syntax::Yaml => {
                serde_norway::from_str(text).map_err(|error| unreadable("YAML", &error))?
            }
        };
        let mut reader = Reader::default();
        let declared = reader.declared(&tree);
        if reader.0.is_empty() { Ok(declared) } else { Err(Error::Configuration(reader.0)) }
    }

    /// Writes a file that [`parse`](Self::parse) reads back.
    ///
    /// # Errors
    /// If a value comes from a server that is newer than this breakerctl.
    pub(crate) fn to_text(&self, syntax: Syntax) -> anyhow::Result<String> {
        let file = self.to_file()?;
        Ok(match syntax {
            Syntax::Toml => toml::to_string(&file)?,
            Syntax::Yaml => serde_norway::to_string(&file)?,
        })
    }

    /// The file as a tree.
    ///
    /// # Errors
    /// If a value comes from a server that is newer than this breakerctl.
    pub(crate) fn to_value(&self) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(self.to_file()?)?)
    }

    fn to_file(&self) -> Result<File, Error> {
        let policy = |spec: &v1::PolicySpec| {
            Ok(PolicyTable {
                name: spec.name.clone(),
                r#match: spec.selector.clone(),
                priority: spec.priority,
                config: config_to_value(spec.config.as_ref())?,
                alerts: alerts_to_tree(spec.alerts.as_ref())?,
            })
        };
        let breaker = |spec: &v1::BreakerSpec| {
            let config = config_to_value(spec.config.as_ref())?;
            Ok(BreakerTable { name: spec.name.clone(), config })
        };
        Ok(File {
            policy: self.policies.iter().map(policy).collect::<Result<_, Error>>()?,
            breaker: self.breakers.iter().map(breaker).collect::<Result<_, Error>>()?,
        })
    }
}

fn config_to_value(config: Option<&v1::BreakerConfig>) -> Result<Value, Error> {
    let patch = config.map_or(Ok(ConfigPatch::default()), patch_from_message);
    patch.map(|patch| patch_to_value(&patch)).map_err(Error::Configuration)
}

fn alerts_to_tree(alerts: Option<&v1::AlertRules>) -> Result<Value, Error> {
    let patch = alerts.map_or(Ok(AlertPatch::default()), alerts_from_message);
    patch.map(|patch| alerts_to_value(&patch)).map_err(Error::Configuration)
}

fn is_empty(table: &Value) -> bool {
    table.as_object().is_none_or(Map::is_empty)
}

/// Collects every key that is refused.
#[derive(Default)]
struct Reader(Vec<Violation>);

impl Reader {
    fn declared(&mut self, tree: &Value) -> Declared {
        let mut declared = Declared::default();
        let Some(table) = self.table("file", tree) else { return declared };
        for (key, value) in table {
            match key.as_str() {
                "policy" => declared.policies = self.list(key, value, Self::policy),
                "breaker" => declared.breakers = self.list(key, value, Self::breaker),
                _ => self.refuse(key, "unknown key; the keys are policy, breaker"),
            }
        }
        declared
    }

    fn policy(&mut self, place: &str, table: &Map<String, Value>) -> v1::PolicySpec {
        let mut spec = v1::PolicySpec::default();
        for (key, value) in table {
            let place = format!("{place}.{key}");
            match key.as_str() {
                "name" => spec.name = self.text(&place, value),
                "match" => spec.selector = self.text(&place, value),
                "priority" => spec.priority = self.priority(&place, value),
                "config" => spec.config = self.config(&place, value),
                "alerts" => spec.alerts = self.alerts(&place, value),
                _ => {
                    let known = "name, match, priority, config, alerts";
                    self.refuse(&place, format!("unknown key; the keys are {known}"));
                }
            }
        }
        self.require(place, table, &["name", "match"]);
        spec
    }

    fn breaker(&mut self, place: &str, table: &Map<String, Value>) -> v1::BreakerSpec {
        let mut spec = v1::BreakerSpec::default();
        for (key, value) in table {
            let place = format!("{place}.{key}");
            match key.as_str() {
                "name" => spec.name = self.text(&place, value),
                "config" => spec.config = self.config(&place, value),
                _ => self.refuse(&place, "unknown key; the keys are name, config"),
            }
        }
        self.require(place, table, &["name"]);
        spec
    }

    fn list<T>(
        &mut self,
        key: &str,
        value: &Value,
        mut read: impl FnMut(&mut Self, &str, &Map<String, Value>) -> T,
    ) -> Vec<T> {
        let Some(items) = value.as_array() else {
            self.refuse(key, format!("must be a list of tables: write [[{key}]]"));
            return Vec::new();
        };
        let mut read_items = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = format!("{key}[{index}]");
            if let Some(table) = self.table(&place, item) {
                read_items.push(read(self, &place, table));
            }
        }
        read_items
    }

    fn table<'v>(&mut self, place: &str, value: &'v Value) -> Option<&'v Map<String, Value>> {
        let table = value.as_object();
        if table.is_none() {
            self.refuse(place, "must be a table of keys");
        }
        table
    }

    fn text(&mut self, place: &str, value: &Value) -> String {
        let text = value.as_str();
        if text.is_none() {
            self.refuse(place, format!("{value} is not a text in quotes"));
        }
        text.unwrap_or_default().to_owned()
    }

    fn priority(&mut self, place: &str, value: &Value) -> i32 {
        let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
        if number.is_none() {
            let (least, most) = (i32::MIN, i32::MAX);
            self.refuse(place, format!("{value} is not a whole number from {least} to {most}"));
        }
        number.unwrap_or_default()
    }

    fn config(&mut self, place: &str, value: &Value) -> Option<v1::BreakerConfig> {
        match patch_from_value(value) {
            Ok(patch) => Some(patch_to_message(&patch)),
            Err(refused) => {
                self.0.extend(refused.into_iter().map(|violation| violation.within(place)));
                None
            }
        }
    }

    fn alerts(&mut self, place: &str, value: &Value) -> Option<v1::AlertRules> {
        match alerts_from_value(value) {
            Ok(patch) => Some(alerts_to_message(&patch)),
            Err(refused) => {
                self.0.extend(refused.into_iter().map(|violation| violation.within(place)));
                None
            }
        }
    }

    fn require(&mut self, place: &str, table: &Map<String, Value>, keys: &[&str]) {
        for key in keys.iter().filter(|key| !table.contains_key(**key)) {
            self.refuse(&format!("{place}.{key}"), "is missing");
        }
    }

    fn refuse(&mut self, place: &str, description: impl Into<String>) {
        self.0.push(Violation::new(place, description));
    }
}

#[cfg(test)]
mod tests;
