//! What the breakers that are used most lately did, sample by sample.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use breaker_core::{BreakerName, Time};

use super::sampler::INTERVAL;

/// Samples that are kept of one breaker: those of the last half hour.
const MAX_SAMPLES: usize = 360;

/// For how long samples are kept.
pub const KEPT_FOR: Duration = Duration::from_secs(INTERVAL.as_secs() * MAX_SAMPLES as u64);

/// What a breaker did between two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivitySample {
    /// When the sample was taken.
    pub at: Time,
    /// Successful calls.
    pub successes: u32,
    /// Failed calls.
    pub failures: u32,
    /// Timeouts.
    pub timeouts: u32,
    /// Denied calls.
    pub denied: u32,
    /// Failures and timeouts per call over the window then, 0 to 1.
    pub failure_rate: f64,
    /// Slow calls per call over the window then, 0 to 1.
    pub slow_rate: f64,
    /// Mean duration of the successes in the window then, in milliseconds; 0 without successes.
    pub average_response_time_ms: f64,
}

impl ActivitySample {
    /// Calls that count: successes, failures and timeouts.
    pub(super) fn calls(&self) -> u64 {
        u64::from(self.successes) + self.all_failures()
    }

    /// Failures and timeouts.
    pub(super) fn all_failures(&self) -> u64 {
        u64::from(self.failures) + u64::from(self.timeouts)
    }
}

/// The samples of at most so many breakers.
#[derive(Debug)]
pub(super) struct Series {
    limit: usize,
    /// Each with one sample at least, the oldest first.
    of: HashMap<BreakerName, VecDeque<ActivitySample>>,
}

impl Series {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, of: HashMap::new() }
    }

    /// The samples of a breaker that are not too old, the oldest first.
    pub(super) fn of(&self, name: &BreakerName, now: Time) -> Vec<ActivitySample> {
        let samples = self.of.get(name).into_iter().flatten();
        samples.filter(|sample| now.since(sample.at) < KEPT_FOR).copied().collect()
    }

    /// Adds a sample to those of a breaker, if there are any.
    pub(super) fn go_on(&mut self, name: &BreakerName, sample: ActivitySample) -> bool {
        let Some(samples) = self.of.get_mut(name) else { return false };
        samples.push_back(sample);
        let is_old = |oldest: &mut ActivitySample| sample.at.since(oldest.at) >= KEPT_FOR;
        while samples.pop_front_if(is_old).is_some() {}
        if samples.len() > MAX_SAMPLES {
            samples.pop_front();
        }
        true
    }

    /// Begins the samples of other breakers with those of `now`, as far as there is room. Those make
    /// room that were not used for longest; whoever was used now stays, or with many busy breakers
    /// nobody would ever have more than one sample.
    pub(super) fn begin(&mut self, others: Vec<(BreakerName, ActivitySample)>, now: Time) {
        self.of.retain(|_, samples| now.since(last(samples)) < KEPT_FOR);
        let wanted = others.len().min(self.limit);
        let missing = (self.of.len() + wanted).saturating_sub(self.limit);
        if missing > 0 {
            let unused = self.of.iter().map(|(name, samples)| (last(samples), name.clone()));
            let mut unused: Vec<_> = unused.filter(|(last, _)| *last < now).collect();
            unused.sort_unstable();
            let gone: HashSet<_> = unused.into_iter().take(missing).map(|(_, name)| name).collect();
            self.of.retain(|name, _| !gone.contains(name));
        }
        let room = self.limit - self.of.len();
        let others = others.into_iter().take(room);
        self.of.extend(others.map(|(name, sample)| (name, VecDeque::from([sample]))));
    }

    /// Most that [`begin`](Self::begin) makes room for.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }
}

fn last(samples: &VecDeque<ActivitySample>) -> Time {
    samples.back().map_or(Time::EPOCH, |sample| sample.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> ActivitySample {
        ActivitySample {
            at: Time::from_millis(second * 1_000),
            successes: 1,
            failures: 0,
            timeouts: 0,
            denied: 0,
            failure_rate: 0.0,
            slow_rate: 0.0,
            average_response_time_ms: 0.0,
        }
    }

    fn name(number: usize) -> BreakerName {
        BreakerName::new(&format!("a/{number}")).unwrap()
    }

    /// One sample of these breakers.
    fn sample(series: &mut Series, second: u64, numbers: impl IntoIterator<Item = usize>) {
        let mut others = Vec::new();
        for number in numbers {
            if !series.go_on(&name(number), at(second)) {
                others.push((name(number), at(second)));
            }
        }
        series.begin(others, at(second).at);
    }

    fn lengths(series: &Series, second: u64) -> Vec<usize> {
        (0..6).map(|number| series.of(&name(number), at(second).at).len()).collect()
    }

    #[test]
    fn those_that_were_not_used_for_longest_make_room() {
        let mut series = Series::new(3);
        sample(&mut series, 5, [0, 1, 2]);
        sample(&mut series, 10, [1, 2]);
        sample(&mut series, 15, [2, 3]);
        assert_eq!(lengths(&series, 15), [0, 2, 3, 1, 0, 0]);
        sample(&mut series, 20, [5, 4, 3, 2]);
        assert_eq!(lengths(&series, 20), [0, 0, 4, 2, 0, 1], "those in use stay");
        sample(&mut Series::new(0), 5, [0]);
    }

    #[test]
    fn half_an_hour_is_kept() {
        let mut series = Series::new(3);
        for turn in 1..=400 {
            sample(&mut series, 5 * turn, [0]);
        }
        assert_eq!(lengths(&series, 2_000)[0], MAX_SAMPLES);
        assert_eq!(lengths(&series, 2_900)[0], 180);
        sample(&mut series, 4_000, [1]);
        assert_eq!(series.of.len(), 1, "what has nothing to show takes no room");
    }
}
