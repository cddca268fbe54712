//! A scenario as plain data: what happens to a breaker, when, and what is seen of it then.
//!
//! What is expected is a table of words and numbers, compared with what a subject shows under the
//! same keys. `"none"` is expected of a value that is not there.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail, ensure};
use breaker_core::{Config, ConfigPatch, Source, Violation};
use breaker_wire::patch_from_value;
use serde::Deserialize;
use serde_json::{Value, json};

/// Most calls of one step: each is asked for and reported by itself.
const MAX_CALLS: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    scenario: Vec<RawScenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    name: String,
    /// What a library documents, and which one; or what only breakerd does.
    fact: String,
    /// Where breakerd means to differ from the fact.
    differs: Option<String>,
    /// The keys of a breaker's configuration.
    #[serde(default)]
    config: BTreeMap<String, Value>,
    steps: Vec<RawStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    at_ms: u64,
    call: Option<Call>,
    acquire: Option<String>,
    report: Option<Report>,
    admin: Option<Admin>,
    reconfigure: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    expect: BTreeMap<String, Value>,
}

/// A story of one breaker.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) config: ConfigPatch,
    pub(crate) steps: Vec<Step>,
}

/// One line of a story.
pub(crate) struct Step {
    /// Since the scenario began.
    pub(crate) at_ms: u64,
    pub(crate) event: Event,
    /// What is seen afterwards, by key.
    pub(crate) expect: BTreeMap<String, Value>,
}

pub(crate) enum Event {
    /// Calls that ask for leave and, where they get it, end.
    Call(Call),
    /// A call asks for leave; later steps know it by this label.
    Acquire(String),
    Report(Report),
    Admin(Admin),
    /// Values over those that the breaker is configured with.
    Reconfigure(Box<ConfigPatch>),
    /// Nothing but time passes.
    Passes,
}

/// Calls that start together and end together, one after another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) outcome: Outcome,
    #[serde(default = "one")]
    pub(crate) count: u32,
    /// Of each.
    #[serde(default)]
    pub(crate) duration_ms: u64,
    #[serde(default)]
    pub(crate) error_kind: String,
    #[serde(default)]
    pub(crate) reporter: String,
}

/// Outcomes that are told at once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    #[serde(default = "one")]
    pub(crate) count: u32,
    /// Of each call.
    #[serde(default)]
    pub(crate) duration_ms: u64,
    #[serde(default)]
    pub(crate) slow_count: u32,
    #[serde(default)]
    pub(crate) error_kind: String,
    #[serde(default)]
    pub(crate) reporter: String,
    /// How long ago the calls ended.
    #[serde(default)]
    pub(crate) age_ms: u64,
    /// Whether they are history, told long after they ended.
    #[serde(default)]
    pub(crate) late: bool,
    /// The label of the call that got leave: its generation and permit. Without one, neither is
    /// told.
    pub(crate) of: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Success,
    Failure,
    Timeout,
    Ignored,
}

/// What an admin does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    pub(crate) action: Action,
    /// When an override ends by itself.
    pub(crate) ttl_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    ForceOpen,
    ForceClose,
    Disable,
    Shadow,
    Release,
    Trip,
    Reset,
}

const fn one() -> u32 {
    1
}

/// The folder of the scenarios.
pub(crate) fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "scenarios"].iter().collect()
}

/// The scenarios of one file.
///
/// # Errors
/// Whatever makes no sense in it.
pub(crate) fn read(subject: &str) -> anyhow::Result<Vec<Scenario>> {
    let path = folder().join(subject).with_extension("toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    parse(&text).with_context(|| path.display().to_string())
}

/// The scenarios of a text.
///
/// # Errors
/// Whatever makes no sense in it.
pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Scenario>> {
    let file: ScenarioFile = toml::from_str(text)?;
    let mut names = HashSet::new();
    let mut scenarios = Vec::with_capacity(file.scenario.len());
    for raw in file.scenario {
        ensure!(names.insert(raw.name.clone()), "two scenarios are called {:?}", raw.name);
        let name = raw.name.clone();
        scenarios.push(Scenario::checked(raw).with_context(|| format!("{name:?}"))?);
    }
    ensure!(!scenarios.is_empty(), "no scenario");
    Ok(scenarios)
}

impl Scenario {
    fn checked(raw: RawScenario) -> anyhow::Result<Self> {
        ensure!(!raw.name.is_empty() && !raw.fact.is_empty(), "a name or a fact is empty");
        ensure!(raw.differs.is_none_or(|differs| !differs.is_empty()), "`differs` is empty");
        let config = patch(raw.config)?;
        let mut layers = vec![config.clone()];
        let mut steps = Vec::with_capacity(raw.steps.len());
        for (index, raw) in raw.steps.into_iter().enumerate() {
            let step = Step::checked(raw).with_context(|| format!("step {}", index + 1))?;
            if let Event::Reconfigure(patch) = &step.event {
                layers.push((**patch).clone());
            }
            resolved(&layers)?;
            steps.push(step);
        }
        ensure!(steps.is_sorted_by_key(|step| step.at_ms), "the steps are not in order of time");
        ensure!(
            steps.iter().any(|step| !step.expect.is_empty()),
            "nothing is expected, so it cannot fail"
        );
        let scenario = Self { name: raw.name, config, steps };
        scenario.check_labels()?;
        Ok(scenario)
    }

    /// A label is given once, and before it is used.
    fn check_labels(&self) -> anyhow::Result<()> {
        let mut known = HashSet::new();
        for step in &self.steps {
            match &step.event {
                Event::Acquire(label) => ensure!(known.insert(label), "two calls are {label:?}"),
                Event::Report(Report { of: Some(label), .. }) => {
                    ensure!(known.contains(label), "no earlier call is {label:?}");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The step in which the call of this label asked for leave.
    pub(crate) fn step_of(&self, wanted: &str) -> Option<usize> {
        let is_it = |step: &Step| matches!(&step.event, Event::Acquire(label) if label == wanted);
        self.steps.iter().position(is_it)
    }
}

impl Step {
    fn checked(raw: RawStep) -> anyhow::Result<Self> {
        let reconfigured = raw.reconfigure.map(patch).transpose()?;
        let events = [
            raw.call.map(Event::Call),
            raw.acquire.map(Event::Acquire),
            raw.report.map(Event::Report),
            raw.admin.map(Event::Admin),
            reconfigured.map(Box::new).map(Event::Reconfigure),
        ];
        let mut events = events.into_iter().flatten();
        let event = events.next().unwrap_or(Event::Passes);
        ensure!(events.next().is_none(), "two things happen in one step");
        let step = Self { at_ms: raw.at_ms, event, expect: raw.expect };
        match &step.event {
            Event::Passes => ensure!(!step.expect.is_empty(), "nothing happens"),
            Event::Call(call) => ensure!(
                (1..=MAX_CALLS).contains(&call.count),
                "{} calls; it must be 1 to {MAX_CALLS}",
                call.count
            ),
            Event::Admin(Admin { action, ttl_ms: Some(_) })
                if matches!(action, Action::Release | Action::Trip | Action::Reset) =>
            {
                bail!("{action:?} has no time to live");
            }
            _ => {}
        }
        Ok(step)
    }
}

fn patch(table: BTreeMap<String, Value>) -> anyhow::Result<ConfigPatch> {
    patch_from_value(&json!(table)).map_err(|refused| told(&refused))
}

/// The configuration that patches make together, later ones over earlier ones.
///
/// # Errors
/// Every value that is refused.
pub(crate) fn resolved(layers: &[ConfigPatch]) -> anyhow::Result<Config> {
    let layers: Vec<_> = layers.iter().map(|layer| (Source::Breaker, layer)).collect();
    Ok(Config::resolve(&layers).map_err(|refused| told(&refused))?.config)
}

fn told(violations: &[Violation]) -> anyhow::Error {
    let lines: Vec<_> = violations.iter().map(Violation::to_string).collect();
    anyhow!("{}", lines.join("; "))
}
