//! A server that is spoken to over gRPC, under a clock of the test's choice.
//!
//! The server writes transitions into its journal behind the call that caused them, and tells
//! watchers afterwards: once a watcher knows a breaker's revision, its transitions can be listed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use breaker_core::{ConfigPatch, Time};
use breaker_engine::ManualClock;
use breaker_proto::v1;
use breaker_tests::{Clients, acquire, create, selecting};
use breaker_wire::patch_to_message;
use serde_json::{Value, json};
use tonic::{Code, Status, Streaming};

use crate::model::{Action, Admin, Outcome, Scenario};
use crate::on_core::millis;
use crate::subject::{Answer, BEGIN_MS, Leave, Seen, Subject, Told, Verdict, or_none, word};

/// A watcher that hears nothing for so long hears nothing any more.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct OnServer {
    clock: Arc<ManualClock>,
    clients: Clients,
    name: String,
    changes: Streaming<v1::WatchResponse>,
    /// The revision that the watcher knows.
    revision: u64,
}

impl OnServer {
    /// Creates the breaker of a scenario.
    ///
    /// # Errors
    /// If the server refuses it.
    pub(crate) async fn create(
        clock: Arc<ManualClock>,
        mut clients: Clients,
        name: String,
        scenario: &Scenario,
    ) -> anyhow::Result<Self> {
        let config = patch_to_message(&scenario.config);
        clients.admin.create_breaker(create(&name, config)).await?;
        let watch = v1::WatchRequest { selectors: vec![name.clone()], resume_token: Vec::new() };
        let changes = clients.breakers.watch(watch).await?.into_inner();
        Ok(Self { clock, clients, name, changes, revision: 0 })
    }

    async fn transitions(&mut self, revision: u64) -> anyhow::Result<Vec<v1::Transition>> {
        while self.revision < revision {
            let message = tokio::time::timeout(PATIENCE, self.changes.message()).await;
            let message = message.context("the watcher hears nothing")??;
            let changed = message.context("the watch ended")?.changed;
            let revisions = changed.iter().map(|state| state.revision);
            self.revision = revisions.fold(self.revision, u64::max);
        }
        let request = v1::ListTransitionsRequest {
            selector: self.name.clone(),
            page_size: 1_000,
            ..v1::ListTransitionsRequest::default()
        };
        Ok(self.clients.admin.list_transitions(request).await?.into_inner().transitions)
    }
}

impl Subject for OnServer {
    fn pass_to(&mut self, at_ms: u64) {
        self.clock.advance_to(Time::from_millis(BEGIN_MS + at_ms));
    }

    async fn acquire(&mut self) -> anyhow::Result<Answer> {
        let answer = self.clients.breakers.acquire(acquire(&self.name)).await?.into_inner();
        Ok(Answer {
            is_allowed: answer.allowed,
            reason: word(answer.reason().as_str_name(), "ACQUIRE_REASON_"),
            retry_after_ms: or_none(answer.retry_after.map(length).transpose()?),
            leave: Leave {
                generation: answer.generation,
                permit: answer.permit.map(|permit| permit.id),
            },
        })
    }

    async fn report(&mut self, told: Told<'_>) -> anyhow::Result<()> {
        let run = v1::Run {
            outcome: outcome(told.outcome).into(),
            count: told.count,
            total_duration: Some(lasting(told.total_ms)),
            max_duration: None,
            slow_count: told.slow_count,
            error_kind: told.error_kind.to_owned(),
            age: Some(lasting(told.age_ms)),
            permit_id: told.leave.and_then(|leave| leave.permit).unwrap_or(0),
        };
        let report = v1::BreakerReport {
            breaker: self.name.clone(),
            generation: told.leave.map_or(0, |leave| leave.generation),
            runs: vec![run],
            late: told.late,
        };
        let request = v1::ReportRequest {
            reporter_id: told.reporter.to_owned(),
            sequence: 0,
            reports: vec![report],
        };
        self.clients.breakers.report(request).await?;
        Ok(())
    }

    async fn administer(&mut self, admin: &Admin) -> anyhow::Result<Verdict> {
        let (target, time_to_live) = (selecting(&self.name), admin.ttl_ms.map(lasting));
        let client = &mut self.clients.admin;
        let result = match admin.action {
            Action::ForceOpen => {
                done(client.force_open(v1::ForceOpenRequest { target, time_to_live }).await)
            }
            Action::ForceClose => {
                done(client.force_close(v1::ForceCloseRequest { target, time_to_live }).await)
            }
            Action::Disable => {
                done(client.disable(v1::DisableRequest { target, time_to_live }).await)
            }
            Action::Shadow => done(client.shadow(v1::ShadowRequest { target, time_to_live }).await),
            Action::Release => done(client.release(v1::ReleaseRequest { target }).await),
            Action::Trip => done(client.trip(v1::TripRequest { target }).await),
            Action::Reset => done(client.reset(v1::ResetRequest { target }).await),
        };
        match result {
            Ok(()) => Ok(Verdict::Done),
            Err(status) if status.code() == Code::FailedPrecondition => Ok(Verdict::Refused),
            Err(status) => Err(status.into()),
        }
    }

    async fn reconfigure(&mut self, patch: &ConfigPatch) -> anyhow::Result<()> {
        let request = v1::UpdateBreakerRequest {
            name: self.name.clone(),
            config: Some(patch_to_message(patch)),
            ..v1::UpdateBreakerRequest::default()
        };
        self.clients.admin.update_breaker(request).await?;
        Ok(())
    }

    async fn look(&mut self) -> anyhow::Result<Seen> {
        let request = v1::GetBreakerRequest { name: self.name.clone() };
        let answer = self.clients.admin.get_breaker(request).await?.into_inner();
        let breaker = answer.breaker.context("a breaker")?;
        let state = breaker.state.as_ref().context("a state")?;
        let transitions = self.transitions(state.revision).await?;
        let mut seen = seen(&breaker, state)?;
        let last = transitions.first();
        seen.extend([
            ("transitions", json!(transitions.len())),
            ("cause", or_none(last.map(|last| word(last.cause().as_str_name(), "CAUSE_")))),
            ("actor", json!(last.map_or("", |last| last.actor.as_str()))),
        ]);
        Ok(seen)
    }
}

fn seen(breaker: &v1::Breaker, state: &v1::BreakerState) -> anyhow::Result<Seen> {
    let counts = breaker.counts.context("counts")?;
    let metrics = breaker.metrics.as_ref().context("metrics")?;
    let effective = state.effective.context("effective values")?;
    let level = state.level.as_ref();
    Ok(Seen::from([
        ("state", word(state.state().as_str_name(), "STATE_")),
        ("mode", word(state.mode().as_str_name(), "MODE_")),
        ("generation", json!(state.generation)),
        ("failure_count", json!(counts.failure_count)),
        ("consecutive_failures", json!(counts.consecutive_failures)),
        ("success_count", json!(counts.success_count)),
        ("window_calls", json!(counts.window_calls)),
        ("window_failures", json!(counts.window_failures)),
        ("slow_percent", json!((metrics.slow_rate * 100.0).round() as u64)),
        ("level", or_none(level.map(|level| level.name.as_str()))),
        ("serve", or_none(level.map(|level| level.serve.as_str()))),
        ("admit_percent", or_none(state.admit_percent)),
        ("failure_threshold", json!(effective.failure_threshold)),
        ("open_duration_ms", length(effective.open_duration.context("an open duration")?)?),
        ("success_threshold", json!(effective.success_threshold)),
        ("max_probes", json!(effective.max_probes)),
        ("permits_out", json!(breaker.permits_out)),
        ("open_left_ms", or_none(breaker.retry_after.map(length).transpose()?)),
        ("total_calls", json!(metrics.total_calls)),
        ("timeouts", json!(metrics.timeouts)),
        ("ignored", json!(metrics.ignored)),
        ("late", json!(metrics.late)),
        ("denied", json!(metrics.denied)),
    ]))
}

fn done<T>(answer: Result<T, Status>) -> Result<(), Status> {
    answer.map(|_| ())
}

const fn outcome(outcome: Outcome) -> v1::Outcome {
    match outcome {
        Outcome::Success => v1::Outcome::Success,
        Outcome::Failure => v1::Outcome::Failure,
        Outcome::Timeout => v1::Outcome::Timeout,
        Outcome::Ignored => v1::Outcome::Ignored,
    }
}

fn lasting(millis: u64) -> prost_types::Duration {
    breaker_wire::duration_to_message(Duration::from_millis(millis))
}

fn length(message: prost_types::Duration) -> anyhow::Result<Value> {
    match Duration::try_from(message) {
        Ok(duration) => Ok(millis(duration)),
        Err(error) => bail!("{message:?} is no length of time: {error}"),
    }
}
