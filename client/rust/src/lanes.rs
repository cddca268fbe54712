//! Successes of a CLOSED breaker, counted without a lock.
//!
//! A guarded call that went well is the hot path of every application, so it costs one
//! compare-and-swap. What it adds to is one word: how many successes there were and how long they
//! took together, under a tag of their generation. A word whose tag is another one belongs to
//! another generation, and the success takes the slow path; so none is ever counted under a
//! generation that it was not admitted under.
//!
//! Threads that meet on one word slow each other down. Where that was seen, the reporter, not the
//! call, gives the breaker a word for each of several threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

/// From this many nanoseconds on a call is not added to a lane: a word has room for many short
/// calls. About a second.
pub(crate) const MAX_NANOS: u64 = 1 << 30;

/// Durations are added up in units of 64 ns.
const UNIT_SHIFT: u32 = 6;
const UNIT_BITS: u32 = 36;
const COUNT_BITS: u32 = 20;
const TAG_SHIFT: u32 = UNIT_BITS + COUNT_BITS;
const ONE_CALL: u64 = 1 << UNIT_BITS;
/// A word that holds this much takes no more until it is drained. One call more always fits.
const FULL_COUNT: u64 = 1 << (COUNT_BITS - 1);
const FULL_UNITS: u64 = 1 << (UNIT_BITS - 1);
const MOST_LANES: usize = 16;

/// The words of one breaker.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    first: AtomicU64,
    more: OnceLock<Box<[Lane]>>,
    is_crowded: AtomicBool,
}

/// A word on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Lane(AtomicU64);

/// Successes that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Successes {
    pub(crate) count: u32,
    pub(crate) total: Duration,
}

impl Lanes {
    /// Adds a success that took so long, less than [`MAX_NANOS`]. `false`: it was not added,
    /// because the lane is of another generation or full.
    #[inline]
    pub(crate) fn add(&self, generation: u64, nanos: u64) -> bool {
        let lane = match self.more.get() {
            None => &self.first,
            Some(more) => &more[own_lane() & (more.len() - 1)].0,
        };
        let mut word = lane.load(Ordering::Relaxed);
        loop {
            if word >> TAG_SHIFT != tag(generation) || is_full(word) {
                return false;
            }
            let added = word + ONE_CALL + (nanos >> UNIT_SHIFT);
            // SeqCst: whoever adds looks at the mark of the breaker afterwards, and whoever drains
            // takes the mark away before. One of the two must see the other.
            match lane.compare_exchange_weak(word, added, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
            self.is_crowded.store(true, Ordering::Relaxed);
        }
    }

    /// Takes what was counted; from now on the lanes are those of this generation. Called under
    /// the lock of the breaker.
    pub(crate) fn drain(&self, generation: u64) -> Successes {
        let empty = tag(generation) << TAG_SHIFT;
        let more = self.more.get().into_iter().flatten().map(|lane| &lane.0);
        std::iter::once(&self.first).chain(more).fold(Successes::default(), |sum, lane| {
            let word = lane.swap(empty, Ordering::SeqCst);
            let units = word & (ONE_CALL - 1);
            Successes {
                count: sum.count + count(word) as u32,
                total: sum.total + Duration::from_nanos(units << UNIT_SHIFT),
            }
        })
    }

    /// Makes room for several threads, if they were in each other's way. Called under the lock of
    /// the breaker, with its generation.
    pub(crate) fn widen_if_crowded(&self, generation: u64) {
        if self.is_crowded.load(Ordering::Relaxed) && self.more.get().is_none() {
            let threads = available_parallelism().map_or(1, usize::from);
            let lanes = (2 * threads).next_power_of_two().min(MOST_LANES);
            let lane = || Lane(AtomicU64::new(tag(generation) << TAG_SHIFT));
            self.more.get_or_init(|| (0..lanes).map(|_| lane()).collect());
        }
    }
}

/// Which of the lanes is this thread's.
fn own_lane() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: usize = THREADS.fetch_add(1, Ordering::Relaxed));
    // A thread that is about to end shares the first one.
    OWN.try_with(|own| *own).unwrap_or(0)
}

const fn tag(generation: u64) -> u64 {
    generation & 0xff
}

const fn count(word: u64) -> u64 {
    word >> UNIT_BITS & ((1 << COUNT_BITS) - 1)
}

const fn is_full(word: u64) -> bool {
    count(word) >= FULL_COUNT || word & (ONE_CALL - 1) >= FULL_UNITS
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_was_added_is_drained_once() {
        let lanes = Lanes::default();
        lanes.drain(7);
        assert!(lanes.add(7, 640) && lanes.add(7, 1280));
        let drained = Successes { count: 2, total: Duration::from_nanos(1920) };
        assert_eq!(lanes.drain(7), drained);
        assert_eq!(lanes.drain(7), Successes::default());
    }

    #[test]
    fn a_success_of_another_generation_is_refused() {
        let lanes = Lanes::default();
        assert!(lanes.add(0, 1));
        lanes.drain(1);
        assert!(!lanes.add(0, 1));
        assert!(lanes.add(1, 1));
    }

    #[test]
    fn a_full_lane_takes_no_more_and_has_lost_nothing() {
        let lanes = Lanes::default();
        let mut added = 0;
        while lanes.add(0, MAX_NANOS - 1) {
            added += 1;
        }
        let drained = lanes.drain(0);
        assert_eq!(drained.count, added);
        assert!(drained.total > Duration::from_secs(1_000), "{drained:?}");
    }

    #[test]
    fn many_threads_lose_nothing_while_lanes_are_drained_and_widened() {
        const THREADS: u32 = 4;
        const CALLS: u32 = 20_000;
        let lanes = Lanes::default();
        let refused = AtomicUsize::new(0);
        let mut drained = 0;
        thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..CALLS {
                            if !lanes.add(3, 64) {
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    })
                })
                .collect();
            while workers.iter().any(|worker| !worker.is_finished()) {
                drained += lanes.drain(3).count;
                lanes.is_crowded.store(true, Ordering::Relaxed);
                lanes.widen_if_crowded(3);
            }
        });
        drained += lanes.drain(3).count;
        assert_eq!(drained as usize + refused.into_inner(), (THREADS * CALLS) as usize);
    }
}
