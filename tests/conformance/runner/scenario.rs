//! Scenarios as plain data, read from `tests/conformance/scenarios/*.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::command::Command;
use crate::operator::Change;
use crate::step::{Action, Step};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scenario: Vec<RawScenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    name: String,
    /// What of the contract it stands for.
    fact: String,
    /// Breakers and their configurations, made before the first step.
    #[serde(default)]
    breakers: BTreeMap<String, Value>,
    /// Clients that are built, READY and know the breakers before the first step.
    #[serde(default)]
    clients: BTreeMap<String, Map<String, Value>>,
    /// Whether the server runs at the first step.
    #[serde(default = "runs")]
    server_runs: bool,
    /// Further arguments of the server.
    #[serde(default)]
    server_arguments: Vec<String>,
    steps: Vec<Map<String, Value>>,
}

const fn runs() -> bool {
    true
}

/// A story of one server and some clients.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// `file/name`.
    pub(crate) id: String,
    pub(crate) fact: String,
    pub(crate) breakers: Vec<(String, Change)>,
    /// How each is built.
    pub(crate) clients: Vec<(String, Command)>,
    pub(crate) server_runs: bool,
    pub(crate) server_arguments: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

/// All scenarios of a folder.
///
/// # Errors
/// Whatever makes no sense in its files.
pub(crate) fn read_all(folder: &Path) -> anyhow::Result<Vec<Scenario>> {
    let mut scenarios = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let told = || path.display().to_string();
        let subject = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let text = fs::read_to_string(&path).with_context(told)?;
        scenarios.extend(parse(&subject, &text).with_context(told)?);
    }
    Ok(scenarios)
}

/// The scenarios of a text.
///
/// # Errors
/// Whatever makes no sense in it.
pub(crate) fn parse(subject: &str, text: &str) -> anyhow::Result<Vec<Scenario>> {
    let file: File = toml::from_str(text)?;
    let mut names = BTreeSet::new();
    let checked = |raw: RawScenario| {
        let name = raw.name.clone();
        ensure!(names.insert(name.clone()), "two scenarios are called {name:?}");
        Scenario::checked(subject, raw).with_context(|| format!("{name:?}"))
    };
    file.scenario.into_iter().map(checked).collect()
}

impl Scenario {
    fn checked(subject: &str, raw: RawScenario) -> anyhow::Result<Self> {
        ensure!(!raw.name.is_empty() && !raw.fact.is_empty(), "a name or a fact is empty");
        ensure!(
            raw.server_runs || raw.breakers.is_empty() && raw.clients.is_empty(),
            "without a server there are no breakers, and nobody is READY"
        );
        let mut breakers = Vec::new();
        for (name, config) in raw.breakers {
            let creation = Change::creation(&name, &config);
            let creation = creation.with_context(|| format!("breaker {name:?}"))?;
            breakers.push((name, creation));
        }
        let mut clients = Vec::new();
        for (name, mut options) in raw.clients {
            options.insert("do".to_owned(), json!("build"));
            let build = Command::read(options).with_context(|| format!("client {name:?}"))?;
            clients.push((name, build));
        }
        let mut steps = Vec::new();
        for (index, table) in raw.steps.into_iter().enumerate() {
            let text = Value::Object(table.clone()).to_string();
            let told = || format!("step {}: {text}", index + 1);
            steps.extend(Step::read(table).with_context(told)?);
        }
        let id = format!("{subject}/{}", raw.name);
        let (fact, server_runs, server_arguments) =
            (raw.fact, raw.server_runs, raw.server_arguments);
        let scenario = Self { id, fact, breakers, clients, server_runs, server_arguments, steps };
        scenario.check()?;
        Ok(scenario)
    }

    /// Each client is built before it is told anything else, and ends what it has begun with.
    fn check(&self) -> anyhow::Result<()> {
        let mut built: BTreeSet<_> = self.clients.iter().map(|(name, _)| name).collect();
        let mut busy = BTreeSet::new();
        for Step { text, action, .. } in &self.steps {
            match action {
                Action::Client { name, command: Command::Build(_) } => {
                    ensure!(built.insert(name), "{name:?} is built already: {text}");
                }
                Action::Client { name, .. } => {
                    ensure!(built.contains(name), "{name:?} is not built yet: {text}");
                    ensure!(!busy.contains(name), "{name:?} has not ended yet: {text}");
                }
                Action::Begin { name, .. } => {
                    ensure!(built.contains(name), "{name:?} is not built yet: {text}");
                    ensure!(busy.insert(name), "{name:?} has not ended yet: {text}");
                }
                Action::End { name } => {
                    ensure!(busy.remove(name), "{name:?} has begun nothing: {text}");
                }
                _ => {}
            }
        }
        ensure!(busy.is_empty(), "{busy:?} has not ended what it has begun with");
        let mut expectations = self.steps.iter().filter_map(|step| step.expectation.as_ref());
        ensure!(expectations.next().is_some(), "nothing is expected, so it cannot fail");
        Ok(())
    }
}
