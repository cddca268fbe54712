//! What people ask about all breakers: how they are doing, which do much, what one has done lately.
//!
//! Nobody who asks goes through the breakers. How many are in which state is kept as it changes. A
//! task takes a sample every few seconds of the breakers that were used since the last one, and what
//! is asked about rates is read from the last sample.

mod fleet;
mod heard;
mod sample;
mod sampler;
mod series;
mod shown;
mod used;

use std::sync::Arc;

use breaker_core::{BreakerName, Time};
use parking_lot::{Mutex, RwLock};

pub use fleet::{FleetCounts, NamespaceHealth};
pub use heard::HeardReporter;
pub use sample::CallRates;
pub use sampler::INTERVAL as SAMPLE_INTERVAL;
pub use series::{ActivitySample, KEPT_FOR as SAMPLES_KEPT_FOR};
pub use shown::{Activity, BusyBreaker, Dashboard, Health, UnhealthyBreaker};

pub(crate) use fleet::{Fleet, Standing};
pub(crate) use heard::Heard;
pub(crate) use sampler::Sampler;
pub(crate) use used::Used;

use sample::Sample;
use series::Series;

/// What the samples have shown.
#[derive(Debug)]
pub(crate) struct Monitor {
    last: RwLock<Arc<Sample>>,
    series: Mutex<Series>,
    /// When the engine was started.
    started_at: Time,
}

impl Monitor {
    /// Keeps the samples of at most so many breakers.
    pub(crate) fn new(max_series: usize, now: Time) -> Self {
        let series = Mutex::new(Series::new(max_series));
        Self { last: RwLock::default(), series, started_at: now }
    }

    /// The last sample.
    fn last(&self) -> Arc<Sample> {
        Arc::clone(&self.last.read())
    }

    fn samples_of(&self, name: &BreakerName, now: Time) -> Vec<ActivitySample> {
        self.series.lock().of(name, now)
    }
}

/// The first part of a breaker's name.
fn namespace_of(name: &BreakerName) -> &str {
    name.as_str().split_once('/').map_or(name.as_str(), |(namespace, _)| namespace)
}
