use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use breaker_core::Time;

/// What is going to happen, the earliest first; what happens at one instant, in the order in which
/// it was put in.
#[derive(Debug)]
pub(super) struct Queue<E> {
    entries: BinaryHeap<Reverse<Entry<E>>>,
    next_number: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Time,
    number: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(super) const fn new() -> Self {
        Self { entries: BinaryHeap::new(), next_number: 0 }
    }

    pub(super) fn push(&mut self, at: Time, event: E) {
        self.entries.push(Reverse(Entry { at, number: self.next_number, event }));
        self.next_number += 1;
    }

    /// The next event, if it happens by `until`; without one, whenever it happens.
    pub(super) fn pop(&mut self, until: Option<Time>) -> Option<(Time, E)> {
        let Reverse(next) = self.entries.peek()?;
        if until.is_some_and(|until| next.at > until) {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for Entry<E> {}
