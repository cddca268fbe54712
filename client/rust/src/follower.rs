//! Keeps the copy equal to the server's, and knows how good it is.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::copy::Held;
use crate::shared::Shared;
use crate::state::ClientState;
use crate::watch::{Watch, WatchEvent};

/// How long names are gathered that the application asks for, so that a start with many makes one
/// new stream.
const GATHERING: Duration = Duration::from_millis(5);

/// Follows the server until the client ends.
pub(crate) async fn follow(shared: Arc<Shared>, closing: CancellationToken) {
    let wanted = shared.registry.wanted();
    let follower = Follower {
        shared,
        wanted,
        selectors: Vec::new(),
        watch: None,
        snapshot: 0,
        is_complete: false,
        fallback_at: None,
    };
    tokio::select! {
        () = closing.cancelled() => {}
        () = follower.run() => {}
    }
}

struct Follower {
    shared: Arc<Shared>,
    /// Tells when the application has asked for another name.
    wanted: watch::Receiver<u64>,
    selectors: Vec<String>,
    /// There while there is something to watch.
    watch: Option<Watch>,
    /// The number of the last snapshot.
    snapshot: u64,
    /// The copy holds all that the selectors ask for.
    is_complete: bool,
    /// When the copy will be too old.
    fallback_at: Option<Instant>,
}

impl Follower {
    async fn run(mut self) {
        self.watch_what_is_wanted();
        loop {
            tokio::select! {
                Ok(()) = self.wanted.changed() => {
                    sleep(GATHERING).await;
                    self.watch_what_is_wanted();
                }
                event = next(&mut self.watch) => self.take_in(event),
                () = clock::reach(self.fallback_at) => {
                    self.fallback_at = None;
                    self.shared.enter(ClientState::Fallback);
                }
            }
        }
    }

    /// Begins a new stream if the names that the application has asked for need one.
    fn watch_what_is_wanted(&mut self) {
        self.wanted.mark_unchanged();
        let options = &self.shared.common.options;
        let selectors = self.shared.registry.selectors(&options.selectors);
        if selectors != self.selectors {
            self.watch = Some(Watch::new(
                Arc::clone(&self.shared.connection),
                selectors.clone(),
                options.backoff,
                options.stale_after,
            ));
            self.selectors = selectors;
            self.begin_snapshot();
        } else if self.is_complete {
            // The stream covers the new names, and has not told of them.
            self.find_out_who_is_absent(|_| false);
        }
    }

    fn take_in(&mut self, event: Option<WatchEvent>) {
        let Some(event) = event else {
            // The server finds the selectors to be wrong, and was told of in `Disconnected`.
            self.watch = None;
            return;
        };
        if !matches!(event, WatchEvent::Disconnected { .. }) {
            self.shared.common.note_sign();
        }
        match event {
            WatchEvent::Connected => {}
            WatchEvent::Disconnected { error } => {
                tracing::info!(%error, "the stream of breaker states is cut");
                if self.shared.phase().borrow().state == ClientState::Ready {
                    let max_staleness = self.shared.common.options.max_staleness;
                    self.fallback_at = clock::now().checked_add(max_staleness);
                    self.shared.enter(ClientState::Stale);
                }
            }
            WatchEvent::Reset => self.begin_snapshot(),
            WatchEvent::Changed(status) => self.shared.take_in(&status, Some(self.snapshot)),
            WatchEvent::Deleted(name) => {
                if let Some(cell) = self.shared.registry.find(&name) {
                    cell.hold(&mut cell.lock(), Held::Absent);
                    self.shared.registry.forget(&cell);
                }
            }
            WatchEvent::SnapshotComplete => {
                let snapshot = self.snapshot;
                let is_first = !self.is_complete;
                self.is_complete = true;
                if is_first {
                    self.find_out_who_is_absent(|told_in| told_in != snapshot);
                }
                self.fallback_at = None;
                self.shared.enter(ClientState::Ready);
            }
        }
    }

    fn begin_snapshot(&mut self) {
        self.snapshot += 1;
        self.is_complete = false;
    }

    /// What the copy holds nothing of is not there, nor is what the snapshot has not told of.
    fn find_out_who_is_absent(&self, is_untold: impl Fn(u64) -> bool) {
        self.shared.registry.sweep(|cell| {
            let mut cold = cell.lock();
            let is_absent = matches!(cold.held, Held::Unknown) || is_untold(cold.told_in);
            let is_absent = is_absent && cell.is_covered();
            if is_absent {
                cell.hold(&mut cold, Held::Absent);
            }
            is_absent
        });
    }
}

async fn next(watch: &mut Option<Watch>) -> Option<WatchEvent> {
    match watch {
        Some(watch) => watch.next().await,
        None => pending().await,
    }
}
