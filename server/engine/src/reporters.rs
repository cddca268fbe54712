//! Which reports were counted already, so that a retry after a lost answer counts once, over a
//! restart too.
//!
//! A report is noted before its calls are counted. Whoever writes breakers reads their rows first
//! and takes what was noted afterwards: so no row holds calls of a report that storage does not know
//! by then, and a crash can lose calls but never lets them count twice.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use breaker_core::Time;
use parking_lot::Mutex;

use crate::store::ReporterRow;

/// Reporters that are remembered in all, roughly. One that was forgotten counts as new.
pub const MAX_REPORTERS: usize = 200_000;

/// How long storage remembers a reporter that says nothing. Nobody retries for longer: no call may
/// be reported that ended earlier.
pub(crate) const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

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
    young: HashMap<Arc<str>, Seen>,
    old: HashMap<Arc<str>, Seen>,
    /// No reporter of each half was last heard of before; whoever was is forgotten.
    young_since: Time,
    old_since: Time,
    /// Those of which storage does not know all. Each is in one of the halves, and here once.
    unwritten: Vec<Arc<str>>,
}

/// The sequence numbers seen of one reporter: the highest, and which of the 128 up to it.
#[derive(Clone, Copy, Default)]
struct Seen {
    highest: u64,
    recent: u128,
    heard_at: Time,
    /// Whether it waits in the part's list.
    is_unwritten: bool,
}

impl Reporters {
    pub(crate) fn new() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// Notes a report, before its calls are counted; `false` if it was noted before, or is too old
    /// to tell.
    pub(crate) fn note(&self, reporter: &str, sequence: u64, now: Time) -> bool {
        self.part_of(reporter).lock().note(reporter, sequence, now)
    }

    /// The id of a reporter, to be kept by many: the one that is remembered, or a new one.
    pub(crate) fn shared_id(&self, reporter: &str) -> Arc<str> {
        self.part_of(reporter).lock().shared_id(reporter)
    }

    /// Takes over what storage knew of a reporter. Those that were silent for longest come first.
    pub(crate) fn load(&self, row: ReporterRow, now: Time) {
        self.part_of(&row.id).lock().load(row, now);
    }

    /// Takes those of which storage does not know all. To be called after the rows were read that
    /// go with them.
    pub(crate) fn take_unwritten(&self) -> Vec<ReporterRow> {
        let mut rows = Vec::new();
        for part in &self.parts {
            part.lock().take_unwritten(&mut rows);
        }
        rows
    }

    /// Lets those that could not be written be taken again, as they are then.
    pub(crate) fn write_again(&self, rows: Vec<ReporterRow>) {
        for ReporterRow { id, .. } in rows {
            self.part_of(&id).lock().mark_unwritten(&id);
        }
    }

    /// Nobody is remembered here who was last heard of before.
    pub(crate) fn forgotten_before(&self) -> Time {
        self.parts.iter().map(|part| part.lock().old_since).min().unwrap_or(Time::EPOCH)
    }

    fn part_of(&self, reporter: &str) -> &Mutex<Part> {
        &self.parts[self.hasher.hash_one(reporter) as usize % PARTS]
    }
}

impl Part {
    fn note(&mut self, reporter: &str, sequence: u64, now: Time) -> bool {
        let (is_new, begins_to_wait) = self.hear(reporter, now, |seen| {
            let is_new = seen.note(sequence);
            (is_new, is_new && !mem::replace(&mut seen.is_unwritten, true))
        });
        if begins_to_wait {
            self.unwritten.push(self.shared_id(reporter));
        }
        is_new
    }

    /// Changes what was seen of a reporter that is heard of now.
    fn hear<R>(&mut self, reporter: &str, now: Time, change: impl FnOnce(&mut Seen) -> R) -> R {
        if let Some(seen) = self.young.get_mut(reporter) {
            // Whoever was here first can have looked at the clock later.
            seen.heard_at = now.max(self.young_since);
            return change(seen);
        }
        let known = self.old.remove_entry(reporter);
        let (id, mut seen) = known.unwrap_or_else(|| (reporter.into(), Seen::default()));
        if self.young.len() >= MAX_YOUNG {
            self.grow_old(reporter, now);
        }
        seen.heard_at = now.max(self.young_since);
        let changed = change(&mut seen);
        self.young.insert(id, seen);
        changed
    }

    /// Forgets the old ones, all but one that comes back.
    fn grow_old(&mut self, returning: &str, now: Time) {
        self.old = mem::take(&mut self.young);
        self.old_since = mem::replace(&mut self.young_since, now);
        let old = &self.old;
        self.unwritten.retain(|id| **id == *returning || old.contains_key(id));
    }

    fn load(&mut self, row: ReporterRow, now: Time) {
        let ReporterRow { id, highest, recent, heard_at } = row;
        self.hear(&id, heard_at.min(now), |seen| (seen.highest, seen.recent) = (highest, recent));
        // A clock that was set back keeps nobody remembered for longer, in storage neither.
        if heard_at > now {
            self.mark_unwritten(&id);
        }
    }

    fn mark_unwritten(&mut self, reporter: &str) {
        let seen = self.young.get_mut(reporter).or_else(|| self.old.get_mut(reporter));
        if seen.is_some_and(|seen| !mem::replace(&mut seen.is_unwritten, true)) {
            self.unwritten.push(self.shared_id(reporter));
        }
    }

    fn shared_id(&self, reporter: &str) -> Arc<str> {
        let known = self.young.get_key_value(reporter).or_else(|| self.old.get_key_value(reporter));
        known.map_or_else(|| reporter.into(), |(id, _)| Arc::clone(id))
    }

    fn take_unwritten(&mut self, rows: &mut Vec<ReporterRow>) {
        for id in mem::take(&mut self.unwritten) {
            let seen = self.young.get_mut(&id).or_else(|| self.old.get_mut(&id));
            let Some(seen) = seen else { continue };
            seen.is_unwritten = false;
            let Seen { highest, recent, heard_at, .. } = *seen;
            rows.push(ReporterRow { id: (*id).into(), highest, recent, heard_at });
        }
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
mod tests;
