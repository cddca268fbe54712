use crate::config::Config;

/// What the conditions count. Restarts on CLOSED and stands still in the other states, where it
/// tells what tripped the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) failures: u32,
    pub(crate) consecutive: u32,
}

impl Counters {
    pub(crate) const ZERO: Self = Self { failures: 0, consecutive: 0 };

    /// Counts successes; returns by how much they lowered the failure count.
    pub(crate) fn succeed(&mut self, config: &Config, count: u32) -> u32 {
        let taken = config.failure_decay().saturating_mul(count).min(self.failures);
        self.failures -= taken;
        self.consecutive = 0;
        taken
    }

    pub(crate) fn fail(&mut self, count: u32) {
        self.failures = self.failures.saturating_add(count);
        self.consecutive = self.consecutive.saturating_add(count);
    }

    /// How many more failures in a row meet a condition. At least one: a count that a changed
    /// configuration puts above its threshold waits for the next failure, like any other.
    pub(crate) fn failures_to_trip(&self, config: &Config, failure_threshold: u32) -> u32 {
        let missing = |threshold: u32, count: u32| match threshold {
            0 => u32::MAX,
            threshold => threshold.saturating_sub(count).max(1),
        };
        missing(failure_threshold, self.failures)
            .min(missing(config.consecutive_failures(), self.consecutive))
    }
}
