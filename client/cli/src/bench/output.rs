//! What a load has shown: figures for people, and one object for scripts, whose keys are a contract.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value, json};

use super::fan_out::{self, Layout};
use super::load;
use super::mix::ReportShape;
use super::schedule::Rate;
use super::statistics::{Failures, Latencies, Percentiles, Statistics};
use super::watchers::Watched;

/// What is known of a load whatever it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) scenario: &'static str,
    pub(super) server: &'a str,
    pub(super) run_id: &'a str,
    pub(super) connections: u64,
    pub(super) rate: Option<Rate>,
    pub(super) is_interrupted: bool,
    /// Breakers that could not be deleted; `None` if nobody knows.
    pub(super) left: Option<u64>,
}

/// A load of calls.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) in_flight: u64,
    pub(super) breakers: u64,
    pub(super) report_percent: u64,
    pub(super) report: ReportShape,
    pub(super) outcome: load::Outcome,
    pub(super) watched: Option<Watched>,
}

/// A load of changes.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) streams: usize,
    pub(super) layout: Layout,
    pub(super) outcome: fan_out::Outcome,
}

impl About<'_> {
    pub(super) fn calls_json(&self, calls: &Calls) -> Value {
        let outcome = &calls.outcome;
        let acquire = self.method_json(&outcome.acquire, outcome.measured_time);
        let mut report = self.method_json(&outcome.report, outcome.measured_time);
        report.insert("outcomes".to_owned(), calls.outcomes().into());
        self.json(json!({
            "in_flight": calls.in_flight,
            "breakers": calls.breakers,
            "measured_seconds": outcome.measured_time.as_secs_f64(),
            "unsent": outcome.unsent,
            "acquire": acquire,
            "report": report,
            "watch": calls.watched.map(|watched| json!({
                "streams": watched.streams,
                "cut": watched.cut,
                "states": watched.states,
            })),
        }))
    }

    pub(super) fn changes_json(&self, changes: &Changes) -> Value {
        let outcome = &changes.outcome;
        self.json(json!({
            "streams": changes.streams,
            "spread": changes.layout == Layout::Apart,
            "measured_seconds": outcome.measured_time.as_secs_f64(),
            "changes": outcome.changes,
            "late": self.rate.map(|_| outcome.late),
            "shed": outcome.failures.shed(),
            "errors": errors_json(&outcome.failures),
            "received": outcome.latency.count(),
            "missed": outcome.missed,
            "cut": outcome.cut,
            "latency_ms": percentiles_json(&outcome.latency),
            "last_latency_ms": percentiles_json(&outcome.last),
        }))
    }

    pub(super) fn calls_text(&self, calls: &Calls) -> String {
        let outcome = &calls.outcome;
        let mut lines = vec![self.headline(&format!(
            "{} connections x {} in flight, {} breakers; measured for {}",
            self.connections,
            calls.in_flight,
            calls.breakers,
            duration_text(outcome.measured_time),
        ))];
        let acquire = (calls.report_percent < 100).then_some(("acquire", &outcome.acquire));
        let report = (calls.report_percent > 0).then_some(("report", &outcome.report));
        let methods = acquire.into_iter().chain(report);
        let counts = methods.clone().map(|(method, statistics)| {
            let late = self.rate.map_or_else(|| "-".to_owned(), |_| statistics.late.to_string());
            [
                method.to_owned(),
                statistics.answered.to_string(),
                format!("{:.0}", per_second(statistics.answered, outcome.measured_time)),
                statistics.denied.to_string(),
                late,
                statistics.failures.shed().to_string(),
                statistics.failures.other_count().to_string(),
            ]
        });
        let header = ["", "answered", "per second", "denied", "late", "shed", "failed"];
        lines.push(figures(header, counts));
        let latencies = methods.clone().flat_map(|(method, statistics)| {
            let sent = self.rate.map(|_| (format!("{method}, once sent"), &statistics.answer_time));
            [(method.to_owned(), &statistics.latency)].into_iter().chain(sent)
        });
        lines.push(latency_text(latencies));
        lines.extend(methods.flat_map(|(method, statistics)| failed(method, &statistics.failures)));
        lines.extend(calls.notes());
        lines.join("\n").trim_end().to_owned()
    }

    pub(super) fn changes_text(&self, changes: &Changes) -> String {
        let outcome = &changes.outcome;
        let watching = match changes.layout {
            Layout::Together => "the same breaker",
            Layout::Apart => "a namespace each",
        };
        let mut lines = vec![self.headline(&format!(
            "{} streams over {} connections on {watching}; measured for {}",
            changes.streams,
            self.connections,
            duration_text(outcome.measured_time),
        ))];
        let header = ["", "changes", "late", "shed", "failed", "received", "missed", "cut"];
        let counts = [
            "watch".to_owned(),
            outcome.changes.to_string(),
            self.rate.map_or_else(|| "-".to_owned(), |_| outcome.late.to_string()),
            outcome.failures.shed().to_string(),
            outcome.failures.other_count().to_string(),
            outcome.latency.count().to_string(),
            outcome.missed.to_string(),
            outcome.cut.to_string(),
        ];
        lines.push(figures(header, [counts]));
        let latencies = [
            ("a stream".to_owned(), &outcome.latency),
            ("the last stream".to_owned(), &outcome.last),
        ];
        lines.push(latency_text(latencies));
        lines.extend(failed("changes", &outcome.failures));
        lines.join("\n").trim_end().to_owned()
    }

    fn headline(&self, rest: &str) -> String {
        let interrupted = if self.is_interrupted { " (interrupted)" } else { "" };
        let kind = match self.rate {
            Some(rate) => format!("open loop at {} a second", rate.per_second()),
            None => "closed loop".to_owned(),
        };
        format!("{} on {}, {kind}{interrupted}: {rest}\n", self.scenario, self.server)
    }

    fn json(&self, more: Value) -> Value {
        let about = json!({
            "scenario": self.scenario,
            "server": self.server,
            "run_id": self.run_id,
            "loop": if self.rate.is_some() { "open" } else { "closed" },
            "rate": self.rate.map(Rate::per_second),
            "connections": self.connections,
            "interrupted": self.is_interrupted,
            "left": self.left,
        });
        crate::json::merged(about, more)
    }

    fn method_json(&self, statistics: &Statistics, time: Duration) -> Map<String, Value> {
        let values = json!({
            "answered": statistics.answered,
            "answered_per_second": per_second(statistics.answered, time),
            "denied": statistics.denied,
            "late": self.rate.map(|_| statistics.late),
            "shed": statistics.failures.shed(),
            "errors": errors_json(&statistics.failures),
            "latency_ms": percentiles_json(&statistics.latency),
            "answer_time_ms": percentiles_json(&statistics.answer_time),
        });
        match values {
            Value::Object(values) => values,
            _ => Map::new(),
        }
    }
}

impl Calls {
    /// How many outcomes were reported, and the reports answered.
    fn outcomes(&self) -> u64 {
        self.outcome.report.answered.saturating_mul(self.report.outcomes())
    }

    fn notes(&self) -> impl Iterator<Item = String> {
        let reports = self.outcome.report.answered > 0;
        let outcomes = reports.then(|| {
            let outcomes = self.outcomes();
            let rate = per_second(outcomes, self.outcome.measured_time);
            format!("{outcomes} outcomes reported, {rate:.0} a second")
        });
        let unsent = self.outcome.unsent.filter(|&unsent| unsent > 0).map(|unsent| {
            format!(
                "{unsent} calls were due and not made, because as many as may be were in flight: \
                 the server does not bear this rate, and the latencies lack the worst"
            )
        });
        let watched = self.watched.map(|watched| {
            let Watched { streams, cut, states } = watched;
            format!("{streams} streams got {states} states, {cut} of them were cut")
        });
        outcomes.into_iter().chain(unsent).chain(watched)
    }
}

fn latency_text<'a>(latencies: impl IntoIterator<Item = (String, &'a Latencies)>) -> String {
    let rows = latencies.into_iter().map(|(what, latencies)| {
        let shown = latencies.percentiles().map(|shown| {
            let Percentiles { p50, p90, p99, p99_9, max } = shown;
            [p50, p90, p99, p99_9, max].map(duration_text)
        });
        let [p50, p90, p99, p99_9, max] = shown.unwrap_or_else(|| ["-"; 5].map(str::to_owned));
        [what, p50, p90, p99, p99_9, max]
    });
    figures(["latency", "p50", "p90", "p99", "p99.9", "max"], rows)
}

fn failed(what: &str, failures: &Failures) -> Option<String> {
    let codes: Vec<_> = failures.others().map(|(code, count)| format!("{code} {count}")).collect();
    (!codes.is_empty()).then(|| format!("{what} failed: {}", codes.join(", ")))
}

/// A table of figures, the units of one below those of the other.
fn figures<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn errors_json(failures: &Failures) -> Map<String, Value> {
    failures.others().map(|(code, count)| (code, count.into())).collect()
}

fn percentiles_json(latencies: &Latencies) -> Value {
    // Divided once, so that no digits come that were never measured.
    let millis = |duration: Duration| duration.as_nanos() as f64 / 1e6;
    latencies.percentiles().map_or(Value::Null, |shown| {
        json!({
            "p50": millis(shown.p50),
            "p90": millis(shown.p90),
            "p99": millis(shown.p99),
            "p99_9": millis(shown.p99_9),
            "max": millis(shown.max),
        })
    })
}

fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

/// A duration to three digits, in the unit that suits it.
fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (value, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "us"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let digits = match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests;
