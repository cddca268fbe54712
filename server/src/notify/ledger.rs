use std::sync::atomic::{AtomicU64, Ordering};

/// What became of what a receiver was to be told. Each is exact by itself; together they are a
/// glimpse.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    waiting: AtomicU64,
    delivered: AtomicU64,
    failed_attempts: AtomicU64,
    dropped: [AtomicU64; 3],
}

/// Why a receiver was not told of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// Too many alerts waited for it already.
    QueueFull,
    /// It said that it does not want it: an answer that another attempt does not change.
    Refused,
    /// It did not take it for too long.
    Expired,
}

impl Dropped {
    pub(crate) const ALL: [Self; 3] = [Self::QueueFull, Self::Refused, Self::Expired];

    /// As it stands in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

impl Ledger {
    /// Notices that wait, the one that is being told included.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Notices that the receiver took.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Attempts that failed, those after which another one was made included.
    pub(crate) fn failed_attempts(&self) -> u64 {
        self.failed_attempts.load(Ordering::Relaxed)
    }

    /// Notices that the receiver was not told.
    pub(crate) fn dropped_for(&self, reason: Dropped) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }

    pub(super) fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn took(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed_attempts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, reason: Dropped) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.dropped[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing waits any more: the rest is for whoever leads next. Returns how much it was.
    pub(super) fn leave_waiting(&self) -> u64 {
        self.waiting.swap(0, Ordering::Relaxed)
    }
}
