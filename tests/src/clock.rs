//! What time it is for the tests that watch real processes.

use std::sync::OnceLock;

use breaker_core::Time;
use breaker_engine::{Clock, SystemClock};

/// The time now, by a clock of this process that nobody sets.
pub fn now() -> Time {
    static CLOCK: OnceLock<SystemClock> = OnceLock::new();
    CLOCK.get_or_init(SystemClock::start).now()
}
