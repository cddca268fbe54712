//! What holds after every step, wherever a walk leads.

use std::collections::HashSet;

use proptest::prelude::*;

use super::ledger::Ledger;
use super::steps::{self, Step};
use super::walker::{Answer, Event, Subject, Walker};
use crate::tests::deterministic;
use crate::tests::story::admin;
use crate::{
    AllowReason, Attribution, BreakerSnapshot, Cause, ConfigPatch, Decision, DenyReason, Mode,
    PermitId, Probes, StateKind, StateSnapshot, Time,
};

proptest! {
    #![proptest_config(deterministic(500))]

    #[test]
    fn what_must_hold_holds_after_every_step(config in steps::config(), walk in steps::walk()) {
        check_walk(&config, &walk);
    }
}

fn check_walk(config: &ConfigPatch, walk: &[Step]) {
    let mut walker = Walker::new(config);
    let mut ledger = Ledger::default();
    let mut past = Past { latest: walker.now, permits: HashSet::new(), same_config: true };
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
        ledger.enter(&before.config, &event, &answer, now);
        ledger.check(walker.subject.breaker.metrics());
    }
}

/// What a walk remembers of the steps before.
struct Past {
    /// When the latest transition was.
    latest: Time,
    permits: HashSet<PermitId>,
    /// Whether the breaker has had this configuration since it closed.
    same_config: bool,
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
        self.same_config &= !matches!(event, Event::Reconfigure(_));
    }
}

/// What brings a transition about: an event, or time alone.
fn is_by_itself(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::FailureThreshold
            | Cause::ConsecutiveFailures
            | Cause::OpenElapsed
            | Cause::ProbesSucceeded
            | Cause::ProbeFailed
            | Cause::ProbeExpired
    )
}

fn fits(cause: Cause, event: &Event) -> bool {
    match cause {
        Cause::OpenElapsed | Cause::ProbeExpired | Cause::OverrideExpired => true,
        Cause::FailureThreshold
        | Cause::ConsecutiveFailures
        | Cause::ProbesSucceeded
        | Cause::ProbeFailed => matches!(event, Event::Record(_)),
        Cause::ForcedOpen | Cause::ForcedClosed | Cause::Disabled | Cause::Shadowed => {
            matches!(event, Event::Override(..))
        }
        Cause::Released => matches!(event, Event::Release),
        Cause::Tripped => matches!(event, Event::Trip),
        Cause::Reset => matches!(event, Event::Reset),
    }
}

/// Transitions lead from what was to what is, in the order of time, and tell each change.
fn check_transitions(
    before: &Subject,
    event: &Event,
    answer: &Answer,
    after: &Subject,
    past: &Past,
    now: Time,
) {
    let breaker = &before.breaker;
    let (mut state, mut mode) = (breaker.state(), breaker.mode());
    let (mut generation, mut since, mut latest) =
        (breaker.generation(), breaker.since(), past.latest);
    for transition in &answer.transitions {
        assert_eq!((transition.from, transition.from_mode), (state, mode));
        assert!(latest <= transition.at && transition.at <= now, "{transition:?}");
        assert!(fits(transition.cause, event), "{transition:?} by {event:?}");
        if is_by_itself(transition.cause) {
            assert_eq!(transition.by, Attribution::default());
            assert_ne!(transition.from, transition.to);
            assert_eq!(transition.from_mode, transition.to_mode);
            assert!(matches!(transition.from_mode, Mode::Normal | Mode::Shadow), "{transition:?}");
        } else {
            assert_eq!(transition.by, admin());
        }
        if transition.from != transition.to {
            (generation, since) = (generation + 1, transition.at);
        }
        assert_eq!(transition.generation, generation);
        (state, mode, latest) = (transition.to, transition.to_mode, transition.at);
    }
    let breaker = &after.breaker;
    assert_eq!((state, mode), (breaker.state(), breaker.mode()), "a change that nobody was told");
    assert_eq!((generation, since), (breaker.generation(), breaker.since()));
}

fn check_decision(answer: &Answer, after: &Subject, past: &Past, now: Time) {
    let Some(decision) = answer.decision else { return };
    let (state, mode) = (after.breaker.state(), after.breaker.mode());
    match decision {
        Decision::Allowed(AllowReason::Closed) => assert_eq!(state, StateKind::Closed),
        Decision::Allowed(AllowReason::Probe(permit)) => {
            assert_eq!(state, StateKind::HalfOpen);
            assert_eq!(permit.deadline, now + after.config.call_timeout());
            assert!(!past.permits.contains(&permit.id));
            let out = after.breaker.probes().unwrap().out();
            assert!(out.contains(&permit) && out.len() <= after.config.max_probes() as usize);
        }
        Decision::Allowed(AllowReason::ForcedClosed) => assert_eq!(mode, Mode::ForcedClosed),
        Decision::Allowed(AllowReason::Disabled) => assert_eq!(mode, Mode::Disabled),
        Decision::Allowed(AllowReason::Shadow) => {
            assert_eq!(mode, Mode::Shadow);
            assert_ne!(state, StateKind::Closed);
        }
        Decision::Denied { reason: DenyReason::ForcedOpen, .. } => {
            assert_eq!(mode, Mode::ForcedOpen);
        }
        Decision::Denied { reason: DenyReason::Open, retry_after } => {
            assert_eq!((state, mode), (StateKind::Open, Mode::Normal));
            assert_eq!(retry_after.map(|after| now + after), after.breaker.retry_at());
        }
        Decision::Denied { reason: DenyReason::NoPermit, retry_after } => {
            assert_eq!((state, mode), (StateKind::HalfOpen, Mode::Normal));
            let out = after.breaker.probes().unwrap().out();
            assert!(out.len() >= after.config.max_probes() as usize);
            let first = out.iter().map(|permit| permit.deadline).min();
            assert_eq!(retry_after.map(|after| now + after), first);
        }
    }
}

fn check_state(after: &Subject, past: &Past, now: Time) {
    let Subject { breaker, config } = after;
    let (state, mode, counts) = (breaker.state(), breaker.mode(), breaker.counts());
    assert!(breaker.next_deadline().is_none_or(|deadline| deadline > now), "overdue");
    assert!(breaker.since() <= now);
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
    if state == StateKind::Closed && past.same_config {
        let below = |count, threshold| threshold == 0 || count < threshold;
        assert!(below(counts.failure_count, config.failure_threshold()));
        assert!(below(counts.consecutive_failures, config.consecutive_failures()));
    }
    if state == StateKind::Closed && breaker.is_held() {
        assert_eq!((counts.failure_count, counts.consecutive_failures), (0, 0));
    }
    assert!(counts.window_calls <= config.window_calls());
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
