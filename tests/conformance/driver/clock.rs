//! The one place of the driver that knows what time it is.
#![allow(clippy::disallowed_methods, reason = "this is the clock")]

use std::time::Instant;

pub(crate) fn now() -> Instant {
    Instant::now()
}
