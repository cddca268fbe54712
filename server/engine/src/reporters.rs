//! Which reports were counted already, so that a retry after a lost answer counts once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

/// Reporters that are remembered in all, roughly. One that was forgotten counts as new.
pub const MAX_REPORTERS: usize = 200_000;

/// Independently locked parts: reporters of different parts never wait for each other.
const PARTS: usize = 64;

/// Reporters in the younger half of one part before the older half is forgotten.
const MAX_YOUNG: usize = MAX_REPORTERS / PARTS / 2;

/// Remembers the sequence numbers of every reporter.
pub(crate) struct Reporters {
    parts: Vec<Mutex<Part>>,
    hasher: RandomState,
}

/// Reporters by when they were last heard of. When the young ones are too many, they become the
/// old ones, and the old ones that nobody heard of since are forgotten.
#[derive(Default)]
struct Part {
    young: HashMap<Box<str>, Seen>,
    old: HashMap<Box<str>, Seen>,
}

/// The sequence numbers seen of one reporter: the highest, and which of the 128 up to it.
#[derive(Clone, Copy, Default)]
struct Seen {
    highest: u64,
    recent: u128,
}

impl Reporters {
    pub(crate) fn new() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// Notes a report; `false` if it was noted before, or is too old to tell.
    pub(crate) fn note(&self, reporter: &str, sequence: u64) -> bool {
        let part = self.hasher.hash_one(reporter) as usize % PARTS;
        self.parts[part].lock().seen_of(reporter).note(sequence)
    }
}

impl Part {
    fn seen_of(&mut self, reporter: &str) -> &mut Seen {
        if !self.young.contains_key(reporter) {
            let seen = self.old.remove(reporter).unwrap_or_default();
            if self.young.len() >= MAX_YOUNG {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(reporter.into(), seen);
        }
        self.young.entry(reporter.into()).or_default()
    }
}

impl Seen {
    fn note(&mut self, sequence: u64) -> bool {
        if sequence > self.highest {
            let ahead = u32::try_from(sequence - self.highest).unwrap_or(u32::MAX);
            self.recent = self.recent.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = sequence;
            return true;
        }
        let behind = u32::try_from(self.highest - sequence).unwrap_or(u32::MAX);
        let bit = 1_u128.checked_shl(behind).unwrap_or(0);
        let is_new = bit != 0 && self.recent & bit == 0;
        self.recent |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_counts_once_in_whatever_order_it_comes() {
        let reporters = Reporters::new();
        for sequence in [1, 3, 2, 10, 137] {
            assert!(reporters.note("a", sequence), "{sequence} is new");
            assert!(!reporters.note("a", sequence), "{sequence} was seen");
        }
        assert!(!reporters.note("a", 9), "128 behind the highest is too old to tell");
        assert!(reporters.note("a", 11), "within the last 128 it can be told");
        assert!(reporters.note("b", 10), "another reporter counts by itself");
        assert!(reporters.note("a", u64::MAX));
        assert!(!reporters.note("a", 138));
    }

    #[test]
    fn the_reporters_heard_of_last_are_remembered_and_memory_is_bounded() {
        let reporters = Reporters::new();
        for reporter in 0..3 * MAX_REPORTERS {
            reporters.note("steady", 1 + reporter as u64);
            reporters.note(&format!("reporter-{reporter}"), 1);
        }
        assert!(!reporters.note("steady", 3 * MAX_REPORTERS as u64));
        let kept: usize = reporters
            .parts
            .iter()
            .map(|part| {
                let part = part.lock();
                part.young.len() + part.old.len()
            })
            .sum();
        assert!(kept <= MAX_REPORTERS + 2 * PARTS, "{kept}");
    }
}
