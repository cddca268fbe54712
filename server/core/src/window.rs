//! The last calls, or those of the last while, with sums kept as calls come and go, so that a rate
//! is a comparison of two numbers and not a walk.
//!
//! A window over time is a row of buckets. A call lands in the bucket in which it ended, and the
//! oldest bucket leaves as a whole: the window is up to one bucket shorter than what was asked for.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Duration;

use crate::config::WindowSize;
use crate::time::{Time, nanos};

/// Buckets of a window over time. A call leaves it up to a hundredth of its length too early.
pub(crate) const BUCKETS: u64 = 100;

/// What is summed up over calls, and can be taken back.
pub(crate) trait Sums: Default {
    type Call: Copy + Debug + Eq;

    fn add(&mut self, call: Self::Call, count: u32);
    fn remove(&mut self, call: Self::Call);
    fn join(&mut self, others: &Self);
    fn subtract(&mut self, others: &Self);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window<S: Sums> {
    sums: S,
    kept: Kept<S>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept<S: Sums> {
    Calls {
        capacity: u32,
        calls: VecDeque<S::Call>,
    },
    /// In rising order of their indices: the time divided by the width.
    Buckets {
        width: u64,
        buckets: VecDeque<(u64, S)>,
    },
}

/// The contents of a window as plain data.
pub(crate) enum Contents<'a, S: Sums> {
    Calls(&'a VecDeque<S::Call>),
    Buckets(u64, &'a VecDeque<(u64, S)>),
}

fn width(duration: Duration) -> u64 {
    (nanos(duration) / BUCKETS).max(1)
}

impl<S: Sums> Window<S> {
    /// Takes no memory before the first call.
    pub(crate) fn new(size: WindowSize) -> Self {
        let kept = match size {
            WindowSize::Calls(capacity) => Kept::Calls { capacity, calls: VecDeque::new() },
            WindowSize::Duration(duration) => {
                Kept::Buckets { width: width(duration), buckets: VecDeque::new() }
            }
        };
        Self { sums: S::default(), kept }
    }

    /// The sums, as of the last [`push`](Self::push) or [`advance`](Self::advance).
    pub(crate) const fn sums(&self) -> &S {
        &self.sums
    }

    /// How many calls there is room for before one leaves; `None` if none has to.
    pub(crate) fn room(&self) -> Option<u32> {
        match &self.kept {
            Kept::Calls { capacity, calls } => Some(capacity.saturating_sub(calls.len() as u32)),
            Kept::Buckets { .. } => None,
        }
    }

    /// Adds so many calls that are alike. Of more than there is room for only the last stay.
    pub(crate) fn push(&mut self, call: S::Call, count: u32, ended_at: Time, now: Time) {
        match &mut self.kept {
            Kept::Calls { capacity, calls } => {
                let staying = count.min(*capacity);
                truncate(calls, &mut self.sums, (*capacity - staying) as usize);
                calls.extend(std::iter::repeat_n(call, staying as usize));
                self.sums.add(call, staying);
            }
            Kept::Buckets { .. } => {
                self.advance(now);
                self.push_into_bucket(call, count, ended_at, now);
            }
        }
    }

    /// Whether calls that ended then are too old to be kept.
    pub(crate) const fn has_left(&self, ended_at: Time, now: Time) -> bool {
        match &self.kept {
            Kept::Calls { .. } => false,
            Kept::Buckets { width, .. } => has_left(ended_at.as_nanos() / *width, now, *width),
        }
    }

    fn push_into_bucket(&mut self, call: S::Call, count: u32, ended_at: Time, now: Time) {
        let Kept::Buckets { width, buckets } = &mut self.kept else { return };
        // Nearly every call ends in the latest bucket.
        if let Some((latest, bucket)) = buckets.back_mut()
            && !is_ahead(*latest, ended_at, *width)
            && is_ahead(latest.saturating_add(1), ended_at, *width)
        {
            bucket.add(call, count);
            self.sums.add(call, count);
            return;
        }
        let index = ended_at.as_nanos() / *width;
        if has_left(index, now, *width) {
            return;
        }
        let position = buckets.partition_point(|(other, _)| *other < index);
        if buckets.get(position).is_none_or(|(other, _)| *other != index) {
            buckets.insert(position, (index, S::default()));
        }
        if let Some((_, bucket)) = buckets.get_mut(position) {
            bucket.add(call, count);
            self.sums.add(call, count);
        }
    }

    /// Lets leave what is too old by now, and what a clock that was set back has put into the
    /// future.
    pub(crate) fn advance(&mut self, now: Time) {
        let Kept::Buckets { width, buckets } = &mut self.kept else { return };
        while let Some((_, oldest)) =
            buckets.pop_front_if(|(index, _)| has_left(*index, now, *width))
        {
            self.sums.subtract(&oldest);
        }
        while let Some((_, ahead)) = buckets.pop_back_if(|(index, _)| is_ahead(*index, now, *width))
        {
            self.sums.subtract(&ahead);
        }
    }

    /// Changes the size. A window of another kind begins anew: calls that were kept do not know
    /// when they ended, and buckets do not know their calls.
    pub(crate) fn resize(&mut self, size: WindowSize) {
        match (&mut self.kept, size) {
            (Kept::Calls { capacity, calls }, WindowSize::Calls(new)) => {
                *capacity = new;
                truncate(calls, &mut self.sums, new as usize);
            }
            (Kept::Buckets { width: old, .. }, WindowSize::Duration(duration))
                if *old == width(duration) => {}
            _ => *self = Self::new(size),
        }
    }

    pub(crate) const fn contents(&self) -> Contents<'_, S> {
        match &self.kept {
            Kept::Calls { calls, .. } => Contents::Calls(calls),
            Kept::Buckets { width, buckets } => Contents::Buckets(*width, buckets),
        }
    }

    /// A window of these calls, with room for no others until it is resized.
    pub(crate) fn of_calls(all: impl ExactSizeIterator<Item = S::Call>) -> Self {
        let mut sums = S::default();
        let calls: VecDeque<_> = all.inspect(|&call| sums.add(call, 1)).collect();
        let capacity = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        Self { sums, kept: Kept::Calls { capacity, calls } }
    }

    /// A window of these buckets; `None` if they are too many or not in rising order.
    pub(crate) fn of_buckets(width: u64, buckets: VecDeque<(u64, S)>) -> Option<Self> {
        let rises = buckets.iter().zip(buckets.iter().skip(1)).all(|(a, b)| a.0 < b.0);
        if width == 0 || !rises || buckets.len() as u64 > BUCKETS {
            return None;
        }
        let mut sums = S::default();
        buckets.iter().for_each(|(_, bucket)| sums.join(bucket));
        Some(Self { sums, kept: Kept::Buckets { width, buckets } })
    }
}

impl<S: Sums + Clone> Window<S> {
    /// The sums as they are now.
    pub(crate) fn sums_at(&self, now: Time) -> S {
        let mut sums = self.sums.clone();
        if let Kept::Buckets { width, buckets } = &self.kept {
            let gone = buckets.iter().take_while(|(index, _)| has_left(*index, now, *width));
            let ahead = buckets.iter().rev().take_while(|(index, _)| is_ahead(*index, now, *width));
            gone.chain(ahead).for_each(|(_, bucket)| sums.subtract(bucket));
        }
        sums
    }
}

/// Whether a bucket lies before the window that ends now.
const fn has_left(index: u64, now: Time, width: u64) -> bool {
    !is_ahead(index.saturating_add(BUCKETS), now, width)
}

/// Whether a bucket begins after this time. A product, because a quotient takes ten times as long.
pub(crate) const fn is_ahead(index: u64, time: Time, width: u64) -> bool {
    index as u128 * width as u128 > time.as_nanos() as u128
}

/// Drops the oldest calls until at most `capacity` are left.
fn truncate<S: Sums>(calls: &mut VecDeque<S::Call>, sums: &mut S, capacity: usize) {
    while calls.len() > capacity
        && let Some(oldest) = calls.pop_front()
    {
        sums.remove(oldest);
    }
}
