//! The names of all breakers in order, so that a page of a list and the snapshot of a watcher cost
//! what they hold, and not what there is.
//!
//! A name comes and goes under the lock of its breaker's shard, so that whoever sees a breaker can
//! find its name as well. Locks are taken in this order, shard before names, by those who make or
//! remove a breaker; whoever reads names holds no shard, and asks for breakers when the lock on the
//! names is released. What was read is a glimpse therefore: a breaker can have gone since.
//!
//! Calls of breakers that are there never come here.

use std::collections::BTreeSet;
use std::iter;
use std::ops::Bound;
use std::vec::IntoIter;

use breaker_core::BreakerName;
use parking_lot::RwLock;

/// Names read under one lock: whoever makes a breaker waits for some microseconds at most.
const STEP: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Names(RwLock<BTreeSet<BreakerName>>);

impl Names {
    pub(crate) fn insert(&self, name: BreakerName) {
        self.0.write().insert(name);
    }

    pub(crate) fn remove(&self, name: &BreakerName) {
        self.0.write().remove(name);
    }

    /// Adds many at once, which is many times faster than one by one.
    pub(crate) fn extend(&self, names: Vec<BreakerName>) {
        let mut more: BTreeSet<_> = names.into_iter().collect();
        self.0.write().append(&mut more);
    }

    /// The names that begin with a text, after one of them, in order. They are read in steps, and
    /// what comes or goes between two steps is seen or not.
    pub(crate) fn beginning_with(
        &self,
        prefix: &str,
        after: Option<&BreakerName>,
    ) -> impl Iterator<Item = BreakerName> {
        let mut after = after.cloned();
        let mut step: IntoIter<BreakerName> = Vec::new().into_iter();
        let mut is_last = false;
        iter::from_fn(move || {
            loop {
                if let Some(name) = step.next() {
                    return Some(name);
                }
                if is_last {
                    return None;
                }
                let names = self.step(prefix, after.as_ref());
                is_last = names.len() < STEP;
                after = names.last().cloned();
                step = names.into_iter();
            }
        })
    }

    fn step(&self, prefix: &str, after: Option<&BreakerName>) -> Vec<BreakerName> {
        let from = match after.map(BreakerName::as_str) {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let names = self.0.read();
        let rest = names.range::<str, _>((from, Bound::Unbounded));
        rest.take_while(|name| name.as_str().starts_with(prefix)).take(STEP).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
