//! The breaker of a client that cannot reach the server.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{Breaker, Config, ConfigPatch, Decision, Mode, Report, Source, StateKind, Time};
use parking_lot::Mutex;
use tokio::time::Instant;

/// A breaker of this process alone, for as long as the server is away.
///
/// The thin protocol tells a client no more of the configuration than `call_timeout`: everything
/// else has its default.
#[derive(Clone, Debug)]
pub(crate) struct LocalBreaker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    /// The breaker's time begins here.
    began_at: Instant,
    breaker: Mutex<Breaker>,
}

/// What the breaker decided, and as what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalDecision {
    pub(crate) decision: Decision,
    pub(crate) generation: u64,
    pub(crate) state: StateKind,
    pub(crate) mode: Mode,
}

impl LocalBreaker {
    pub(crate) fn new(call_timeout: Duration, now: Instant) -> Self {
        let known = ConfigPatch { call_timeout: Some(call_timeout), ..ConfigPatch::default() };
        // A server that allows other timeouts than this client knows of leaves it the default.
        let config = Config::resolve(&[(Source::Server, &known)])
            .map_or_else(|_| Config::default(), |resolved| resolved.config);
        let breaker = Mutex::new(Breaker::new(Time::EPOCH));
        Self(Arc::new(Inner { config, began_at: now, breaker }))
    }

    pub(crate) fn acquire(&self, now: Instant) -> LocalDecision {
        let mut breaker = self.0.breaker.lock();
        let (decision, _) = breaker.acquire(&self.0.config, self.time(now));
        LocalDecision {
            decision,
            generation: breaker.generation(),
            state: breaker.state(),
            mode: breaker.mode(),
        }
    }

    pub(crate) fn record(&self, report: &Report, now: Instant) {
        self.0.breaker.lock().record(&self.0.config, report, self.time(now));
    }

    fn time(&self, now: Instant) -> Time {
        Time::EPOCH + (now - self.0.began_at)
    }
}
