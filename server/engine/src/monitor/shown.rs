//! What the engine shows of all breakers.

use std::time::Duration;

use breaker_core::{BreakerName, Mode, StateKind, Time};

use super::fleet::{FleetCounts, NamespaceHealth};
use super::heard::{Heard, HeardReporter};
use super::sample::{CallRates, MAX_LISTED, Taken};
use super::series::ActivitySample;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::live::Live;

/// Breakers shown that are not healthy.
const MAX_UNHEALTHY: usize = 100;
/// Namespaces shown.
const MAX_NAMESPACES: usize = 1_000;

/// How breakers are doing.
#[derive(Clone, Debug)]
pub struct Health {
    /// How many are in which state and mode.
    pub counts: FleetCounts,
    /// By namespace: those with the lowest health first, then by name, 1,000 at most; empty if one
    /// was asked for.
    pub namespaces: Vec<NamespaceHealth>,
    /// How many namespaces there are.
    pub namespace_count: usize,
    /// Those that are not healthy: those for longest first, 100 at most.
    pub unhealthy: Vec<UnhealthyBreaker>,
}

/// A breaker that is not healthy.
#[derive(Clone, Debug)]
pub struct UnhealthyBreaker {
    /// Its name.
    pub name: BreakerName,
    /// Its state.
    pub state: StateKind,
    /// Its mode.
    pub mode: Mode,
    /// Failures and timeouts per call over the window, 0 to 1.
    pub failure_rate: f64,
    /// How long the state has lasted.
    pub time_in_state: Duration,
    /// How long until OPEN ends by itself.
    pub retry_after: Option<Duration>,
    /// The name of its level.
    pub level: Option<String>,
}

/// What the first page of a dashboard shows of breakers.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// How many are in which state and mode.
    pub counts: FleetCounts,
    /// Those that are not healthy: those for longest first.
    pub unhealthy: Vec<UnhealthyBreaker>,
    /// Those with the most calls.
    pub busiest: Vec<BusyBreaker>,
    /// Those whose successes take longest.
    pub slowest: Vec<BusyBreaker>,
    /// Those with the most denied calls.
    pub most_denied: Vec<BusyBreaker>,
    /// What all of them did in the last sample.
    pub rates: CallRates,
}

/// A breaker that does much.
#[derive(Clone, Debug)]
pub struct BusyBreaker {
    /// Its name.
    pub name: BreakerName,
    /// Its state.
    pub state: StateKind,
    /// Its mode.
    pub mode: Mode,
    /// What it did in the last sample.
    pub rates: CallRates,
    /// Failures and timeouts per call over the window, 0 to 1.
    pub failure_rate: f64,
    /// Mean duration of the successes in the window, in milliseconds; 0 without successes.
    pub average_response_time_ms: f64,
}

/// What one breaker has been doing.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The samples that are kept, the oldest first; where nothing happened there is none.
    pub samples: Vec<ActivitySample>,
    /// Who reported its calls, the last first.
    pub reporters: Vec<HeardReporter>,
    /// When calls of it were last reported since the server leads.
    pub last_report_at: Option<Time>,
}

impl Engine {
    /// How all breakers are doing, or those of a namespace.
    pub fn health(&self, namespace: Option<&str>) -> Health {
        let max_namespaces = if namespace.is_none() { MAX_NAMESPACES } else { 0 };
        let read = self.signals().fleet.read(namespace, MAX_UNHEALTHY, max_namespaces);
        Health {
            counts: read.counts,
            namespaces: read.namespaces,
            namespace_count: read.namespace_count,
            unhealthy: self.unhealthy(&read.ailing),
        }
    }

    /// What the first page of a dashboard shows of all breakers, or of those of a namespace: at most
    /// so many in each list.
    pub fn dashboard(&self, namespace: Option<&str>, limit: usize) -> Dashboard {
        let sample = self.monitor().last();
        let limit = limit.min(MAX_LISTED);
        let shown = |list: Option<&Vec<Taken>>| -> Vec<BusyBreaker> {
            let list = list.into_iter().flatten().take(limit);
            list.filter_map(|taken| self.busy(taken, sample.interval)).collect()
        };
        let lists = sample.lists(namespace);
        let read = self.signals().fleet.read(namespace, limit, 0);
        Dashboard {
            counts: read.counts,
            unhealthy: self.unhealthy(&read.ailing),
            busiest: shown(lists.map(|lists| &lists.busiest)),
            slowest: shown(lists.map(|lists| &lists.slowest)),
            most_denied: shown(lists.map(|lists| &lists.most_denied)),
            rates: sample.rates(namespace),
        }
    }

    /// What one breaker has been doing.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn activity(&self, name: &BreakerName) -> Result<Activity, EngineError> {
        let heard = self.breakers().with(name.as_str(), |_, live| {
            let reporters = live.heard.as_deref().map(Heard::latest_first);
            (reporters.unwrap_or_default(), live.last_report_at())
        });
        let heard = heard.ok_or_else(|| EngineError::UnknownBreaker(name.clone()));
        let (reporters, last_report_at) = heard?;
        let samples = self.monitor().samples_of(name, self.now());
        Ok(Activity { samples, reporters, last_report_at })
    }

    /// For how long the engine has run: since the server leads.
    pub fn uptime(&self) -> Duration {
        self.now().since(self.monitor().started_at)
    }

    fn unhealthy(&self, names: &[BreakerName]) -> Vec<UnhealthyBreaker> {
        let now = self.now();
        let shown = |name: &BreakerName| {
            self.breakers().with(name.as_str(), |name, live| unhealthy_of(name, live, now))
        };
        names.iter().filter_map(|name| shown(name).flatten()).collect()
    }

    /// A breaker of a list; `None` if it was deleted since the sample.
    fn busy(&self, taken: &Taken, interval: Duration) -> Option<BusyBreaker> {
        self.breakers().with(taken.name.as_str(), |name, live| BusyBreaker {
            name: name.clone(),
            state: live.breaker.state(),
            mode: live.breaker.mode(),
            rates: taken.rates(interval),
            failure_rate: taken.sample.failure_rate,
            average_response_time_ms: taken.sample.average_response_time_ms,
        })
    }
}

/// What is shown of a breaker that is not healthy; `None` if it has become so meanwhile.
fn unhealthy_of(name: &BreakerName, live: &Live, now: Time) -> Option<UnhealthyBreaker> {
    let breaker = &live.breaker;
    let rates = breaker.metrics().map(|metrics| metrics.rates(now)).unwrap_or_default();
    (breaker.state() != StateKind::Closed).then(|| UnhealthyBreaker {
        name: name.clone(),
        state: breaker.state(),
        mode: breaker.mode(),
        failure_rate: rates.failure_rate,
        time_in_state: now.since(breaker.since()),
        retry_after: breaker.retry_at().map(|at| at.since(now)),
        level: breaker.level(&live.configured.config).map(|level| level.name.clone()),
    })
}
