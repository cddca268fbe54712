//! When subscribers get signs of life: when they have heard nothing for long enough, and those of one
//! phase at the same moments, so that a connection with a hundred silent streams wakes up and writes
//! once for all of them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock::timer_now;

/// Nobody hears nothing for longer, with something to spare: the protocol promises 5 s.
const SILENCE: Duration = Duration::from_millis(4_500);
/// The moments of a phase lie so far apart. A whole part of the silence, so that a stream that never
/// hears anything else comes at the last moment.
const APART: Duration = Duration::from_millis(1_500);
/// So many phases are told apart; they are spread evenly.
const PHASES: u64 = 1_024;

/// Who gets signs of life together. Meant for the streams of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phase(u64);

impl Phase {
    /// The phase of a connection, by its number. Neighbours lie far apart.
    pub const fn of(connection: u64) -> Self {
        // Odd and near the golden ratio of the phases.
        Self(connection.wrapping_mul(633) % PHASES)
    }

    fn offset(self) -> Duration {
        APART.mul_f64(self.0 as f64 / PHASES as f64)
    }
}

/// When a subscriber is to hear something although there is nothing to tell.
pub(super) struct Beat {
    timer: Pin<Box<Sleep>>,
    /// One of the moments of the phase, at or before the beginning.
    origin: Instant,
    heard_at: Instant,
}

impl Beat {
    /// Begins now; `epoch` is the same for all.
    pub(super) fn new(phase: Phase, epoch: Instant) -> Self {
        let heard_at = timer_now();
        let mut origin = epoch + phase.offset();
        if origin > heard_at {
            origin -= APART;
        }
        let due = due_after(origin, heard_at);
        Self { timer: Box::pin(sleep_until(due)), origin, heard_at }
    }

    /// Something was told.
    pub(super) fn heard(&mut self) {
        self.heard_at = timer_now();
    }

    /// Ready when it is time.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let due = due_after(self.origin, self.heard_at);
            if due <= self.timer.deadline() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

/// The last moment of a phase at which the silence has not lasted too long.
fn due_after(origin: Instant, heard_at: Instant) -> Instant {
    let latest = (heard_at + SILENCE).saturating_duration_since(origin);
    let moments = latest.as_nanos() / APART.as_nanos();
    origin + APART * u32::try_from(moments).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_in_time_and_at_the_moments_of_the_phase() {
        let epoch = timer_now();
        advance(Duration::from_millis(12_345)).await;
        for phase in (0..50).map(Phase::of) {
            let mut beat = Beat::new(phase, epoch);
            // What is heard now and then puts it off, but never beyond the limit.
            for pause_ms in [0, 1, 700, 1_499, 2_900, 0] {
                advance(Duration::from_millis(pause_ms)).await;
                beat.heard();
                let heard_at = timer_now();
                timeout(SILENCE + Duration::from_millis(2), poll_fn(|context| beat.poll(context)))
                    .await
                    .unwrap();
                let silent = timer_now() - heard_at;
                assert!(silent + Duration::from_millis(2) >= SILENCE - APART, "{silent:?}");
                let since = timer_now() - (epoch + phase.offset());
                let off = since.as_nanos() % APART.as_nanos();
                assert!(off < 2_000_000, "{off} ns after a moment of {phase:?}");
            }
        }
    }

    #[test]
    fn phases_are_spread() {
        let mut phases: Vec<_> = (0..PHASES).map(|connection| Phase::of(connection).0).collect();
        phases.sort_unstable();
        phases.dedup();
        assert_eq!(phases.len() as u64, PHASES);
    }
}
