//! Two ways that must lead to the same place.

use proptest::prelude::*;
use proptest::sample::Index;

use super::ledger::{Call, calls, run_of};
use super::steps::{Act, Step};
use super::walker::{Answer, Event, Subject, Walker};
use super::{configs, steps};
use crate::tests::deterministic;
use crate::{
    AllowReason, Breaker, BreakerSnapshot, Decision, PermitId, Report, StateSnapshot, Time,
    Transition,
};

proptest! {
    #![proptest_config(deterministic(300))]

    #[test]
    fn timers_may_fire_at_any_time_before_somebody_asks(
        config in configs::config(),
        walk in steps::walk(),
        looks in prop::collection::vec(any::<u64>(), 1..40),
    ) {
        let mut walker = Walker::new(&config);
        let mut watched = walker.subject.clone();
        let mut looks = looks.into_iter().cycle();
        for step in &walk {
            let before = walker.now;
            let event = match walker.next(step) {
                // A permit's number tells how many times its breaker was stored, and no more.
                Event::Restart => Event::Advance,
                event => event,
            };
            let mut transitions = look_between(&mut watched, before, walker.now, &mut looks);
            let answer = walker.live(&event);
            let watched_answer = watched.live(&event, walker.now);
            transitions.extend(watched_answer.transitions);
            prop_assert_eq!(&watched_answer.decision, &answer.decision);
            prop_assert_eq!(transitions, answer.transitions);
            prop_assert_eq!(&watched, &walker.subject);
        }
    }

    #[test]
    fn how_calls_are_gathered_into_runs_changes_nothing(
        config in configs::config(),
        walk in steps::walk(),
        cuts in prop::collection::vec(1..8_usize, 1..40),
    ) {
        let mut walker = Walker::new(&config);
        let mut split = walker.subject.clone();
        let mut cuts = cuts.into_iter().cycle();
        for step in &walk {
            let event = walker.next(step);
            let answer = walker.live(&event);
            let transitions: Vec<_> = pieces(&event, &mut cuts)
                .iter()
                .flat_map(|piece| split.live(piece, walker.now).transitions)
                .collect();
            prop_assert_eq!(transitions, answer.transitions);
            prop_assert_eq!(&split, &walker.subject);
        }
    }

    #[test]
    fn a_restored_breaker_lives_on_like_the_one_that_was_stored(
        config in configs::config(),
        walk in steps::walk(),
        stored_after: Index,
    ) {
        let mut walker = Walker::new(&config);
        let (before, after) = walk.split_at(stored_after.index(walk.len()));
        for step in before {
            let event = walker.next(step);
            walker.live(&event);
        }
        let Subject { breaker, config } = &walker.subject;
        if breaker.snapshot().bound(config, walker.now) {
            // It waits for longer than the configuration lets it by now.
            let is_reconfiguration = |step: &Step| matches!(step.act, Act::Reconfigure(_));
            prop_assert!(before.iter().any(is_reconfiguration));
            return Ok(());
        }
        let mut restored = Subject {
            breaker: Breaker::restore(breaker.snapshot(), config, walker.now).unwrap(),
            ..walker.subject.clone()
        };
        let mut renamed = Renamed(walker.permits.iter().map(|&(id, _)| (id, id)).collect());
        prop_assert_eq!(renamed.view(&walker.subject.breaker), view(&restored.breaker));
        for step in after {
            let event = walker.next(step);
            let answer = walker.live(&event);
            let restored_answer = restored.live(&renamed.event(&event), walker.now);
            renamed.learn(&answer, &restored_answer);
            prop_assert_eq!(renamed.answer(answer), restored_answer);
            prop_assert_eq!(renamed.view(&walker.subject.breaker), view(&restored.breaker));
        }
    }
}

/// Lets the breaker look at the clock once at a time in between, and once at its deadline.
fn look_between(
    subject: &mut Subject,
    from: Time,
    to: Time,
    looks: &mut impl Iterator<Item = u64>,
) -> Vec<Transition> {
    let span = to.as_nanos() - from.as_nanos();
    let anywhere = from.as_nanos() + looks.next().unwrap_or(0) % (span + 1);
    let mut transitions = subject.live(&Event::Advance, Time::from_nanos(anywhere)).transitions;
    if let Some(deadline) =
        subject.breaker.next_deadline(&subject.config).filter(|&deadline| deadline <= to)
    {
        transitions.extend(subject.live(&Event::Advance, deadline).transitions);
    }
    transitions
}

/// The same calls in runs of other lengths.
fn pieces(event: &Event, cuts: &mut impl Iterator<Item = usize>) -> Vec<Event> {
    let Event::Record(report) = event else { return vec![event.clone()] };
    let calls = calls(&report.run);
    let mut rest: &[Call] = &calls;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
        pieces.push(Event::Record(Report { run: run_of(piece), ..report.clone() }));
        rest = left;
    }
    pieces
}

/// Permits as the stored breaker calls them, and as the restored one does.
struct Renamed(Vec<(PermitId, PermitId)>);

impl Renamed {
    fn name(&self, id: PermitId) -> PermitId {
        self.0.iter().find(|(stored, _)| *stored == id).map(|&(_, restored)| restored).unwrap()
    }

    /// A permit that both hand out; the restored one must never have been handed out before.
    fn learn(&mut self, stored: &Answer, restored: &Answer) {
        let permit = |answer: &Answer| answer.decision.and_then(|decision| decision.permit());
        if let (Some(stored), Some(restored)) = (permit(stored), permit(restored)) {
            assert!(self.0.iter().all(|&(_, known)| known != restored.id), "handed out twice");
            self.0.push((stored.id, restored.id));
        }
    }

    fn event(&self, event: &Event) -> Event {
        match event {
            Event::Record(report) => Event::Record(Report {
                permit: report.permit.map(|id| self.name(id)),
                ..report.clone()
            }),
            event => event.clone(),
        }
    }

    fn answer(&self, mut answer: Answer) -> Answer {
        if let Some(Decision::Allowed(AllowReason::Probe(permit))) = &mut answer.decision {
            permit.id = self.name(permit.id);
        }
        answer
    }

    fn view(&self, breaker: &Breaker) -> BreakerSnapshot {
        let mut view = view(breaker);
        if let StateSnapshot::HalfOpen { permits, .. } = &mut view.state {
            for permit in permits {
                permit.id = self.name(permit.id);
            }
        }
        view
    }
}

/// All there is to a breaker but the serial number of its next permit.
fn view(breaker: &Breaker) -> BreakerSnapshot {
    let mut view = breaker.snapshot();
    if let StateSnapshot::HalfOpen { next_serial, .. } = &mut view.state {
        *next_serial = 0;
    }
    view
}
