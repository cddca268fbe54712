use std::time::Duration;

use crate::clock;

const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(5);

/// How long to wait before trying again: twice as long after each failure, up to a bound.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Waits as long as the failures so far ask for.
    pub(crate) async fn wait(&mut self) {
        let delay = self.next_delay(clock::chance());
        tokio::time::sleep(delay).await;
    }

    /// Starts afresh, after a success.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Between half and all of what the failures ask for, as `chance` (0 to 1) decides, so that
    /// the clients of a server that restarts do not return all at once.
    fn next_delay(&mut self, chance: f64) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        LEAST.saturating_mul(factor).min(MOST).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_a_success_starts_afresh() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..8).map(|_| backoff.next_delay(1.0).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!((0..100).all(|_| backoff.next_delay(1.0) <= MOST), "nothing overflows");
        backoff.reset();
        assert_eq!(backoff.next_delay(0.0), LEAST / 2);
    }
}
