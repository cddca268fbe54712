//! The bounds of every value. They are generous: their purpose is to refuse what can only be a
//! mistake and to bound memory.

use std::time::Duration;

/// Largest `failure_threshold`, `consecutive_failures`, `failure_decay` and `minimum_calls`.
pub const MAX_THRESHOLD: u32 = 1_000_000;
/// Largest `success_threshold`, `max_probes` and `probe_calls.calls`.
pub const MAX_PROBES: u32 = 10_000;
/// Largest `window.calls`; a call takes 8 bytes.
pub const MAX_WINDOW_CALLS: u32 = 10_000;
/// Shortest duration of any kind.
pub const MIN_DURATION: Duration = Duration::from_millis(1);
/// Longest duration of any kind.
pub const MAX_DURATION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longest time to live of an override.
pub const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Most globs in `failure_errors` and in `ignored_errors`.
pub const MAX_ERROR_GLOBS: usize = 64;
/// Largest `min_reporters`: the reporters of one breaker are told apart up to about so many.
pub const MAX_MIN_REPORTERS: u32 = 64;
/// Largest `multiplier`, in thousandths.
pub const MAX_MULTIPLIER: u32 = 1_000_000;
/// Most steps of a `ramp`.
pub const MAX_RAMP_STEPS: usize = 32;
/// Largest `adaptive.window`: the history that an adaptive breaker keeps; a call takes 8 bytes.
pub const MAX_ADAPTIVE_WINDOW: u32 = 1_000;
/// Most `levels`.
pub const MAX_LEVELS: usize = 16;
/// Longest name of a level, and longest word that it serves, in bytes.
pub const MAX_LEVEL_WORD_BYTES: usize = 64;
