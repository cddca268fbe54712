//! Lets storage forget the reporters that were silent for long enough, or for which memory has no
//! room. No index says who they are, because it would have to change with every report: a few
//! reporters are looked at a time, one after another, and then again from the beginning.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::engine::Engine;
use crate::reporters::RETENTION;
use crate::store::Silence;
use crate::trimmer::{TIMEOUT, rest_after};

/// Reporters looked at in one step.
const STEP: usize = 2_000;
/// How long to wait after a step that found nobody to forget.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Forgetter {
    engine: Arc<Engine>,
    /// The id of the reporter that was looked at last; empty before the first.
    last: Vec<u8>,
}

impl Forgetter {
    pub(crate) const fn new(engine: Arc<Engine>) -> Self {
        Self { engine, last: Vec::new() }
    }

    /// Does one step, and says how long to wait for the next one.
    pub(crate) async fn step(&mut self) -> Duration {
        let engine = Arc::clone(&self.engine);
        let began = engine.now();
        let since = engine.reporters().forgotten_before().max(began - RETENTION);
        let silence = Silence { since, after: std::mem::take(&mut self.last), limit: STEP };
        match timeout(TIMEOUT, engine.store().forget_reporters(&silence)).await {
            Ok(Ok(forgotten)) => {
                self.last = forgotten.last.unwrap_or_default();
                if forgotten.count > 0 {
                    tracing::debug!(count = forgotten.count, "silent reporters forgotten");
                    return rest_after(engine.now().since(began));
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "silent reporters cannot be forgotten"),
            Err(_) => tracing::warn!("silent reporters cannot be forgotten within {TIMEOUT:?}"),
        }
        LOOK_EVERY
    }
}
