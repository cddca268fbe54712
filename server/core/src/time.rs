use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant, in nanoseconds since the Unix epoch, as the caller's clock tells it.
///
/// Arithmetic saturates: an instant past the year 2554 or before 1970 is clamped, because no rule
/// of a breaker has a use for the difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// An instant from whole nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// An instant from whole milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this instant is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The first instant that lies past this one.
    pub(crate) const fn just_after(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A duration in nanoseconds, clamped to what fits 64 bits (584 years).
pub(crate) fn nanos(duration: Duration) -> u64 {
    let whole_seconds = duration.as_secs().saturating_mul(1_000_000_000);
    whole_seconds.saturating_add(u64::from(duration.subsec_nanos()))
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}
