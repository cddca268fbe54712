//! The life of a breaker without overrides a second time: one call at a time, one thing after
//! another, and nothing done to be quick or short.

use super::ledger::Call;
use crate::{Cause, Config, Outcome, StateKind, Time};

/// A permit, by its number among all that were ever handed out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Permit {
    pub(super) number: usize,
    pub(super) deadline: Time,
}

/// What a call that asks is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Go,
    Probe(Permit),
    Wait(std::time::Duration),
}

/// A change: when, to what, why.
pub(super) type Change = (Time, StateKind, Cause);

#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) config: Config,
    pub(super) state: StateKind,
    pub(super) since: Time,
    pub(super) generation: u64,
    pub(super) failure_count: u32,
    pub(super) failures_in_a_row: u32,
    pub(super) retry_at: Option<Time>,
    pub(super) permits_out: Vec<Permit>,
    pub(super) handed_out: usize,
    pub(super) success_count: u32,
    pub(super) late: u64,
    pub(super) changes: Vec<Change>,
}

impl Reference {
    pub(super) fn new(config: Config, now: Time) -> Self {
        Self {
            config,
            state: StateKind::Closed,
            since: now,
            generation: 1,
            failure_count: 0,
            failures_in_a_row: 0,
            retry_at: None,
            permits_out: Vec::new(),
            handed_out: 0,
            success_count: 0,
            late: 0,
            changes: Vec::new(),
        }
    }

    pub(super) fn time_passes(&mut self, now: Time) {
        loop {
            if self.state == StateKind::Open && self.retry_at.unwrap() <= now {
                let at = self.retry_at.unwrap().max(self.since);
                self.become_half_open(at);
                continue;
            }
            let first = self.permits_out.iter().map(|permit| permit.deadline).min();
            if let Some(deadline) = first.filter(|&deadline| deadline < now) {
                self.become_open(deadline, deadline, Cause::ProbeExpired);
                continue;
            }
            return;
        }
    }

    pub(super) fn asks(&mut self, now: Time) -> Told {
        self.time_passes(now);
        if self.state == StateKind::Closed {
            return Told::Go;
        }
        if self.state == StateKind::Open {
            return Told::Wait(self.retry_at.unwrap().since(now));
        }
        if self.permits_out.len() < self.config.max_probes() as usize {
            let deadline = now + self.config.call_timeout();
            let permit = Permit { number: self.handed_out, deadline };
            self.handed_out += 1;
            self.permits_out.push(permit.clone());
            return Told::Probe(permit);
        }
        let first = self.permits_out.iter().map(|permit| permit.deadline).min();
        Told::Wait(first.unwrap().since(now))
    }

    pub(super) fn call_ended(
        &mut self,
        call: &Call,
        generation: Option<u64>,
        permit: Option<usize>,
        now: Time,
    ) {
        self.time_passes(now);
        let mut has_permit = false;
        if let Some(number) = permit {
            let out_before = self.permits_out.len();
            self.permits_out.retain(|permit| permit.number != number);
            has_permit = self.permits_out.len() < out_before;
        }
        let of_older_generation = generation.is_some() && generation != Some(self.generation);
        let permit_is_gone = permit.is_some() && !has_permit;
        if of_older_generation || permit_is_gone {
            self.late += 1;
            return;
        }
        let outcome = call.judged(&self.config);
        let ended_at = (now - call.age).max(self.since);
        match self.state {
            StateKind::Closed => self.counts(outcome, ended_at, now),
            StateKind::HalfOpen if has_permit => self.probed(outcome, ended_at, now),
            StateKind::HalfOpen | StateKind::Open => {}
        }
        self.time_passes(now);
    }

    fn counts(&mut self, outcome: Outcome, ended_at: Time, now: Time) {
        if outcome == Outcome::Ignored {
            return;
        }
        if outcome == Outcome::Success {
            self.failure_count = self.failure_count.saturating_sub(self.config.failure_decay());
            self.failures_in_a_row = 0;
            return;
        }
        self.failure_count += 1;
        self.failures_in_a_row += 1;
        let threshold = self.config.failure_threshold();
        let in_a_row = self.config.consecutive_failures();
        if threshold > 0 && self.failure_count >= threshold {
            self.become_open(now, ended_at, Cause::FailureThreshold);
        } else if in_a_row > 0 && self.failures_in_a_row >= in_a_row {
            self.become_open(now, ended_at, Cause::ConsecutiveFailures);
        }
    }

    fn probed(&mut self, outcome: Outcome, ended_at: Time, now: Time) {
        if outcome == Outcome::Ignored {
            return;
        }
        if outcome != Outcome::Success {
            self.become_open(now, ended_at, Cause::ProbeFailed);
            return;
        }
        self.success_count += 1;
        if self.success_count == self.config.success_threshold() {
            self.become_closed(now, Cause::ProbesSucceeded);
        }
    }

    pub(super) fn is_tripped(&mut self, now: Time) {
        self.time_passes(now);
        self.become_open(now, now, Cause::Tripped);
    }

    pub(super) fn is_reset(&mut self, now: Time) {
        self.time_passes(now);
        self.become_closed(now, Cause::Reset);
    }

    fn become_open(&mut self, at: Time, failed_at: Time, cause: Cause) {
        self.become_state(StateKind::Open, at, cause);
        self.retry_at = Some(failed_at + self.config.open_duration());
    }

    fn become_half_open(&mut self, at: Time) {
        self.become_state(StateKind::HalfOpen, at, Cause::OpenElapsed);
    }

    fn become_closed(&mut self, at: Time, cause: Cause) {
        self.become_state(StateKind::Closed, at, cause);
        self.failure_count = 0;
        self.failures_in_a_row = 0;
    }

    fn become_state(&mut self, state: StateKind, at: Time, cause: Cause) {
        if state != self.state {
            self.generation += 1;
            self.since = at;
        }
        self.state = state;
        self.retry_at = None;
        self.permits_out.clear();
        self.success_count = 0;
        self.changes.push((at, state, cause));
    }
}
