//! What a scenario is played on, and what is seen there.

use std::collections::BTreeMap;

use breaker_core::ConfigPatch;
use serde_json::{Value, json};

use crate::model::{Admin, Outcome};

/// When every scenario begins, in milliseconds since the epoch. A whole number of buckets of any
/// window over time, so that scenarios can tell when a bucket leaves.
pub(crate) const BEGIN_MS: u64 = 1_800_000_000_000;

/// What is seen, by the keys of an expectation.
pub(crate) type Seen = BTreeMap<&'static str, Value>;

/// The answer to a call that asks for leave.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) is_allowed: bool,
    pub(crate) reason: Value,
    pub(crate) retry_after_ms: Value,
    pub(crate) leave: Leave,
}

/// What a call was admitted under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leave {
    pub(crate) generation: u64,
    pub(crate) permit: Option<u64>,
}

/// How calls ended.
pub(crate) struct Told<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) count: u32,
    /// Of all of them.
    pub(crate) total_ms: u64,
    pub(crate) slow_count: u32,
    pub(crate) error_kind: &'a str,
    pub(crate) reporter: &'a str,
    pub(crate) age_ms: u64,
    /// Whether they are told as history.
    pub(crate) late: bool,
    pub(crate) leave: Option<Leave>,
}

/// Whether a change was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// An override holds the breaker.
    Refused,
}

/// One breaker, wherever it lives.
pub(crate) trait Subject {
    /// Lets time pass, up to so long after the beginning.
    fn pass_to(&mut self, at_ms: u64);

    async fn acquire(&mut self) -> anyhow::Result<Answer>;

    async fn report(&mut self, told: Told<'_>) -> anyhow::Result<()>;

    async fn administer(&mut self, admin: &Admin) -> anyhow::Result<Verdict>;

    async fn reconfigure(&mut self, patch: &ConfigPatch) -> anyhow::Result<()>;

    async fn look(&mut self) -> anyhow::Result<Seen>;
}

/// What stands for a value that is not there.
pub(crate) fn or_none(value: Option<impl Into<Value>>) -> Value {
    value.map_or_else(|| json!("none"), Into::into)
}

/// The word of an enum's value: its name without that of the enum.
pub(crate) fn word(name: &'static str, prefix: &str) -> Value {
    json!(name.strip_prefix(prefix).unwrap_or(name))
}
