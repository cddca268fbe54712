use std::time::Duration;

use tokio::time::Instant;

/// The most calls a second that an open loop can ask for.
const MAX_RATE: u32 = 1_000_000;
const SECOND: u128 = 1_000_000_000;

/// Calls a second, evenly spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate(u32);

/// When calls are due, and which of them are measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    begin: Instant,
    measured_from: Instant,
    end: Instant,
    /// Without it the loop is closed: no call is due at any time.
    rate: Option<Rate>,
}

impl Rate {
    /// Reads calls a second.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(rate @ 1..=MAX_RATE) => Ok(Self(rate)),
            _ => Err(format!("it must be a whole number from 1 to {MAX_RATE}")),
        }
    }

    pub(super) const fn per_second(self) -> u32 {
        self.0
    }

    /// How long after the first call the one of this number is due.
    pub(super) fn offset(self, number: u64) -> Duration {
        let nanos = u128::from(number) * SECOND / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many calls are due earlier than so long after the first one.
    fn count_before(self, time: Duration) -> u64 {
        let count = (time.as_nanos() * u128::from(self.0)).div_ceil(SECOND);
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

impl Schedule {
    pub(super) fn new(
        begin: Instant,
        warmup: Duration,
        duration: Duration,
        rate: Option<Rate>,
    ) -> Self {
        let measured_from = begin + warmup;
        Self { begin, measured_from, end: measured_from + duration, rate }
    }

    pub(super) const fn end(&self) -> Instant {
        self.end
    }

    /// When a call is due.
    pub(super) fn due(&self, number: u64) -> Option<Instant> {
        Some(self.begin + self.rate?.offset(number))
    }

    /// How many calls are due at this moment or before; never one that is due after the end.
    pub(super) fn count_due(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.begin) + Duration::from_nanos(1);
        self.rate.map_or(0, |rate| rate.count_before(elapsed).min(self.count()))
    }

    /// How many calls are due in all.
    pub(super) fn count(&self) -> u64 {
        self.rate.map_or(0, |rate| rate.count_before(self.end.duration_since(self.begin)))
    }

    /// Whether a call counts that was due at this moment or, in a closed loop, began then.
    pub(super) fn is_measured(&self, at: Instant) -> bool {
        at >= self.measured_from
    }

    /// How many of these calls count.
    pub(super) fn count_measured(&self, numbers: std::ops::Range<u64>) -> u64 {
        let warmup = self.measured_from.duration_since(self.begin);
        let first = self.rate.map_or(0, |rate| rate.count_before(warmup));
        numbers.end.saturating_sub(numbers.start.max(first))
    }

    /// How long calls were measured, of a load that ended at this moment.
    pub(super) fn measured_time(&self, ended: Instant) -> Duration {
        ended.min(self.end).saturating_duration_since(self.measured_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn schedule(rate: Option<&str>) -> (Instant, Schedule) {
        let begin = clock::now();
        let rate = rate.map(|rate| Rate::parse(rate).unwrap());
        (begin, Schedule::new(begin, millis(100), millis(400), rate))
    }

    #[test]
    fn calls_are_due_at_times_that_nothing_moves() {
        let (begin, schedule) = schedule(Some("1000"));
        assert_eq!(schedule.due(0), Some(begin));
        assert_eq!(schedule.due(250), Some(begin + millis(250)));
        assert_eq!(schedule.count(), 500);
        for (at, count) in [(0, 1), (1, 2), (499, 500), (500, 500), (9_000, 500)] {
            assert_eq!(schedule.count_due(begin + millis(at)), count, "after {at} ms");
        }
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let rate = Rate::parse("3").unwrap();
        let offsets = [0, 1, 2, 3_000].map(|number| rate.offset(number).as_nanos());
        assert_eq!(offsets, [0, 333_333_333, 666_666_666, 1_000_000_000_000]);
        for number in [1, 2, 3_000, 3_001] {
            let due = rate.offset(number);
            assert_eq!(rate.count_before(due), number, "not yet due");
            assert_eq!(rate.count_before(due + Duration::from_nanos(1)), number + 1, "due");
        }
    }

    #[test]
    fn what_is_due_during_the_warm_up_does_not_count() {
        let (begin, schedule) = schedule(Some("1000"));
        assert!(!schedule.is_measured(begin + millis(99)));
        assert!(schedule.is_measured(begin + millis(100)));
        assert_eq!(schedule.count_measured(0..500), 400);
        assert_eq!(schedule.count_measured(90..110), 10);
        assert_eq!(schedule.count_measured(200..300), 100);
        assert_eq!(schedule.count_measured(10..20), 0);
    }

    #[test]
    fn a_load_that_ends_early_was_measured_for_a_shorter_time() {
        let (begin, schedule) = schedule(None);
        for (ended, measured) in [(50, 0), (300, 200), (500, 400), (700, 400)] {
            assert_eq!(schedule.measured_time(begin + millis(ended)), millis(measured));
        }
    }

    #[test]
    fn in_a_closed_loop_no_call_is_due() {
        let (begin, schedule) = schedule(None);
        assert_eq!((schedule.due(5), schedule.count()), (None, 0));
        assert_eq!(schedule.count_due(begin + millis(300)), 0);
    }

    #[test]
    fn a_rate_is_a_whole_number_within_bounds() {
        assert_eq!(Rate::parse("1000000").unwrap().per_second(), 1_000_000);
        for bad in ["0", "-1", "1000001", "1.5", "fast", ""] {
            assert!(Rate::parse(bad).unwrap_err().contains("1000000"), "{bad}");
        }
    }
}
