use std::time::Duration;

/// How long to wait before trying again: twice as long after each failure, up to a bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    limits: BackoffLimits,
    failures: u32,
}

/// The shortest and the longest wait, before chance halves it at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackoffLimits {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

impl Backoff {
    pub(crate) const fn new(limits: BackoffLimits) -> Self {
        Self { limits, failures: 0 }
    }

    /// The next wait: between half and all of what the failures so far ask for, as `chance` (0 to
    /// 1) decides, so that the clients of a server that restarts do not return all at once.
    pub(crate) fn next_delay(&mut self, chance: f64) -> Duration {
        let BackoffLimits { least, most } = self.limits;
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        least.saturating_mul(factor).min(most).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// Starts afresh, after a success.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BackoffLimits =
        BackoffLimits { least: Duration::from_millis(100), most: Duration::from_secs(1) };

    fn delays(chance: f64) -> Vec<u128> {
        let mut backoff = Backoff::new(LIMITS);
        (0..6).map(|_| backoff.next_delay(chance).as_millis()).collect()
    }

    #[test]
    fn waits_double_up_to_the_bound_and_chance_halves_them_at_most() {
        assert_eq!(delays(1.0), [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(delays(0.0), [50, 100, 200, 400, 500, 500]);
    }

    #[test]
    fn a_success_starts_afresh_and_many_failures_overflow_nothing() {
        let mut backoff = Backoff::new(LIMITS);
        for _ in 0..100 {
            assert!(backoff.next_delay(1.0) <= LIMITS.most);
        }
        backoff.reset();
        assert_eq!(backoff.next_delay(1.0), LIMITS.least);
    }
}
