//! The state machine itself.
//!
//! Timers are events like any other: every entry point first lets pass what was due by `now`, in
//! the order in which it was due and stamped with the time it was due at. A timer that fires late
//! therefore changes nothing but the moment at which others hear of it, which is why a simulation
//! and a server decide alike.

use std::time::Duration;

use crate::config::Config;
use crate::decision::{AllowReason, Decision, DenyReason};
use crate::metrics::Metrics;
use crate::outcome::{Outcome, Report, Run};
use crate::overrides::{Attribution, Mode, Override, OverrideKind};
use crate::probes::{PermitId, Probes, was_handed_out};
use crate::time::Time;
use crate::transition::{Cause, Counts, Transition};

/// The generation of a breaker that was never there before.
pub const GENERATION_START: u64 = 1;

/// The name of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// Calls flow.
    Closed,
    /// Calls are refused.
    Open,
    /// A few probes find out whether calls can flow again.
    HalfOpen,
}

/// A state with what is true in it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    /// `retry_at` is `None` while an override holds the breaker open.
    Open {
        retry_at: Option<Time>,
    },
    HalfOpen(Probes),
}

impl State {
    const fn kind(&self) -> StateKind {
        match self {
            Self::Closed => StateKind::Closed,
            Self::Open { .. } => StateKind::Open,
            Self::HalfOpen(_) => StateKind::HalfOpen,
        }
    }
}

/// What the conditions count. Restarts on CLOSED and stands still in the other states, where it
/// tells what tripped the breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) failures: u32,
    pub(crate) consecutive: u32,
}

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
            counters: Counters { failures: 0, consecutive: 0 },
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

    /// Records how calls ended.
    pub fn record(&mut self, config: &Config, report: &Report, now: Time) -> Vec<Transition> {
        let mut transitions = self.advance(config, now);
        let Report { run, generation, permit } = report;
        let ended_at = (now - run.age).max(self.since);
        let outcome = run.judged(config);
        let returned = permit.map(|id| self.take_back(id));
        let of_now = generation.is_none_or(|generation| generation == self.generation);
        if !of_now || returned == Some(false) {
            self.note_late(config, run, outcome, now);
        } else if self.conditions_hold() {
            self.judge(config, run, outcome, returned.is_some(), (ended_at, now), &mut transitions);
        } else {
            self.metrics_mut().record(config, run, outcome, ended_at);
        }
        transitions
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

    /// Opens the breaker for `open_duration`; its automatic life goes on.
    pub fn trip(&mut self, config: &Config, by: Attribution, now: Time) -> Vec<Transition> {
        let mut transitions = self.advance(config, now);
        let state = State::Open { retry_at: Some(now + config.open_duration()) };
        self.enter(state, Cause::Tripped, by, now, &mut transitions);
        transitions
    }

    /// Closes the breaker with fresh counters; its automatic life goes on.
    pub fn reset(&mut self, config: &Config, by: Attribution, now: Time) -> Vec<Transition> {
        let mut transitions = self.advance(config, now);
        self.enter(State::Closed, Cause::Reset, by, now, &mut transitions);
        transitions
    }

    /// Takes over a changed configuration, losing nothing but the calls that a smaller window has
    /// no room for. Conditions are judged anew at the next outcome.
    pub fn reconfigure(&mut self, config: &Config) {
        if let Some(metrics) = &mut self.metrics {
            metrics.window.truncate(config.window_calls());
        }
    }

    /// Whether an override stops the automatic transitions.
    pub fn is_held(&self) -> bool {
        !self.conditions_hold()
    }

    fn conditions_hold(&self) -> bool {
        matches!(self.mode(), Mode::Normal | Mode::Shadow)
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
            State::HalfOpen(probes) if (probes.out().len() as u64) < u64::from(config.max_probes()) => {
                let permit = probes.hand_out(self.generation, now + config.call_timeout());
                return Decision::Allowed(AllowReason::Probe(permit));
            }
            State::HalfOpen(probes) => (DenyReason::NoPermit, probes.earliest_deadline()),
        };
        match mode {
            Mode::Shadow => Decision::Allowed(AllowReason::Shadow),
            _ => Decision::Denied { reason, retry_after: retry_at.map(|at| at.since(now)) },
        }
    }

    fn take_back(&mut self, id: PermitId) -> bool {
        match &mut self.state {
            State::HalfOpen(probes) => probes.take_back(id).is_some(),
            State::Closed | State::Open { .. } => false,
        }
    }

    fn note_late(&mut self, config: &Config, run: &Run, outcome: Outcome, now: Time) {
        let ended_at = now - run.age;
        let metrics = self.metrics_mut();
        metrics.totals.late += u64::from(run.count);
        metrics.record(config, run, outcome, ended_at);
    }

    /// Judges calls of the current generation: by the conditions in CLOSED, as probes in
    /// HALF_OPEN.
    fn judge(
        &mut self,
        config: &Config,
        run: &Run,
        outcome: Outcome,
        is_probe: bool,
        (ended_at, now): (Time, Time),
        transitions: &mut Vec<Transition>,
    ) {
        if self.state() == StateKind::Closed && outcome.is_failure() {
            return self.judge_failures(config, run, outcome, (ended_at, now), transitions);
        }
        self.metrics_mut().record(config, run, outcome, ended_at);
        match (&mut self.state, outcome) {
            (State::Closed, Outcome::Success) => self.count_successes(config, run.count),
            (State::HalfOpen(probes), Outcome::Success) if is_probe => {
                probes.succeed();
                if probes.successes() >= config.success_threshold() {
                    self.enter_by_itself(State::Closed, Cause::ProbesSucceeded, now, transitions);
                }
            }
            (State::HalfOpen(_), Outcome::Failure | Outcome::Timeout) if is_probe => {
                self.open_since(config, Cause::ProbeFailed, ended_at, now, transitions);
            }
            _ => {}
        }
    }

    fn count_successes(&mut self, config: &Config, count: u32) {
        let decay = config.failure_decay().saturating_mul(count);
        self.counters.failures = self.counters.failures.saturating_sub(decay);
        self.counters.consecutive = 0;
    }

    /// The failures of a run up to the one that trips the breaker belong to CLOSED; those after it
    /// were admitted under a generation that is over.
    fn judge_failures(
        &mut self,
        config: &Config,
        run: &Run,
        outcome: Outcome,
        (ended_at, now): (Time, Time),
        transitions: &mut Vec<Transition>,
    ) {
        let (needed, cause) = self.failures_to_trip(config);
        let (judged, late) = run.split(needed.min(run.count));
        self.counters.failures = self.counters.failures.saturating_add(judged.count);
        self.counters.consecutive = self.counters.consecutive.saturating_add(judged.count);
        self.metrics_mut().record(config, &judged, outcome, ended_at);
        if judged.count == needed {
            self.open_since(config, cause, ended_at, now, transitions);
        }
        if let Some(late) = late {
            self.note_late(config, &late, outcome, now);
        }
    }

    /// How many more failures trip a CLOSED breaker (at least one), and by which condition.
    fn failures_to_trip(&self, config: &Config) -> (u32, Cause) {
        let missing = |threshold: u32, count: u32| match threshold {
            0 => u32::MAX,
            threshold => threshold.saturating_sub(count).max(1),
        };
        let by_count = missing(config.failure_threshold(), self.counters.failures);
        let in_a_row = missing(config.consecutive_failures(), self.counters.consecutive);
        if by_count <= in_a_row {
            (by_count, Cause::FailureThreshold)
        } else {
            (in_a_row, Cause::ConsecutiveFailures)
        }
    }

    /// Opens the breaker at `now`, for the rest of the `open_duration` that began with the failure.
    fn open_since(
        &mut self,
        config: &Config,
        cause: Cause,
        failed_at: Time,
        now: Time,
        transitions: &mut Vec<Transition>,
    ) {
        let retry_at = Some(failed_at + config.open_duration());
        self.enter_by_itself(State::Open { retry_at }, cause, now, transitions);
    }

    fn enter_by_itself(
        &mut self,
        state: State,
        cause: Cause,
        at: Time,
        transitions: &mut Vec<Transition>,
    ) {
        self.enter(state, cause, Attribution::default(), at, transitions);
    }

    fn enter(
        &mut self,
        state: State,
        cause: Cause,
        by: Attribution,
        at: Time,
        transitions: &mut Vec<Transition>,
    ) {
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
                self.counters = Counters::default();
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

    fn pass_timers(&mut self, config: &Config, now: Time, transitions: &mut Vec<Transition>) {
        while let Some((due, timer)) = self.next_timer().filter(|&(due, _)| due <= now) {
            match timer {
                Timer::OverrideExpiry => {
                    let by = self.override_.as_ref().map(|o| o.by.clone()).unwrap_or_default();
                    self.end_override(Cause::OverrideExpired, by, due, transitions);
                }
                Timer::Retry => {
                    let probes = State::HalfOpen(Probes::new());
                    let at = due.max(self.since);
                    self.enter_by_itself(probes, Cause::OpenElapsed, at, transitions);
                }
                Timer::Permit { id, deadline } => {
                    self.take_back(id);
                    let run = Run::new(Outcome::Timeout, 1).lasting(config.call_timeout());
                    self.metrics_mut().record(config, &run, Outcome::Timeout, deadline);
                    self.open_since(config, Cause::ProbeExpired, deadline, deadline, transitions);
                }
            }
        }
    }

    /// The timer that is due first. Of two that are due together the override's goes first.
    fn next_timer(&self) -> Option<(Time, Timer)> {
        let expiry = self.override_.as_ref().and_then(|o| o.expires_at);
        let of_state = match &self.state {
            State::Closed => None,
            State::Open { retry_at } => retry_at.map(|at| (at, Timer::Retry)),
            State::HalfOpen(probes) => probes.out().iter().min_by_key(|p| (p.deadline, p.id)).map(
                |&permit| {
                    let timer = Timer::Permit { id: permit.id, deadline: permit.deadline };
                    (permit.deadline.just_after(), timer)
                },
            ),
        };
        match (expiry, of_state) {
            (Some(expiry), Some((due, timer))) if due < expiry => Some((due, timer)),
            (Some(expiry), _) => Some((expiry, Timer::OverrideExpiry)),
            (None, of_state) => of_state,
        }
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

enum Timer {
    OverrideExpiry,
    Retry,
    /// A permit is good up to and including its deadline, so the timer is due just after it.
    Permit {
        id: PermitId,
        deadline: Time,
    },
}
