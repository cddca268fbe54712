//! Which breakers have changed since viewers were last told.

use std::collections::BTreeMap;

/// Breakers that are told of one by one at a time. When more have changed than that, it is cheaper
/// for everybody to load what is on the screen anew.
pub(super) const MAX_TOLD: usize = 500;
/// Turns between two requests to load everything anew: a fleet that is in an uproar would have
/// viewers do nothing else.
const TURNS_BETWEEN_RESYNCS: u32 = 8;

/// What has become of breakers.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// By name: whether the breaker is there.
    fates: BTreeMap<String, Fate>,
    /// So much has changed that it is not told one by one.
    is_flooded: bool,
    /// Turns until viewers may be asked to load everything anew.
    rest: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Changed,
    Deleted,
}

/// What viewers are told in one turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    /// These have changed, and those are gone.
    Changes {
        changed: Vec<String>,
        deleted: Vec<String>,
    },
    Resync,
}

impl Changes {
    /// A breaker is new, or has changed.
    pub(super) fn changed(&mut self, name: String) {
        self.note(name, Fate::Changed);
    }

    /// A breaker is gone.
    pub(super) fn deleted(&mut self, name: String) {
        self.note(name, Fate::Deleted);
    }

    /// Nobody knows what has changed.
    pub(super) fn flood(&mut self) {
        self.is_flooded = true;
        self.fates.clear();
    }

    fn note(&mut self, name: String, fate: Fate) {
        if self.is_flooded {
            return;
        }
        self.fates.insert(name, fate);
        if self.fates.len() > MAX_TOLD {
            self.flood();
        }
    }

    /// What is to be told in this turn; it is not told again.
    pub(super) fn take(&mut self) -> Told {
        self.rest = self.rest.saturating_sub(1);
        if self.is_flooded {
            if self.rest > 0 {
                return Told::Nothing;
            }
            self.rest = TURNS_BETWEEN_RESYNCS;
            self.is_flooded = false;
            return Told::Resync;
        }
        let (mut changed, mut deleted) = (Vec::new(), Vec::new());
        for (name, fate) in std::mem::take(&mut self.fates) {
            match fate {
                Fate::Changed => changed.push(name),
                Fate::Deleted => deleted.push(name),
            }
        }
        if changed.is_empty() && deleted.is_empty() {
            Told::Nothing
        } else {
            Told::Changes { changed, deleted }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> String {
        format!("a/{number}")
    }

    #[test]
    fn a_breaker_that_changes_often_is_told_once_as_it_is_now() {
        let mut changes = Changes::default();
        changes.changed(name(1));
        changes.deleted(name(2));
        changes.changed(name(1));
        changes.deleted(name(1));
        changes.changed(name(2));
        let told = Told::Changes { changed: vec![name(2)], deleted: vec![name(1)] };
        assert_eq!(changes.take(), told);
        assert_eq!(changes.take(), Told::Nothing);
    }

    #[test]
    fn a_flood_is_told_as_such_and_not_all_the_time() {
        let mut changes = Changes::default();
        let mut resyncs = 0;
        for _ in 0..4 * TURNS_BETWEEN_RESYNCS {
            (0..=MAX_TOLD).for_each(|number| changes.changed(name(number)));
            assert!(changes.fates.len() <= MAX_TOLD);
            match changes.take() {
                Told::Resync => resyncs += 1,
                told => assert_eq!(told, Told::Nothing),
            }
        }
        assert_eq!(resyncs, 4);
        // What came after the last one is not forgotten.
        changes.flood();
        let turns = (0..2 * TURNS_BETWEEN_RESYNCS).map(|_| changes.take());
        assert!(turns.collect::<Vec<_>>().contains(&Told::Resync));
        changes.changed(name(1));
        assert!(matches!(changes.take(), Told::Changes { .. }));
    }
}
