//! What watchers read: one entry for each breaker, in the order of the latest changes.
//!
//! A breaker that changes moves to the end, so everything after a position is exactly what a
//! watcher who has read up to there does not know. A snapshot, a resumed stream and a slow reader
//! are therefore the same thing: a position and "what comes after it?". A subscriber is nothing
//! but a position; it costs no queue, delays nobody, and sees only the last of several changes of
//! one breaker when it reads late.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breaker_core::BreakerName;
use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::selectors::Selectors;

/// A subscriber hears something at least this often; the protocol promises 5 s.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// Deleted breakers that are remembered for those who were away meanwhile.
const MAX_TOMBSTONES: usize = 10_000;

/// Most breakers in one update.
const MAX_UPDATE_BREAKERS: usize = 1_000;
/// Most bytes of states in one update, but for the last; a client takes messages of 4 MiB.
const MAX_UPDATE_BYTES: usize = 1 << 20;
/// What a state that is not encoded yet is taken for: few are as long.
const MAX_STATE_BYTES: usize = 1 << 10;
/// Most entries that one read looks at while it holds the lock.
const MAX_LOOKED_AT: usize = 4_096;

/// The log of the latest change of every breaker.
pub(crate) struct WatchLog {
    log: RwLock<Log>,
    /// The highest position.
    head: watch::Sender<u64>,
    /// The last position given out.
    last: AtomicU64,
    /// Tells one life of the server from another: positions mean nothing in the next one.
    life: u64,
}

#[derive(Default)]
struct Log {
    entries: BTreeMap<u64, Entry>,
    head: u64,
    tombstones: VecDeque<u64>,
    /// Deletions up to this position are forgotten.
    forgotten: u64,
}

enum Entry {
    /// With its encoded state; one that has not changed since the start is encoded when somebody
    /// reads it, because of a million breakers most never change.
    Breaker {
        name: BreakerName,
        state: Option<Bytes>,
    },
    Tombstone {
        name: BreakerName,
    },
}

/// The present states of breakers.
pub(crate) trait States: Send + Sync {
    /// The state of the breaker that stands at a position.
    fn encoded(&self, name: &BreakerName, position: u64) -> Encoded;
}

/// What there is of a breaker whose state was not encoded.
pub(crate) enum Encoded {
    State(Bytes),
    /// It has changed, and comes at a later position: told here, it would be told twice.
    Later,
    /// It is gone, which is told at a later position.
    Gone,
}

/// What a subscriber gets at a time. Deletions come before changes: a breaker that is in both was
/// created anew.
#[derive(Debug, Default)]
pub struct Update {
    /// The encoded states of breakers that are new or have changed.
    pub changed: Vec<Bytes>,
    /// The breakers that are gone.
    pub deleted: Vec<BreakerName>,
    /// The subscriber now knows all that there was when it subscribed, or newer.
    pub snapshot_complete: bool,
    /// The subscriber has to forget what it knew.
    pub reset: bool,
    /// Covers all updates up to here.
    pub token: Vec<u8>,
}

/// One watcher: a position in the log.
pub struct Subscription {
    watch_log: Arc<WatchLog>,
    states: Arc<dyn States>,
    head: watch::Receiver<u64>,
    selectors: Selectors,
    selectors_hash: u64,
    position: u64,
    /// Deletions up to here are no news to one who began with a snapshot after them.
    began_at: u64,
    is_complete: bool,
    must_reset: bool,
}

impl WatchLog {
    pub(crate) fn new(life: u64) -> Self {
        let head = watch::Sender::new(0);
        Self { log: RwLock::default(), head, last: AtomicU64::new(0), life }
    }

    /// The next position. Only the recorder asks, and fills a position before it asks again.
    pub(crate) fn reserve(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Puts the state of a breaker at a reserved position, in place of the one at `old`.
    pub(crate) fn put(&self, old: u64, reserved: u64, name: BreakerName, state: Bytes) {
        let mut log = self.log.write();
        log.entries.remove(&old);
        log.append(reserved, Entry::Breaker { name, state: Some(state) });
    }

    /// Puts breakers that are as they were loaded at the next positions, and tells each its own.
    pub(crate) fn fill(&self, each: impl FnOnce(&mut dyn FnMut(&BreakerName) -> u64)) {
        let mut log = self.log.write();
        each(&mut |name| {
            let position = self.reserve();
            log.append(position, Entry::Breaker { name: name.clone(), state: None });
            position
        });
    }

    /// Takes out the state of a breaker that is gone, and leaves a tombstone.
    pub(crate) fn bury(&self, old: u64, name: BreakerName) {
        let mut log = self.log.write();
        log.entries.remove(&old);
        let position = self.reserve();
        log.append(position, Entry::Tombstone { name });
        log.tombstones.push_back(position);
        if log.tombstones.len() > MAX_TOMBSTONES
            && let Some(oldest) = log.tombstones.pop_front()
        {
            log.entries.remove(&oldest);
            log.forgotten = oldest;
        }
    }

    /// Takes out a state that another one has replaced.
    pub(crate) fn forget(&self, old: u64) {
        self.log.write().entries.remove(&old);
    }

    /// Wakes the subscribers.
    pub(crate) fn publish(&self) {
        let head = self.log.read().head;
        self.head.send_if_modified(|published| std::mem::replace(published, head) != head);
    }

    /// A subscription that goes on after `token`; with an empty one it begins with a snapshot.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        states: Arc<dyn States>,
        selectors: Selectors,
        token: &[u8],
    ) -> Subscription {
        let mut hasher = DefaultHasher::new();
        selectors.canonical().hash(&mut hasher);
        let selectors_hash = hasher.finish();
        let resumed = Token::parse(token)
            .filter(|known| known.life == self.life && known.selectors_hash == selectors_hash)
            .map(|known| known.position);
        let head = self.head.subscribe();
        let log = self.log.read();
        Subscription {
            states,
            head,
            selectors,
            selectors_hash,
            position: resumed.unwrap_or(0),
            began_at: if resumed.is_some() { 0 } else { log.head },
            is_complete: false,
            must_reset: resumed.is_none() && !token.is_empty(),
            watch_log: Arc::clone(self),
        }
    }
}

impl Log {
    fn append(&mut self, position: u64, entry: Entry) {
        self.entries.insert(position, entry);
        self.head = position;
    }
}

impl Subscription {
    /// Waits for what the subscriber does not know yet; an empty update is a sign of life.
    pub async fn next(&mut self) -> Update {
        loop {
            self.head.borrow_and_update();
            let update = self.read();
            if update.says_something() {
                return update;
            }
            if self.position < self.watch_log.log.read().head {
                // Nothing selected among the entries looked at: let others run, and go on.
                tokio::task::yield_now().await;
                continue;
            }
            match tokio::time::timeout(HEARTBEAT, self.head.changed()).await {
                Ok(Ok(())) => {}
                // The log outlives the subscription, so `Err` within is the same as silence.
                Ok(Err(_)) | Err(_) => return update,
            }
        }
    }

    /// What the subscriber does not know yet, as far as one update goes.
    pub fn read(&mut self) -> Update {
        let watch_log = Arc::clone(&self.watch_log);
        let log = watch_log.log.read();
        let mut update = Update::default();
        // Whoever has read nothing yet has nothing that could have been deleted since.
        if self.position != 0 && self.position < log.forgotten {
            self.must_reset = true;
        }
        if std::mem::take(&mut self.must_reset) {
            update.reset = true;
            (self.position, self.began_at, self.is_complete) = (0, log.head, false);
        }
        let mut unencoded = Vec::new();
        let reached_end = self.collect(&log, &mut update, &mut unencoded);
        drop(log);
        let mut is_whole = true;
        for (name, position) in &unencoded {
            match self.states.encoded(name, *position) {
                Encoded::State(state) => update.changed.push(state),
                Encoded::Later => is_whole = false,
                Encoded::Gone => {}
            }
        }
        if reached_end && is_whole && !self.is_complete {
            self.is_complete = true;
            update.snapshot_complete = true;
        }
        update.token = self.token();
        update
    }

    /// The token that covers all updates so far.
    pub fn token(&self) -> Vec<u8> {
        let Self { position, selectors_hash, .. } = *self;
        Token { life: self.watch_log.life, position, selectors_hash }.to_bytes()
    }

    /// Gathers entries after the position; `true` if there are no more.
    fn collect(
        &mut self,
        log: &Log,
        update: &mut Update,
        unencoded: &mut Vec<(BreakerName, u64)>,
    ) -> bool {
        let mut bytes = 0;
        for (looked_at, (&position, entry)) in log.entries.range(self.position + 1..).enumerate() {
            if looked_at == MAX_LOOKED_AT
                || update.changed.len() + update.deleted.len() + unencoded.len()
                    == MAX_UPDATE_BREAKERS
                || bytes >= MAX_UPDATE_BYTES
            {
                return false;
            }
            self.position = position;
            match entry {
                Entry::Breaker { name, state } if self.selectors.matches(name) => match state {
                    Some(state) => {
                        bytes += state.len();
                        update.changed.push(state.clone());
                    }
                    None => {
                        bytes += MAX_STATE_BYTES;
                        unencoded.push((name.clone(), position));
                    }
                },
                Entry::Tombstone { name }
                    if position > self.began_at && self.selectors.matches(name) =>
                {
                    update.deleted.push(name.clone());
                }
                Entry::Breaker { .. } | Entry::Tombstone { .. } => {}
            }
        }
        self.position = log.head;
        true
    }
}

impl Update {
    fn says_something(&self) -> bool {
        self.reset || self.snapshot_complete || !self.changed.is_empty() || !self.deleted.is_empty()
    }
}

/// What a resume token says. Opaque to clients.
struct Token {
    life: u64,
    position: u64,
    selectors_hash: u64,
}

impl Token {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (parts, []) = bytes.as_chunks::<8>() else { return None };
        let &[life, position, selectors_hash] = parts else { return None };
        let [life, position, selectors_hash] =
            [life, position, selectors_hash].map(u64::from_be_bytes);
        Some(Self { life, position, selectors_hash })
    }

    fn to_bytes(&self) -> Vec<u8> {
        [self.life, self.position, self.selectors_hash].map(u64::to_be_bytes).concat()
    }
}

#[cfg(test)]
mod tests;
