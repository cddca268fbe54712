//! Numbers by name, whoever they are written down for.

use breaker_engine::Histogram;

/// What the names of our own numbers begin with.
const PREFIX: &str = "breakerd_";
/// Histograms count durations in nanoseconds, and are shown in seconds.
const SECONDS: f64 = 1e-9;

/// Numbers of one name, which differ in their labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    /// Without what a format adds to it.
    pub(crate) name: String,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    pub(crate) points: Vec<Point>,
}

/// What numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It only grows.
    Counter,
    Gauge,
    Histogram,
}

/// One number, or one histogram.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: Value,
}

/// How much it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Count(u64),
    Level(f64),
    Spread {
        /// How many values were seen up to each bound and above the one before it; the last bound is
        /// `f64::MAX`.
        buckets: Vec<(f64, u64)>,
        sum: f64,
    },
}

impl Value {
    /// Durations in nanoseconds.
    pub(crate) fn durations(buckets: impl Iterator<Item = (u64, u64)>, sum: u64) -> Self {
        Self::spread(buckets, sum, SECONDS)
    }

    fn spread(buckets: impl Iterator<Item = (u64, u64)>, sum: u64, unit: f64) -> Self {
        let scaled = |(bound, count)| match bound {
            u64::MAX => (f64::MAX, count),
            bound => (bound as f64 * unit, count),
        };
        Self::Spread { buckets: buckets.map(scaled).collect(), sum: sum as f64 * unit }
    }
}

/// The numbers that were read so far.
#[derive(Debug, Default)]
pub(crate) struct Page(Vec<Family>);

/// Adds to one family.
pub(crate) struct Points<'p>(&'p mut Vec<Point>);

impl Points<'_> {
    pub(crate) fn point(&mut self, labels: Vec<(&'static str, String)>, value: Value) {
        self.0.push(Point { labels, value });
    }
}

impl Page {
    pub(crate) fn finish(self) -> Vec<Family> {
        self.0
    }

    /// A family that has no numbers yet.
    pub(crate) fn labelled(&mut self, name: &str, help: &'static str, kind: Kind) -> Points<'_> {
        self.family(format!("{PREFIX}{name}"), help, kind)
    }

    fn family(&mut self, name: String, help: &'static str, kind: Kind) -> Points<'_> {
        let index = self.0.len();
        self.0.push(Family { name, help, kind, points: Vec::new() });
        Points(&mut self.0[index].points)
    }

    pub(crate) fn counter(&mut self, name: &str, help: &'static str, value: u64) {
        self.labelled(name, help, Kind::Counter).point(Vec::new(), Value::Count(value));
    }

    pub(crate) fn gauge(&mut self, name: &str, help: &'static str, value: f64) {
        self.labelled(name, help, Kind::Gauge).point(Vec::new(), Value::Level(value));
    }

    /// A gauge whose name is not ours to choose.
    pub(crate) fn foreign_gauge(&mut self, name: &str, help: &'static str, value: f64) {
        let mut family = self.family(name.to_owned(), help, Kind::Gauge);
        family.point(Vec::new(), Value::Level(value));
    }

    pub(crate) fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &'static str,
        label: &'static str,
        values: [(&str, u64); N],
    ) {
        let mut family = self.labelled(name, help, Kind::Counter);
        for (word, value) in values {
            family.point(vec![(label, word.to_owned())], Value::Count(value));
        }
    }

    pub(crate) fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &'static str,
        label: &'static str,
        values: [(&str, i64); N],
    ) {
        let mut family = self.labelled(name, help, Kind::Gauge);
        for (word, value) in values {
            family.point(vec![(label, word.to_owned())], Value::Level(value as f64));
        }
    }

    /// A histogram of durations.
    pub(crate) fn durations(&mut self, name: &str, help: &'static str, histogram: &Histogram) {
        let value = Value::durations(histogram.buckets(), histogram.sum());
        self.labelled(name, help, Kind::Histogram).point(Vec::new(), value);
    }

    /// A histogram of numbers.
    pub(crate) fn sizes(&mut self, name: &str, help: &'static str, histogram: &Histogram) {
        let value = Value::spread(histogram.buckets(), histogram.sum(), 1.0);
        self.labelled(name, help, Kind::Histogram).point(Vec::new(), value);
    }
}
