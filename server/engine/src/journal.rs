//! The transitions of all breakers in one order: the latest in memory, where they also wait for
//! storage, and the others in the database.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use breaker_core::{BreakerName, Time};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::live::Stamped;
use crate::store::{Opened, TransitionRecord};

/// Transitions kept in memory after they were stored, so that followers need no database.
const KEPT: usize = 10_000;

/// Transitions that can wait for a database that is away. When they are more, the oldest are
/// dropped and counted; followers that would miss them are told.
const MAX_WAITING: usize = 100_000;

pub(crate) struct Journal {
    ring: Mutex<Ring>,
    latest: watch::Sender<u64>,
}

struct Ring {
    /// In rising order of ids.
    records: VecDeque<Arc<TransitionRecord>>,
    /// The highest id that is not in memory any more, but may be in the database.
    evicted: u64,
    /// When the latest of those took effect; `None` if there never was one.
    evicted_until: Option<Time>,
    /// The highest id that is in the database.
    stored: u64,
    /// The highest id that is nowhere any more.
    gone: u64,
    next_id: u64,
}

/// Where the transitions after an id are.
pub(crate) enum After {
    Memory(Vec<Arc<TransitionRecord>>),
    /// In the database, up to and including this id.
    Store(u64),
    /// Those up to this id are gone.
    Gone(u64),
}

impl Journal {
    /// A journal that goes on from a database whose latest transition took effect at
    /// `stored_until`.
    pub(crate) fn new(opened: &Opened, stored_until: Option<Time>, first_id: u64) -> Self {
        let latest = opened.last_transition_id.max(first_id);
        let ring = Ring {
            records: VecDeque::new(),
            evicted: latest,
            evicted_until: stored_until,
            stored: latest,
            gone: opened.trimmed_transition_id,
            next_id: latest + 1,
        };
        Self { ring: Mutex::new(ring), latest: watch::Sender::new(latest) }
    }

    /// Appends transitions of one breaker; returns how many others had to be dropped.
    pub(crate) fn append(
        &self,
        breaker: &BreakerName,
        stamped: impl IntoIterator<Item = Stamped>,
    ) -> usize {
        let mut ring = self.ring.lock();
        for Stamped { revision, transition } in stamped {
            let id = ring.next_id;
            ring.next_id += 1;
            let breaker = breaker.clone();
            ring.records.push_back(Arc::new(TransitionRecord {
                id,
                breaker,
                revision,
                transition,
            }));
        }
        let dropped = ring.evict();
        let latest = ring.next_id - 1;
        drop(ring);
        self.latest.send_replace(latest);
        dropped
    }

    /// At most `limit` transitions that are not stored yet, the oldest first.
    pub(crate) fn waiting(&self, limit: usize) -> Vec<Arc<TransitionRecord>> {
        let ring = self.ring.lock();
        ring.records.range(ring.first_after(ring.stored)..).take(limit).cloned().collect()
    }

    /// How many transitions are not stored yet.
    pub(crate) fn waiting_count(&self) -> usize {
        let ring = self.ring.lock();
        ring.records.len() - ring.first_after(ring.stored)
    }

    pub(crate) fn mark_stored(&self, id: u64) {
        let mut ring = self.ring.lock();
        ring.stored = ring.stored.max(id);
        ring.evict();
    }

    /// The database has deleted the transitions up to this id for their age.
    pub(crate) fn mark_gone(&self, id: u64) {
        let mut ring = self.ring.lock();
        ring.gone = ring.gone.max(id);
        while ring.records.front().is_some_and(|oldest| oldest.id <= id) {
            ring.evict_oldest();
        }
    }

    /// The highest id that is nowhere any more.
    pub(crate) fn gone(&self) -> u64 {
        self.ring.lock().gone
    }

    /// Goes on after `latest`, with a history that was put into the database: the latest of it took
    /// effect at `stored_until`, and all up to `gone` is not kept. Only for a journal that holds
    /// nothing.
    pub(crate) fn go_on_after(&self, latest: u64, stored_until: Option<Time>, gone: u64) {
        let mut ring = self.ring.lock();
        (ring.evicted, ring.stored, ring.next_id) = (latest, latest, latest + 1);
        ring.evicted_until = stored_until;
        ring.gone = ring.gone.max(gone);
        drop(ring);
        self.latest.send_replace(latest);
    }

    /// The id of the latest transition.
    pub(crate) fn latest(&self) -> u64 {
        *self.latest.borrow()
    }

    /// Tells whenever there is a later transition.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// The transitions after an id, the oldest first.
    pub(crate) fn after(&self, after: u64, limit: usize) -> After {
        let ring = self.ring.lock();
        if after < ring.gone {
            After::Gone(ring.gone)
        } else if after < ring.evicted {
            After::Store(ring.evicted)
        } else {
            let records = ring.records.range(ring.first_after(after)..).take(limit);
            After::Memory(records.cloned().collect())
        }
    }

    /// Up to `limit` of the transitions in memory that `wanted` lets through, the latest ones, and
    /// the time up to which the database may have others, if it has any.
    pub(crate) fn latest_of(
        &self,
        wanted: impl Fn(&TransitionRecord) -> bool,
        limit: usize,
    ) -> (Vec<Arc<TransitionRecord>>, Option<Time>) {
        let ring = self.ring.lock();
        let mut records: Vec<_> =
            ring.records.iter().filter(|record| wanted(record)).cloned().collect();
        let evicted_until = ring.evicted_until;
        drop(ring);
        records.sort_unstable_by_key(|record| Reverse(record.moment()));
        records.truncate(limit);
        (records, evicted_until)
    }
}

impl Ring {
    /// The index of the first record with an id above `id`.
    fn first_after(&self, id: u64) -> usize {
        self.records.partition_point(|record| record.id <= id)
    }

    /// Makes room; returns how many records were lost for good.
    fn evict(&mut self) -> usize {
        let mut dropped = 0;
        while let Some(oldest) = self.records.front().map(|record| record.id) {
            let is_stored = oldest <= self.stored;
            let limit = if is_stored { KEPT } else { MAX_WAITING };
            if self.records.len() <= limit {
                break;
            }
            if !is_stored {
                self.gone = oldest;
                dropped += 1;
            }
            self.evict_oldest();
        }
        dropped
    }

    fn evict_oldest(&mut self) {
        if let Some(oldest) = self.records.pop_front() {
            self.evicted = oldest.id;
            self.evicted_until = self.evicted_until.max(Some(oldest.transition.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use breaker_core::{Breaker, Config, Outcome, Report, Run};

    use super::*;

    fn stamped(count: usize) -> Vec<Stamped> {
        let mut breaker = Breaker::new(Time::EPOCH);
        let failures = Report::current(Run::new(Outcome::Failure, 5));
        let transition = breaker.record(&Config::default(), &failures, Time::EPOCH).remove(0);
        (1..=count as u64)
            .map(|revision| Stamped { revision, transition: transition.clone() })
            .collect()
    }

    fn ids(records: &[Arc<TransitionRecord>]) -> Vec<u64> {
        records.iter().map(|record| record.id).collect()
    }

    #[test]
    fn transitions_wait_for_storage_and_stay_readable_after_it() {
        let name = BreakerName::new("a/b").unwrap();
        let opened = Opened { last_transition_id: 40, ..Opened::default() };
        let journal = Journal::new(&opened, Some(Time::EPOCH), 0);
        assert_eq!(journal.append(&name, stamped(3)), 0);
        assert_eq!(ids(&journal.waiting(2)), [41, 42]);
        journal.mark_stored(42);
        assert_eq!(ids(&journal.waiting(10)), [43]);
        assert!(matches!(journal.after(41, 10), After::Memory(r) if ids(&r) == [42, 43]));
        assert!(matches!(journal.after(39, 10), After::Store(40)));
        let (records, stored_until) = journal.latest_of(|record| record.id < 43, 10);
        assert_eq!((ids(&records), stored_until), (vec![42, 41], Some(Time::EPOCH)));
    }

    #[test]
    fn when_too_many_wait_the_oldest_are_gone_and_followers_are_told() {
        let name = BreakerName::new("a/b").unwrap();
        let journal = Journal::new(&Opened::default(), None, 0);
        assert_eq!(journal.append(&name, stamped(MAX_WAITING + 5)), 5);
        assert!(matches!(journal.after(4, 1), After::Gone(5)));
        assert!(matches!(journal.after(5, 1), After::Memory(r) if ids(&r) == [6]));
        journal.mark_stored(journal.latest());
        assert_eq!(journal.waiting_count(), 0);
        assert!(matches!(journal.after(5, 1), After::Store(_)), "what is stored may leave memory");
    }
}
