//! The state machine itself: what a breaker is, and how it changes.
//!
//! The time that callers pass in must not run backwards from one event to the next.

mod admin;
mod asking;
mod effective;
mod opening;
mod record;
mod timers;

use crate::config::Config;
use crate::counters::Counters;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::overrides::{Attribution, Mode, Override};
use crate::probes::Probes;
use crate::ramp::Ramping;
use crate::state::{State, StateKind};
use crate::time::Time;
use crate::transition::{Cause, Counts, Transition};

pub use self::effective::{Aspect, Effective};

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
    /// Allocated where a rule needs it.
    pub(crate) memory: Option<Box<Memory>>,
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
            memory: None,
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
            State::HalfOpen(half_open) => Some(&half_open.probes),
            State::Closed | State::Open { .. } => None,
        }
    }

    /// The ramp that a HALF_OPEN breaker is on.
    pub fn ramping(&self) -> Option<&Ramping> {
        match &self.state {
            State::HalfOpen(half_open) => half_open.ramp.as_ref(),
            State::Closed | State::Open { .. } => None,
        }
    }

    /// The counts as they are now.
    pub fn counts(&self, now: Time) -> Counts {
        let window = self.metrics.as_ref().map(|metrics| metrics.window.sums_at(now));
        let window = window.unwrap_or_default();
        Counts {
            failure_count: self.counters.failures,
            consecutive_failures: self.counters.consecutive,
            success_count: self.probes().map_or(0, Probes::successes),
            window_calls: window.calls,
            window_failures: window.failures,
        }
    }

    /// The metrics; `None` before the first call.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_deref()
    }

    /// Takes over a changed configuration, losing nothing but the calls that a smaller window has
    /// no room for, or all of them where it is over another time or of another kind. Conditions are
    /// judged anew at the next outcome. What was due before the change is due under the
    /// configuration before it: [`advance`](Self::advance) with that one first.
    pub fn reconfigure(&mut self, config: &Config) {
        if let Some(metrics) = &mut self.metrics {
            metrics.window.resize(config.window());
        }
        if let Some(memory) = &mut self.memory {
            memory.reconfigure(config);
        }
    }

    /// Whether an override stops the automatic transitions: any but SHADOW.
    pub fn is_held(&self) -> bool {
        !matches!(self.mode(), Mode::Normal | Mode::Shadow)
    }

    fn metrics_mut(&mut self, config: &Config) -> &mut Metrics {
        self.metrics.get_or_insert_with(|| Box::new(Metrics::new(config.window())))
    }

    fn memory_mut(&mut self, now: Time) -> &mut Memory {
        self.memory.get_or_insert_with(|| Box::new(Memory::new(now)))
    }

    fn enter_by_itself(
        &mut self,
        config: &Config,
        state: State,
        cause: Cause,
        at: Time,
        transitions: &mut Vec<Transition>,
    ) {
        let by = Attribution::default();
        let change = Change { state: Some(state), mode: None, cause, by, at };
        self.change(config, change, transitions);
    }

    fn change(&mut self, config: &Config, change: Change, transitions: &mut Vec<Transition>) {
        let from_level = self.level_name(config);
        self.change_from_level(config, change, from_level, transitions);
    }

    /// The one place where state and mode change, and where a transition is made; `from_level` is
    /// the level before what led to it.
    fn change_from_level(
        &mut self,
        config: &Config,
        change: Change,
        from_level: Option<Box<str>>,
        transitions: &mut Vec<Transition>,
    ) {
        let Change { state, mode, cause, by, at } = change;
        let (from, from_mode, counts) = (self.state(), self.mode(), self.counts(at));
        let was_held = self.is_held();
        if let Some(state) = state {
            if state.kind() != from {
                self.generation += 1;
                self.since = at;
            }
            if state == State::Closed {
                self.close(cause, at);
            }
            self.state = state;
        }
        if let Some(mode) = mode {
            self.override_ = mode.map(Box::new);
        }
        // The time for which an override held the breaker brings it down no level.
        if was_held
            && !self.is_held()
            && let Some(memory) = &mut self.memory
        {
            memory.level_since = at;
        }
        transitions.push(Transition {
            from,
            to: self.state(),
            from_mode,
            to_mode: self.mode(),
            from_level,
            to_level: self.level_name(config),
            generation: self.generation,
            cause,
            by,
            at,
            counts,
        });
    }

    /// Everything that counts towards opening begins anew.
    fn close(&mut self, cause: Cause, at: Time) {
        self.counters = Counters::ZERO;
        if let Some(memory) = &mut self.memory {
            memory.restart_conditions();
            memory.reopens = 0;
            memory.level_since = at;
            if cause == Cause::Reset {
                memory.level = 0;
            }
        }
    }

    fn level_name(&self, config: &Config) -> Option<Box<str>> {
        self.level(config).map(|level| level.name.as_str().into())
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
