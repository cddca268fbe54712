//! The numbers of single breakers, of those that the operator has chosen. Names are made up by the
//! fleet, so that there are at most so many.

use breaker_core::{Metrics, Outcome, Totals};
use breaker_engine::{BreakerView, Engine, Selectors};

use super::family::Page;
use super::{Kind, OUTCOMES, STATES, Shown, Value};

/// Breakers beyond those that are shown are counted up to this many: to count them all would be to
/// go through all of them.
const MAX_COUNTED: usize = 10_000;

/// Reads the breakers that are chosen.
pub(super) fn read(engine: &Engine, shown: &Shown, page: &mut Page) {
    if shown.breakers.is_empty() {
        return;
    }
    let selectors = Selectors::new(shown.breakers.iter().cloned());
    let (views, left_out) = engine.select(&selectors, shown.max_breakers, MAX_COUNTED);
    page.gauge(
        "breaker_series_left_out",
        "Breakers that metrics_breakers selects beyond metrics_max_breakers, counted up to 10000",
        left_out as f64,
    );
    let name = |view: &BreakerView| ("breaker", view.status.name.to_string());
    let mut states =
        page.labelled("breaker_state", "1 for the state that the breaker is in", Kind::Gauge);
    for view in &views {
        for (state, word) in STATES {
            let is_in = if view.status.state == state { 1.0 } else { 0.0 };
            states.point(vec![name(view), ("state", word.to_owned())], Value::Level(is_in));
        }
    }
    let mut calls =
        page.labelled("breaker_calls", "Calls of the breaker that were reported", Kind::Counter);
    for view in &views {
        for (outcome, word) in OUTCOMES {
            let count = totals(view).map_or(0, |totals| count_of(totals, outcome));
            calls.point(vec![name(view), ("outcome", word.to_owned())], Value::Count(count));
        }
    }
    let mut denied =
        page.labelled("breaker_denied_calls", "Calls that the breaker denied", Kind::Counter);
    for view in &views {
        let count = totals(view).map_or(0, |totals| totals.denied);
        denied.point(vec![name(view)], Value::Count(count));
    }
    let mut rates = page.labelled(
        "breaker_failure_ratio",
        "Failures and timeouts per call over the window of the breaker, 0 to 1",
        Kind::Gauge,
    );
    for view in &views {
        let rate = |metrics: &Metrics| metrics.rates(view.now).failure_rate;
        let rate = view.breaker.metrics().map_or(0.0, rate);
        rates.point(vec![name(view)], Value::Level(rate));
    }
}

fn totals(view: &BreakerView) -> Option<&Totals> {
    view.breaker.metrics().map(Metrics::totals)
}

const fn count_of(totals: &Totals, outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Success => totals.successes,
        Outcome::Failure => totals.failures,
        Outcome::Timeout => totals.timeouts,
        Outcome::Ignored => totals.ignored,
    }
}
