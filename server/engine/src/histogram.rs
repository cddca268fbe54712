use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often values of each size were seen, since the start.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what lies above all of them.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// Bounds for durations, in nanoseconds.
pub(crate) const DURATIONS: &[u64] = &{
    const MILLIS: [u64; 22] = [
        1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 200, 500, 1_000, 2_000, 5_000, 10_000,
        20_000, 60_000, 300_000,
    ];
    let mut nanos = [0; MILLIS.len()];
    let mut i = 0;
    while i < MILLIS.len() {
        nanos[i] = MILLIS[i] * 1_000_000;
        i += 1;
    }
    nanos
};

/// Bounds for numbers of rows.
pub(crate) const ROWS: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

impl Histogram {
    /// An empty one. The bounds rise.
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    pub(crate) fn count(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a duration in nanoseconds.
    pub fn count_duration(&self, duration: Duration) {
        self.count(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many values were seen up to each bound and above the one before it; the last bound is
    /// `u64::MAX`. Durations are in nanoseconds.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let bounds = self.bounds.iter().copied().chain([u64::MAX]);
        bounds.zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_counted_under_the_first_bound_that_holds_it() {
        let histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11, u64::MAX / 2] {
            histogram.count(value);
        }
        let counts: Vec<_> = histogram.buckets().collect();
        assert_eq!(counts, [(1, 2), (10, 2), (u64::MAX, 2)]);
    }
}
