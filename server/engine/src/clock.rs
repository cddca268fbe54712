//! The one place of the server that knows what time it is.
#![allow(clippy::disallowed_methods, reason = "this is the clock")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use breaker_core::Time;
use tokio::sync::watch;

/// Tells the time that breakers live by.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now; never earlier than it was before.
    fn now(&self) -> Time;

    /// Waits until it is `time`.
    async fn sleep_until(&self, time: Time);
}

/// The machine's clock: its wall clock at the start, and monotonic from there, so that a breaker
/// neither opens nor closes because somebody set the time.
#[derive(Debug)]
pub struct SystemClock {
    wall: Time,
    started: Instant,
}

impl SystemClock {
    /// A clock that starts at the machine's wall time.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall: Time::EPOCH + since_epoch, started: Instant::now() }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Time {
        self.wall + self.started.elapsed()
    }

    async fn sleep_until(&self, time: Time) {
        // The timer wheel of tokio has a grain of a millisecond and can fire a little early.
        loop {
            let left = time.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.max(Duration::from_micros(100))).await;
        }
    }
}

/// The time that timers of tokio go by: not that of breakers.
pub(crate) fn timer_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// A clock that stands still until it is told to go on.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Time>,
}

impl ManualClock {
    /// A clock that stands at this time.
    pub fn at(now: Time) -> Self {
        Self { now: watch::Sender::new(now) }
    }

    /// Goes on to `time`; an earlier time is ignored.
    pub fn advance_to(&self, time: Time) {
        self.now.send_if_modified(|now| {
            let later = time > *now;
            *now = time.max(*now);
            later
        });
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Time {
        *self.now.borrow()
    }

    async fn sleep_until(&self, time: Time) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.now.subscribe().wait_for(|now| *now >= time).await;
    }
}
