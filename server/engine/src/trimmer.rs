//! Deletes transitions that have been kept for long enough, in steps so small that no commit waits
//! for one noticeably, and as many of them as the writer has time for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::engine::Engine;

/// Transitions deleted in one step.
const STEP: usize = 1_000;
/// How often it is looked for transitions that have become old.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After a step that left others, the writer has so many times as long for everything else, and at
/// least so long: the clock of a test stands still.
const REST: (u32, Duration) = (9, Duration::from_millis(5));
/// A step that takes longer has failed.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Trimmer {
    engine: Arc<Engine>,
    /// How long transitions are kept.
    retention: Duration,
}

impl Trimmer {
    pub(crate) const fn new(engine: Arc<Engine>, retention: Duration) -> Self {
        Self { engine, retention }
    }

    /// Does one step, and says how long to wait for the next one.
    pub(crate) async fn step(&self) -> Duration {
        let began = self.engine.now();
        let trim = self.engine.store().trim(began - self.retention, STEP);
        match timeout(TIMEOUT, trim).await {
            Ok(Ok(trimmed)) => {
                self.engine.journal().mark_gone(trimmed.trimmed_transition_id);
                if trimmed.count > 0 {
                    tracing::debug!(count = trimmed.count, "old transitions deleted");
                }
                if trimmed.count == STEP {
                    return rest_after(self.engine.now().since(began));
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "old transitions cannot be deleted"),
            Err(_) => tracing::warn!("old transitions cannot be deleted within {TIMEOUT:?}"),
        }
        LOOK_EVERY
    }
}

/// How long to wait after a step that took so long and left others.
pub(crate) fn rest_after(took: Duration) -> Duration {
    (took * REST.0).max(REST.1)
}
