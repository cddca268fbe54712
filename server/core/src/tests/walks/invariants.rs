//! What holds after every step, wherever a walk leads.

use std::collections::HashSet;

use proptest::prelude::*;

use super::configs;
use super::ledger::{Ledger, calls};
use super::steps::{self, Step};
use super::walker::{Answer, Event, Subject, Walker};
use crate::tests::deterministic;
use crate::tests::story::admin;
use crate::{
    AllowReason, Attribution, BadCallsSnapshot, BreakerSnapshot, Cause, Config, ConfigPatch,
    Decision, DenyReason, Mode, Outcome, Permit, PermitId, Probes, StateKind, StateSnapshot, Time,
    Transition, WindowSize, WindowSnapshot,
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

/// Whether time alone, or calls, bring a transition about.
fn is_by_itself(cause: Cause) -> bool {
    is_opening(cause)
        || matches!(
            cause,
            Cause::OpenElapsed | Cause::ProbesSucceeded | Cause::RampCompleted | Cause::Deescalated
        )
}

/// Whether the breaker opens or re-opens by itself.
fn is_opening(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::FailureThreshold
            | Cause::ConsecutiveFailures
            | Cause::FailureRate
            | Cause::SlowCallRate
            | Cause::ProbeFailed
            | Cause::ProbeRate
            | Cause::ProbeExpired
    )
}

/// Whether such an event can have led to a transition of this cause. A permit that passes its
/// deadline is an outcome too, and counts as one on the ramp.
fn fits(transition: &Transition, event: &Event) -> bool {
    let has_outcome = matches!(event, Event::Record(_)) || transition.from == StateKind::HalfOpen;
    match transition.cause {
        Cause::OpenElapsed
        | Cause::ProbeExpired
        | Cause::OverrideExpired
        | Cause::RampCompleted
        | Cause::Deescalated => true,
        Cause::FailureThreshold
        | Cause::ConsecutiveFailures
        | Cause::FailureRate
        | Cause::SlowCallRate
        | Cause::ProbesSucceeded
        | Cause::ProbeRate => has_outcome,
        Cause::ProbeFailed => matches!(event, Event::Record(_)),
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
    let mut level = breaker.level_number();
    let (mut generation, mut since, mut latest) =
        (breaker.generation(), breaker.since(), past.latest);
    for transition in &answer.transitions {
        assert_eq!((transition.from, transition.from_mode), (state, mode));
        if past.clock == Clock::Monotonic {
            assert!(latest <= transition.at && transition.at <= now, "{transition:?}");
        }
        assert!(fits(transition, event), "{transition:?} by {event:?}");
        assert_eq!(transition.from_level.as_deref(), name_of(level, &before.config));
        level = level_after(level, transition, &before.config);
        assert_eq!(transition.to_level.as_deref(), name_of(level, &before.config));
        if is_by_itself(transition.cause) {
            assert_eq!(transition.by, Attribution::default());
            let stays = transition.cause == Cause::Deescalated;
            assert_eq!(transition.from == transition.to, stays, "{transition:?}");
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
    // A changed configuration can take levels away.
    if !matches!(event, Event::Reconfigure(_)) {
        assert_eq!(level, breaker.level_number(), "a change of level that nobody was told");
    }
}

fn name_of(level: usize, config: &Config) -> Option<&str> {
    config.levels().map(|levels| levels.levels[level].name.as_str())
}

/// A breaker goes up one level when it opens, down one when it has been CLOSED for long enough, and
/// down to the first when an admin resets it.
fn level_after(level: usize, transition: &Transition, config: &Config) -> usize {
    let Some(levels) = config.levels() else { return level };
    match transition.cause {
        Cause::Reset => 0,
        Cause::Deescalated => level.checked_sub(1).unwrap(),
        cause if is_opening(cause) => {
            let counts = transition.counts;
            let is_above =
                counts.window_failures * 100 > levels.escalate_above * counts.window_calls;
            if is_above { (level + 1).min(levels.levels.len() - 1) } else { level }
        }
        _ => level,
    }
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
            assert!(out.contains(&permit) && out.len() <= max_probes(after));
        }
        Decision::Allowed(AllowReason::Ramp) => {
            assert_eq!(state, StateKind::HalfOpen);
            assert!(after.breaker.admit_percent(&after.config).is_some());
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
        Decision::Denied { reason: DenyReason::Ramp, retry_after } => {
            assert_eq!((state, mode), (StateKind::HalfOpen, Mode::Normal));
            assert_eq!(retry_after, None);
            assert!(after.breaker.admit_percent(&after.config).is_some_and(|share| share < 100));
        }
        Decision::Denied { reason: DenyReason::NoPermit, retry_after } => {
            assert_eq!((state, mode), (StateKind::HalfOpen, Mode::Normal));
            let probes = after.breaker.probes().unwrap();
            let judged = (probes.successes() + probes.failures()) as usize;
            let wanted = after.config.probe_calls().map_or(usize::MAX, |p| p.calls as usize);
            let out = probes.out();
            assert!(out.len() >= max_probes(after) || judged + out.len() >= wanted);
            let first = out.iter().map(|permit| permit.deadline).min();
            assert!(first.is_some(), "nothing would ever end this");
            assert_eq!(retry_after.map(|after| now + after), first);
        }
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

/// What a breaker remembers is bounded, however long it lives.
fn check_memory(after: &Subject) {
    let Subject { breaker, config } = after;
    let check_size = |kept: usize, is_calls: bool| match config.window() {
        WindowSize::Calls(calls) => assert!(is_calls && kept <= calls as usize),
        WindowSize::Duration(_) => assert!(!is_calls && kept <= 100),
    };
    let check_window = |window: &WindowSnapshot| match window {
        WindowSnapshot::Calls(calls) => check_size(calls.len(), true),
        WindowSnapshot::Buckets { buckets, .. } => check_size(buckets.len(), false),
    };
    let snapshot = breaker.snapshot();
    if let Some(metrics) = &snapshot.metrics {
        check_window(&metrics.window);
    }
    let Some(memory) = snapshot.memory else { return };
    if let Some(window) = &memory.window {
        check_window(window);
    }
    if let Some(adapted) = &memory.adapted {
        assert!(adapted.history.len() <= config.adaptive().unwrap().window as usize);
    }
    let Some(quorum) = memory.quorum else { return };
    assert_eq!((quorum.slots.len(), quorum.count.len(), quorum.streak.len()), (8, 9, 9));
    match &quorum.window {
        None => {}
        Some(BadCallsSnapshot::Calls(calls)) => check_size(calls.len(), true),
        Some(BadCallsSnapshot::Buckets { buckets, .. }) => check_size(buckets.len(), false),
    }
}

/// The permits that passed their deadline on this step, in the order of their deadlines. How many
/// they are depends on how long HALF_OPEN lasted, which the metrics have to tell; never are they
/// more than were overdue.
fn expired(
    ledger: &Ledger,
    before: &Subject,
    event: &Event,
    answer: &Answer,
    after: &Subject,
    now: Time,
) -> Vec<Permit> {
    let out = before.breaker.probes().map_or(&[][..], Probes::out);
    let mut overdue: Vec<_> = out.iter().filter(|permit| permit.deadline < now).copied().collect();
    overdue.sort_unstable_by_key(|permit| (permit.deadline, permit.id));
    let told = after.breaker.metrics().map(|metrics| *metrics.totals()).unwrap_or_default();
    let reported = match event {
        Event::Record(report) => calls(&report.run),
        _ => Vec::new(),
    };
    let of_reports = reported
        .iter()
        .filter(|call| !matches!(call.judged(&before.config), Outcome::Success | Outcome::Failure))
        .count() as u64;
    let count = told.timeouts + told.ignored - ledger.timeouts_and_ignored() - of_reports;
    assert!(count as usize <= overdue.len(), "more permits passed their deadline than were out");
    if answer.transitions.is_empty() {
        assert_eq!(count as usize, overdue.len());
    }
    overdue.truncate(count as usize);
    overdue
}
