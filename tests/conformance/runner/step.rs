//! One line of a scenario: who does what, and what is expected then.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::command::Command;
use crate::expectation::Expectation;
use crate::operator::Change;
use crate::thin::Deed;
use crate::{link, recorder, server, sight};

/// Who can do something in a step.
const ACTORS: &[&str] =
    &["client", "thin", "admin", "server", "link", "server_sees", "recorder", "metrics", "wait"];

/// Most copies of a step.
const MAX_COPIES: u64 = 1_000;

/// One line of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// As it is written, for people.
    pub(crate) text: String,
    pub(crate) action: Action,
    pub(crate) expectation: Option<Expectation>,
}

/// What happens in a step.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// A client is told to do something.
    Client {
        name: String,
        command: Command,
    },
    /// A client is told to do something that goes on while other steps are played.
    Begin {
        name: String,
        command: Command,
    },
    /// A client has done what it was told to begin with.
    End {
        name: String,
    },
    /// Another replica does something.
    Thin(Deed),
    Admin(Change),
    Server(server::Event),
    Link(link::Mode),
    /// The server is asked for a breaker.
    Sees {
        breaker: String,
    },
    /// The recorder is asked what it has heard.
    Recorded,
    /// The server is asked for a metric.
    Measure {
        metric: String,
    },
    Wait(Duration),
}

impl Step {
    /// Reads a step; as many as its `each` says, with `{n}` in its texts counted from 1.
    ///
    /// # Errors
    /// Whatever makes no sense in it.
    pub(crate) fn read(mut table: Map<String, Value>) -> anyhow::Result<Vec<Self>> {
        let Some(copies) = table.remove("each") else { return Ok(vec![Self::read_one(table)?]) };
        let copies = copies.as_u64().unwrap_or(0);
        ensure!((1..=MAX_COPIES).contains(&copies), "`each` must be 1 to {MAX_COPIES}");
        let copy = |n: u64| -> anyhow::Result<Self> {
            let text = Value::Object(table.clone()).to_string().replace("{n}", &n.to_string());
            Self::read_one(serde_json::from_str(&text)?)
        };
        (1..=copies).map(copy).collect()
    }

    fn read_one(mut table: Map<String, Value>) -> anyhow::Result<Self> {
        let text = Value::Object(table.clone()).to_string();
        let expectation = Expectation::taken_from(&mut table)?;
        let mut actors = ACTORS.iter().filter(|actor| table.contains_key(**actor));
        let (actor, other) = (actors.next(), actors.next());
        let actor = *actor.with_context(|| format!("nobody acts; one of {}", ACTORS.join(", ")))?;
        ensure!(other.is_none(), "two act at once");
        let action = match actor {
            "client" => client(table)?,
            "thin" => Action::Thin(read(table)?),
            "admin" => {
                let change: Change = read(table)?;
                change.check()?;
                Action::Admin(change)
            }
            "server" => Action::Server(read::<OfServer>(table)?.server),
            "link" => Action::Link(read::<OfLink>(table)?.mode()?),
            "server_sees" => Action::Sees { breaker: read::<OfSight>(table)?.server_sees },
            "recorder" => {
                let asked: OfRecorder = read(table)?;
                ensure!(asked.recorder == "heard", "a recorder is asked what it has `heard`");
                Action::Recorded
            }
            "metrics" => Action::Measure { metric: read::<OfMetrics>(table)?.metrics },
            _ => Action::Wait(Duration::from_millis(read::<OfTime>(table)?.wait)),
        };
        let step = Self { text, expectation: expectation.or_else(|| action.usual()), action };
        step.check()?;
        Ok(step)
    }

    fn check(&self) -> anyhow::Result<()> {
        match (&self.expectation, self.action.answers()) {
            (Some(expectation), Some(answers)) => expectation.check_names(answers),
            (Some(expectation), None) if matches!(self.action, Action::End { .. }) => {
                ensure!(expectation.patience.is_none(), "what ends is not repeated");
                Ok(())
            }
            (None, _) if self.action.only_looks() => {
                anyhow::bail!("it looks and expects nothing")
            }
            (Some(_), None) => anyhow::bail!("nothing is answered here"),
            (None, _) => Ok(()),
        }
    }
}

impl Action {
    /// What is expected where a step says nothing.
    fn usual(&self) -> Option<Expectation> {
        match self {
            Self::Client { command, .. } => command.usual(),
            _ => None,
        }
    }

    /// The fields that an answer can have; none where there is no answer, or nobody knows yet.
    const fn answers(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Client { command, .. } => Some(command.answers()),
            Self::Thin(deed) => Some(deed.answers()),
            Self::Sees { .. } => Some(sight::SHOWN),
            Self::Recorded => Some(recorder::SHOWN),
            Self::Measure { .. } => Some(&["value"]),
            _ => None,
        }
    }

    const fn only_looks(&self) -> bool {
        matches!(self, Self::Sees { .. } | Self::Recorded | Self::Measure { .. })
    }
}

fn client(mut table: Map<String, Value>) -> anyhow::Result<Action> {
    let name = table.remove("client").unwrap_or_default();
    let name = name.as_str().context("`client` is no name")?.to_owned();
    let is_begin = table.remove("begin").is_some_and(|begin| begin == Value::Bool(true));
    if table.get("do").is_some_and(|what| what == "end") {
        ensure!(table.len() == 1 && !is_begin, "`end` has no other fields");
        return Ok(Action::End { name });
    }
    let command = Command::read(table)?;
    Ok(if is_begin { Action::Begin { name, command } } else { Action::Client { name, command } })
}

fn read<T: DeserializeOwned>(table: Map<String, Value>) -> anyhow::Result<T> {
    Ok(serde_json::from_value(Value::Object(table))?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfServer {
    server: server::Event,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfLink {
    link: link::Event,
    bytes_per_second: Option<u32>,
}

impl OfLink {
    fn mode(&self) -> anyhow::Result<link::Mode> {
        Ok(match (self.link, self.bytes_per_second) {
            (link::Event::Slow, Some(bytes_per_second)) if bytes_per_second > 0 => {
                link::Mode::Slow { bytes_per_second }
            }
            (link::Event::Slow, _) => anyhow::bail!("`slow` needs `bytes_per_second`"),
            (_, Some(_)) => anyhow::bail!("`bytes_per_second` belongs to `slow`"),
            (link::Event::Cut, None) => link::Mode::Cut,
            (link::Event::Refuse, None) => link::Mode::Refusing,
            (link::Event::Blackhole, None) => link::Mode::Blackhole,
            (link::Event::Mend, None) => link::Mode::Whole,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSight {
    server_sees: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfRecorder {
    recorder: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfMetrics {
    metrics: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTime {
    wait: u64,
}
