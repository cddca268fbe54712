use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::streams::{Event, Streams};

/// What streams got while calls were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) streams: u64,
    /// Streams that have ended by themselves.
    pub(super) cut: u64,
    /// States that came after the snapshots.
    pub(super) states: u64,
}

/// Counts what streams get, until it is dropped.
pub(super) struct Watchers {
    watched: Arc<Mutex<Watched>>,
    counter: JoinHandle<()>,
}

impl Watchers {
    pub(super) fn count(mut events: Streams, streams: u64) -> Self {
        let watched = Arc::new(Mutex::new(Watched { streams, ..Watched::default() }));
        let counted = Arc::clone(&watched);
        let counter = tokio::spawn(async move {
            loop {
                let event = events.next().await;
                let mut watched = counted.lock();
                match event {
                    Event::State(_) => watched.states += 1,
                    Event::Cut { .. } => watched.cut += 1,
                    Event::Opened | Event::Refused(_) => {}
                }
            }
        });
        Self { watched, counter }
    }

    pub(super) fn watched(&self) -> Watched {
        *self.watched.lock()
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.counter.abort();
    }
}
