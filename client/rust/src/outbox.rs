//! That outcomes wait to be reported, and how many.
//!
//! The outcomes themselves wait with their breakers. Here stands what calls and the one task that
//! reports tell each other, so that a call never takes a lock that another breaker's call holds.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

use crate::metrics;

/// Most runs that wait at a time, over all breakers. Calls with one outcome that follow each other
/// are one run.
pub const MAX_WAITING_RUNS: usize = 10_000;

/// What calls and the reporter tell each other.
#[derive(Debug)]
pub(crate) struct Outbox {
    waits: AtomicBool,
    hurries: AtomicBool,
    flush_asked: AtomicU64,
    flush_done: watch::Sender<u64>,
    changed: Notify,
    runs: AtomicUsize,
    /// Calls whose outcomes were given up.
    given_up: AtomicU64,
    /// Calls in the report that is under way.
    sending: AtomicU64,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            waits: AtomicBool::new(false),
            hurries: AtomicBool::new(false),
            flush_asked: AtomicU64::new(0),
            flush_done: watch::Sender::new(0),
            changed: Notify::new(),
            runs: AtomicUsize::new(0),
            given_up: AtomicU64::new(0),
            sending: AtomicU64::new(0),
        }
    }

    /// A breaker has something to report.
    pub(crate) fn begin_to_wait(&self) {
        if !self.waits.swap(true, Ordering::SeqCst) {
            self.changed.notify_one();
        }
    }

    /// The server has to hear at once of what waits.
    pub(crate) fn hurry(&self) {
        if !self.hurries.swap(true, Ordering::SeqCst) {
            self.changed.notify_one();
        }
    }

    /// Waits until something has changed since the last time.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::SeqCst)
    }

    pub(crate) fn hurries(&self) -> bool {
        self.hurries.load(Ordering::SeqCst)
    }

    /// The reporter is about to take what waits.
    pub(crate) fn begin_to_take(&self) {
        self.waits.store(false, Ordering::SeqCst);
        self.hurries.store(false, Ordering::SeqCst);
    }

    /// A breaker's waiting runs were so many and are so many now.
    pub(crate) fn count(&self, before: usize, after: usize) {
        if after > before {
            self.runs.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.runs.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.runs.load(Ordering::Relaxed) > MAX_WAITING_RUNS
    }

    pub(crate) fn waiting_runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }

    pub(crate) fn give_up(&self, calls: u64) {
        metrics::given_up(calls);
        self.given_up.fetch_add(calls, Ordering::Relaxed);
    }

    pub(crate) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Notes how many calls are in the report under way.
    pub(crate) fn send(&self, calls: u64) {
        self.sending.store(calls, Ordering::Relaxed);
    }

    pub(crate) fn sending(&self) -> u64 {
        self.sending.load(Ordering::Relaxed)
    }

    /// Waits until all that waits now is reported, or given up.
    pub(crate) async fn flush(&self) {
        let asked = self.flush_asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.changed.notify_one();
        // The sender lives as long as this.
        let _ = self.flush_done.subscribe().wait_for(|done| *done >= asked).await;
    }

    /// The number of the last flush that was asked for.
    pub(crate) fn flush_asked(&self) -> u64 {
        self.flush_asked.load(Ordering::SeqCst)
    }

    /// Whether a flush was asked for that is not done.
    pub(crate) fn is_flushing(&self) -> bool {
        *self.flush_done.borrow() < self.flush_asked()
    }

    /// All is reported that waited when this flush was asked for.
    pub(crate) fn flushed(&self, asked: u64) {
        self.flush_done.send_replace(asked);
    }
}
