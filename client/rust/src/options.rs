use std::time::Duration;

use breaker_core::{Config, OnUnavailable};

use crate::backoff::BackoffLimits;

/// What a client was built with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) client_id: String,
    pub(crate) reporter_id: String,
    /// What to watch besides the breakers that the application asks for.
    pub(crate) selectors: Vec<String>,
    /// For breakers of which the server has told nothing.
    pub(crate) on_unavailable: OnUnavailable,
    pub(crate) local_guard: Option<LocalGuard>,
    /// How long a call waits for a permit.
    pub(crate) permit_timeout: Duration,
    /// How long the stream may be silent.
    pub(crate) stale_after: Duration,
    /// How long a copy is gone by that is not kept up to date.
    pub(crate) max_staleness: Duration,
    /// How long outcomes may wait that are no failures.
    pub(crate) report_interval: Duration,
    pub(crate) backoff: BackoffLimits,
}

/// The configuration of the guard that each process has beside the fleet's breaker.
#[derive(Clone, Debug)]
pub(crate) enum LocalGuard {
    /// That of the breaker.
    AsTheBreaker,
    /// One of its own.
    Own(Box<Config>),
}
