use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

/// The calls that came, by the generation of the breaker under which they were made.
#[derive(Default)]
pub(crate) struct Counts(Mutex<BTreeMap<u64, Count>>);

#[derive(Clone, Copy, Default)]
struct Count {
    started: u64,
    in_flight: u64,
    highest_in_flight: u64,
}

impl Counts {
    pub(crate) fn to_json(&self) -> Value {
        let counts = self.lock();
        let total = |value: fn(&Count) -> u64| counts.values().map(value).sum::<u64>();
        let highest: BTreeMap<_, _> = counts
            .iter()
            .map(|(generation, c)| (generation.to_string(), c.highest_in_flight))
            .collect();
        json!({
            "started": total(|count| count.started),
            "in_flight": total(|count| count.in_flight),
            "highest_in_flight": highest,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in flight; it ends when this is dropped.
pub(crate) struct InFlight {
    counts: Arc<Counts>,
    generation: u64,
}

impl InFlight {
    pub(crate) fn begin(counts: &Arc<Counts>, generation: u64) -> Self {
        let mut all = counts.lock();
        let count = all.entry(generation).or_default();
        count.started += 1;
        count.in_flight += 1;
        count.highest_in_flight = count.highest_in_flight.max(count.in_flight);
        Self { counts: Arc::clone(counts), generation }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(count) = self.counts.lock().get_mut(&self.generation) {
            count.in_flight -= 1;
        }
    }
}
