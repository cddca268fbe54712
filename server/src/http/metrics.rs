//! The numbers of the server. They are read when somebody asks: Prometheus at `/metrics`, and those
//! whom OpenTelemetry tells.

mod alerts;
mod breakers;
mod family;
mod text;

use std::fmt;

use axum::http::{HeaderMap, header};
use breaker_core::{Cause, Mode, Outcome, StateKind, Time};
use breaker_engine::{Engine, Selector};
use breaker_wire::cause_to_message;
use tokio::runtime::Handle;

use self::family::Page;
pub(crate) use self::family::{Family, Kind, Point, Value};
use super::Pages;
use super::problem::name_of;
use crate::overload::Call;
use crate::server::Limits;

/// What is shown beyond what every server shows.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The breakers that are shown one by one.
    pub(crate) breakers: Vec<Selector>,
    /// Most of them.
    pub(crate) max_breakers: usize,
    /// When the server started.
    pub(crate) started_at: Time,
}

/// How the numbers are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// That of Prometheus, which every reader understands.
    Classic,
    /// OpenMetrics, for those who ask for it.
    OpenMetrics,
}

impl Format {
    /// The one that a request asks for.
    pub(crate) fn asked_for(headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
        match accepted {
            Some(accepted) if accepted.contains("application/openmetrics-text") => {
                Self::OpenMetrics
            }
            Some(_) | None => Self::Classic,
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

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

/// All numbers as text.
pub(crate) fn render(pages: &Pages, format: Format) -> Result<String, fmt::Error> {
    text::encode(read(pages), format)
}

/// All numbers as they are now.
pub(crate) fn read(pages: &Pages) -> Vec<Family> {
    let mut page = Page::default();
    read_process(pages, &mut page);
    read_limits(pages, &mut page);
    read_rpcs(pages, &mut page);
    alerts::read_receivers(&pages.notifier, &mut page);
    // What a server that stands by knows of breakers is nothing.
    if let Ok(engine) = pages.seat.engine() {
        read_breakers(&engine, &mut page);
        read_watch(&engine, &mut page);
        read_storage(&engine, &mut page);
        alerts::read(&engine, &mut page);
        breakers::read(&engine, &pages.shown, &mut page);
    }
    page.finish()
}

fn read_process(pages: &Pages, page: &mut Page) {
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    page.labelled("build_info", "The version that runs; always 1", Kind::Gauge)
        .point(version, Value::Level(1.0));
    let started_at = pages.shown.started_at.since(Time::EPOCH).as_secs_f64();
    page.foreign_gauge(
        "process_start_time_seconds",
        "When the server started, in seconds since 1970",
        started_at,
    );
    let leading = if pages.seat.leading().is_ok() { 1.0 } else { 0.0 };
    page.gauge("leading", "1 if this server leads, 0 if it stands by", leading);
    let tasks = Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks());
    page.gauge("tasks", "Tasks that live in the runtime", tasks as f64);
    let viewers = pages.events.viewer_count() as f64;
    page.gauge("dashboard_viewers", "Dashboards that are looked at", viewers);
    page.counter(
        "dashboard_resyncs",
        "How often dashboards were told to load everything anew",
        pages.events.resyncs(),
    );
    let open = pages.api.stream_count() as f64;
    page.gauge("http_streams", "Open streams over HTTP, those of dashboards included", open);
    let open = pages.streams.count() as f64;
    page.gauge("watch_streams", "Open watch streams", open);
}

fn read_limits(pages: &Pages, page: &mut Page) {
    let Limits { overload, client_rate, connections } = &pages.limits;
    page.gauge("open_connections", "Open gRPC connections", connections.open() as f64);
    page.counter(
        "refused_connections",
        "gRPC connections that were refused because there were too many",
        connections.refused(),
    );
    page.counters(
        "refused_calls",
        "Calls that were refused because the server or the client had too many",
        "reason",
        [
            ("overload_acquire", overload.refused(Call::Acquire)),
            ("overload_report", overload.refused(Call::Report)),
            ("client_rate", client_rate.refused()),
        ],
    );
    let delay = overload.delay().as_secs_f64();
    page.gauge("queue_delay_seconds", "How long what is ready waits for its turn", delay);
    page.gauge(
        "overload_refused_share",
        "The share of Acquire that is refused at present because of overload",
        overload.share(Call::Acquire),
    );
}

fn read_rpcs(pages: &Pages, page: &mut Page) {
    let help = "How long calls took until their answer was there, over gRPC and over HTTP; streams, \
                until they began";
    let mut durations = page.labelled("rpc_duration_seconds", help, Kind::Histogram);
    for ended in pages.rpcs.ended() {
        let labels = vec![
            ("service", ended.name.service.clone()),
            ("method", ended.name.method.clone()),
            ("code", name_of(ended.code).to_owned()),
        ];
        durations.point(labels, Value::durations(ended.buckets.iter().copied(), ended.sum));
    }
}

fn read_breakers(engine: &Engine, page: &mut Page) {
    let stats = engine.stats();
    let decisions = [("allowed", stats.allowed()), ("denied", stats.denied())];
    page.counters("acquires", "Calls that asked for leave", "decision", decisions);
    let reported = OUTCOMES.map(|(outcome, word)| (word, stats.reported(outcome)));
    page.counters("reported_calls", "Calls that were reported", "outcome", reported);
    let moved = STATES.map(|(state, word)| (word, stats.transitions_to(state)));
    page.counters("transitions", "Changes of state or mode, by the state after", "to", moved);
    let causes = Cause::ALL.map(|cause| (word_of(cause), stats.transitions_by(cause)));
    page.counters(
        "transitions_by_cause",
        "Changes of state or mode, by why they happened",
        "cause",
        causes.each_ref().map(|(word, count)| (word.as_str(), *count)),
    );
    page.counter("reports", "Reports that were counted", stats.reports());
    page.counter("duplicate_reports", "Reports that had come before", stats.duplicate_reports());
    let states = STATES.map(|(state, word)| (word, stats.breakers_in_state(state)));
    page.gauges("breakers", "Breakers by state", "state", states);
    let modes = MODES.map(|(mode, word)| (word, stats.breakers_in_mode(mode)));
    page.gauges("breakers_by_mode", "Breakers by mode", "mode", modes);
    page.counter(
        "idle_breakers_dropped",
        "Breakers that were dropped because nobody used them any more",
        stats.idle_dropped(),
    );
}

fn read_watch(engine: &Engine, page: &mut Page) {
    let stats = engine.watch_stats();
    page.durations(
        "watch_lag_seconds",
        "How long changes waited for watch streams to read them",
        &stats.lag,
    );
    page.counter(
        "watch_resyncs",
        "Watch streams that had to begin anew with a snapshot",
        stats.resets(),
    );
}

fn read_storage(engine: &Engine, page: &mut Page) {
    let stats = engine.stats();
    let status = engine.storage_status().borrow().clone();
    let failing_for =
        status.failing.map_or(0.0, |failing| engine.now().since(failing.since).as_secs_f64());
    page.gauge("storage_failing_seconds", "For how long storage has failed", failing_for);
    let storage = stats.storage();
    page.counter("storage_commits", "Attempts to write to storage", status.attempts);
    page.counter("storage_errors", "Attempts to write that failed", storage.failures());
    page.durations("storage_lag_seconds", "From a transition to when it was on disk", &storage.lag);
    page.durations(
        "storage_commit_seconds",
        "How long attempts to write took",
        &storage.commit_duration,
    );
    page.sizes("storage_batch_rows", "Rows of a commit", &storage.batch_size);
    let waiting = engine.waiting_breakers() as f64;
    page.gauge("storage_waiting_breakers", "Breakers that wait for storage", waiting);
    let waiting = engine.waiting_transitions() as f64;
    page.gauge("storage_waiting_transitions", "Transitions that wait for storage", waiting);
    page.gauge(
        "storage_damaged_rows",
        "Rows of storage that were met since the start and could not be understood",
        stats.damaged_rows() as f64,
    );
    page.counter(
        "dropped_transitions",
        "Transitions missing in the history",
        stats.dropped_transitions(),
    );
}

/// A cause as it stands in a label: `failure_threshold`.
fn word_of(cause: Cause) -> String {
    let name = cause_to_message(cause).as_str_name();
    name.strip_prefix("CAUSE_").unwrap_or(name).to_ascii_lowercase()
}
