//! What happens when more calls come than the server can serve.
//!
//! A call that waits behind thousands of others is answered when nobody wants the answer any more.
//! So the server looks at how long what is ready has to wait for its turn. While that stays above a
//! limit, and it is this server that keeps the machine busy, a growing share of the calls is refused
//! at once, with a hint when to ask again: Acquire first, whose callers have a rule for it
//! (`on_unavailable`), and Report only when all of Acquire is refused, because what is reported is
//! what opens breakers. Calls of admins and streams are never refused: what the others do without is
//! theirs.
//!
//! To refuse a call costs much of what it costs to answer it, so a connection whose calls are refused
//! rests before more of it is read, and its client waits where it costs nothing: in its own buffers.

mod controller;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use breaker_engine::{Clock, SystemClock};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::time::sleep;

use self::controller::{Controller, FULL, Sample};

/// How often the server looks at how long it takes to get a turn.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A connection whose calls are refused rests for at least so long, and at most.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

/// What can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Acquire,
    Report,
}

/// The share of calls that is refused at present.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    /// Of `FULL`: the share of Acquire, and what is above it the share of Report.
    level: AtomicU32,
    /// Grows with each call, so that every share is spread evenly.
    calls: AtomicU32,
    /// How long it takes to get a turn, in nanoseconds.
    delay: AtomicU64,
    refused: [AtomicU64; 2],
}

impl Overload {
    /// Whether this call is refused.
    pub(crate) fn refuses(&self, call: Call) -> bool {
        let share = self.share_of_full(call);
        if share == 0 {
            return false;
        }
        let before = u64::from(self.calls.fetch_add(1, Ordering::Relaxed) % FULL);
        let reached = |calls| calls * u64::from(share) / u64::from(FULL);
        let is_refused = reached(before + 1) > reached(before);
        if is_refused {
            self.refused[call as usize].fetch_add(1, Ordering::Relaxed);
        }
        is_refused
    }

    /// How long a connection rests whose call was refused.
    pub(crate) fn rest(&self) -> Duration {
        self.delay().clamp(REST.0, REST.1)
    }

    /// How long what is ready waits for its turn.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_nanos(self.delay.load(Ordering::Relaxed))
    }

    /// The share of these calls that is refused, from 0 to 1.
    pub(crate) fn share(&self, call: Call) -> f64 {
        f64::from(self.share_of_full(call)) / f64::from(FULL)
    }

    /// How many calls were refused.
    pub(crate) fn refused(&self, call: Call) -> u64 {
        self.refused[call as usize].load(Ordering::Relaxed)
    }

    fn share_of_full(&self, call: Call) -> u32 {
        let level = self.level.load(Ordering::Relaxed);
        match call {
            Call::Acquire => level.min(FULL),
            Call::Report => level.saturating_sub(FULL),
        }
    }
}

/// Looks at how the server is doing, for ever.
pub(crate) async fn watch(overload: Arc<Overload>, max_delay: Duration) {
    // Not the clock that breakers live by: this is about the machine.
    let clock = SystemClock::start();
    let mut controller = Controller::new(max_delay);
    loop {
        let asked_at = clock.now();
        sleep(LOOK_EVERY).await;
        let now = clock.now();
        // A timer and a request that comes in are found in the same way and wait in the same queue.
        let delay = now.since(asked_at).saturating_sub(LOOK_EVERY);
        overload.delay.store(delay.as_nanos() as u64, Ordering::Relaxed);
        let level = controller.take(Sample { at: now, delay, worked: worked() });
        overload.level.store(level, Ordering::Relaxed);
    }
}

/// How long this process has kept processors busy; nothing where the machine does not tell.
fn worked() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    u64::try_from(micros).ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_is_met_and_reports_come_last() {
        let overload = Overload::default();
        let refused = |level, call| {
            overload.level.store(level, Ordering::Relaxed);
            (0..10 * FULL).filter(|_| overload.refuses(call)).count() as u32
        };
        for (level, acquires, reports) in [
            (0, 0, 0),
            (1, 10, 0),
            (FULL / 2, 5 * FULL, 0),
            (FULL, 10 * FULL, 0),
            (FULL + FULL / 4, 10 * FULL, 10 * FULL / 4),
            (2 * FULL, 10 * FULL, 10 * FULL),
        ] {
            assert_eq!(refused(level, Call::Acquire), acquires, "{level}");
            assert_eq!(refused(level, Call::Report), reports, "{level}");
        }
    }
}
