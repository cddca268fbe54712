//! One sample of all breakers that were used: what they did together, by namespace, and which did
//! most.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use breaker_core::BreakerName;

use super::namespace_of;
use super::series::ActivitySample;

/// Breakers in each list of those that do most.
pub(super) const MAX_LISTED: usize = 100;
/// The same in a list of one namespace.
const MAX_LISTED_OF_NAMESPACE: usize = 10;
/// Namespaces with lists of their own: those that do most.
const MAX_NAMESPACES: usize = 1_000;

/// What happens in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CallRates {
    /// Calls that were reported: successes, failures and timeouts.
    pub calls: f64,
    /// Failures and timeouts among them.
    pub failures: f64,
    /// Calls that were denied.
    pub denied: f64,
}

/// What happened since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    calls: u64,
    failures: u64,
    denied: u64,
}

impl Sums {
    fn add(&mut self, sample: &ActivitySample) {
        self.calls += sample.calls();
        self.failures += sample.all_failures();
        self.denied += u64::from(sample.denied);
    }

    fn per_second(&self, interval: Duration) -> CallRates {
        // A clock that stands still takes no samples.
        let seconds = interval.as_secs_f64().max(f64::MIN_POSITIVE);
        let rate = |count: u64| if count == 0 { 0.0 } else { count as f64 / seconds };
        CallRates {
            calls: rate(self.calls),
            failures: rate(self.failures),
            denied: rate(self.denied),
        }
    }
}

/// A breaker in a sample.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) name: BreakerName,
    pub(super) sample: ActivitySample,
}

impl Taken {
    pub(super) fn rates(&self, interval: Duration) -> CallRates {
        let mut sums = Sums::default();
        sums.add(&self.sample);
        sums.per_second(interval)
    }
}

/// A sample as it is read.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// How long it is.
    pub(super) interval: Duration,
    sums: Sums,
    lists: Lists,
    sums_of: HashMap<Box<str>, Sums>,
    /// Of those that do most.
    lists_of: HashMap<Box<str>, Lists>,
}

/// The breakers that do most, the first of each list first.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// By calls.
    pub(super) busiest: Vec<Taken>,
    /// By the mean duration of their successes.
    pub(super) slowest: Vec<Taken>,
    /// By denied calls.
    pub(super) most_denied: Vec<Taken>,
}

impl Sample {
    pub(super) fn rates(&self, namespace: Option<&str>) -> CallRates {
        let sums = match namespace {
            None => self.sums,
            Some(namespace) => self.sums_of.get(namespace).copied().unwrap_or_default(),
        };
        sums.per_second(self.interval)
    }

    /// The lists; `None` of a namespace that does nothing, or less than many others.
    pub(super) fn lists(&self, namespace: Option<&str>) -> Option<&Lists> {
        match namespace {
            None => Some(&self.lists),
            Some(namespace) => self.lists_of.get(namespace),
        }
    }
}

/// A sample in the making: all breakers are added once, and then listed once.
pub(super) struct Making {
    sums: Sums,
    tops: Tops,
    sums_of: HashMap<Box<str>, Sums>,
    tops_of: HashMap<Box<str>, Tops>,
}

impl Making {
    pub(super) fn new() -> Self {
        let (sums_of, tops_of) = (HashMap::new(), HashMap::new());
        Self { sums: Sums::default(), tops: Tops::new(MAX_LISTED), sums_of, tops_of }
    }

    pub(super) fn add(&mut self, taken: &Taken) {
        self.sums.add(&taken.sample);
        self.tops.offer(taken);
        let namespace = namespace_of(&taken.name);
        if let Some(sums) = self.sums_of.get_mut(namespace) {
            sums.add(&taken.sample);
            return;
        }
        let mut sums = Sums::default();
        sums.add(&taken.sample);
        self.sums_of.insert(namespace.into(), sums);
    }

    /// Gives the namespaces that do most lists of their own. All breakers were added.
    pub(super) fn choose_namespaces(&mut self) {
        let does = |sums: &Sums| sums.calls.saturating_add(sums.denied);
        let mut all: Vec<_> = self.sums_of.iter().collect();
        if all.len() > MAX_NAMESPACES {
            all.select_nth_unstable_by(MAX_NAMESPACES, |(a_name, a), (b_name, b)| {
                does(b).cmp(&does(a)).then_with(|| a_name.cmp(b_name))
            });
        }
        let chosen = all.into_iter().take(MAX_NAMESPACES);
        let tops = || Tops::new(MAX_LISTED_OF_NAMESPACE);
        self.tops_of = chosen.map(|(name, _)| (name.clone(), tops())).collect();
    }

    /// Lets a breaker into the lists of its namespace.
    pub(super) fn list(&mut self, taken: &Taken) {
        if let Some(tops) = self.tops_of.get_mut(namespace_of(&taken.name)) {
            tops.offer(taken);
        }
    }

    pub(super) fn finish(self, interval: Duration) -> Sample {
        let lists_of = self.tops_of.into_iter().map(|(name, tops)| (name, tops.finish()));
        Sample {
            interval,
            sums: self.sums,
            lists: self.tops.finish(),
            sums_of: self.sums_of,
            lists_of: lists_of.collect(),
        }
    }
}

/// The three lists in the making.
struct Tops {
    busiest: Top,
    slowest: Top,
    most_denied: Top,
}

impl Tops {
    fn new(limit: usize) -> Self {
        Self { busiest: Top::new(limit), slowest: Top::new(limit), most_denied: Top::new(limit) }
    }

    fn offer(&mut self, taken: &Taken) {
        /// Durations as whole nanoseconds, so that they can be compared.
        const NANOS_PER_MS: f64 = 1e6;
        let sample = &taken.sample;
        self.busiest.offer(sample.calls(), taken);
        self.slowest.offer((sample.average_response_time_ms * NANOS_PER_MS) as u64, taken);
        self.most_denied.offer(sample.denied.into(), taken);
    }

    fn finish(self) -> Lists {
        Lists {
            busiest: self.busiest.finish(),
            slowest: self.slowest.finish(),
            most_denied: self.most_denied.finish(),
        }
    }
}

/// The breakers with the highest keys so far, the lowest of them on top. With equal keys the first
/// by name stay.
struct Top {
    limit: usize,
    kept: BinaryHeap<Reverse<Ranked>>,
}

struct Ranked {
    key: u64,
    taken: Taken,
}

impl Top {
    fn new(limit: usize) -> Self {
        Self { limit, kept: BinaryHeap::new() }
    }

    fn offer(&mut self, key: u64, taken: &Taken) {
        if key == 0 {
            return;
        }
        if self.kept.len() == self.limit {
            let lowest = self.kept.peek().map(|Reverse(lowest)| lowest.rank());
            if lowest.is_some_and(|lowest| lowest >= (key, Reverse(&taken.name))) {
                return;
            }
            self.kept.pop();
        }
        self.kept.push(Reverse(Ranked { key, taken: taken.clone() }));
    }

    fn finish(self) -> Vec<Taken> {
        let highest_first = self.kept.into_sorted_vec().into_iter();
        highest_first.map(|Reverse(ranked)| ranked.taken).collect()
    }
}

impl Ranked {
    fn rank(&self) -> (u64, Reverse<&BreakerName>) {
        (self.key, Reverse(&self.taken.name))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[cfg(test)]
mod tests;
