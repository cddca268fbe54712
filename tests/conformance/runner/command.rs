//! What a driver can be told, word for word as in `client/README.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;
use breaker_wire::patch_from_value;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::expectation::Expectation;
use crate::site::Place;

/// One line to a driver.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Command {
    Build(Build),
    Ready { timeout: u64 },
    Breaker { breaker: String },
    Call(Call),
    Acquire { breaker: String, r#as: String },
    Finish(Finish),
    Drop { guard: String },
    Status { breaker: String },
    Events {},
    Flush { timeout: u64 },
    Counts {},
    Shutdown {},
}

/// How a client is built. Times are in milliseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Build {
    #[serde(default = "the_server")]
    pub(crate) addresses: Vec<Place>,
    #[serde(flatten)]
    options: BTreeMap<String, Value>,
}

/// What can be said of a client beside its addresses.
const BUILD_OPTIONS: &[&str] = &[
    "client_id",
    "selectors",
    "on_unavailable",
    "stale_after",
    "max_staleness",
    "permit_timeout",
    "request_timeout",
    "report_interval",
    "backoff_least",
    "backoff_most",
    "token",
    "local_guard",
    "listen",
];

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    breaker: String,
    outcome: Option<Outcome>,
    kind: Option<String>,
    /// How long each call takes.
    duration: Option<u64>,
    times: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finish {
    guard: String,
    outcome: Outcome,
    kind: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Success,
    Failure,
    Timeout,
    Ignored,
}

impl Command {
    /// Reads a command, which is what is left of a step.
    ///
    /// # Errors
    /// Whatever a driver would not know.
    pub(crate) fn read(step: Map<String, Value>) -> anyhow::Result<Self> {
        let command: Self = serde_json::from_value(Value::Object(step))?;
        if let Self::Build(build) = &command {
            build.check()?;
        }
        Ok(command)
    }

    /// The fields that an answer can have. `took` is how long it took, in milliseconds.
    pub(crate) const fn answers(&self) -> &'static [&'static str] {
        match self {
            Self::Build(_) | Self::Breaker { .. } | Self::Finish(_) | Self::Drop { .. } => {
                &["error", "took"]
            }
            Self::Ready { .. } => &["ready", "error", "took"],
            Self::Call(_) => &[
                "allowed",
                "denied",
                "decided_in",
                "reason",
                "retry_after",
                "level",
                "serve",
                "error",
                "took",
            ],
            Self::Acquire { .. } => &[
                "allowed",
                "denied",
                "decided_in",
                "probe",
                "generation",
                "reason",
                "retry_after",
                "level",
                "serve",
                "error",
                "took",
            ],
            Self::Status { .. } => {
                &["client", "state", "mode", "generation", "revision", "level", "error", "took"]
            }
            Self::Events {} => &["transitions", "states", "error", "took"],
            Self::Flush { .. } | Self::Shutdown {} => &["flushed", "error", "took"],
            Self::Counts {} => &["given_up", "waiting", "error", "took"],
        }
    }

    /// What is expected where a step says nothing.
    pub(crate) fn usual(&self) -> Option<Expectation> {
        match self {
            Self::Ready { .. } => Some(Expectation::is_true("ready")),
            Self::Acquire { .. } => Some(Expectation::is_true("allowed")),
            Self::Flush { .. } => Some(Expectation::is_true("flushed")),
            _ => None,
        }
    }

    /// How long the command takes by what it says itself.
    pub(crate) fn length(&self) -> Duration {
        Duration::from_millis(match self {
            Self::Ready { timeout } | Self::Flush { timeout } => *timeout,
            Self::Call(call) => call.duration.unwrap_or(0) * call.times.unwrap_or(1),
            _ => 0,
        })
    }

    /// The line to the driver.
    pub(crate) fn line(&self, address: impl Fn(Place) -> String) -> Value {
        let mut line = json!(self);
        if let Value::Object(fields) = &mut line {
            fields.retain(|_, value| !value.is_null());
        }
        if let Self::Build(build) = self {
            line["addresses"] = build.addresses.iter().map(|place| address(*place)).collect();
        }
        line
    }
}

impl Build {
    fn check(&self) -> anyhow::Result<()> {
        for (name, value) in &self.options {
            anyhow::ensure!(
                BUILD_OPTIONS.contains(&name.as_str()),
                "`build` has no `{name}`; there are: {}",
                BUILD_OPTIONS.join(", ")
            );
            if name == "local_guard" {
                check_config(value)?;
            }
        }
        Ok(())
    }
}

/// Looks whether a configuration is one.
///
/// # Errors
/// Every value that is refused.
pub(crate) fn check_config(config: &Value) -> anyhow::Result<()> {
    patch_from_value(config).map(drop).map_err(|refused| {
        let lines: Vec<_> = refused.iter().map(ToString::to_string).collect();
        anyhow!("{}", lines.join("; "))
    })
}

fn the_server() -> Vec<Place> {
    vec![Place::Server]
}
