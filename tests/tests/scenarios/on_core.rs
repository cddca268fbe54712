//! The core by itself: the test calls the state machine and hands it the time.

use std::time::Duration;

use breaker_core::{
    AllowReason, Attribution, Breaker, Config, ConfigPatch, Decision, DenyReason, ErrorKind,
    OverrideKind, PermitId, Report, ReporterId, Run, Time, Transition,
};
use breaker_proto::v1::AcquireReason;
use breaker_wire::{cause_to_message, mode_to_message, state_to_message};
use serde_json::{Value, json};

use crate::model::{Action, Admin, Outcome, Scenario, resolved};
use crate::subject::{Answer, BEGIN_MS, Leave, Seen, Subject, Told, Verdict, or_none, word};

pub(crate) struct OnCore {
    breaker: Breaker,
    config: Config,
    layers: Vec<ConfigPatch>,
    now: Time,
    transitions: Vec<Transition>,
}

impl OnCore {
    pub(crate) fn new(scenario: &Scenario) -> anyhow::Result<Self> {
        let layers = vec![scenario.config.clone()];
        let (config, now) = (resolved(&layers)?, Time::from_millis(BEGIN_MS));
        Ok(Self { breaker: Breaker::new(now), config, layers, now, transitions: Vec::new() })
    }

    fn advance(&mut self) {
        self.transitions.extend(self.breaker.advance(&self.config, self.now));
    }
}

impl Subject for OnCore {
    fn pass_to(&mut self, at_ms: u64) {
        self.now = Time::from_millis(BEGIN_MS + at_ms);
    }

    async fn acquire(&mut self) -> anyhow::Result<Answer> {
        let (decision, transitions) = self.breaker.acquire(&self.config, self.now);
        self.transitions.extend(transitions);
        let (reason, retry_after) = match decision {
            Decision::Allowed(reason) => (allow_reason(reason), None),
            Decision::Denied { reason, retry_after } => (deny_reason(reason), retry_after),
        };
        Ok(Answer {
            is_allowed: decision.is_allowed(),
            reason: word(reason.as_str_name(), "ACQUIRE_REASON_"),
            retry_after_ms: or_none(retry_after.map(millis)),
            leave: Leave {
                generation: self.breaker.generation(),
                permit: decision.permit().map(|permit| permit.id.as_u64()),
            },
        })
    }

    async fn report(&mut self, told: Told<'_>) -> anyhow::Result<()> {
        let run = Run {
            slow_count: told.slow_count,
            error_kind: ErrorKind::parse(told.error_kind)?,
            age: Duration::from_millis(told.age_ms),
            ..Run::new(outcome(told.outcome), told.count)
        };
        let run = run.lasting(Duration::from_millis(told.total_ms));
        let report = match told.leave {
            _ if told.late => Report::late(run),
            Some(leave) => Report::admitted(run, leave.generation),
            None => Report::current(run),
        };
        let report = Report {
            permit: told.leave.and_then(|leave| leave.permit).map(PermitId::from_u64),
            reporter: ReporterId::of(told.reporter),
            ..report
        };
        self.transitions.extend(self.breaker.record(&self.config, &report, self.now));
        Ok(())
    }

    async fn administer(&mut self, admin: &Admin) -> anyhow::Result<Verdict> {
        self.advance();
        let (config, now) = (&self.config, self.now);
        let by = Attribution::new("test", "because")?;
        let held = if self.breaker.is_held() { Verdict::Refused } else { Verdict::Done };
        let ttl = admin.ttl_ms.map(Duration::from_millis);
        let mut set =
            |kind| (Verdict::Done, self.breaker.override_with(config, kind, by.clone(), ttl, now));
        let (verdict, transitions) = match admin.action {
            Action::ForceOpen => set(OverrideKind::ForcedOpen),
            Action::ForceClose => set(OverrideKind::ForcedClosed),
            Action::Disable => set(OverrideKind::Disabled),
            Action::Shadow => set(OverrideKind::Shadow),
            Action::Release => (Verdict::Done, self.breaker.release(config, by, now)),
            Action::Trip => (held, self.breaker.trip(config, by, now)),
            Action::Reset => (held, self.breaker.reset(config, by, now)),
        };
        self.transitions.extend(transitions);
        Ok(verdict)
    }

    async fn reconfigure(&mut self, patch: &ConfigPatch) -> anyhow::Result<()> {
        self.advance();
        self.layers.push(patch.clone());
        self.config = resolved(&self.layers)?;
        self.breaker.reconfigure(&self.config);
        Ok(())
    }

    async fn look(&mut self) -> anyhow::Result<Seen> {
        self.advance();
        let (breaker, config, now) = (&self.breaker, &self.config, self.now);
        let (counts, effective) = (breaker.counts(now), breaker.effective(config));
        let totals = breaker.metrics().map(|metrics| *metrics.totals()).unwrap_or_default();
        let rates = breaker.metrics().map(|metrics| metrics.rates(now)).unwrap_or_default();
        let level = breaker.level(config);
        let last = self.transitions.last();
        let cause = last.map(|last| word(cause_to_message(last.cause).as_str_name(), "CAUSE_"));
        Ok(Seen::from([
            ("state", word(state_to_message(breaker.state()).as_str_name(), "STATE_")),
            ("mode", word(mode_to_message(breaker.mode()).as_str_name(), "MODE_")),
            ("generation", json!(breaker.generation())),
            ("failure_count", json!(counts.failure_count)),
            ("consecutive_failures", json!(counts.consecutive_failures)),
            ("success_count", json!(counts.success_count)),
            ("window_calls", json!(counts.window_calls)),
            ("window_failures", json!(counts.window_failures)),
            ("slow_percent", json!((rates.slow_rate * 100.0).round() as u64)),
            ("level", or_none(level.map(|level| level.name.as_str()))),
            ("serve", or_none(level.map(|level| level.serve.as_str()))),
            ("admit_percent", or_none(breaker.admit_percent(config))),
            ("failure_threshold", json!(effective.failure_threshold)),
            ("open_duration_ms", millis(effective.open_duration)),
            ("success_threshold", json!(effective.success_threshold)),
            ("max_probes", json!(effective.max_probes)),
            ("permits_out", json!(breaker.probes().map_or(0, |probes| probes.out().len()))),
            ("open_left_ms", or_none(breaker.retry_at().map(|at| millis(at.since(now))))),
            ("total_calls", json!(totals.calls())),
            ("timeouts", json!(totals.timeouts)),
            ("ignored", json!(totals.ignored)),
            ("late", json!(totals.late)),
            ("denied", json!(totals.denied)),
            ("transitions", json!(self.transitions.len())),
            ("cause", or_none(cause)),
            ("actor", json!(last.map_or("", |last| last.by.actor()))),
        ]))
    }
}

pub(crate) const fn outcome(outcome: Outcome) -> breaker_core::Outcome {
    match outcome {
        Outcome::Success => breaker_core::Outcome::Success,
        Outcome::Failure => breaker_core::Outcome::Failure,
        Outcome::Timeout => breaker_core::Outcome::Timeout,
        Outcome::Ignored => breaker_core::Outcome::Ignored,
    }
}

/// Milliseconds, as a whole number where they are whole.
pub(crate) fn millis(duration: Duration) -> Value {
    let whole = duration.as_millis() as u64;
    if Duration::from_millis(whole) == duration {
        json!(whole)
    } else {
        json!(duration.as_secs_f64() * 1_000.0)
    }
}

const fn allow_reason(reason: AllowReason) -> AcquireReason {
    match reason {
        AllowReason::Closed => AcquireReason::Closed,
        AllowReason::Probe(_) => AcquireReason::Probe,
        AllowReason::Ramp => AcquireReason::Ramp,
        AllowReason::ForcedClosed => AcquireReason::ForcedClosed,
        AllowReason::Disabled => AcquireReason::Disabled,
        AllowReason::Shadow => AcquireReason::Shadow,
    }
}

const fn deny_reason(reason: DenyReason) -> AcquireReason {
    match reason {
        DenyReason::Open => AcquireReason::Open,
        DenyReason::NoPermit => AcquireReason::NoPermit,
        DenyReason::Ramp => AcquireReason::RampFull,
        DenyReason::ForcedOpen => AcquireReason::ForcedOpen,
    }
}
