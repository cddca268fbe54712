//! The metrics for Prometheus. They are read off the engine when somebody asks.

use std::fmt;

use breaker_core::{Mode, Outcome, StateKind};
use breaker_engine::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;

use super::Pages;
use crate::overload::Call;
use crate::server::Limits;

const STATES: [(StateKind, &str); 3] =
    [(StateKind::Closed, "closed"), (StateKind::Open, "open"), (StateKind::HalfOpen, "half_open")];

const MODES: [(Mode, &str); 5] = [
    (Mode::Normal, "normal"),
    (Mode::ForcedOpen, "forced_open"),
    (Mode::ForcedClosed, "forced_closed"),
    (Mode::Disabled, "disabled"),
    (Mode::Shadow, "shadow"),
];

const OUTCOMES: [(Outcome, &str); 4] = [
    (Outcome::Success, "success"),
    (Outcome::Failure, "failure"),
    (Outcome::Timeout, "timeout"),
    (Outcome::Ignored, "ignored"),
];

/// All metrics in the text format of OpenMetrics.
pub(crate) fn render(pages: &Pages) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("breakerd");
    registry.register_collector(Box::new(Reading(pages.clone())));
    let mut page = String::new();
    text::encode(&mut page, &registry)?;
    Ok(page)
}

struct Reading(Pages);

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Pages { seat, streams, limits, api, events } = &self.0;
        let Limits { overload, client_rate, connections } = limits;
        let mut page = Page(&mut encoder);
        let engine = seat.engine().ok();
        let leading = if engine.is_some() { 1.0 } else { 0.0 };
        page.gauge("leading", "1 if this server leads, 0 if it stands by", leading)?;
        let open = connections.open() as f64;
        page.gauge("open_connections", "Open gRPC connections", open)?;
        page.counter(
            "refused_connections",
            "gRPC connections that were refused because there were too many",
            connections.refused(),
        )?;
        page.counters(
            "refused_calls",
            "Calls that were refused because the server or the client had too many",
            "reason",
            [
                ("overload_acquire", overload.refused(Call::Acquire)),
                ("overload_report", overload.refused(Call::Report)),
                ("client_rate", client_rate.refused()),
            ],
        )?;
        let delay = overload.delay().as_secs_f64();
        page.gauge("queue_delay_seconds", "How long what is ready waits for its turn", delay)?;
        page.gauge(
            "overload_refused_share",
            "The share of Acquire that is refused at present because of overload",
            overload.share(Call::Acquire),
        )?;
        let tasks = Handle::current().metrics().num_alive_tasks() as f64;
        page.gauge("tasks", "Tasks that live in the runtime", tasks)?;
        let viewers = events.viewer_count() as f64;
        page.gauge("dashboard_viewers", "Dashboards that are looked at", viewers)?;
        let open = api.stream_count() as f64;
        page.gauge("http_streams", "Open streams over HTTP, those of dashboards included", open)?;
        // What a server that stands by knows of breakers is nothing.
        let Some(engine) = engine else { return Ok(()) };
        let stats = engine.stats();
        let status = engine.storage_status().borrow().clone();
        let failing_for =
            status.failing.map_or(0.0, |failing| engine.now().since(failing.since).as_secs_f64());
        let decisions = [("allowed", stats.allowed()), ("denied", stats.denied())];
        page.counters("acquires", "Calls that asked for leave", "decision", decisions)?;
        let reported = OUTCOMES.map(|(outcome, word)| (word, stats.reported(outcome)));
        page.counters("reported_calls", "Calls that were reported", "outcome", reported)?;
        let moved = STATES.map(|(state, word)| (word, stats.transitions_to(state)));
        page.counters("transitions", "Changes of state or mode, by the state after", "to", moved)?;
        page.counter("reports", "Reports that were counted", stats.reports())?;
        page.counter(
            "duplicate_reports",
            "Reports that had come before",
            stats.duplicate_reports(),
        )?;
        let states = STATES.map(|(state, word)| (word, stats.breakers_in_state(state)));
        page.gauges("breakers", "Breakers by state", "state", states)?;
        let modes = MODES.map(|(mode, word)| (word, stats.breakers_in_mode(mode)));
        page.gauges("breakers_by_mode", "Breakers by mode", "mode", modes)?;
        page.gauge("watch_streams", "Open watch streams", streams.count() as f64)?;
        page.gauge("storage_failing_seconds", "For how long storage has failed", failing_for)?;
        let storage = stats.storage();
        page.counter("storage_commits", "Attempts to write to storage", status.attempts)?;
        page.counter("storage_errors", "Attempts to write that failed", storage.failures())?;
        page.durations(
            "storage_lag_seconds",
            "From a transition to when it was on disk",
            &storage.lag,
        )?;
        page.durations(
            "storage_commit_seconds",
            "How long attempts to write took",
            &storage.commit_duration,
        )?;
        page.sizes("storage_batch_rows", "Rows of a commit", &storage.batch_size)?;
        let waiting = engine.waiting_breakers() as f64;
        page.gauge("storage_waiting_breakers", "Breakers that wait for storage", waiting)?;
        let waiting = engine.waiting_transitions() as f64;
        page.gauge("storage_waiting_transitions", "Transitions that wait for storage", waiting)?;
        let damaged = stats.damaged_rows() as f64;
        page.gauge(
            "storage_damaged_rows",
            "Rows of storage that were met since the start and could not be understood",
            damaged,
        )?;
        page.counter(
            "idle_breakers_dropped",
            "Breakers that were dropped because nobody used them any more",
            stats.idle_dropped(),
        )?;
        let dropped = stats.dropped_transitions();
        page.counter("dropped_transitions", "Transitions missing in the history", dropped)
    }
}

struct Page<'p, 'e>(&'p mut DescriptorEncoder<'e>);

impl Page<'_, '_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = ConstCounter::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, MetricType::Counter)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let metric = ConstGauge::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    fn durations(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        self.histogram((name, help), histogram, 1e-9)
    }

    fn sizes(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        self.histogram((name, help), histogram, 1.0)
    }

    fn histogram(
        &mut self,
        (name, help): (&str, &str),
        histogram: &Histogram,
        unit: f64,
    ) -> fmt::Result {
        let scaled = |(bound, count)| match bound {
            u64::MAX => (f64::MAX, count),
            bound => (bound as f64 * unit, count),
        };
        let buckets: Vec<_> = histogram.buckets().map(scaled).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        encoder.encode_histogram::<NoLabelSet>(histogram.sum() as f64 * unit, count, &buckets, None)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: [(&str, u64); N],
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (word, value) in values {
            let metric = ConstCounter::new(value);
            metric.encode(family.encode_family(&[(label, word)])?)?;
        }
        Ok(())
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: [(&str, i64); N],
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (word, value) in values {
            let metric = ConstGauge::new(value);
            metric.encode(family.encode_family(&[(label, word)])?)?;
        }
        Ok(())
    }
}
