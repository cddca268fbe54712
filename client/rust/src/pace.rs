//! When the next report goes out.
//!
//! A failure has to be known at once, but a dependency that is down fails every call, and a report
//! for each of them would bring down the server next. So prompt reports are paid from a bucket:
//! the first ones go at once, and while failures keep coming several go together.

use std::time::Duration;

use tokio::time::Instant;

/// Prompt reports that can go out one right after another.
const BURST: u32 = 5;
/// How long it takes until one more can: there are ten reports a second at most, because a report
/// of successes goes only when there was none for a second.
const REFILL: Duration = Duration::from_nanos(1_000_000_000 / 5);

/// What waits to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Nothing.
    Nothing,
    /// Outcomes that have time, since then.
    Since(Instant),
    /// Also one that has none.
    Prompt,
}

/// Decides when to report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    /// When the bucket will be full again.
    full_at: Instant,
}

impl Pace {
    pub(crate) const fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, full_at: now }
    }

    /// When to report; `None` while nothing waits.
    pub(crate) fn due_at(&self, waiting: Waiting, now: Instant) -> Option<Instant> {
        match waiting {
            Waiting::Nothing => None,
            Waiting::Since(began_at) => Some(began_at + self.interval),
            Waiting::Prompt => {
                // One is in the bucket when no more than the others are missing.
                let missing = REFILL * (BURST - 1);
                Some(self.full_at.checked_sub(missing).unwrap_or(now).max(now))
            }
        }
    }

    /// Pays for a report that went out.
    pub(crate) fn pay(&mut self, waiting: Waiting, now: Instant) {
        if waiting == Waiting::Prompt {
            self.full_at = self.full_at.max(now) + REFILL;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[tokio::test(start_paused = true)]
    async fn failures_without_end_make_at_most_ten_reports_in_any_second() {
        let began_at = clock::now();
        let mut pace = Pace::new(Duration::from_secs(1), began_at);
        let mut now = began_at;
        let mut sent = Vec::new();
        while now < began_at + Duration::from_secs(10) {
            now = pace.due_at(Waiting::Prompt, now).unwrap();
            pace.pay(Waiting::Prompt, now);
            sent.push(now);
        }
        assert!(sent[..5].iter().all(|&at| at == began_at));
        for &from in &sent {
            let within = |&at: &Instant| at >= from && at < from + Duration::from_secs(1);
            let count = sent.iter().copied().filter(within).count();
            assert!(count <= 10, "{count} reports within a second");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn successes_wait_for_the_interval_and_nothing_for_nothing() {
        let now = clock::now();
        let pace = Pace::new(Duration::from_secs(1), now);
        assert_eq!(pace.due_at(Waiting::Nothing, now), None);
        let due = pace.due_at(Waiting::Since(now), now + Duration::from_millis(300));
        assert_eq!(due, Some(now + Duration::from_secs(1)));
    }
}
