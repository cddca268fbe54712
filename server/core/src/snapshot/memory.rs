use std::time::Duration;

use super::{ContentsError, WindowCall};
use crate::adapted::Adapted;
use crate::calls::{CallSums, PackedCall};
use crate::memory::Memory;
use crate::outcome::ReporterId;
use crate::quorum::{BadCalls, Quorum, SLOTS, Shares};
use crate::time::Time;
use crate::window::{Contents, Window};

/// What the rules of a breaker remember, as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct MemorySnapshot {
    /// The calls that count towards the rates.
    pub window: Option<WindowSnapshot>,
    /// Who brought what counts.
    pub quorum: Option<QuorumSnapshot>,
    /// What an adaptive breaker has learnt.
    pub adapted: Option<AdaptedSnapshot>,
    /// The number of the level, from 0.
    pub level: u32,
    /// Since when the breaker has been CLOSED at this level.
    pub level_since: Time,
    /// How many times it opened again since it was CLOSED.
    pub reopens: u32,
}

/// The contents of a window.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowSnapshot {
    /// Calls, the oldest first.
    Calls(Vec<WindowCall>),
    /// Buckets of calls by when they ended, in rising order of the time divided by the width.
    Buckets {
        /// The width in nanoseconds.
        width: u64,
        /// The buckets.
        buckets: Vec<(u64, CallSums)>,
    },
}

/// What each reporter brought: the places of those that are remembered, and of all others.
#[derive(Clone, Debug, PartialEq)]
pub struct QuorumSnapshot {
    /// Who has which place; 0 is nobody.
    pub slots: Vec<u64>,
    /// The bitmap of all others.
    pub crowd: u64,
    /// Towards `failure_threshold`, by place.
    pub count: Vec<u32>,
    /// Towards `consecutive_failures`, by place.
    pub streak: Vec<u32>,
    /// Towards the rates.
    pub window: Option<BadCallsSnapshot>,
}

/// The bad calls of a window by reporter.
#[derive(Clone, Debug, PartialEq)]
pub enum BadCallsSnapshot {
    /// Calls, the oldest first: failed in bit 0, slow in bit 1, the place above.
    Calls(Vec<u8>),
    /// Buckets as in [`WindowSnapshot`], with failures and slow calls by place.
    Buckets {
        /// The width in nanoseconds.
        width: u64,
        /// The buckets.
        buckets: Vec<(u64, Vec<u32>, Vec<u32>)>,
    },
}

/// What an adaptive breaker has learnt.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptedSnapshot {
    /// The last calls, the oldest first.
    pub history: Vec<WindowCall>,
    /// How long OPEN lasts by now.
    pub open_duration: Duration,
    /// What that started from.
    pub base: Duration,
}

impl MemorySnapshot {
    pub(super) fn of(memory: &Memory) -> Self {
        Self {
            window: memory.window.as_ref().map(WindowSnapshot::of),
            quorum: memory.quorum.as_deref().map(QuorumSnapshot::of),
            adapted: memory.adapted.as_deref().map(AdaptedSnapshot::of),
            level: u32::try_from(memory.level).unwrap_or(u32::MAX),
            level_since: memory.level_since,
            reopens: memory.reopens,
        }
    }

    pub(super) fn restore(self) -> Result<Memory, ContentsError> {
        Ok(Memory {
            window: self.window.map(WindowSnapshot::restore).transpose()?,
            quorum: self.quorum.map(QuorumSnapshot::restore).transpose()?.map(Box::new),
            adapted: self.adapted.map(AdaptedSnapshot::restore).transpose()?.map(Box::new),
            level: self.level as usize,
            level_since: self.level_since,
            reopens: self.reopens,
        })
    }
}

impl WindowSnapshot {
    pub(super) fn of(window: &Window<CallSums>) -> Self {
        match window.contents() {
            Contents::Calls(calls) => Self::Calls(calls.iter().map(|call| call.0).collect()),
            Contents::Buckets(width, buckets) => {
                Self::Buckets { width, buckets: buckets.iter().copied().collect() }
            }
        }
    }

    pub(super) fn restore(self) -> Result<Window<CallSums>, ContentsError> {
        match self {
            Self::Calls(calls) => window_of(calls),
            Self::Buckets { width, buckets } => {
                Window::of_buckets(width, buckets.into()).ok_or(ContentsError::BadBuckets)
            }
        }
    }
}

fn window_of(calls: Vec<WindowCall>) -> Result<Window<CallSums>, ContentsError> {
    match calls.iter().position(|&call| !PackedCall(call).is_valid()) {
        Some(index) => Err(ContentsError::BadCall(index)),
        None => Ok(Window::of_calls(calls.into_iter().map(PackedCall))),
    }
}

impl AdaptedSnapshot {
    fn of(adapted: &Adapted) -> Self {
        let history = match WindowSnapshot::of(&adapted.history) {
            WindowSnapshot::Calls(calls) => calls,
            WindowSnapshot::Buckets { .. } => Vec::new(),
        };
        Self { history, open_duration: adapted.open_duration, base: adapted.base }
    }

    fn restore(self) -> Result<Adapted, ContentsError> {
        let history = window_of(self.history)?;
        Ok(Adapted { history, open_duration: self.open_duration, base: self.base })
    }
}

impl QuorumSnapshot {
    fn of(quorum: &Quorum) -> Self {
        Self {
            slots: quorum.slots.iter().map(|reporter| reporter.0).collect(),
            crowd: quorum.crowd,
            count: quorum.count.0.to_vec(),
            streak: quorum.streak.0.to_vec(),
            window: quorum.window.as_ref().map(BadCallsSnapshot::of),
        }
    }

    fn restore(self) -> Result<Quorum, ContentsError> {
        let slots: [u64; SLOTS] =
            self.slots.try_into().map_err(|slots: Vec<_>| ContentsError::BadShares(slots.len()))?;
        Ok(Quorum {
            slots: slots.map(ReporterId),
            crowd: self.crowd,
            count: shares(self.count)?,
            streak: shares(self.streak)?,
            window: self.window.map(BadCallsSnapshot::restore).transpose()?,
        })
    }
}

impl BadCallsSnapshot {
    fn of(window: &Window<BadCalls>) -> Self {
        match window.contents() {
            Contents::Calls(calls) => Self::Calls(calls.iter().copied().collect()),
            Contents::Buckets(width, buckets) => {
                let plain = |&(index, bad): &(u64, BadCalls)| {
                    (index, bad.failures.0.to_vec(), bad.slow.0.to_vec())
                };
                Self::Buckets { width, buckets: buckets.iter().map(plain).collect() }
            }
        }
    }

    fn restore(self) -> Result<Window<BadCalls>, ContentsError> {
        let (width, buckets) = match self {
            Self::Calls(calls) => return Ok(Window::of_calls(calls.into_iter())),
            Self::Buckets { width, buckets } => (width, buckets),
        };
        let restored: Result<_, _> = buckets
            .into_iter()
            .map(|(index, failures, slow)| {
                Ok((index, BadCalls { failures: shares(failures)?, slow: shares(slow)? }))
            })
            .collect();
        Window::of_buckets(width, restored?).ok_or(ContentsError::BadBuckets)
    }
}

fn shares(plain: Vec<u32>) -> Result<Shares, ContentsError> {
    let count = plain.len();
    plain.try_into().map(Shares).map_err(|_| ContentsError::BadShares(count))
}
