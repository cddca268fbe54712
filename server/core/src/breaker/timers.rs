//! What happens to a breaker because time passes.
//!
//! A timer is an event like any other: every entry point first lets pass what was due by `now`,
//! in the order in which it was due and stamped with the time it was due at. A timer that fires
//! late therefore changes nothing but the moment at which others hear of it, which is why a
//! simulation and a server decide alike.

use crate::breaker::Breaker;
use crate::config::Config;
use crate::outcome::{Outcome, Run};
use crate::probes::{Permit, Probes};
use crate::state::State;
use crate::time::Time;
use crate::transition::{Cause, Transition};

enum Timer {
    OverrideExpiry,
    Retry,
    /// A permit is good up to and including its deadline, so the timer is due just after it.
    Permit(Permit),
}

impl Breaker {
    /// The earliest instant at which [`advance`](Self::advance) has something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        self.next_timer().map(|(due, _)| due)
    }

    /// Lets pass what was due by `now`.
    pub fn advance(&mut self, config: &Config, now: Time) -> Vec<Transition> {
        let mut transitions = Vec::new();
        self.pass_timers(config, now, &mut transitions);
        transitions
    }

    pub(super) fn pass_timers(
        &mut self,
        config: &Config,
        now: Time,
        transitions: &mut Vec<Transition>,
    ) {
        while let Some((due, timer)) = self.next_timer().filter(|&(due, _)| due <= now) {
            match timer {
                Timer::OverrideExpiry => {
                    let by = self.override_.as_ref().map(|o| o.by.clone()).unwrap_or_default();
                    self.end_override(Cause::OverrideExpired, by, due, transitions);
                }
                // A failure that was reported late can have opened the breaker after `retry_at`.
                Timer::Retry => {
                    let probes = State::HalfOpen(Probes::new());
                    let at = due.max(self.since);
                    self.enter_by_itself(probes, Cause::OpenElapsed, at, transitions);
                }
                Timer::Permit(permit) => self.expire(config, permit, transitions),
            }
        }
    }

    /// A permit past its deadline counts as a TIMEOUT at the deadline.
    fn expire(&mut self, config: &Config, permit: Permit, transitions: &mut Vec<Transition>) {
        let run = Run::new(Outcome::Timeout, 1).lasting(config.call_timeout());
        self.metrics_mut().record(config, &run, 0..1, Outcome::Timeout, permit.deadline);
        let retry_at = Some(permit.deadline + config.open_duration());
        let open = State::Open { retry_at };
        self.enter_by_itself(open, Cause::ProbeExpired, permit.deadline, transitions);
    }

    /// The timer that is due first. Of two that are due together the override's goes first.
    fn next_timer(&self) -> Option<(Time, Timer)> {
        let expiry = self.override_.as_ref().and_then(|o| o.expires_at);
        let of_state = match &self.state {
            State::Closed => None,
            State::Open { retry_at } => retry_at.map(|at| (at, Timer::Retry)),
            State::HalfOpen(probes) => probes
                .first_to_expire()
                .map(|permit| (permit.deadline.just_after(), Timer::Permit(permit))),
        };
        match (expiry, of_state) {
            (Some(expiry), Some((due, timer))) if due < expiry => Some((due, timer)),
            (Some(expiry), _) => Some((expiry, Timer::OverrideExpiry)),
            (None, of_state) => of_state,
        }
    }
}
