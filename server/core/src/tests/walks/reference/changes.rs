//! How the state changes, and what begins afresh with it.

use super::Reference;
use crate::{Cause, StateKind, Time};

impl Reference {
    pub(in crate::tests::walks) fn is_tripped(&mut self, now: Time) {
        self.time_passes(now);
        let mut duration = self.open_duration();
        if let Some(backoff) = self.config.backoff() {
            duration = duration.min(backoff.max);
        }
        self.become_open(now, now + duration, Cause::Tripped, self.level);
    }

    pub(in crate::tests::walks) fn is_reset(&mut self, now: Time) {
        self.time_passes(now);
        let from_level = std::mem::take(&mut self.level);
        self.becomes_closed(now, Cause::Reset, from_level);
    }

    pub(super) fn become_open(&mut self, at: Time, retry_at: Time, cause: Cause, from: usize) {
        self.become_state(StateKind::Open, at, cause, from);
        self.retry_at = Some(retry_at);
    }

    pub(super) fn become_half_open(&mut self, at: Time) {
        self.become_state(StateKind::HalfOpen, at, Cause::OpenElapsed, self.level);
    }

    pub(super) fn become_closed(&mut self, at: Time, cause: Cause) {
        self.becomes_closed(at, cause, self.level);
    }

    fn becomes_closed(&mut self, at: Time, cause: Cause, from_level: usize) {
        self.become_state(StateKind::Closed, at, cause, from_level);
        self.counted.clear();
        self.reopens = 0;
        self.closed_at_level_since = at;
    }

    fn become_state(&mut self, state: StateKind, at: Time, cause: Cause, from_level: usize) {
        if state != self.state {
            self.generation += 1;
            self.since = at;
        }
        self.state = state;
        self.retry_at = None;
        self.permits_out.clear();
        self.probes.clear();
        self.ramp = None;
        self.changes.push((at, state, cause, (from_level, self.level)));
    }
}
