use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch: all processes of the proof share the machine's clock.
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
