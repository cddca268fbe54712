//! The one task that turns marks of changed breakers into entries of the watch log and of the
//! journal, and hands them on to the writer. It only touches memory, so it is never far behind.

use std::mem;
use std::sync::Arc;

use breaker_core::BreakerName;

use crate::engine::Engine;
use crate::live::Live;
use crate::signals::Change;
use crate::store::Deletion;
use crate::view::BreakerStatus;

/// Changes recorded before the watchers are woken.
const TURN: usize = 256;

pub(crate) async fn run(engine: Arc<Engine>) {
    loop {
        engine.signals().changes.filled().await;
        while record(&engine) > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Records what is waiting, a turn at most, and wakes the watchers; returns how much it was.
pub(crate) fn record(engine: &Engine) -> usize {
    let mut recorded = 0;
    while recorded < TURN
        && let Some(change) = engine.signals().changes.pop()
    {
        match change {
            Change::Changed(name) => record_change(engine, &name),
            Change::Deleted(deletion, position) => record_deletion(engine, deletion, position),
        }
        recorded += 1;
    }
    if recorded > 0 {
        engine.watch_log().publish(engine.now());
    }
    recorded
}

/// Puts what has happened to a breaker into the journal, while the breaker is locked: whoever takes
/// its row finds the transitions that led to it, and a crash never leaves the one without the other.
pub(crate) fn journal(engine: &Engine, name: &BreakerName, live: &mut Live) {
    live.marks.recorded = live.revision;
    let stamped = mem::take(&mut live.marks.unrecorded);
    if !stamped.is_empty() {
        let dropped = engine.journal().append(name, stamped);
        engine.signals().stats.count_dropped_transitions(dropped);
    }
}

/// The watch log is not filled while the breaker is locked, because its readers take longer.
fn record_change(engine: &Engine, name: &BreakerName) {
    let reserved = engine.watch_log().reserve();
    let captured = engine.breakers().with(name.as_str(), |name, live| {
        live.marks.to_record = false;
        journal(engine, name, live);
        // What was just read from storage need not be written back.
        if live.marks.durable < live.revision {
            live.mark_for_writing(name, engine.signals());
        }
        (mem::replace(&mut live.marks.position, reserved), BreakerStatus::of(name, live))
    });
    if let Some((old, status)) = captured {
        let state = engine.encode(&status);
        engine.watch_log().put(old, reserved, status.name, state);
    }
}

/// A breaker of the same name may have been created since; its own change has been recorded, or
/// follows.
fn record_deletion(engine: &Engine, deletion: Deletion, position: u64) {
    if engine.breakers().contains(&deletion.name) {
        engine.watch_log().forget(position, &deletion.name);
    } else {
        engine.alerts().forget(engine, &deletion.name);
        engine.watch_log().bury(position, deletion.name);
    }
}
