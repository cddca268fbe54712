//! A fleet that shares one breaker through breakerd.
//!
//! Each replica has a smart client. It decides CLOSED and OPEN from its copy of the state and asks
//! for leave while that is HALF_OPEN. A failure, or the end of a probe, is reported at once, and
//! with it everything that the replica saw before it, in order; successes alone wait up to a
//! second. Whatever travels between a replica and the server takes the report delay, so all
//! replicas hear of a change at the same instant, and one copy stands for all of theirs.
//!
//! Reports of one replica arrive in order, and those of several do not: successes that waited for
//! a second lower the count (`failure_decay`) that later failures of others have raised. A fleet
//! with many replicas therefore opens up to a second later than its calls alone would tell.
//!
//! The server never fails here, and a replica has any number of reports on their way.

use std::time::Duration;

use breaker_core::{Breaker, PermitId, Report, StateKind, Time, Transition};

use super::queue::Queue;
use super::tally::{Counter, Standing};
use super::{Admitted, Call, Scene, Tally};

/// How long successes may wait until they are reported.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Shared<'a> {
    scene: Scene<'a>,
    /// The breaker at the server.
    breaker: Breaker,
    /// For when its timer is set.
    due: Option<Time>,
    /// What the replicas know.
    known: Known,
    /// What each replica has not reported yet.
    outboxes: Vec<Outbox>,
    queue: Queue<Event>,
    counter: Counter<'a>,
}

#[derive(Clone, Copy)]
struct Known {
    state: StateKind,
    generation: u64,
}

#[derive(Clone, Default)]
struct Outbox {
    /// When each call ended, and the call.
    ended: Vec<(Time, Admitted)>,
    /// When the first of them has waited long enough.
    flush_at: Option<Time>,
}

enum Event {
    /// At a replica: a call is over.
    Ended(Admitted),
    /// At a replica: successes have waited long enough.
    Waited { replica: usize },
    /// At the server: a report is there.
    Reported(Vec<Report<'static>>),
    /// At the server: a replica asks for leave.
    Asked(Call),
    /// At the replica: the answer is there; leave comes with the generation.
    Answered { call: Call, leave: Option<(u64, Option<PermitId>)> },
    /// At the server: the timer of the breaker.
    Due,
    /// At every replica: the breaker has changed.
    Heard(Known),
}

impl<'a> Shared<'a> {
    pub(super) fn new(scene: Scene<'a>) -> Self {
        let breaker = Breaker::new(Time::EPOCH);
        Self {
            scene,
            known: Known { state: breaker.state(), generation: breaker.generation() },
            breaker,
            due: None,
            outboxes: vec![Outbox::default(); scene.fleet.replicas as usize],
            queue: Queue::new(),
            counter: Counter::new(scene.story, scene.fleet.replicas),
        }
    }

    pub(super) fn call(&mut self, call: &Call) {
        self.run(Some(call.at));
        match self.known.state {
            StateKind::Closed => self.start(call, call.at, self.known.generation, None),
            StateKind::Open => self.counter.deny(call),
            StateKind::HalfOpen => self.send(call.at, Event::Asked(*call)),
        }
    }

    pub(super) fn finish(mut self) -> Tally {
        self.run(None);
        self.counter.finish()
    }

    /// Lets happen what happens by `until`; without one, all.
    fn run(&mut self, until: Option<Time>) {
        while let Some((now, event)) = self.queue.pop(until) {
            match event {
                Event::Ended(call) => self.end(call, now),
                Event::Waited { replica } => {
                    if self.outboxes[replica].flush_at == Some(now) {
                        self.flush(replica, now);
                    }
                }
                Event::Reported(reports) => {
                    for report in reports {
                        let transitions = self.breaker.record(self.scene.config, &report, now);
                        self.settle(&transitions, now);
                    }
                }
                Event::Asked(call) => self.answer(call, now),
                Event::Answered { call, leave: Some((generation, permit)) } => {
                    self.start(&call, now, generation, permit);
                }
                Event::Answered { call, leave: None } => self.counter.deny(&call),
                Event::Due => {
                    let transitions = self.breaker.advance(self.scene.config, now);
                    self.settle(&transitions, now);
                }
                Event::Heard(known) => {
                    let standing =
                        Standing::ALL_CLOSED.with(known.state, self.scene.fleet.replicas);
                    self.counter.change(standing, now);
                    self.known = known;
                }
            }
        }
    }

    fn start(&mut self, call: &Call, now: Time, generation: u64, permit: Option<PermitId>) {
        let admitted = self.scene.admit(call, now, generation, permit);
        self.counter.start(&admitted);
        self.queue.push(now + admitted.fate.duration, Event::Ended(admitted));
    }

    fn end(&mut self, call: Admitted, now: Time) {
        self.counter.end(&call);
        let is_urgent = call.permit.is_some() || call.fate.outcome.is_failure();
        let replica = call.replica;
        let outbox = &mut self.outboxes[replica];
        outbox.ended.push((now, call));
        if is_urgent {
            self.flush(replica, now);
        } else if outbox.flush_at.is_none() {
            outbox.flush_at = Some(now + PATIENCE);
            self.queue.push(now + PATIENCE, Event::Waited { replica });
        }
    }

    /// Reports everything that a replica has not reported yet.
    fn flush(&mut self, replica: usize, now: Time) {
        let outbox = &mut self.outboxes[replica];
        outbox.flush_at = None;
        let reports = outbox.ended.drain(..).map(|(ended_at, call)| {
            let mut report = call.report();
            report.run.age = now.since(ended_at);
            report
        });
        let reports = Event::Reported(reports.collect());
        self.send(now, reports);
    }

    fn answer(&mut self, call: Call, now: Time) {
        let (decision, transitions) = self.breaker.acquire(self.scene.config, now);
        let permit = decision.permit().map(|permit| permit.id);
        let leave = decision.is_allowed().then(|| (self.breaker.generation(), permit));
        self.settle(&transitions, now);
        self.send(now, Event::Answered { call, leave });
    }

    /// Tells the replicas what changed, and sets the timer of the breaker.
    fn settle(&mut self, transitions: &[Transition], now: Time) {
        self.counter.count_openings(transitions);
        if !transitions.is_empty() {
            let (state, generation) = (self.breaker.state(), self.breaker.generation());
            self.send(now, Event::Heard(Known { state, generation }));
        }
        let due = self.breaker.next_deadline(self.scene.config);
        if due != self.due {
            self.due = due;
            if let Some(due) = due {
                self.queue.push(due, Event::Due);
            }
        }
    }

    /// Between the server and the replicas, in either direction.
    fn send(&mut self, now: Time, event: Event) {
        self.queue.push(now + self.scene.fleet.report_delay, event);
    }
}
