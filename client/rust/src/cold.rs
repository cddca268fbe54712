use std::time::Duration;

use breaker_core::{OnUnavailable, Outcome};
use tokio::time::Instant;

use crate::asks::Asks;
use crate::cell::{Ending, Leave};
use crate::copy::{Held, Known, Step};
use crate::local::{LocalBreaker, LocalDecision, LocalLeave};
use crate::options::LocalGuard;
use crate::runs::Runs;
use crate::state::ClientState;

/// What lies behind the lock of a breaker.
#[derive(Debug)]
pub(crate) struct Cold {
    pub(crate) held: Held,
    /// The snapshot that has last told of it.
    pub(crate) told_in: u64,
    pub(crate) client: ClientState,
    /// How calls ended that wait to be reported.
    pub(crate) runs: Runs,
    /// Decides while the server is away.
    pub(crate) local: Option<LocalBreaker>,
    /// Decides beside the fleet's breaker, where the application asked for it.
    guard: Option<LocalBreaker>,
    pub(crate) asks: Asks,
    ramp_credit: u32,
}

impl Cold {
    pub(crate) fn new(client: ClientState, ramp_credit: u32) -> Self {
        Self {
            held: Held::Unknown,
            told_in: 0,
            client,
            runs: Runs::default(),
            local: None,
            guard: None,
            asks: Asks::default(),
            ramp_credit,
        }
    }

    /// What the copy says to a call, of a breaker of which the server has told nothing `otherwise`
    /// is what to do while it is away.
    pub(crate) fn decide(&mut self, otherwise: OnUnavailable, now: Instant) -> Step {
        self.held.decide(self.client, otherwise, &mut self.ramp_credit, now)
    }

    /// What the breaker of this process says that stands in while the server is away.
    pub(crate) fn decide_locally(&mut self, now: Instant) -> LocalDecision {
        let held = &self.held;
        let local =
            self.local.get_or_insert_with(|| match held.known().is_none_or(Known::is_closed) {
                true => LocalBreaker::closed(held.config(), now),
                false => LocalBreaker::about_to_probe(held.config(), now),
            });
        local.acquire(now)
    }

    /// What the guard beside the fleet's breaker says.
    pub(crate) fn ask_guard(&mut self, own: &LocalGuard, now: Instant) -> LocalDecision {
        let config = match own {
            LocalGuard::Own(config) => config,
            LocalGuard::AsTheBreaker => self.held.config(),
        };
        self.guard.get_or_insert_with(|| LocalBreaker::closed(config, now)).acquire(now)
    }

    /// Gives back the leave of the guard for a call that is not made.
    pub(crate) fn give_back_to_guard(&mut self, leave: LocalLeave, now: Instant) {
        if let Some(guard) = &mut self.guard {
            guard.record(breaker_core::Run::new(Outcome::Ignored, 1), Some(leave), now);
        }
    }

    pub(crate) fn reconfigure_guard(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.reconfigure(self.held.config());
        }
    }

    /// Whether an outcome is the first that is told of a breaker which does not exist yet.
    pub(crate) fn begins_a_breaker(&self) -> bool {
        matches!(self.held, Held::Absent) && !self.runs.begin_a_breaker()
    }

    pub(crate) fn is_slow(&self, duration: Duration) -> bool {
        let slow = self.held.known().and_then(|known| known.config.slow_call_rate());
        slow.is_some_and(|slow| duration > slow.duration)
    }

    /// Tells the breakers of this process how a call ended.
    pub(crate) fn tell_local(&mut self, leave: &Leave, ending: &Ending, outcome: Outcome) {
        if self.local.is_none() && self.guard.is_none() {
            return;
        }
        let run = breaker_core::Run {
            error_kind: ending.error_kind.clone(),
            ..breaker_core::Run::new(outcome, 1).lasting(ending.duration)
        };
        if let Some(guard) = &mut self.guard {
            guard.record(run.clone(), leave.guard, ending.ended_at);
        }
        if let Some(local) = &mut self.local {
            local.record(run, leave.local, ending.ended_at);
        }
    }
}
