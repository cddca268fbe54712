//! The breaker against its simple twin, which hears of the same calls one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::configs;
use super::ledger::calls;
use super::reference::{Change, Permit, Reference, Told};
use super::steps::{self, Step};
use super::walker::{Answer, Event, Subject, Walker};
use crate::tests::deterministic;
use crate::{AllowReason, Config, ConfigPatch, Decision, DenyReason, PermitId, Probes, Transition};

/// The numbers under which the twin knows the permits.
type Numbers = BTreeMap<PermitId, usize>;

proptest! {
    #![proptest_config(deterministic(500))]

    #[test]
    fn a_breaker_decides_like_its_simple_twin(
        config in configs::config_without_jitter(),
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
        let old = walker.subject.config.clone();
        let answer = walker.live(&event);
        let told = live(&mut twin, &event, &walker, &numbers);
        if let (Some(permit), Some(Told::Probe(known))) =
            (answer.decision.and_then(|decision| decision.permit()), &told)
        {
            numbers.insert(permit.id, known.number);
        }
        assert_eq!(answer.decision.map(|decision| in_words(decision, &numbers)), told, "{event:?}");
        assert_eq!(changes(&answer, &old), twin.take_changes(), "{event:?}");
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
                twin.call_ended(&call, (report.reporter, report.generation), permit, now);
            }
        }
        Event::Trip => twin.is_tripped(now),
        Event::Reset => twin.is_reset(now),
        Event::Reconfigure(new) => twin.is_reconfigured((**new).clone(), now),
        _ => twin.time_passes(now),
    }
    None
}

fn in_words(decision: Decision, numbers: &Numbers) -> Told {
    match decision {
        Decision::Allowed(AllowReason::Probe(permit)) => {
            Told::Probe(Permit { number: numbers[&permit.id], deadline: permit.deadline })
        }
        Decision::Allowed(AllowReason::Ramp) => Told::Flow,
        Decision::Allowed(_) => Told::Go,
        Decision::Denied { reason: DenyReason::Ramp, .. } => Told::Stay,
        Decision::Denied { retry_after, .. } => Told::Wait(retry_after.unwrap()),
    }
}

fn changes(answer: &Answer, config: &Config) -> Vec<Change> {
    let number = |name: &Option<Box<str>>| {
        let all = config.levels().map_or(&[][..], |levels| &levels.levels);
        name.as_ref().map_or(0, |name| all.iter().position(|l| *l.name == **name).unwrap())
    };
    let levels = |t: &Transition| (number(&t.from_level), number(&t.to_level));
    answer.transitions.iter().map(|t| (t.at, t.to, t.cause, levels(t))).collect()
}

fn compare(walker: &Walker, twin: &Reference, numbers: &Numbers) {
    let Subject { breaker, config } = &walker.subject;
    let counts = breaker.counts(walker.now);
    assert_eq!(breaker.state(), twin.state);
    assert_eq!(breaker.since(), twin.since);
    assert_eq!(breaker.generation(), twin.generation);
    assert_eq!(breaker.retry_at(), twin.retry_at);
    assert_eq!(counts, twin.counts_now(walker.now));
    assert_eq!(breaker.metrics().map_or(0, |metrics| metrics.totals().late), twin.late);
    assert_eq!(breaker.admit_percent(config), twin.admit_percent());
    let effective = breaker.effective(config);
    assert_eq!(effective.failure_threshold, twin.threshold());
    assert_eq!(effective.open_duration, twin.open_duration());
    assert_eq!(breaker.level_number(), twin.level);
    let out = breaker.probes().map_or(&[][..], Probes::out);
    let mut out: Vec<_> = out.iter().map(|permit| (numbers[&permit.id], permit.deadline)).collect();
    out.sort_unstable();
    let expected: Vec<_> = twin.permits_out.iter().map(|p| (p.number, p.deadline)).collect();
    assert_eq!(out, expected);
}
