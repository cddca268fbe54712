use breaker_core::{BreakerName, Time};

use crate::queue::Queue;
use crate::stats::Stats;
use crate::store::Deletion;

/// What the recorder has to look at.
#[derive(Debug)]
pub(crate) enum Change {
    /// The breaker is new or has changed.
    Changed(BreakerName),
    /// The breaker was deleted; it stood at this position of the watch log, or at 0.
    Deleted(Deletion, u64),
}

/// How a breaker tells those who work behind that there is work. Filled under the lock of a shard,
/// emptied by one task each.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// For the recorder: in the order in which the changes of one breaker were made.
    pub(crate) changes: Queue<Change>,
    /// For the deadline task.
    pub(crate) deadlines: Queue<(Time, BreakerName)>,
    /// For the writer.
    pub(crate) to_write: Queue<BreakerName>,
    /// For the writer, every few seconds.
    pub(crate) touched: Queue<BreakerName>,
    /// For the alert task: breakers that were reported for, and whose rules ask for that.
    pub(crate) reported: Queue<BreakerName>,
    /// For people.
    pub(crate) stats: Stats,
}

impl Signals {
    pub(crate) fn changed(&self, name: BreakerName) {
        self.changes.push(Change::Changed(name));
    }

    pub(crate) fn deleted(&self, deletion: Deletion, position: u64) {
        self.changes.push(Change::Deleted(deletion, position));
    }
}
