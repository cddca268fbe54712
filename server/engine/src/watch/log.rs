use std::collections::btree_map::Range;
use std::collections::{BTreeMap, VecDeque};

use breaker_core::BreakerName;
use bytes::Bytes;

/// Deleted breakers that are remembered for those who were away meanwhile.
pub(super) const MAX_TOMBSTONES: usize = 10_000;

/// Entries by position, at most one for each breaker.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: BTreeMap<u64, Entry>,
    head: u64,
    tombstones: VecDeque<u64>,
    forgotten: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Entry {
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

impl Entry {
    pub(super) const fn name(&self) -> &BreakerName {
        match self {
            Self::Breaker { name, .. } | Self::Tombstone { name } => name,
        }
    }
}

impl Log {
    /// Puts an entry at a position above all others, in place of the one at `old`.
    pub(super) fn append(&mut self, old: u64, position: u64, entry: Entry) {
        self.entries.remove(&old);
        if matches!(entry, Entry::Tombstone { .. }) {
            self.tombstones.push_back(position);
        }
        self.entries.insert(position, entry);
        self.head = position;
        if self.tombstones.len() > MAX_TOMBSTONES
            && let Some(oldest) = self.tombstones.pop_front()
        {
            self.entries.remove(&oldest);
            self.forgotten = oldest;
        }
    }

    pub(super) fn remove(&mut self, position: u64) {
        self.entries.remove(&position);
    }

    /// The highest position.
    pub(super) const fn head(&self) -> u64 {
        self.head
    }

    /// Deletions up to this position are forgotten.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn get(&self, position: u64) -> Option<&Entry> {
        self.entries.get(&position)
    }

    pub(super) fn after(&self, position: u64) -> Range<'_, u64, Entry> {
        self.entries.range(position + 1..)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
