//! The values of a configuration that are more than a number.
//!
//! They are plain data, unchecked in a [`ConfigPatch`](crate::ConfigPatch) and checked in a
//! [`Config`](crate::Config).

use std::fmt;
use std::time::Duration;

/// What clients do while the server is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnUnavailable {
    /// Allow every call.
    Allow,
    /// Deny every call.
    Deny,
    /// Decide with a breaker of their own that has the same configuration.
    Local,
}

/// What becomes of a permit whose holder did not come back by its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpiredProbe {
    /// It counts as a TIMEOUT, and so re-opens the breaker.
    Timeout,
    /// It counts for nothing; another probe may take its place.
    Ignore,
}

/// Over which calls metrics and rates are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowSize {
    /// The last so many.
    Calls(u32),
    /// Those that ended within the last so long, in buckets of a hundredth of it.
    Duration(Duration),
}

/// Trips once this share of the calls in the window failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FailureRate {
    /// Trips at this share or above it, 1 to 100.
    pub percent: u32,
    /// Calls that the window must hold before the rate means anything.
    pub minimum_calls: u32,
}

/// Trips once this share of the calls in the window was slow, whatever their outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlowCallRate {
    /// Trips at this share or above it, 1 to 100.
    pub percent: u32,
    /// Calls that the window must hold before the rate means anything.
    pub minimum_calls: u32,
    /// A call longer than this is slow.
    pub duration: Duration,
}

/// Lets OPEN last longer with each successive re-open; afresh after CLOSED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// By how much the duration grows each time; at least 1.
    pub multiplier: Thousandths,
    /// OPEN never lasts longer.
    pub max: Duration,
    /// By which share a re-open is shortened at most, by chance; 0 to 1.
    pub jitter: Thousandths,
}

/// Judges the probes by their failure rate, once all are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProbeCalls {
    /// How many probes are judged together.
    pub calls: u32,
    /// Re-opens if this share of them failed, or more; 1 to 100.
    pub failure_percent: u32,
}

/// After the probes, still HALF_OPEN, lets a growing share of the calls through.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ramp {
    /// The shares, rising, each 1 to 99.
    pub percents: Vec<u32>,
    /// How long each share lasts.
    pub step: Duration,
}

/// Lets threshold and open duration follow the recent calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Adaptive {
    /// How many of the last calls are looked at.
    pub window: u32,
    /// The threshold is lowered while more than this share of them failed.
    pub high_failure_percent: u32,
    /// The threshold is raised while less than this share of them failed.
    pub low_failure_percent: u32,
    /// By how much it is lowered and raised.
    pub threshold_step: u32,
    /// It is lowered to this at most.
    pub min_failure_threshold: u32,
    /// It is raised to this at most.
    pub max_failure_threshold: u32,
    /// Successes that take longer than this on average make the open duration grow.
    pub slow_response: Duration,
    /// Successes that take less than this on average make the open duration shrink.
    pub fast_response: Duration,
    /// By how much it grows at a trip.
    pub slow_multiplier: Thousandths,
    /// By how much it shrinks at a trip.
    pub fast_multiplier: Thousandths,
    /// It grows up to this.
    pub max_open_duration: Duration,
    /// It shrinks down to this.
    pub min_open_duration: Duration,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self {
            window: 50,
            high_failure_percent: 50,
            low_failure_percent: 10,
            threshold_step: 2,
            min_failure_threshold: 2,
            max_failure_threshold: 10,
            slow_response: Duration::from_secs(1),
            fast_response: Duration::from_millis(200),
            slow_multiplier: Thousandths(1_500),
            fast_multiplier: Thousandths(800),
            max_open_duration: Duration::from_secs(300),
            min_open_duration: Duration::from_secs(10),
        }
    }
}

/// Levels of severity, each with thresholds of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Levels {
    /// The levels, the first being where a breaker lives.
    pub levels: Vec<Level>,
    /// A breaker that opens while more than this share of the window failed goes up one level.
    pub escalate_above: u32,
    /// It comes down one level for each time it stays CLOSED so long.
    pub deescalate_after: Duration,
}

impl Levels {
    /// The level of this number, from 0; beyond the last, that one.
    pub fn at(&self, number: usize) -> Option<&Level> {
        self.levels.get(number).or(self.levels.last())
    }
}

/// One level.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Level {
    /// Its name.
    pub name: String,
    /// In place of the configuration's `failure_threshold`.
    pub failure_threshold: u32,
    /// In place of the configuration's `open_duration`.
    pub open_duration: Duration,
    /// In place of the configuration's `success_threshold`.
    pub success_threshold: u32,
    /// What clients serve while the breaker is open: any word.
    pub serve: String,
}

impl Default for Levels {
    fn default() -> Self {
        let level =
            |name: &str, failure_threshold, seconds, success_threshold, serve: &str| Level {
                name: name.to_owned(),
                failure_threshold,
                open_duration: Duration::from_secs(seconds),
                success_threshold,
                serve: serve.to_owned(),
            };
        Self {
            levels: vec![
                level("warning", 3, 30, 2, "degraded"),
                level("critical", 7, 60, 3, "degraded"),
                level("emergency", 10, 120, 5, "emergency"),
            ],
            escalate_above: 60,
            deescalate_after: Duration::from_secs(5 * 60),
        }
    }
}

/// A factor in thousandths, so that what is computed with it is the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thousandths(pub u32);

impl Thousandths {
    /// One.
    pub const ONE: Self = Self(1_000);

    /// The duration times this factor, cut to whole nanoseconds.
    pub(crate) fn of(self, duration: Duration) -> Duration {
        let nanos = duration.as_nanos().saturating_mul(u128::from(self.0)) / 1_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The factor as a number.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }

    /// The factor nearest to a number; `None` if it is negative, too large, or finer than a
    /// thousandth.
    pub fn from_f64(number: f64) -> Option<Self> {
        let thousandths = (number * 1_000.0).round();
        let is_exact = (thousandths / 1_000.0 - number).abs() < 1e-9;
        let fits = (0.0..=f64::from(u32::MAX)).contains(&thousandths);
        (is_exact && fits).then_some(Self(thousandths as u32))
    }
}

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}
