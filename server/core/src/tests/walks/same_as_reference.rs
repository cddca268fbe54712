//! The breaker against its simple twin, which hears of the same calls one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::ledger::calls;
use super::reference::{Change, Permit, Reference, Told};
use super::steps::{self, Step};
use super::walker::{Answer, Event, Walker};
use crate::tests::deterministic;
use crate::{AllowReason, ConfigPatch, Decision, PermitId, Probes};

/// The numbers under which the twin knows the permits.
type Numbers = BTreeMap<PermitId, usize>;

proptest! {
    #![proptest_config(deterministic(500))]

    #[test]
    fn a_breaker_decides_like_its_simple_twin(
        config in steps::config(),
        walk in steps::automatic_walk(),
    ) {
        walk_together(&config, &walk);
    }
}

fn walk_together(config: &ConfigPatch, walk: &[Step]) {
    let mut walker = Walker::new(config);
    let mut twin = Reference::new(walker.subject.config.clone(), walker.now);
    let mut numbers = Numbers::new();
    for step in walk {
        let event = walker.next(step);
        let answer = walker.live(&event);
        let told = live(&mut twin, &event, &walker, &numbers);
        if let (Some(permit), Some(Told::Probe(known))) =
            (answer.decision.and_then(|decision| decision.permit()), &told)
        {
            numbers.insert(permit.id, known.number);
        }
        assert_eq!(answer.decision.map(|decision| in_words(decision, &numbers)), told);
        assert_eq!(changes(&answer), std::mem::take(&mut twin.changes), "{event:?}");
        compare(&walker, &twin, &numbers);
    }
}

fn live(twin: &mut Reference, event: &Event, walker: &Walker, numbers: &Numbers) -> Option<Told> {
    let now = walker.now;
    match event {
        Event::Acquire => return Some(twin.asks(now)),
        Event::Record(report) => {
            let permit = report.permit.map(|id| numbers[&id]);
            for call in calls(&report.run) {
                twin.call_ended(&call, report.generation, permit, now);
            }
        }
        Event::Trip => twin.is_tripped(now),
        Event::Reset => twin.is_reset(now),
        _ => twin.time_passes(now),
    }
    None
}

fn in_words(decision: Decision, numbers: &Numbers) -> Told {
    match decision {
        Decision::Allowed(AllowReason::Probe(permit)) => {
            Told::Probe(Permit { number: numbers[&permit.id], deadline: permit.deadline })
        }
        Decision::Allowed(_) => Told::Go,
        Decision::Denied { retry_after, .. } => Told::Wait(retry_after.unwrap()),
    }
}

fn changes(answer: &Answer) -> Vec<Change> {
    answer.transitions.iter().map(|t| (t.at, t.to, t.cause)).collect()
}

fn compare(walker: &Walker, twin: &Reference, numbers: &Numbers) {
    let breaker = &walker.subject.breaker;
    let counts = breaker.counts();
    assert_eq!(breaker.state(), twin.state);
    assert_eq!(breaker.since(), twin.since);
    assert_eq!(breaker.generation(), twin.generation);
    assert_eq!(breaker.retry_at(), twin.retry_at);
    assert_eq!(counts.failure_count, twin.failure_count);
    assert_eq!(counts.consecutive_failures, twin.failures_in_a_row);
    assert_eq!(counts.success_count, twin.success_count);
    assert_eq!(breaker.metrics().map_or(0, |metrics| metrics.totals().late), twin.late);
    let out = breaker.probes().map_or(&[][..], Probes::out);
    let mut out: Vec<_> = out.iter().map(|permit| (numbers[&permit.id], permit.deadline)).collect();
    out.sort_unstable();
    let expected: Vec<_> = twin.permits_out.iter().map(|p| (p.number, p.deadline)).collect();
    assert_eq!(out, expected);
}
