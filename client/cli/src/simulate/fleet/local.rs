//! A fleet in which each replica has a breaker of its own, and hears of nothing but its own calls.

use breaker_core::{Breaker, Config, Time, Transition};

use super::queue::Queue;
use super::tally::Counter;
use super::{Admitted, Call, Scene, Tally};

pub(super) struct Local<'a> {
    scene: Scene<'a>,
    config: Config,
    replicas: Vec<Replica>,
    queue: Queue<Event>,
    counter: Counter<'a>,
}

struct Replica {
    breaker: Breaker,
    /// For when the timer of the breaker is set.
    due: Option<Time>,
}

enum Event {
    Ended(Admitted),
    Due { replica: usize },
}

impl<'a> Local<'a> {
    pub(super) fn new(scene: Scene<'a>) -> Self {
        let replica = || Replica { breaker: Breaker::new(Time::EPOCH), due: None };
        Self {
            scene,
            config: scene.config.for_one_reporter(),
            replicas: (0..scene.fleet.replicas).map(|_| replica()).collect(),
            queue: Queue::new(),
            counter: Counter::new(scene.story, scene.fleet.replicas),
        }
    }

    pub(super) fn call(&mut self, call: &Call) {
        self.run(Some(call.at));
        let breaker = &mut self.replicas[call.replica].breaker;
        let (decision, transitions) = breaker.acquire(&self.config, call.at);
        let generation = breaker.generation();
        self.settle(call.replica, &transitions, call.at);
        if decision.is_allowed() {
            let permit = decision.permit().map(|permit| permit.id);
            let admitted = self.scene.admit(call, call.at, generation, permit);
            self.counter.start(&admitted);
            self.queue.push(call.at + admitted.fate.duration, Event::Ended(admitted));
        } else {
            self.counter.deny(call);
        }
    }

    pub(super) fn finish(mut self) -> Tally {
        self.run(None);
        self.counter.finish()
    }

    /// Lets happen what happens by `until`; without one, all.
    fn run(&mut self, until: Option<Time>) {
        while let Some((now, event)) = self.queue.pop(until) {
            let (index, transitions) = match event {
                Event::Ended(call) => {
                    self.counter.end(&call);
                    let breaker = &mut self.replicas[call.replica].breaker;
                    (call.replica, breaker.record(&self.config, &call.report(), now))
                }
                Event::Due { replica } => {
                    (replica, self.replicas[replica].breaker.advance(&self.config, now))
                }
            };
            self.settle(index, &transitions, now);
        }
    }

    /// Counts what changed for a replica, and sets the timer of its breaker.
    fn settle(&mut self, index: usize, transitions: &[Transition], now: Time) {
        self.counter.count_openings(transitions);
        for transition in transitions {
            let standing = self.counter.standing().without_one(transition.from);
            self.counter.change(standing.with(transition.to, 1), now);
        }
        let replica = &mut self.replicas[index];
        let due = replica.breaker.next_deadline(&self.config);
        if due != replica.due {
            replica.due = due;
            if let Some(due) = due {
                self.queue.push(due, Event::Due { replica: index });
            }
        }
    }
}
