//! The state machine itself: what a breaker is, what can be asked of it, and what admins do to it.
//!
//! The time that callers pass in must not run backwards from one event to the next.

mod record;
mod timers;

use std::time::Duration;

use crate::config::Config;
use crate::counters::Counters;
use crate::decision::{AllowReason, Decision, DenyReason};
use crate::metrics::Metrics;
use crate::overrides::{Attribution, Mode, Override, OverrideKind};
use crate::probes::{PermitId, Probes, was_handed_out};
use crate::state::{State, StateKind};
use crate::time::Time;
use crate::transition::{Cause, Counts, Transition};

/// The generation of a breaker that was never there before.
pub const GENERATION_START: u64 = 1;

/// One circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    pub(crate) state: State,
    pub(crate) since: Time,
    pub(crate) generation: u64,
    pub(crate) counters: Counters,
    pub(crate) override_: Option<Box<Override>>,
    /// Allocated at the first call, so that an idle breaker stays small.
    pub(crate) metrics: Option<Box<Metrics>>,
}

impl Breaker {
    /// A CLOSED breaker that was never there before.
    pub const fn new(now: Time) -> Self {
        Self::with_generation(now, GENERATION_START)
    }

    /// A CLOSED breaker whose generations start here: above those of a deleted breaker of the
    /// same name, whose calls may still be in flight.
    pub const fn with_generation(now: Time, generation: u64) -> Self {
        Self {
            state: State::Closed,
            since: now,
            generation,
            counters: Counters::ZERO,
            override_: None,
            metrics: None,
        }
    }

    /// The state.
    pub const fn state(&self) -> StateKind {
        self.state.kind()
    }

    /// When the state began.
    pub const fn since(&self) -> Time {
        self.since
    }

    /// The generation: grows by one with each change of state.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.override_.as_ref().map_or(Mode::Normal, |o| o.kind.mode())
    }

    /// The override in force.
    pub fn override_in_force(&self) -> Option<&Override> {
        self.override_.as_deref()
    }

    /// When OPEN ends by itself; `None` in other states and under FORCED_OPEN.
    pub const fn retry_at(&self) -> Option<Time> {
        match self.state {
            State::Open { retry_at } => retry_at,
            State::Closed | State::HalfOpen(_) => None,
        }
    }

    /// The probes of a HALF_OPEN breaker.
    pub const fn probes(&self) -> Option<&Probes> {
        match &self.state {
            State::HalfOpen(probes) => Some(probes),
            State::Closed | State::Open { .. } => None,
        }
    }

    /// The counts as they are now.
    pub fn counts(&self) -> Counts {
        let window = self.metrics.as_ref().map(|metrics| &metrics.window);
        Counts {
            failure_count: self.counters.failures,
            consecutive_failures: self.counters.consecutive,
            success_count: self.probes().map_or(0, Probes::successes),
            window_calls: window.map_or(0, |w| w.len()),
            window_failures: window.map_or(0, |w| w.failures()),
        }
    }

    /// The metrics; `None` before the first call.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_deref()
    }

    /// Asks whether a call may be made.
    pub fn acquire(&mut self, config: &Config, now: Time) -> (Decision, Vec<Transition>) {
        let transitions = self.advance(config, now);
        let decision = self.decide(config, now);
        if !decision.is_allowed() {
            self.metrics_mut().totals.denied += 1;
        }
        (decision, transitions)
    }

    /// Whether the breaker can have handed out this permit, now or earlier.
    pub fn knows_permit(&self, id: PermitId) -> bool {
        was_handed_out(id, self.generation, self.probes())
    }

    /// Sets an override. Setting one over another replaces it.
    pub fn override_with(
        &mut self,
        config: &Config,
        kind: OverrideKind,
        by: Attribution,
        time_to_live: Option<Duration>,
        now: Time,
    ) -> Vec<Transition> {
        let mut transitions = self.advance(config, now);
        let (state, cause) = match kind {
            OverrideKind::ForcedOpen => (Some(State::Open { retry_at: None }), Cause::ForcedOpen),
            OverrideKind::ForcedClosed => (Some(State::Closed), Cause::ForcedClosed),
            OverrideKind::Disabled => (Some(State::Closed), Cause::Disabled),
            // A breaker held open would stay so without a timer: it goes on as if released.
            OverrideKind::Shadow if self.mode() == Mode::ForcedOpen => {
                (Some(State::HalfOpen(Probes::new())), Cause::Shadowed)
            }
            OverrideKind::Shadow => (None, Cause::Shadowed),
        };
        let expires_at = time_to_live.map(|ttl| now + ttl);
        let new = Override { kind, by: by.clone(), set_at: now, expires_at };
        self.change(Change { state, mode: Some(Some(new)), cause, by, at: now }, &mut transitions);
        transitions
    }

    /// Ends the override in force, if there is one: FORCED_OPEN goes to HALF_OPEN, to probe first,
    /// every other mode to CLOSED.
    pub fn release(&mut self, config: &Config, by: Attribution, now: Time) -> Vec<Transition> {
        let mut transitions = self.advance(config, now);
        self.end_override(Cause::Released, by, now, &mut transitions);
        transitions
    }

    /// Opens the breaker for `open_duration`; its automatic life goes on. A breaker that is
    /// [held](Self::is_held) stays as it is.
    pub fn trip(&mut self, config: &Config, by: Attribution, now: Time) -> Vec<Transition> {
        let state = State::Open { retry_at: Some(now + config.open_duration()) };
        self.enter_unless_held(config, state, Cause::Tripped, by, now)
    }

    /// Closes the breaker with fresh counters; its automatic life goes on. A breaker that is
    /// [held](Self::is_held) stays as it is.
    pub fn reset(&mut self, config: &Config, by: Attribution, now: Time) -> Vec<Transition> {
        self.enter_unless_held(config, State::Closed, Cause::Reset, by, now)
    }

    /// Takes over a changed configuration, losing nothing but the calls that a smaller window has
    /// no room for. Conditions are judged anew at the next outcome. What was due before the change
    /// is due under the configuration before it: [`advance`](Self::advance) with that one first.
    pub fn reconfigure(&mut self, config: &Config) {
        if let Some(metrics) = &mut self.metrics {
            metrics.window.truncate(config.window_calls());
        }
    }

    /// Whether an override stops the automatic transitions: any but SHADOW.
    pub fn is_held(&self) -> bool {
        !matches!(self.mode(), Mode::Normal | Mode::Shadow)
    }

    fn metrics_mut(&mut self) -> &mut Metrics {
        self.metrics.get_or_insert_default()
    }

    fn decide(&mut self, config: &Config, now: Time) -> Decision {
        let mode = self.mode();
        match mode {
            Mode::ForcedOpen => {
                let expires_at = self.override_.as_ref().and_then(|o| o.expires_at);
                let retry_after = expires_at.map(|at| at.since(now));
                return Decision::Denied { reason: DenyReason::ForcedOpen, retry_after };
            }
            Mode::ForcedClosed => return Decision::Allowed(AllowReason::ForcedClosed),
            Mode::Disabled => return Decision::Allowed(AllowReason::Disabled),
            Mode::Normal | Mode::Shadow => {}
        }
        let (reason, retry_at) = match &mut self.state {
            State::Closed => return Decision::Allowed(AllowReason::Closed),
            State::Open { retry_at } => (DenyReason::Open, *retry_at),
            State::HalfOpen(probes)
                if (probes.out().len() as u64) < u64::from(config.max_probes()) =>
            {
                let permit = probes.hand_out(self.generation, now + config.call_timeout());
                return Decision::Allowed(AllowReason::Probe(permit));
            }
            State::HalfOpen(probes) => {
                let first = probes.first_to_expire();
                (DenyReason::NoPermit, first.map(|permit| permit.deadline))
            }
        };
        match mode {
            Mode::Shadow => Decision::Allowed(AllowReason::Shadow),
            _ => Decision::Denied { reason, retry_after: retry_at.map(|at| at.since(now)) },
        }
    }

    fn take_back(&mut self, id: PermitId) -> bool {
        match &mut self.state {
            State::HalfOpen(probes) => probes.take_back(id),
            State::Closed | State::Open { .. } => false,
        }
    }

    fn enter_unless_held(
        &mut self,
        config: &Config,
        state: State,
        cause: Cause,
        by: Attribution,
        at: Time,
    ) -> Vec<Transition> {
        let mut transitions = self.advance(config, at);
        if !self.is_held() {
            let change = Change { state: Some(state), mode: None, cause, by, at };
            self.change(change, &mut transitions);
        }
        transitions
    }

    fn enter_by_itself(
        &mut self,
        state: State,
        cause: Cause,
        at: Time,
        transitions: &mut Vec<Transition>,
    ) {
        let by = Attribution::default();
        self.change(Change { state: Some(state), mode: None, cause, by, at }, transitions);
    }

    fn end_override(
        &mut self,
        cause: Cause,
        by: Attribution,
        at: Time,
        transitions: &mut Vec<Transition>,
    ) {
        let state = match self.mode() {
            Mode::Normal => return,
            Mode::ForcedOpen => State::HalfOpen(Probes::new()),
            Mode::ForcedClosed | Mode::Disabled | Mode::Shadow => State::Closed,
        };
        self.change(Change { state: Some(state), mode: Some(None), cause, by, at }, transitions);
    }

    /// The one place where state and mode change, and where a transition is made.
    fn change(&mut self, change: Change, transitions: &mut Vec<Transition>) {
        let Change { state, mode, cause, by, at } = change;
        let (from, from_mode, counts) = (self.state(), self.mode(), self.counts());
        if let Some(state) = state {
            if state.kind() != from {
                self.generation += 1;
                self.since = at;
            }
            if state == State::Closed {
                self.counters = Counters::ZERO;
            }
            self.state = state;
        }
        if let Some(mode) = mode {
            self.override_ = mode.map(Box::new);
        }
        transitions.push(Transition {
            from,
            to: self.state(),
            from_mode,
            to_mode: self.mode(),
            generation: self.generation,
            cause,
            by,
            at,
            counts,
        });
    }
}

/// A change of state, of mode, or of both; `None` leaves it.
struct Change {
    state: Option<State>,
    mode: Option<Option<Override>>,
    cause: Cause,
    by: Attribution,
    at: Time,
}
