use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// What the suite asks for.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Command {
    Build(Box<Build>),
    Ready { timeout: Millis },
    Breaker { breaker: String },
    Call(Call),
    Acquire { breaker: String, r#as: String },
    Finish { guard: String, outcome: Outcome, kind: Option<String> },
    Drop { guard: String },
    Status { breaker: String },
    Events,
    Flush { timeout: Millis },
    Counts,
    Shutdown,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Build {
    pub(crate) addresses: Vec<String>,
    pub(crate) client_id: Option<String>,
    #[serde(default)]
    pub(crate) selectors: Vec<String>,
    pub(crate) on_unavailable: Option<String>,
    pub(crate) stale_after: Option<Millis>,
    pub(crate) max_staleness: Option<Millis>,
    pub(crate) permit_timeout: Option<Millis>,
    pub(crate) request_timeout: Option<Millis>,
    pub(crate) report_interval: Option<Millis>,
    pub(crate) backoff_least: Option<Millis>,
    pub(crate) backoff_most: Option<Millis>,
    pub(crate) token: Option<String>,
    pub(crate) local_guard: Option<Value>,
    #[serde(default)]
    pub(crate) listen: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) breaker: String,
    #[serde(default)]
    pub(crate) outcome: Outcome,
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) duration: Millis,
    #[serde(default = "once")]
    pub(crate) times: u32,
}

const fn once() -> u32 {
    1
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    #[default]
    Success,
    Failure,
    Timeout,
    Ignored,
}

/// A duration as the suite writes it, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Millis(u64);

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(millis.0)
    }
}
