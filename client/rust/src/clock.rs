//! The only place where this crate reads a clock or draws a random number.
//!
//! Tokio's clock is the system's, except under a test that pauses it.

use std::future::pending;

use tokio::time::{Instant, sleep_until};

/// The time, as the runtime tells it.
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits for a moment; for good if there is none. A moment that has passed costs no timer, which
/// would round it up to the next millisecond.
pub(crate) async fn reach(moment: Option<Instant>) {
    match moment {
        Some(moment) if moment <= now() => {}
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
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

/// What of a ramp's share a client begins with: 0 to 99.
#[allow(clippy::disallowed_methods, reason = "this is where chance comes from")]
pub(crate) fn credit() -> u32 {
    rand::random_range(0..100)
}
