//! The breakers as they were last told: their states by Watch, and what was measured of some.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use breaker_proto::v1::{self, Mode, State};
use jiff::Timestamp;

use super::filter::Filter;

/// All of them, by name.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    rows: BTreeMap<Arc<str>, Row>,
    /// While a snapshot goes on: those known from before that it has not named yet.
    unconfirmed: HashSet<Arc<str>>,
}

/// What is known of one.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Without its configuration, which is long and is asked for where it is shown.
    pub(super) state: v1::BreakerState,
    /// What was measured of it, if it was asked for.
    pub(super) measured: Option<Measured>,
}

/// What a breaker has been doing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    at: Timestamp,
    total_calls: u64,
    total_denied: u64,
    /// 0 to 1.
    pub(super) failure_rate: f64,
    pub(super) response_ms: f64,
    /// From two answers on.
    pub(super) calls_per_second: Option<f64>,
    pub(super) denied_per_second: Option<f64>,
}

/// Two answers that are closer to one another say nothing of a rate; the later one is left out.
const LEAST_SECONDS: f64 = 0.5;

/// How many there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) all: usize,
    pub(super) closed: usize,
    pub(super) open: usize,
    pub(super) half_open: usize,
    pub(super) forced_open: usize,
    pub(super) forced_closed: usize,
    pub(super) disabled: usize,
    pub(super) shadow: usize,
}

/// By what the list is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// Those that let no calls flow first.
    #[default]
    State,
    Name,
    Failures,
    Calls,
    Denied,
    Response,
    TimeInState,
}

impl Order {
    const ALL: [Self; 7] = [
        Self::State,
        Self::Name,
        Self::Failures,
        Self::Calls,
        Self::Denied,
        Self::Response,
        Self::TimeInState,
    ];

    pub(super) fn next(self) -> Self {
        let next = Self::ALL.iter().skip_while(|order| **order != self).nth(1);
        next.copied().unwrap_or_default()
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "name",
            Self::Failures => "failed",
            Self::Calls => "calls/s",
            Self::Denied => "denied/s",
            Self::Response => "response",
            Self::TimeInState => "time in state",
        }
    }

    /// Whether it is by what is known only of breakers that were asked for.
    pub(super) const fn is_measured(self) -> bool {
        !matches!(self, Self::State | Self::Name | Self::TimeInState)
    }
}

impl Fleet {
    /// Takes a message of Watch.
    pub(super) fn take(&mut self, answer: v1::WatchResponse) {
        if answer.reset {
            self.unconfirmed.extend(self.rows.keys().cloned());
        }
        for name in answer.deleted {
            self.unconfirmed.remove(&*name);
            self.rows.remove(&*name);
        }
        for mut state in answer.changed {
            state.config = None;
            self.unconfirmed.remove(&*state.name);
            let name = state.name.as_str().into();
            self.rows.entry(name).or_default().state = state;
        }
        if answer.snapshot_complete {
            for name in self.unconfirmed.drain() {
                self.rows.remove(&name);
            }
        }
    }

    /// Takes what was measured of some breakers at this time.
    pub(super) fn measure(&mut self, breakers: Vec<v1::Breaker>, at: Timestamp) {
        for breaker in breakers {
            let Some(row) = self.rows.get_mut(&*breaker.name) else { continue };
            let metrics = breaker.metrics.unwrap_or_default();
            row.measured = Some(Measured::since(row.measured.as_ref(), &metrics, at));
        }
    }

    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.get(name)
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals { all: self.rows.len(), ..Totals::default() };
        for Row { state, .. } in self.rows.values() {
            match State::try_from(state.state) {
                Ok(State::Closed) => totals.closed += 1,
                Ok(State::Open) => totals.open += 1,
                Ok(State::HalfOpen) => totals.half_open += 1,
                Ok(State::Unspecified) | Err(_) => {}
            }
            match Mode::try_from(state.mode) {
                Ok(Mode::ForcedOpen) => totals.forced_open += 1,
                Ok(Mode::ForcedClosed) => totals.forced_closed += 1,
                Ok(Mode::Disabled) => totals.disabled += 1,
                Ok(Mode::Shadow) => totals.shadow += 1,
                Ok(Mode::Normal | Mode::Unspecified) | Err(_) => {}
            }
        }
        totals
    }

    /// The names of those that pass the filter, in order; of equal ones by name.
    pub(super) fn listed(&self, filter: &Filter, order: Order, reversed: bool) -> Vec<Arc<str>> {
        let passing = self.rows.iter().filter(|(name, row)| filter.passes(name, row.state.state));
        let mut rows: Vec<_> = passing.collect();
        // Stable, and they come by name.
        rows.sort_by(|(_, a), (_, b)| order.compare(a, b));
        if reversed {
            rows.reverse();
        }
        rows.into_iter().map(|(name, _)| Arc::clone(name)).collect()
    }
}

impl Measured {
    fn since(before: Option<&Self>, metrics: &v1::Metrics, at: Timestamp) -> Self {
        let elapsed = |before: &Self| at.duration_since(before.at).as_secs_f64();
        if let Some(before) = before.filter(|before| elapsed(before) < LEAST_SECONDS) {
            return before.clone();
        }
        let per_second = |of: fn(&Self) -> u64, now: u64| {
            let before = before?;
            // A server that begins anew counts anew.
            Some(now.checked_sub(of(before))? as f64 / elapsed(before))
        };
        Self {
            at,
            total_calls: metrics.total_calls,
            total_denied: metrics.denied,
            failure_rate: metrics.failure_rate,
            response_ms: metrics.average_response_time_ms,
            calls_per_second: per_second(|before| before.total_calls, metrics.total_calls),
            denied_per_second: per_second(|before| before.total_denied, metrics.denied),
        }
    }
}

impl Totals {
    /// CLOSED per breaker, 0 to 100; 100 if there are none.
    pub(super) fn health_percent(&self) -> f64 {
        if self.all == 0 { 100.0 } else { self.closed as f64 / self.all as f64 * 100.0 }
    }
}

impl Order {
    /// What people look for comes first: the worst, the busiest, the slowest, the longest.
    fn compare(self, a: &Row, b: &Row) -> Ordering {
        let measured = |of: fn(&Measured) -> Option<f64>| {
            // What is not known comes last.
            let value = |row: &Row| row.measured.as_ref().and_then(of).unwrap_or(-1.0);
            value(b).total_cmp(&value(a))
        };
        match self {
            Self::Name => Ordering::Equal,
            Self::State => severity(a).cmp(&severity(b)),
            Self::Failures => measured(|measured| Some(measured.failure_rate)),
            Self::Calls => measured(|measured| measured.calls_per_second),
            Self::Denied => measured(|measured| measured.denied_per_second),
            Self::Response => measured(|measured| Some(measured.response_ms)),
            Self::TimeInState => {
                let since = |row: &Row| {
                    row.state
                        .since
                        .as_ref()
                        .map_or((i64::MAX, 0), |time| (time.seconds, time.nanos))
                };
                since(a).cmp(&since(b))
            }
        }
    }
}

/// OPEN, HALF_OPEN, CLOSED under an override, and the rest.
fn severity(row: &Row) -> u8 {
    match State::try_from(row.state.state) {
        Ok(State::Open) => 0,
        Ok(State::HalfOpen) => 1,
        _ if row.state.mode != Mode::Normal as i32 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, state: State) -> v1::BreakerState {
        let (state, mode) = (state as i32, Mode::Normal as i32);
        v1::BreakerState { name: name.into(), state, mode, ..Default::default() }
    }

    fn told(states: &[(&str, State)]) -> v1::WatchResponse {
        let changed = states.iter().map(|&(name, of)| state(name, of)).collect();
        v1::WatchResponse { changed, snapshot_complete: true, ..Default::default() }
    }

    fn names(fleet: &Fleet, order: Order, reversed: bool) -> Vec<String> {
        let listed = fleet.listed(&Filter::default(), order, reversed);
        listed.iter().map(|name| name.to_string()).collect()
    }

    fn measured(name: &str, total_calls: u64, failure_rate: f64) -> v1::Breaker {
        let metrics = v1::Metrics { total_calls, failure_rate, ..Default::default() };
        v1::Breaker { name: name.into(), metrics: Some(metrics), ..Default::default() }
    }

    #[test]
    fn a_new_snapshot_leaves_out_what_is_gone() {
        let mut fleet = Fleet::default();
        fleet.take(told(&[("a/a", State::Closed), ("a/b", State::Open)]));
        let reset = v1::WatchResponse { reset: true, snapshot_complete: false, ..told(&[]) };
        fleet.take(reset);
        assert_eq!(fleet.totals().all, 2, "until the snapshot is complete the old is shown");
        fleet.take(told(&[("a/b", State::Closed)]));
        assert_eq!(names(&fleet, Order::Name, false), ["a/b"]);
        let gone = v1::WatchResponse { deleted: vec!["a/b".into()], ..Default::default() };
        fleet.take(gone);
        assert_eq!(fleet.totals(), Totals::default());
        assert_eq!(fleet.totals().health_percent(), 100.0);
    }

    #[test]
    fn the_worst_come_first_and_equal_ones_by_name() {
        let mut fleet = Fleet::default();
        fleet.take(told(&[
            ("a/well", State::Closed),
            ("b/open", State::Open),
            ("c/probing", State::HalfOpen),
            ("a/open", State::Open),
        ]));
        let worst = ["a/open", "b/open", "c/probing", "a/well"];
        assert_eq!(names(&fleet, Order::State, false), worst);
        assert_eq!(names(&fleet, Order::Name, true)[0], "c/probing");
        let totals = fleet.totals();
        assert_eq!((totals.closed, totals.open, totals.half_open), (1, 2, 1));
        assert_eq!(totals.health_percent(), 25.0);
    }

    #[test]
    fn calls_per_second_are_what_two_answers_differ_by() {
        let mut fleet = Fleet::default();
        fleet.take(told(&[("a/a", State::Closed), ("a/b", State::Closed)]));
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        fleet.measure(vec![measured("a/b", 100, 0.5), measured("no/such", 1, 0.0)], at(10));
        let of = |fleet: &Fleet| fleet.row("a/b").unwrap().measured.clone().unwrap();
        assert_eq!(of(&fleet).calls_per_second, None);
        fleet.measure(vec![measured("a/b", 150, 0.5)], at(12));
        assert_eq!(of(&fleet).calls_per_second, Some(25.0));
        assert_eq!(names(&fleet, Order::Calls, false), ["a/b", "a/a"]);
        fleet.measure(vec![measured("a/b", 3, 0.5)], at(14));
        assert_eq!(of(&fleet).calls_per_second, None, "the server began anew");
    }

    #[test]
    fn the_orders_go_round() {
        let mut order = Order::default();
        for _ in 0..Order::ALL.len() {
            order = order.next();
        }
        assert_eq!(order, Order::default());
    }
}
