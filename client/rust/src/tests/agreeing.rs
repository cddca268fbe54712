//! Whatever happens to a breaker, a client's copy of it decides as the server's core does.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{
    Attribution, BreakerName, ConfigPatch, Decision, DenyReason as CoreDenyReason, OnUnavailable,
    Outcome, OverrideKind, Ramp, Report, Run, StateKind,
};
use breaker_proto::v1;
use breaker_wire::time_to_message;
use proptest::prelude::*;
use tokio::time::advance;

use super::server::{World, config, state_message};
use super::support::{NAME, builder, nobody};
use crate::copy::{Held, Step};
use crate::shared::Shared;
use crate::state::ClientState;
use crate::status::BreakerStatus;
use crate::{Client, DenyReason};

/// What can happen.
#[derive(Clone, Debug)]
enum Event {
    Reported(Outcome, u32),
    Probed(Outcome),
    Tripped,
    Reset,
    Overridden(OverrideKind, Option<u64>),
    Released,
    Deleted,
    /// Seconds.
    Passed(u64),
    /// An older state arrives once more, by the stream or as the answer to a report: the one so
    /// many states ago.
    ToldAgain(usize, bool),
    /// The state arrives by a new stream, after a reset.
    ToldAnew,
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = || {
        let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Timeout, Outcome::Ignored];
        prop::sample::select(outcomes.to_vec())
    };
    let kinds = [
        OverrideKind::ForcedOpen,
        OverrideKind::ForcedClosed,
        OverrideKind::Disabled,
        OverrideKind::Shadow,
    ];
    let kind = prop::sample::select(kinds.to_vec());
    prop_oneof![
        4 => (outcome(), 1_u32..4).prop_map(|(outcome, count)| Event::Reported(outcome, count)),
        4 => outcome().prop_map(Event::Probed),
        1 => Just(Event::Tripped),
        1 => Just(Event::Reset),
        2 => (kind, prop::option::of(1_u64..20)).prop_map(|(k, s)| Event::Overridden(k, s)),
        1 => Just(Event::Released),
        1 => Just(Event::Deleted),
        4 => (1_u64..20).prop_map(Event::Passed),
        3 => (0_usize..6, any::<bool>()).prop_map(|(ago, answer)| Event::ToldAgain(ago, answer)),
        1 => Just(Event::ToldAnew),
    ]
}

/// A server and a client that hear of each other by this test alone.
struct Pair {
    world: World,
    client: Client,
    /// The number of the snapshot.
    told: u64,
    /// All states that the client was told of since the last reset.
    states: Vec<v1::BreakerState>,
}

impl Pair {
    fn new() -> Self {
        let ramp = Ramp { percents: vec![30, 60], step: Duration::from_secs(5) };
        let patch = ConfigPatch {
            failure_threshold: Some(3),
            success_threshold: Some(2),
            open_duration: Some(Duration::from_secs(10)),
            call_timeout: Some(Duration::from_secs(600)),
            ramp: Some(Some(ramp)),
            ..ConfigPatch::default()
        };
        let mut world = World::new(config(&patch));
        world.change(NAME, |_, _, _| ());
        let client = builder().address(nobody()).build().unwrap();
        client.breaker(NAME).unwrap();
        Self { world, client, told: 1, states: Vec::new() }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.client.shared()
    }

    async fn happens(&mut self, event: Event) {
        let by = Attribution::default;
        match event {
            Event::Reported(outcome, count) => self.world.change(NAME, |breaker, config, now| {
                let generation = breaker.generation();
                let report = Report::admitted(Run::new(outcome, count), generation);
                breaker.record(config, &report, now);
            }),
            Event::Probed(outcome) => self.world.change(NAME, |breaker, config, now| {
                let (decision, _) = breaker.acquire(config, now);
                let permit = decision.permit().map(|permit| permit.id);
                let report = Report::admitted(Run::new(outcome, 1), breaker.generation());
                breaker.record(config, &Report { permit, ..report }, now);
            }),
            Event::Tripped => self.world.change(NAME, |breaker, config, now| {
                breaker.trip(config, by(), now);
            }),
            Event::Reset => self.world.change(NAME, |breaker, config, now| {
                breaker.reset(config, by(), now);
            }),
            Event::Overridden(kind, seconds) => {
                let time_to_live = seconds.map(Duration::from_secs);
                self.world.change(NAME, |breaker, config, now| {
                    breaker.override_with(config, kind, by(), time_to_live, now);
                });
            }
            Event::Released => self.world.change(NAME, |breaker, config, now| {
                breaker.release(config, by(), now);
            }),
            Event::Deleted => {
                self.world.delete(NAME);
                let name = BreakerName::new(NAME).unwrap();
                let cell = self.shared().registry.find(&name).unwrap();
                cell.hold(&mut cell.lock(), Held::Absent);
                // States of before a deletion do not come after it.
                self.states.clear();
            }
            Event::Passed(seconds) => {
                let duration = Duration::from_secs(seconds);
                self.world.pass(duration);
                advance(duration).await;
            }
            Event::ToldAgain(ago, is_answer) => {
                if let Some(state) = self.states.iter().rev().nth(ago) {
                    self.take_in(state, (!is_answer).then_some(self.told));
                }
            }
            Event::ToldAnew => {
                self.told += 1;
                self.states.clear();
                self.tell();
            }
        }
    }

    /// Tells the client of the state as it is now.
    fn tell(&mut self) {
        if let Some(kept) = self.world.breakers.get(NAME) {
            let state = state_message(NAME, kept);
            self.take_in(&state, Some(self.told));
            self.states.push(state);
        }
    }

    fn take_in(&self, state: &v1::BreakerState, told: Option<u64>) {
        let now = time_to_message(self.world.now);
        let status = BreakerStatus::from_message(state, Some(&now)).unwrap();
        self.shared().take_in(&status, told);
    }

    /// Compares what both say to a call.
    fn check(&self) -> Result<(), TestCaseError> {
        let name = BreakerName::new(NAME).unwrap();
        let cell = self.shared().registry.find(&name).unwrap();
        let cold = cell.lock();
        let step =
            cold.held.decide(ClientState::Ready, OnUnavailable::Local, &mut 0, crate::clock::now());
        let Some(kept) = self.world.breakers.get(NAME) else {
            prop_assert_eq!(step, Step::Allow { generation: 0 });
            return Ok(());
        };
        let mut breaker = kept.breaker.clone();
        let (decision, _) = breaker.acquire(&kept.config, self.world.now);
        let generation = breaker.generation();
        let is_ramping = breaker.admit_percent(&kept.config).is_some();
        let is_probing = breaker.state() == StateKind::HalfOpen && !is_ramping;
        let agrees = match (step, decision) {
            (Step::Ask { .. }, _) => is_probing,
            (Step::Allow { generation: under }, Decision::Allowed(_)) => under == generation,
            // A share of the calls flows; which of them, each client knows by itself.
            (Step::Allow { generation: under }, _) if is_ramping => under == generation,
            (Step::Deny { reason: DenyReason::Ramp, .. }, _) => is_ramping,
            (
                Step::Deny { reason, retry_after },
                Decision::Denied { reason: why, retry_after: left },
            ) => {
                let is_same = matches!(
                    (reason, why),
                    (DenyReason::Open, CoreDenyReason::Open)
                        | (DenyReason::ForcedOpen, CoreDenyReason::ForcedOpen)
                );
                is_same && retry_after == left
            }
            _ => false,
        };
        prop_assert!(agrees, "client: {:?}, server: {:?} of {:?}", step, decision, breaker);
        drop(cold);
        if let Some(under) = cell.allows() {
            prop_assert!(decision.is_allowed() && under == generation, "{:?}", decision);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_copy_decides_as_the_server_does(events in prop::collection::vec(event(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new();
            pair.shared().enter(ClientState::Ready);
            pair.tell();
            for event in events {
                pair.happens(event).await;
                pair.tell();
                pair.check()?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }
}
