use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use breaker_core::Time;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use slab::Slab;

use super::log::{Entry, Log};
use crate::selectors::Selectors;

/// The subscribers with the same selectors.
pub(super) struct Group {
    selectors: Selectors,
    /// Its own log holds what has changed after this position; `None` if it selects everything: there
    /// is a log of that already.
    since: Option<u64>,
    log: Mutex<Log>,
    listeners: Mutex<Slab<Arc<Listener>>>,
    /// Subscribers, those included that do not listen yet.
    members: AtomicUsize,
    /// Has changes that its subscribers were not woken for.
    is_stirred: AtomicBool,
}

/// One who waits for news.
#[derive(Default)]
pub(super) struct Listener {
    pub(super) waker: AtomicWaker,
    /// Since when there is news, in nanoseconds; 0 while there is none.
    news_since: AtomicU64,
}

impl Listener {
    /// Since when there may be news that this was not asked for.
    pub(super) fn take_news(&self) -> Option<Time> {
        match self.news_since.swap(0, Ordering::AcqRel) {
            0 => None,
            nanos => Some(Time::from_nanos(nanos)),
        }
    }

    fn wake(&self, now: Time) {
        let nanos = now.as_nanos().max(1);
        // What waits already has waited for longer. Either way the swap that takes it sees this one.
        let _ = self.news_since.compare_exchange(0, nanos, Ordering::AcqRel, Ordering::Acquire);
        self.waker.wake();
    }
}

impl Group {
    /// A group with one member, which joins a log that has come to this position.
    pub(super) fn new(selectors: Selectors, head: u64) -> Self {
        let since = (!selectors.selects_all()).then_some(head);
        Self {
            selectors,
            since,
            log: Mutex::default(),
            listeners: Mutex::default(),
            members: AtomicUsize::new(1),
            is_stirred: AtomicBool::new(false),
        }
    }

    pub(super) const fn selectors(&self) -> &Selectors {
        &self.selectors
    }

    /// Counts a member. While the index is locked.
    pub(super) fn join(&self) {
        self.members.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a member less; `true` if it was the last. While the index is locked.
    pub(super) fn leave(&self) -> bool {
        self.members.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// The position after which its own log begins.
    pub(super) const fn since(&self) -> Option<u64> {
        self.since
    }

    /// Its own log.
    pub(super) fn log(&self) -> Option<&Mutex<Log>> {
        self.since.map(|_| &self.log)
    }

    /// Puts in an entry; `true` if its subscribers are to be woken, and were not to be before.
    pub(super) fn append(&self, old: u64, position: u64, entry: &Entry) -> bool {
        if self.since.is_some() {
            let mut log = self.log.lock();
            // More than one of its selectors can match.
            if log.head() < position {
                log.append(old, position, entry.clone());
            }
        }
        !self.is_stirred.swap(true, Ordering::AcqRel)
    }

    pub(super) fn forget(&self, position: u64) {
        self.log.lock().remove(position);
    }

    /// Wakes those who wait.
    pub(super) fn wake(&self, now: Time) {
        self.is_stirred.store(false, Ordering::Release);
        for (_, listener) in &*self.listeners.lock() {
            listener.wake(now);
        }
    }

    /// Begins to listen; the key ends it.
    pub(super) fn listen(&self, listener: &Arc<Listener>) -> usize {
        self.listeners.lock().insert(Arc::clone(listener))
    }

    pub(super) fn stop_listening(&self, key: usize) {
        self.listeners.lock().try_remove(key);
    }
}
