//! How far receivers were told, so that whoever leads next goes on from there.

use std::collections::HashMap;

use crate::store::{Batch, ReceiverRow};

#[derive(Debug, Default)]
pub(super) struct Receivers(HashMap<Box<str>, Mark>);

#[derive(Debug)]
struct Mark {
    /// The revision of the last change that the receiver knows.
    told: u64,
    /// Whether storage knows that.
    is_written: bool,
}

impl Receivers {
    /// Goes on with what was stored. Nobody can have been told of more than the last change.
    pub(super) fn new(rows: Vec<ReceiverRow>, latest: u64) -> Self {
        let mark = |told: u64| Mark { told: told.min(latest), is_written: told <= latest };
        Self(rows.into_iter().map(|row| (row.name, mark(row.told))).collect())
    }

    /// How far a receiver was told. Of one that is new it is noted that it knows all up to `head`.
    pub(super) fn told(&mut self, name: &str, head: u64) -> u64 {
        if !self.0.contains_key(name) {
            self.note(name, head);
        }
        self.0[name].told
    }

    /// Notes that a receiver was told so far. It stays so: what was told is never told anew.
    pub(super) fn note(&mut self, name: &str, told: u64) {
        match self.0.get_mut(name) {
            Some(mark) if mark.told >= told => {}
            Some(mark) => *mark = Mark { told, is_written: false },
            None => {
                self.0.insert(name.into(), Mark { told, is_written: false });
            }
        }
    }

    /// Adds what storage does not know to a batch.
    pub(super) fn gather(&self, batch: &mut Batch) {
        let unwritten = self.0.iter().filter(|(_, mark)| !mark.is_written);
        batch.receivers = unwritten
            .map(|(name, mark)| ReceiverRow { name: name.clone(), told: mark.told })
            .collect();
    }

    /// Notes that a batch is on disk.
    pub(super) fn settle(&mut self, batch: &Batch) {
        for row in &batch.receivers {
            if let Some(mark) = self.0.get_mut(&row.name) {
                mark.is_written = mark.told == row.told;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, told: u64) -> ReceiverRow {
        ReceiverRow { name: name.into(), told }
    }

    fn gathered(receivers: &Receivers) -> Batch {
        let mut batch = Batch::default();
        receivers.gather(&mut batch);
        batch
    }

    #[test]
    fn a_receiver_goes_on_where_it_was_and_a_new_one_begins_now() {
        let mut receivers = Receivers::new(vec![row("ops", 7), row("damaged", u64::MAX)], 9);
        assert_eq!(receivers.told("ops", 9), 7);
        assert_eq!(receivers.told("damaged", 9), 9);
        assert_eq!(receivers.told("new", 9), 9);
        assert_eq!(receivers.told("new", 20), 9, "it is not new any more");
        let mut written = gathered(&receivers).receivers;
        written.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(written, [row("damaged", 9), row("new", 9)]);
    }

    #[test]
    fn what_is_noted_is_written_until_storage_knows_it() {
        let mut receivers = Receivers::new(vec![row("ops", 7)], 9);
        receivers.note("ops", 5);
        assert!(gathered(&receivers).is_empty(), "it knew that");
        receivers.note("ops", 8);
        let first = gathered(&receivers);
        assert_eq!(first.receivers, [row("ops", 8)]);
        receivers.note("ops", 10);
        receivers.settle(&first);
        let second = gathered(&receivers);
        assert_eq!(second.receivers, [row("ops", 10)], "it went on meanwhile");
        receivers.settle(&second);
        assert!(gathered(&receivers).is_empty());
    }
}
