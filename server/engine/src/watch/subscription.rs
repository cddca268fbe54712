use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use breaker_core::{BreakerName, Time};
use bytes::Bytes;

use super::beat::{Beat, Phase};
use super::group::{Group, Listener};
use super::log::{Entry, Log};
use super::token::Token;
use super::{Encoded, Place, States, WatchLog};

/// Most breakers in one update.
const MAX_UPDATE_BREAKERS: usize = 1_000;
/// Most bytes of states in one update, but for the last; a client takes messages of 4 MiB.
const MAX_UPDATE_BYTES: usize = 1 << 20;
/// What a state that is not encoded yet is taken for: few are as long.
const MAX_STATE_BYTES: usize = 1 << 10;
/// Most entries that one read looks at while it holds the lock.
const MAX_LOOKED_AT: usize = 4_096;

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

/// One watcher: a position in the log, or a name in the snapshot.
pub struct Subscription {
    watch_log: Arc<WatchLog>,
    states: Arc<dyn States>,
    group: Arc<Group>,
    listener: Arc<Listener>,
    listener_key: usize,
    selectors_hash: u64,
    /// Where the snapshot stands; `None` once it is over.
    snapshot: Option<Snapshot>,
    /// Everything up to here is known, but for what the snapshot has yet to tell.
    position: u64,
    /// Breakers that were changing when the snapshot came to them.
    awaited: Vec<BreakerName>,
    /// Deletions up to here are no news to one who began with a snapshot after them.
    began_at: u64,
    is_complete: bool,
    must_reset: bool,
    beat: Beat,
    /// Since when there is news that was not read.
    news_since: Option<Time>,
}

#[derive(Debug, Default)]
struct Snapshot {
    /// The last name that it has come to.
    after: Option<BreakerName>,
}

/// How far a read came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// All that there is.
    End,
    /// As much as goes into one update, or as one read looks at.
    Enough,
}

impl Subscription {
    /// Goes on after a position, or begins with a snapshot.
    pub(super) fn new(
        watch_log: Arc<WatchLog>,
        states: Arc<dyn States>,
        group: Arc<Group>,
        selectors_hash: u64,
        resumed: Option<u64>,
        must_reset: bool,
        phase: Phase,
    ) -> Self {
        let listener = Arc::new(Listener::default());
        let listener_key = group.listen(&listener);
        let mut subscription = Self {
            listener,
            listener_key,
            selectors_hash,
            snapshot: None,
            position: resumed.unwrap_or_default(),
            awaited: Vec::new(),
            began_at: 0,
            is_complete: false,
            must_reset,
            beat: Beat::new(phase, watch_log.epoch),
            news_since: None,
            watch_log,
            states,
            group,
        };
        if resumed.is_none() {
            subscription.begin_snapshot();
        }
        subscription
    }

    /// Waits for what the subscriber does not know yet; an empty update is a sign of life.
    pub async fn next(&mut self) -> Update {
        loop {
            let news_since = self.listener.take_news();
            self.news_since = self.news_since.or(news_since);
            let (update, reached) = self.read_on();
            if update.says_something() {
                self.beat.heard();
                self.count_lag();
                return update;
            }
            if reached == Reached::Enough {
                // Nothing selected among the entries looked at: let others run, and go on.
                tokio::task::yield_now().await;
                continue;
            }
            match self.wait().await {
                Waited::News(since) => self.news_since = self.news_since.or(Some(since)),
                Waited::Beat => {
                    self.beat.heard();
                    return update;
                }
            }
        }
    }

    /// Notes how long what is told has waited.
    fn count_lag(&mut self) {
        if let Some(since) = self.news_since.take() {
            self.watch_log.stats.lag.count_duration(self.states.now().since(since));
        }
    }

    /// What the subscriber does not know yet, as far as one update goes.
    pub fn read(&mut self) -> Update {
        self.read_on().0
    }

    /// The token that covers all updates so far.
    pub fn token(&self) -> Vec<u8> {
        let position = self.snapshot.is_none().then_some(self.position);
        let (life, selectors_hash) = (self.watch_log.life, self.selectors_hash);
        Token { life, position, selectors_hash }.to_bytes()
    }

    /// How many entries the log of its group has.
    #[cfg(test)]
    pub(super) fn group_log_len(&self) -> Option<usize> {
        self.group.log().map(|log| log.lock().len())
    }

    async fn wait(&mut self) -> Waited {
        let (listener, beat) = (&self.listener, &mut self.beat);
        let waited = poll_fn(|context| {
            listener.waker.register(context.waker());
            if let Some(since) = listener.take_news() {
                return Poll::Ready(Waited::News(since));
            }
            beat.poll(context).map(|()| Waited::Beat)
        });
        waited.await
    }

    fn read_on(&mut self) -> (Update, Reached) {
        let mut update = Update::default();
        if std::mem::take(&mut self.must_reset) || self.has_missed_a_deletion() {
            update.reset = true;
            self.watch_log.stats.resets.fetch_add(1, Ordering::Relaxed);
            self.begin_snapshot();
        }
        let mut reached = match self.snapshot.take() {
            Some(snapshot) => self.go_through_names(snapshot, &mut update),
            None => Reached::End,
        };
        if reached == Reached::End {
            reached = self.follow(&mut update);
        }
        if reached == Reached::End && self.awaited.is_empty() && !self.is_complete {
            self.is_complete = true;
            update.snapshot_complete = true;
        }
        update.token = self.token();
        (update, reached)
    }

    /// Everything after the present end of the logs comes from them, the rest by name.
    fn begin_snapshot(&mut self) {
        let published = self.watch_log.published.load(Ordering::Acquire);
        self.position = published.max(self.group.since().unwrap_or_default());
        self.began_at = self.position;
        self.snapshot = Some(Snapshot::default());
        self.awaited.clear();
        self.is_complete = false;
    }

    fn has_missed_a_deletion(&self) -> bool {
        if self.snapshot.is_some() {
            return false;
        }
        let in_group = self.group.since().is_some_and(|since| self.position >= since);
        let forgotten = match self.group.log().filter(|_| in_group) {
            Some(log) => log.lock().forgotten(),
            None => self.watch_log.log.read().forgotten(),
        };
        self.position < forgotten
    }

    /// Tells the states of the next names, of those that the logs do not tell after the position.
    fn go_through_names(&mut self, mut snapshot: Snapshot, update: &mut Update) -> Reached {
        let (selectors, after) = (self.group.selectors(), snapshot.after.as_ref());
        let names = self.states.names(selectors, after, MAX_UPDATE_BREAKERS);
        let is_last = names.len() < MAX_UPDATE_BREAKERS;
        let mut bytes = 0;
        for name in names {
            if bytes >= MAX_UPDATE_BYTES {
                self.snapshot = Some(snapshot);
                return Reached::Enough;
            }
            if let Some(state) = self.state_of(&name) {
                bytes += state.len();
                update.changed.push(state);
            }
            snapshot.after = Some(name);
        }
        if is_last {
            return Reached::End;
        }
        self.snapshot = Some(snapshot);
        Reached::Enough
    }

    /// The state of a breaker, unless it comes after the position.
    fn state_of(&mut self, name: &BreakerName) -> Option<Bytes> {
        let found = match self.states.place(name) {
            Place::At(position) if position <= self.position => {
                let log = self.watch_log.log.read();
                match log.get(position) {
                    Some(Entry::Breaker { state: Some(state), .. }) => {
                        Encoded::State(state.clone())
                    }
                    Some(Entry::Breaker { state: None, .. }) => {
                        drop(log);
                        self.states.encoded(name, position)
                    }
                    // It has moved on since.
                    Some(Entry::Tombstone { .. }) | None => Encoded::Later,
                }
            }
            Place::At(_) | Place::Later => Encoded::Later,
            Place::Gone => Encoded::Gone,
        };
        match found {
            Encoded::State(state) => Some(state),
            Encoded::Later => {
                self.awaited.push(name.clone());
                None
            }
            Encoded::Gone => None,
        }
    }

    /// Gathers what comes after the position.
    fn follow(&mut self, update: &mut Update) -> Reached {
        // What is published is in every log that is read after this.
        let published = self.watch_log.published.load(Ordering::Acquire);
        let (watch_log, group) = (Arc::clone(&self.watch_log), Arc::clone(&self.group));
        let mut unencoded = Vec::new();
        if let Some(since) = group.since()
            && self.position < since
        {
            let reached = self.collect(&watch_log.log.read(), since, update, &mut unencoded);
            self.encode(unencoded, update);
            if reached == Reached::Enough {
                return reached;
            }
            (self.position, unencoded) = (since, Vec::new());
        }
        let reached = match group.log() {
            Some(log) => self.collect(&log.lock(), u64::MAX, update, &mut unencoded),
            None => self.collect(&watch_log.log.read(), u64::MAX, update, &mut unencoded),
        };
        self.encode(unencoded, update);
        if reached == Reached::End {
            self.position = self.position.max(published);
        }
        reached
    }

    /// Gathers entries after the position and up to another.
    fn collect(
        &mut self,
        log: &Log,
        until: u64,
        update: &mut Update,
        unencoded: &mut Vec<(BreakerName, u64)>,
    ) -> Reached {
        let mut bytes = 0;
        for (looked_at, (&position, entry)) in log.after(self.position).enumerate() {
            if position > until {
                break;
            }
            if looked_at == MAX_LOOKED_AT
                || update.changed.len() + update.deleted.len() + unencoded.len()
                    >= MAX_UPDATE_BREAKERS
                || bytes >= MAX_UPDATE_BYTES
            {
                return Reached::Enough;
            }
            self.position = position;
            if !self.group.selectors().matches(entry.name()) {
                continue;
            }
            if !self.awaited.is_empty() {
                self.awaited.retain(|awaited| awaited != entry.name());
            }
            match entry {
                Entry::Breaker { state: Some(state), .. } => {
                    bytes += state.len();
                    update.changed.push(state.clone());
                }
                Entry::Breaker { name, state: None } => {
                    bytes += MAX_STATE_BYTES;
                    unencoded.push((name.clone(), position));
                }
                Entry::Tombstone { name } if position > self.began_at => {
                    update.deleted.push(name.clone());
                }
                Entry::Tombstone { .. } => {}
            }
        }
        Reached::End
    }

    /// Encodes the states that nobody has encoded yet. One that has changed since comes later.
    fn encode(&self, unencoded: Vec<(BreakerName, u64)>, update: &mut Update) {
        for (name, position) in unencoded {
            match self.states.encoded(&name, position) {
                Encoded::State(state) => update.changed.push(state),
                Encoded::Later | Encoded::Gone => {}
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.group.stop_listening(self.listener_key);
        self.watch_log.leave(&self.group);
    }
}

/// Why a wait has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    News(Time),
    Beat,
}

impl Update {
    pub(super) fn says_something(&self) -> bool {
        self.reset || self.snapshot_complete || !self.changed.is_empty() || !self.deleted.is_empty()
    }
}
