//! The only place where this crate reads a clock or draws a random number.

use jiff::Timestamp;
use tokio::time::Instant;

/// The time, as the runtime tells it.
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for what people say in times.
pub(crate) fn wall_time() -> Timestamp {
    Timestamp::now()
}

/// A number from 0 up to but not including 1.
#[allow(clippy::disallowed_methods, reason = "this is where chance comes from")]
pub(crate) fn chance() -> f64 {
    rand::random()
}

/// A number that no other process draws.
#[allow(clippy::disallowed_methods, reason = "this is where chance comes from")]
pub(crate) fn unique_number() -> u64 {
    rand::random()
}
