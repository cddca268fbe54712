//! What watchers read: one entry for each breaker, in the order of the latest changes.
//!
//! A breaker that changes moves to the end, so everything after a position is exactly what a
//! watcher who has read up to there does not know. A subscriber is nothing but a position; it costs
//! no queue, delays nobody, and sees only the last of several changes of one breaker when it reads
//! late.
//!
//! Subscribers with the same selectors are a group. A group has a log of its own with what is
//! selected and has changed since it came to be, and an index over the selectors tells which groups a
//! change concerns: it goes into their logs and wakes their subscribers, and no others. The log of
//! all breakers serves those who come back with a token from before their group, and those who
//! select everything.
//!
//! A snapshot goes through the selected names, not through the log, so that a stream on ten breakers
//! costs ten lookups however many there are.

mod beat;
mod group;
mod index;
mod log;
mod subscription;
mod token;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use breaker_core::{BreakerName, Time};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use self::group::Group;
use self::index::Index;
use self::log::{Entry, Log};
use self::token::Token;
use crate::clock::timer_now;
use crate::histogram::{DURATIONS, Histogram};
use crate::selectors::Selectors;

pub use self::beat::Phase;
pub use self::subscription::{Subscription, Update};

/// How well watchers keep up.
#[derive(Debug)]
pub struct WatchStats {
    /// How long changes waited, from when watchers were woken for them to when they were read. A
    /// watcher that does not read lets them wait.
    pub lag: Histogram,
    resets: AtomicU64,
}

impl Default for WatchStats {
    fn default() -> Self {
        Self { lag: Histogram::new(DURATIONS), resets: AtomicU64::new(0) }
    }
}

impl WatchStats {
    /// Watchers whose copy had to begin anew: their token was of no use, or they had not read for
    /// so long that deletions were forgotten.
    pub fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }
}

/// The logs of the latest change of every breaker.
pub(crate) struct WatchLog {
    log: RwLock<Log>,
    index: RwLock<Index>,
    /// The last position given out.
    last: AtomicU64,
    /// Every change up to this position is in the log and in those of the groups.
    published: AtomicU64,
    /// Groups with changes that their subscribers were not woken for.
    stirred: Mutex<Vec<Arc<Group>>>,
    stats: WatchStats,
    /// Tells one life of the server from another: positions mean nothing in the next one.
    life: u64,
    /// What the moments of signs of life are counted from.
    epoch: Instant,
}

/// The present states of breakers.
pub(crate) trait States: Send + Sync {
    /// At most `limit` of the selected names after one, in their order.
    fn names(
        &self,
        selectors: &Selectors,
        after: Option<&BreakerName>,
        limit: usize,
    ) -> Vec<BreakerName>;

    /// Where a breaker stands in the log.
    fn place(&self, name: &BreakerName) -> Place;

    /// The state of the breaker that stands at a position.
    fn encoded(&self, name: &BreakerName, position: u64) -> Encoded;

    /// The time that breakers live by.
    fn now(&self) -> Time;
}

/// Where a breaker stands in the log.
pub(crate) enum Place {
    /// At this position, or on its way there.
    At(u64),
    /// It has changed, and is about to get a position.
    Later,
    /// It is gone, which is told at a later position.
    Gone,
}

/// What there is of a breaker whose state was not encoded.
pub(crate) enum Encoded {
    State(Bytes),
    /// It has changed, and comes at a later position: told here, it would be told twice.
    Later,
    /// It is gone, which is told at a later position.
    Gone,
}

impl WatchLog {
    pub(crate) fn new(life: u64) -> Self {
        Self {
            log: RwLock::default(),
            index: RwLock::default(),
            last: AtomicU64::new(0),
            published: AtomicU64::new(0),
            stirred: Mutex::default(),
            stats: WatchStats::default(),
            life,
            epoch: timer_now(),
        }
    }

    /// The next position. Only the recorder asks, and fills a position before it asks again.
    pub(crate) fn reserve(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How well watchers keep up.
    pub(crate) const fn stats(&self) -> &WatchStats {
        &self.stats
    }

    /// Puts the state of a breaker at a reserved position, in place of the one at `old`.
    pub(crate) fn put(&self, old: u64, reserved: u64, name: BreakerName, state: Bytes) {
        self.append(old, reserved, Entry::Breaker { name, state: Some(state) });
    }

    /// Puts breakers that are as they were loaded at the next positions, and tells each its own.
    /// Only before there are subscribers.
    pub(crate) fn fill(&self, each: impl FnOnce(&mut dyn FnMut(&BreakerName) -> u64)) {
        let mut log = self.log.write();
        each(&mut |name| {
            let position = self.reserve();
            log.append(0, position, Entry::Breaker { name: name.clone(), state: None });
            position
        });
    }

    /// Takes out the state of a breaker that is gone, and leaves a tombstone.
    pub(crate) fn bury(&self, old: u64, name: BreakerName) {
        self.append(old, self.reserve(), Entry::Tombstone { name });
    }

    /// Takes out a state that another one has replaced.
    pub(crate) fn forget(&self, old: u64, name: &BreakerName) {
        self.log.write().remove(old);
        self.index.read().for_each_group(name, |group| group.forget(old));
    }

    /// Wakes the subscribers whom what was put since the last time concerns.
    pub(crate) fn publish(&self, now: Time) {
        let head = self.log.read().head();
        self.published.store(head, Ordering::Release);
        for group in mem::take(&mut *self.stirred.lock()) {
            group.wake(now);
        }
    }

    /// A subscription that goes on after `token`; with an empty one it begins with a snapshot.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        states: Arc<dyn States>,
        selectors: Selectors,
        token: &[u8],
        phase: Phase,
    ) -> Subscription {
        let selectors_hash = token::hash(&selectors);
        let resumed = Token::parse(token)
            .filter(|known| known.life == self.life && known.selectors_hash == selectors_hash)
            .and_then(|known| known.position);
        let group = self.group_of(selectors);
        let must_reset = resumed.is_none() && !token.is_empty();
        let watch_log = Arc::clone(self);
        Subscription::new(watch_log, states, group, selectors_hash, resumed, must_reset, phase)
    }

    /// A subscription to all breakers that begins with the next change.
    pub(crate) fn follow(self: &Arc<Self>, states: Arc<dyn States>) -> Subscription {
        let selectors = Selectors::default();
        let selectors_hash = token::hash(&selectors);
        let here = self.published.load(Ordering::Acquire);
        let group = self.group_of(selectors);
        let (watch_log, phase) = (Arc::clone(self), Phase::default());
        Subscription::new(watch_log, states, group, selectors_hash, Some(here), false, phase)
    }

    /// How many groups there are.
    #[cfg(test)]
    fn group_count(&self) -> usize {
        self.index.read().len()
    }

    fn append(&self, old: u64, position: u64, entry: Entry) {
        self.log.write().append(old, position, entry.clone());
        // Whoever joins the index from here on begins after this entry.
        let index = self.index.read();
        index.for_each_group(entry.name(), |group| {
            if group.append(old, position, &entry) {
                self.stirred.lock().push(Arc::clone(group));
            }
        });
    }

    /// The group of those who select this.
    fn group_of(&self, selectors: Selectors) -> Arc<Group> {
        let mut index = self.index.write();
        if let Some(group) = index.find(&selectors) {
            group.join();
            return group;
        }
        // No change can be put into the log and miss the group: it looks at the index afterwards.
        let group = Arc::new(Group::new(selectors, self.log.read().head()));
        index.insert(Arc::clone(&group));
        group
    }

    /// A subscriber has left its group.
    fn leave(&self, group: &Arc<Group>) {
        let mut index = self.index.write();
        if group.leave() {
            index.remove(group);
        }
    }
}

#[cfg(test)]
mod tests;
