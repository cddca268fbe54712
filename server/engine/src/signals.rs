use std::sync::atomic::{AtomicU64, Ordering};

use breaker_core::{BreakerName, Time};

use crate::monitor::{Fleet, Standing, Used};
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
    /// For the sampler.
    pub(crate) used: Queue<Used>,
    /// For the sampler: breakers that have reporters, once each.
    pub(crate) heard: Queue<BreakerName>,
    tickets: AtomicU64,
    /// For people.
    pub(crate) stats: Stats,
    /// For people.
    pub(crate) fleet: Fleet,
}

impl Signals {
    pub(crate) fn changed(&self, name: BreakerName) {
        self.changes.push(Change::Changed(name));
    }

    /// A number that no mark had before; never 0.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts a breaker that is new.
    pub(crate) fn enter(&self, name: &BreakerName, standing: Standing) {
        self.stats.enter(standing.state, standing.mode);
        self.fleet.change(name, None, Some(standing));
    }

    /// Counts a breaker no more.
    pub(crate) fn leave(&self, name: &BreakerName, standing: Standing) {
        self.stats.leave(standing.state, standing.mode);
        self.fleet.change(name, Some(standing), None);
    }

    /// Counts a breaker as what it has become.
    pub(crate) fn moved(&self, name: &BreakerName, from: Standing, to: Standing) {
        if from != to {
            self.stats.leave(from.state, from.mode);
            self.stats.enter(to.state, to.mode);
            self.fleet.change(name, Some(from), Some(to));
        }
    }

    pub(crate) fn deleted(&self, deletion: Deletion, position: u64) {
        self.changes.push(Change::Deleted(deletion, position));
    }
}
