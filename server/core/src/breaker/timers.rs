//! What happens to a breaker because time passes.
//!
//! A timer is an event like any other: every entry point first lets pass what was due by `now`,
//! in the order in which it was due and stamped with the time it was due at. A timer that fires
//! late therefore changes nothing but the moment at which others hear of it, which is why a
//! simulation and a server decide alike.

use crate::breaker::{Breaker, Change};
use crate::config::{Config, ExpiredProbe};
use crate::outcome::{Calls, Outcome};
use crate::overrides::Attribution;
use crate::probes::Permit;
use crate::state::State;
use crate::time::{Time, nanos};
use crate::transition::{Cause, Transition};

enum Timer {
    OverrideExpiry,
    Retry,
    /// A permit is good up to and including its deadline, so the timer is due just after it.
    Permit(Permit),
    RampStep,
    Deescalation,
}

impl Breaker {
    /// The earliest instant at which [`advance`](Self::advance) has something to do.
    pub fn next_deadline(&self, config: &Config) -> Option<Time> {
        self.next_timer(config).map(|(due, _)| due)
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
        while let Some((due, timer)) = self.next_timer(config).filter(|&(due, _)| due <= now) {
            match timer {
                Timer::OverrideExpiry => {
                    let by = self.override_.as_ref().map(|o| o.by.clone()).unwrap_or_default();
                    self.end_override(config, Cause::OverrideExpired, by, due, transitions);
                }
                // A failure that was reported late can have opened the breaker after `retry_at`.
                Timer::Retry => {
                    let at = due.max(self.since);
                    let cause = Cause::OpenElapsed;
                    self.enter_by_itself(config, State::probing(), cause, at, transitions);
                }
                Timer::Permit(permit) => self.expire(config, permit, transitions),
                Timer::RampStep => self.step_up(config, due, transitions),
                Timer::Deescalation => self.deescalate(config, due, transitions),
            }
        }
    }

    /// A permit past its deadline counts, at its deadline, as what the configuration says.
    fn expire(&mut self, config: &Config, permit: Permit, transitions: &mut Vec<Transition>) {
        self.take_back(permit.id);
        let lasted = config.call_timeout();
        let calls = Calls {
            outcome: match config.expired_probe() {
                ExpiredProbe::Timeout => Outcome::Timeout,
                ExpiredProbe::Ignore => Outcome::Ignored,
            },
            count: 1,
            nanos: nanos(lasted),
            is_slow: config.slow_call_rate().is_some_and(|slow| lasted > slow.duration),
            error_kind: None,
            ended_at: permit.deadline,
            reporter: None,
        };
        let at = permit.deadline;
        self.metrics_mut(config).record(&calls, at);
        if self.ramping().is_some() {
            self.count(config, &calls, at, transitions);
        } else {
            self.take_in_probe(config, &calls, Cause::ProbeExpired, at, transitions);
        }
    }

    /// The next step of the ramp, or CLOSED after the last one.
    fn step_up(&mut self, config: &Config, due: Time, transitions: &mut Vec<Transition>) {
        let State::HalfOpen(half_open) = &mut self.state else { return };
        half_open.ramp = half_open.ramp.and_then(|ramping| ramping.next(config.ramp()));
        if half_open.ramp.is_none() {
            let cause = Cause::RampCompleted;
            self.enter_by_itself(config, State::Closed, cause, due, transitions);
        }
    }

    /// Comes down one level.
    fn deescalate(&mut self, config: &Config, due: Time, transitions: &mut Vec<Transition>) {
        let from_level = self.level_name(config);
        let memory = self.memory_mut(due);
        memory.level = memory.level.saturating_sub(1);
        memory.level_since = due;
        let by = Attribution::default();
        // A configuration that lets it come down sooner does not reach back before the last change.
        let at = self.override_.as_ref().map_or(due, |o| due.max(o.set_at));
        let change = Change { state: None, mode: None, cause: Cause::Deescalated, by, at };
        self.change_from_level(config, change, from_level, transitions);
    }

    /// The timer that is due first. Of two that are due together the override's goes first.
    fn next_timer(&self, config: &Config) -> Option<(Time, Timer)> {
        let expiry = self.override_.as_ref().and_then(|o| o.expires_at);
        let of_state = match &self.state {
            State::Closed => self.deescalates_at(config).map(|at| (at, Timer::Deescalation)),
            State::Open { retry_at } => retry_at.map(|at| (at, Timer::Retry)),
            State::HalfOpen(half_open) => {
                let permit = half_open
                    .probes
                    .first_to_expire()
                    .map(|permit| (permit.deadline.just_after(), Timer::Permit(permit)));
                let step = half_open.ramp.map(|ramping| (ramping.ends_at, Timer::RampStep));
                permit.into_iter().chain(step).min_by_key(|(due, _)| *due)
            }
        };
        match (expiry, of_state) {
            (Some(expiry), Some((due, timer))) if due < expiry => Some((due, timer)),
            (Some(expiry), _) => Some((expiry, Timer::OverrideExpiry)),
            (None, of_state) => of_state,
        }
    }

    /// When a CLOSED breaker comes down one level, if it is on one that is not the first.
    fn deescalates_at(&self, config: &Config) -> Option<Time> {
        let memory = self.memory.as_deref().filter(|memory| memory.level > 0)?;
        let levels = config.levels().filter(|_| !self.is_held())?;
        Some(memory.level_since + levels.deescalate_after)
    }
}
