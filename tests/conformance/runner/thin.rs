//! Another replica of the fleet, which speaks Acquire and Report directly.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use breaker_proto::v1;
use breaker_tests::{Clients, acquire};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::command::Outcome;
use crate::sight::word;

/// What such a replica does.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "thin", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Deed {
    /// Asks for leave and keeps it under a name.
    Acquire { breaker: String, r#as: String },
    /// Tells how a call that had leave has ended.
    Finish { guard: String, outcome: Outcome },
    /// Tells how calls have ended.
    Report(Told),
}

/// Calls that have ended one after another.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    breaker: String,
    outcome: Outcome,
    #[serde(default = "one")]
    count: u32,
    #[serde(default)]
    kind: String,
    #[serde(default = "another")]
    reporter: String,
    /// The generation under which they were admitted; 0 is the current one.
    #[serde(default)]
    generation: u64,
}

const fn one() -> u32 {
    1
}

fn another() -> String {
    "another".to_owned()
}

/// What it has leave for, by name.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    guards: BTreeMap<String, Guard>,
}

#[derive(Debug)]
struct Guard {
    breaker: String,
    generation: u64,
    permit_id: u64,
}

impl Deed {
    /// The fields that an answer can have.
    pub(crate) const fn answers(&self) -> &'static [&'static str] {
        match self {
            Self::Acquire { .. } => {
                &["allowed", "reason", "state", "probe", "generation", "retry_after"]
            }
            Self::Finish { .. } | Self::Report(_) => &["error"],
        }
    }
}

impl Replica {
    /// Does something; returns what the server answered.
    ///
    /// # Errors
    /// If the server refuses it.
    pub(crate) async fn act(
        &mut self,
        clients: Clients,
        deed: &Deed,
    ) -> anyhow::Result<Map<String, Value>> {
        match deed {
            Deed::Acquire { breaker, r#as } => self.acquire(clients, breaker, r#as).await,
            Deed::Finish { guard, outcome } => {
                let guard = self.guards.remove(guard);
                let Guard { breaker, generation, permit_id } = guard.context("no such guard")?;
                let (outcome, count) = (message(*outcome), 1);
                let run = v1::Run { outcome, count, permit_id, ..v1::Run::default() };
                report(clients, "another", &breaker, generation, run).await
            }
            Deed::Report(told) => {
                let Told { breaker, outcome, count, kind, reporter, generation } = told.clone();
                let (outcome, error_kind) = (message(outcome), kind);
                let run = v1::Run { outcome, count, error_kind, ..v1::Run::default() };
                report(clients, &reporter, &breaker, generation, run).await
            }
        }
    }

    async fn acquire(
        &mut self,
        mut clients: Clients,
        breaker: &str,
        name: &str,
    ) -> anyhow::Result<Map<String, Value>> {
        let answer = clients.breakers.acquire(acquire(breaker)).await?.into_inner();
        let reason = word(answer.reason().as_str_name(), "ACQUIRE_REASON_");
        let state = word(answer.state().as_str_name(), "STATE_");
        let permit_id = answer.permit.as_ref().map_or(0, |permit| permit.id);
        let (breaker, generation) = (breaker.to_owned(), answer.generation);
        if answer.allowed {
            self.guards.insert(name.to_owned(), Guard { breaker, generation, permit_id });
        }
        let retry_after = answer.retry_after.and_then(|left| Duration::try_from(left).ok());
        Ok(Map::from_iter([
            ("allowed".to_owned(), json!(answer.allowed)),
            ("reason".to_owned(), json!(reason)),
            ("state".to_owned(), json!(state)),
            ("probe".to_owned(), json!(permit_id != 0)),
            ("generation".to_owned(), json!(generation)),
            ("retry_after".to_owned(), json!(retry_after.map(millis))),
        ]))
    }
}

async fn report(
    mut clients: Clients,
    reporter: &str,
    breaker: &str,
    generation: u64,
    run: v1::Run,
) -> anyhow::Result<Map<String, Value>> {
    let breaker = breaker.to_owned();
    let report = v1::BreakerReport { breaker, generation, runs: vec![run], late: false };
    let request =
        v1::ReportRequest { reporter_id: reporter.to_owned(), sequence: 0, reports: vec![report] };
    clients.breakers.report(request).await?;
    Ok(Map::new())
}

const fn message(outcome: Outcome) -> i32 {
    match outcome {
        Outcome::Success => v1::Outcome::Success as i32,
        Outcome::Failure => v1::Outcome::Failure as i32,
        Outcome::Timeout => v1::Outcome::Timeout as i32,
        Outcome::Ignored => v1::Outcome::Ignored as i32,
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
