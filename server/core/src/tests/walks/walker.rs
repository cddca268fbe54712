use std::time::Duration;

use super::steps::{Act, Of, Step, Wait, Which};
use crate::tests::story::{admin, config};
use crate::{
    Breaker, Config, ConfigPatch, Decision, OverrideKind, PermitId, Probes, Report, ReporterId,
    Run, Time, Transition,
};

/// When walks begin: late enough for every age.
const BEGINNING: Time = Time::from_millis(1_000);

/// What happens to a breaker, spelled out.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Advance,
    Acquire,
    Record(Report<'static>),
    Override(OverrideKind, Option<Duration>),
    Release,
    Trip,
    Reset,
    Reconfigure(Box<Config>),
    Restart,
}

/// What a breaker has to say to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) decision: Option<Decision>,
    pub(super) transitions: Vec<Transition>,
}

/// A breaker with its configuration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Subject {
    pub(super) breaker: Breaker,
    pub(super) config: Config,
}

impl Subject {
    pub(super) fn live(&mut self, event: &Event, now: Time) -> Answer {
        let Self { breaker, config } = self;
        let transitions = match event {
            Event::Advance => breaker.advance(config, now),
            Event::Acquire => {
                let (decision, transitions) = breaker.acquire(config, now);
                return Answer { decision: Some(decision), transitions };
            }
            Event::Record(report) => breaker.record(config, report, now),
            Event::Override(kind, ttl) => breaker.override_with(config, *kind, admin(), *ttl, now),
            Event::Release => breaker.release(config, admin(), now),
            Event::Trip => breaker.trip(config, admin(), now),
            Event::Reset => breaker.reset(config, admin(), now),
            Event::Reconfigure(new) => {
                let transitions = breaker.advance(config, now);
                config.clone_from(new);
                breaker.reconfigure(config);
                transitions
            }
            Event::Restart => {
                // A breaker that is read late enough waits for nothing. What becomes of the others
                // is told apart: a new configuration can shorten what they wait for.
                let late = Time::from_nanos(u64::MAX);
                *breaker = Breaker::restore(breaker.snapshot(), config, late).unwrap();
                breaker.advance(config, now)
            }
        };
        Answer { decision: None, transitions }
    }
}

/// Walks a breaker through steps, and remembers the permits it was given.
#[derive(Clone, Debug)]
pub(super) struct Walker {
    pub(super) subject: Subject,
    pub(super) now: Time,
    /// Every permit ever handed out, with its generation.
    pub(super) permits: Vec<(PermitId, u64)>,
}

impl Walker {
    pub(super) fn new(patch: &ConfigPatch) -> Self {
        let subject = Subject { breaker: Breaker::new(BEGINNING), config: config(patch) };
        Self { subject, now: BEGINNING, permits: Vec::new() }
    }

    /// Spells a step out and lets time pass until it.
    pub(super) fn next(&mut self, step: &Step) -> Event {
        let Subject { breaker, config: current } = &self.subject;
        let deadline = breaker.next_deadline(current).unwrap_or(self.now).max(self.now);
        self.now = match step.wait {
            Wait::Nothing => self.now,
            Wait::For(duration) => self.now + duration,
            Wait::UntilDeadline => deadline,
            Wait::JustPastDeadline => deadline.just_after(),
            Wait::Back(duration) => self.now - duration,
        };
        match &step.act {
            Act::Advance => Event::Advance,
            Act::Acquire => Event::Acquire,
            Act::Record { run, of, permit, reporter } => {
                Event::Record(self.report(run, of, permit).by(ReporterId::of(reporter)))
            }
            Act::Override(kind, ttl) => Event::Override(*kind, *ttl),
            Act::Release => Event::Release,
            Act::Trip => Event::Trip,
            Act::Reset => Event::Reset,
            Act::Reconfigure(patch) => Event::Reconfigure(Box::new(config(patch))),
            Act::Restart => Event::Restart,
        }
    }

    /// Lets the breaker live through what happens now.
    pub(super) fn live(&mut self, event: &Event) -> Answer {
        let answer = self.subject.live(event, self.now);
        if let Some(permit) = answer.decision.and_then(|decision| decision.permit()) {
            self.permits.push((permit.id, self.subject.breaker.generation()));
        }
        answer
    }

    fn report(&self, run: &Run<'static>, of: &Of, which: &Which) -> Report<'static> {
        let breaker = &self.subject.breaker;
        let out = breaker.probes().map_or(&[][..], Probes::out);
        let permit = match which {
            Which::Out(index) if !out.is_empty() => Some(index.get(out).id),
            Which::Ever(index) if !self.permits.is_empty() => Some(index.get(&self.permits).0),
            _ => None,
        };
        let handed_out = self.permits.iter().find(|(id, _)| Some(*id) == permit);
        let right = handed_out.map_or(breaker.generation(), |&(_, generation)| generation);
        let generation = match of {
            Of::Unknown => None,
            Of::Right => Some(right),
            Of::Older(by) => Some(right.saturating_sub(*by).max(1)),
        };
        Report { generation, permit, ..Report::current(run.clone()) }
    }
}
