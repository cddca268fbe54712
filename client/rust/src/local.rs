//! A breaker of this process alone, which decides with the same core as the server.
//!
//! It stands in for the fleet's breaker while the server is away, and beside it where an
//! application asked for a guard of its own.

use breaker_core::{
    Attribution, Breaker, Config, Decision, Mode, PermitId, Report, Run, StateKind, Time,
};
use tokio::time::Instant;

/// A breaker that one process alone asks and tells.
#[derive(Debug)]
pub(crate) struct LocalBreaker {
    config: Box<Config>,
    breaker: Box<Breaker>,
    /// What the breaker's clock says, and when.
    began_at: (Time, Instant),
}

/// On whose leave a call was made, so that its outcome finds the breaker that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalLeave {
    pub(crate) generation: u64,
    pub(crate) permit: Option<PermitId>,
}

/// What the breaker decided, and as what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalDecision {
    pub(crate) decision: Decision,
    pub(crate) leave: LocalLeave,
    pub(crate) state: StateKind,
    pub(crate) mode: Mode,
}

impl LocalBreaker {
    /// One that is CLOSED.
    pub(crate) fn closed(config: &Config, now: Instant) -> Self {
        let config = Box::new(config.for_one_reporter());
        let breaker = Box::new(Breaker::new(Time::EPOCH));
        Self { config, breaker, began_at: (Time::EPOCH, now) }
    }

    /// One that is about to be HALF_OPEN: it has been OPEN until now.
    pub(crate) fn about_to_probe(config: &Config, now: Instant) -> Self {
        let mut local = Self::closed(config, now);
        local.breaker.trip(&local.config, Attribution::default(), Time::EPOCH);
        local.began_at.0 = local.breaker.retry_at().unwrap_or(Time::EPOCH);
        local
    }

    pub(crate) fn acquire(&mut self, now: Instant) -> LocalDecision {
        let now = self.time(now);
        let (decision, _) = self.breaker.acquire(&self.config, now);
        let permit = decision.permit().map(|permit| permit.id);
        LocalDecision {
            decision,
            leave: LocalLeave { generation: self.breaker.generation(), permit },
            state: self.breaker.state(),
            mode: self.breaker.mode(),
        }
    }

    /// Records how a call ended that was made with its leave, or with somebody else's.
    pub(crate) fn record(&mut self, run: Run<'_>, leave: Option<LocalLeave>, now: Instant) {
        let report = match leave {
            Some(LocalLeave { generation, permit }) => {
                Report { permit, ..Report::admitted(run, generation) }
            }
            None => Report::current(run),
        };
        let now = self.time(now);
        self.breaker.record(&self.config, &report, now);
    }

    /// Follows a changed configuration.
    pub(crate) fn reconfigure(&mut self, config: &Config) {
        *self.config = config.for_one_reporter();
        self.breaker.reconfigure(&self.config);
    }

    fn time(&self, now: Instant) -> Time {
        let (time, at) = self.began_at;
        time + now.saturating_duration_since(at)
    }
}
