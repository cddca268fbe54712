//! Lets go of the breakers that came to be by their first use, and that nobody has used for long: a
//! fleet that makes up names as it goes would fill the server otherwise. What an admin has created or
//! configured stays, and so does all that a breaker would be missed for: an override, a state other
//! than CLOSED, a level.
//!
//! One task goes through the names again and again, a few at a time. Whether a breaker goes is decided
//! under the lock of its shard, so that none goes that is used at this moment.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breaker_core::{BreakerName, Mode, StateKind, Time};
use tokio::time::sleep;

use crate::engine::Engine;
use crate::live::Live;

/// Breakers looked at in one step.
const STEP: usize = 256;
/// How long to wait after a step. A million breakers are gone through within two minutes, on about a
/// hundredth of a processor.
const REST: Duration = Duration::from_millis(20);
/// Between the beginnings of two rounds lies this part of the time after which breakers go, and at
/// most so long.
const ROUNDS: (u32, Duration) = (10, Duration::from_mins(10));
/// A server that was away, or was restored, waits for so long for clients to use what they use.
const SPARED: Duration = Duration::from_hours(1);

/// When breakers are idle for too long.
pub(crate) struct Idleness {
    /// After which time without use; `None` for never.
    time_to_live: Option<Duration>,
    /// In nanoseconds: until then none goes.
    spared_until: AtomicU64,
}

/// When a breaker was last used: in seconds since the Unix epoch, rounded up, so that it never goes
/// early. Enough until 2106.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LastUse(NonZeroU32);

impl LastUse {
    pub(crate) fn at(time: Time) -> Self {
        const SECOND_NS: u64 = 1_000_000_000;
        let seconds = u32::try_from(time.as_nanos().div_ceil(SECOND_NS)).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN))
    }

    pub(crate) fn time(self) -> Time {
        Time::EPOCH + Duration::from_secs(self.0.get().into())
    }

    /// Whether storage has to learn that this use came after another one, although nothing else has
    /// changed: in every tenth minute. A breaker that is only asked for leave has nothing to lose but
    /// its place.
    pub(crate) const fn is_worth_writing_after(self, earlier: Self) -> bool {
        const GRAIN_S: u32 = 600;
        self.0.get() / GRAIN_S != earlier.0.get() / GRAIN_S
    }
}

impl Idleness {
    pub(crate) fn new(time_to_live: Option<Duration>, now: Time) -> Self {
        let idleness = Self { time_to_live, spared_until: AtomicU64::new(0) };
        idleness.spare(now);
        idleness
    }

    /// Lets no breaker go for a while: there was no way to use them.
    pub(crate) fn spare(&self, now: Time) {
        let until = now + self.time_to_live.unwrap_or_default().min(SPARED);
        self.spared_until.fetch_max(until.as_nanos(), Ordering::Relaxed);
    }

    fn spared_until(&self) -> Time {
        Time::from_nanos(self.spared_until.load(Ordering::Relaxed))
    }
}

impl Live {
    /// Whether nobody would miss the breaker that nobody has used for so long.
    fn is_idle(&self, time_to_live: Duration, now: Time) -> bool {
        self.last_use.is_some_and(|used| now.since(used.time()) >= time_to_live)
            && self.configured.own.is_none()
            && self.breaker.state() == StateKind::Closed
            && self.breaker.mode() == Mode::Normal
            && self.breaker.level_number() == 0
    }
}

/// Goes round after round, for ever.
pub(crate) async fn run(engine: Arc<Engine>) {
    let Some(time_to_live) = engine.idleness().time_to_live else {
        return std::future::pending().await;
    };
    let every = (time_to_live / ROUNDS.0).min(ROUNDS.1);
    loop {
        let began = engine.now();
        go_through(&engine, time_to_live).await;
        let next = (began + every).max(engine.idleness().spared_until());
        engine.clock().sleep_until(next).await;
    }
}

async fn go_through(engine: &Engine, time_to_live: Duration) {
    let (mut after, mut dropped) = (None, 0);
    loop {
        let (last, count) = step(engine, time_to_live, after.as_ref());
        dropped += count;
        after = last;
        if after.is_none() {
            break;
        }
        sleep(REST).await;
        // While storage is away no deletions pile up.
        while engine.desk().has_deletions() {
            sleep(REST).await;
        }
    }
    if dropped > 0 {
        tracing::info!(dropped, ?time_to_live, "breakers were dropped that nobody used any more");
    }
}

/// Looks at the next breakers, and says which was the last, if others follow, and how many it has
/// dropped.
fn step(
    engine: &Engine,
    time_to_live: Duration,
    after: Option<&BreakerName>,
) -> (Option<BreakerName>, usize) {
    let (breakers, now) = (engine.breakers(), engine.now());
    // A restore is about to fill the server, or was not to be.
    if now < engine.idleness().spared_until() || breakers.gate.pass().is_err() {
        return (None, 0);
    }
    let names: Vec<_> = breakers.names_beginning_with("", after).take(STEP).collect();
    let mut dropped = 0;
    for name in &names {
        let allowed = |live: &Live| live.is_idle(time_to_live, now).then_some(()).ok_or(());
        if let Some(Ok(deletion)) = breakers.remove(name, allowed) {
            engine.desk().delete(deletion);
            dropped += 1;
        }
    }
    engine.stats().count_idle_dropped(dropped);
    let last = if names.len() == STEP { names.last().cloned() } else { None };
    (last, dropped)
}
