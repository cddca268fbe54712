//! The one task that waits for all breakers: it sleeps to the earliest deadline, and is woken only
//! when a breaker gets an earlier one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use breaker_core::{BreakerName, Time};

use crate::engine::Engine;
use crate::live::NEVER;

/// Breakers moved on before other tasks get a turn.
const TURN: usize = 256;

pub(crate) async fn run(engine: Arc<Engine>) {
    let mut waiting: BinaryHeap<Reverse<(Time, BreakerName)>> = BinaryHeap::new();
    loop {
        take_in(&engine, &mut waiting);
        pass_due(&engine, &mut waiting).await;
        let earliest = waiting.peek().map(|Reverse((time, _))| *time);
        let sleep = async {
            match earliest {
                Some(time) => engine.clock().sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = engine.signals().deadlines.filled() => {}
        }
    }
}

fn take_in(engine: &Engine, waiting: &mut BinaryHeap<Reverse<(Time, BreakerName)>>) {
    while let Some(deadline) = engine.signals().deadlines.pop() {
        waiting.push(Reverse(deadline));
    }
}

async fn pass_due(engine: &Engine, waiting: &mut BinaryHeap<Reverse<(Time, BreakerName)>>) {
    let mut passed = 0;
    while let Some(Reverse((due, name))) = waiting.peek() {
        let now = engine.clock().now();
        if *due > now {
            return;
        }
        engine.breakers().with(name.as_str(), |name, live| {
            // An entry that an earlier deadline has overtaken is stale: that one sees to the rest.
            if live.marks.deadline == *due {
                live.marks.deadline = NEVER;
                live.advance(name, engine.signals(), now);
            }
        });
        waiting.pop();
        passed += 1;
        if passed % TURN == 0 {
            tokio::task::yield_now().await;
            take_in(engine, waiting);
        }
    }
}
