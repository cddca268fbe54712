//! The bounds of every value. They are generous: their purpose is to refuse what can only be a
//! mistake and to bound memory.

use std::time::Duration;

/// Largest `failure_threshold`, `consecutive_failures` and `failure_decay`.
pub const MAX_THRESHOLD: u32 = 1_000_000;
/// Largest `success_threshold` and `max_probes`.
pub const MAX_PROBES: u32 = 10_000;
/// Largest `window.calls`; a call takes 8 bytes.
pub const MAX_WINDOW_CALLS: u32 = 10_000;
/// Shortest `open_duration` and `call_timeout`.
pub const MIN_DURATION: Duration = Duration::from_millis(1);
/// Longest `open_duration` and `call_timeout`.
pub const MAX_DURATION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Most globs in `failure_errors` and in `ignored_errors`.
pub const MAX_ERROR_GLOBS: usize = 64;
