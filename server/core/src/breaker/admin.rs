//! What admins do to a breaker: overrides, which are sticky, and Trip and Reset, which are not.

use std::time::Duration;

use crate::breaker::{Breaker, Change};
use crate::config::Config;
use crate::overrides::{Attribution, Mode, Override, OverrideKind};
use crate::state::State;
use crate::time::Time;
use crate::transition::{Cause, Transition};

impl Breaker {
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
                (Some(State::probing()), Cause::Shadowed)
            }
            OverrideKind::Shadow => (None, Cause::Shadowed),
        };
        let expires_at = time_to_live.map(|ttl| now + ttl);
        let new = Override { kind, by: by.clone(), set_at: now, expires_at };
        let change = Change { state, mode: Some(Some(new)), cause, by, at: now };
        self.change(config, change, &mut transitions);
        transitions
    }

    /// Ends the override in force, if there is one: FORCED_OPEN goes to HALF_OPEN, to probe first,
    /// every other mode to CLOSED.
    pub fn release(&mut self, config: &Config, by: Attribution, now: Time) -> Vec<Transition> {
        let mut transitions = self.advance(config, now);
        self.end_override(config, Cause::Released, by, now, &mut transitions);
        transitions
    }

    /// Opens the breaker for `open_duration`; its automatic life goes on. A breaker that is
    /// [held](Self::is_held) stays as it is.
    pub fn trip(&mut self, config: &Config, by: Attribution, now: Time) -> Vec<Transition> {
        let mut transitions = self.advance(config, now);
        // For how long depends on what was due by now.
        let state = State::Open { retry_at: Some(now + self.first_open_duration(config)) };
        self.enter_unless_held(config, state, Cause::Tripped, by, now, &mut transitions);
        transitions
    }

    /// Closes the breaker with fresh counters and on its first level; its automatic life goes on. A
    /// breaker that is [held](Self::is_held) stays as it is.
    pub fn reset(&mut self, config: &Config, by: Attribution, now: Time) -> Vec<Transition> {
        let mut transitions = self.advance(config, now);
        self.enter_unless_held(config, State::Closed, Cause::Reset, by, now, &mut transitions);
        transitions
    }

    fn enter_unless_held(
        &mut self,
        config: &Config,
        state: State,
        cause: Cause,
        by: Attribution,
        at: Time,
        transitions: &mut Vec<Transition>,
    ) {
        if !self.is_held() {
            let change = Change { state: Some(state), mode: None, cause, by, at };
            self.change(config, change, transitions);
        }
    }

    pub(super) fn end_override(
        &mut self,
        config: &Config,
        cause: Cause,
        by: Attribution,
        at: Time,
        transitions: &mut Vec<Transition>,
    ) {
        let state = match self.mode() {
            Mode::Normal => return,
            Mode::ForcedOpen => State::probing(),
            Mode::ForcedClosed | Mode::Disabled | Mode::Shadow => State::Closed,
        };
        let change = Change { state: Some(state), mode: Some(None), cause, by, at };
        self.change(config, change, transitions);
    }
}
