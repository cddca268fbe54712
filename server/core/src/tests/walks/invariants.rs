//! What holds after every step, wherever a walk leads.

mod decisions;
mod memory;
mod transitions;

use std::collections::HashSet;

use proptest::prelude::*;

use self::decisions::check_decision;
use self::memory::{check_memory, expired};
use self::transitions::check_transitions;
use super::configs;
use super::ledger::Ledger;
use super::steps::{self, Step};
use super::walker::{Answer, Event, Subject, Walker};
use crate::tests::deterministic;
use crate::{
    BreakerSnapshot, Cause, ConfigPatch, Mode, PermitId, Probes, StateKind, StateSnapshot, Time,
    WindowSize,
};

proptest! {
    #![proptest_config(deterministic(500))]

    #[test]
    fn what_must_hold_holds_after_every_step(config in configs::config(), walk in steps::walk()) {
        check_walk(&config, &walk, Clock::Monotonic);
    }

    #[test]
    fn what_must_hold_holds_under_a_clock_that_jumps(
        config in configs::config(),
        walk in steps::jumping_walk(),
    ) {
        check_walk(&config, &walk, Clock::Jumping);
    }
}

/// Whether the clock of a walk may run backwards. Where it does, nothing is said about times.
#[derive(Clone, Copy, PartialEq)]
enum Clock {
    Monotonic,
    Jumping,
}

fn check_walk(config: &ConfigPatch, walk: &[Step], clock: Clock) {
    let mut walker = Walker::new(config);
    let mut ledger = Ledger::default();
    let mut past = Past {
        latest: walker.now,
        permits: HashSet::new(),
        same_config: true,
        just_reconfigured: false,
        clock,
    };
    for step in walk {
        let before = walker.subject.clone();
        let event = walker.next(step);
        let answer = walker.live(&event);
        let now = walker.now;
        check_transitions(&before, &event, &answer, &walker.subject, &past, now);
        check_decision(&answer, &walker.subject, &past, now);
        past.remember(&event, &answer);
        check_state(&walker.subject, &past, now);
        check_permits(&before, &answer, &walker.subject, &past);
        check_late(&before, &event, &answer, &walker.subject, now);
        check_memory(&walker.subject);
        let expired = expired(&ledger, &before, &event, &answer, &walker.subject, now);
        ledger.enter(&before.config, &event, &expired, &answer, now);
        ledger.check(walker.subject.breaker.metrics(), &walker.subject.config, now);
    }
}

/// What a walk remembers of the steps before.
struct Past {
    /// When the latest transition was.
    latest: Time,
    permits: HashSet<PermitId>,
    /// Whether the breaker has had this configuration since it closed.
    same_config: bool,
    just_reconfigured: bool,
    clock: Clock,
}

impl Past {
    fn remember(&mut self, event: &Event, answer: &Answer) {
        for transition in &answer.transitions {
            self.latest = transition.at;
            // SHADOW leaves a CLOSED breaker, and what it has counted, as it is.
            self.same_config |=
                transition.to == StateKind::Closed && transition.cause != Cause::Shadowed;
        }
        if let Some(permit) = answer.decision.and_then(|decision| decision.permit()) {
            assert!(self.permits.insert(permit.id), "a permit handed out twice");
        }
        self.just_reconfigured = matches!(event, Event::Reconfigure(_));
        self.same_config &= !self.just_reconfigured;
    }
}

fn max_probes(subject: &Subject) -> usize {
    subject.breaker.effective(&subject.config).max_probes as usize
}

fn check_state(after: &Subject, past: &Past, now: Time) {
    let Subject { breaker, config } = after;
    let (state, mode, counts) = (breaker.state(), breaker.mode(), breaker.counts(now));
    if past.clock == Clock::Monotonic {
        let next = breaker.next_deadline(config);
        // A changed configuration can be late for its own timers, which then are due at once.
        assert!(past.just_reconfigured || next.is_none_or(|deadline| deadline > now), "overdue");
        assert!(breaker.since() <= now);
    }
    assert_eq!(breaker.is_held(), !matches!(mode, Mode::Normal | Mode::Shadow));
    match mode {
        Mode::ForcedOpen => assert_eq!((state, breaker.retry_at()), (StateKind::Open, None)),
        Mode::ForcedClosed | Mode::Disabled => assert_eq!(state, StateKind::Closed),
        Mode::Normal | Mode::Shadow => {
            assert_eq!(breaker.retry_at().is_some(), state == StateKind::Open);
        }
    }
    assert_eq!(breaker.override_in_force().is_some(), mode != Mode::Normal);
    assert_eq!(breaker.probes().is_some(), state == StateKind::HalfOpen);
    // The others can be met and wait for reporters, or move with the calls.
    let is_plain = config.min_reporters() == 1
        && config.max_reporter_share().is_none()
        && config.adaptive().is_none()
        && config.levels().is_none();
    if state == StateKind::Closed && past.same_config && is_plain {
        let below = |count, threshold| threshold == 0 || count < threshold;
        assert!(below(counts.failure_count, config.failure_threshold()));
        assert!(below(counts.consecutive_failures, config.consecutive_failures()));
    }
    if state == StateKind::Closed && breaker.is_held() {
        assert_eq!((counts.failure_count, counts.consecutive_failures), (0, 0));
    }
    if let WindowSize::Calls(calls) = config.window() {
        assert!(counts.window_calls <= calls);
    }
    assert!(counts.window_failures <= counts.window_calls);
}

/// Permits come into being by Acquire alone.
fn check_permits(before: &Subject, answer: &Answer, after: &Subject, past: &Past) {
    let out = |subject: &Subject| -> HashSet<PermitId> {
        let probes = subject.breaker.probes();
        probes.map_or(&[][..], Probes::out).iter().map(|permit| permit.id).collect()
    };
    let mut known = out(before);
    known.extend(answer.decision.and_then(|decision| decision.permit()).map(|permit| permit.id));
    assert!(out(after).is_subset(&known));
    assert!(out(after).len() <= out(before).len().max(max_probes(after)));
    assert_eq!(out(after).len(), after.breaker.probes().map_or(0, |probes| probes.out().len()));
    assert!(past.permits.iter().all(|&id| after.breaker.knows_permit(id)));
}

/// An outcome of an older generation moves nothing but metrics, and frees at most its permit.
fn check_late(before: &Subject, event: &Event, answer: &Answer, after: &Subject, now: Time) {
    let Event::Record(report) = event else { return };
    let mut untouched = before.clone();
    let passed = untouched.live(&Event::Advance, now);
    let current = untouched.breaker.generation();
    let late = |subject: &Subject| subject.breaker.metrics().map_or(0, |m| m.totals().late);
    if report.generation.is_none_or(|generation| generation == current) {
        return;
    }
    assert_eq!(late(after), late(&untouched) + u64::from(report.run.count));
    assert_eq!(answer.transitions, passed.transitions);
    assert_eq!(but_metrics_and(report.permit, after), but_metrics_and(report.permit, &untouched));
}

fn but_metrics_and(permit: Option<PermitId>, subject: &Subject) -> BreakerSnapshot {
    let mut snapshot = subject.breaker.snapshot();
    snapshot.metrics = None;
    if let StateSnapshot::HalfOpen { permits, .. } = &mut snapshot.state {
        permits.retain(|out| Some(out.id) != permit);
        permits.sort_unstable_by_key(|out| out.id);
    }
    snapshot
}
