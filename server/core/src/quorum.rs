//! Who brought what trips a breaker: one sick replica must not open the fleet's breaker.
//!
//! A few reporters are remembered one by one and all others together, so that memory stays bounded
//! however many there are. How many the others are is estimated from a small bitmap, in which each
//! of them sets a bit (linear counting: Whang, Vander-Zanden and Taylor, 1990).

use crate::config::{Config, WindowSize};
use crate::outcome::ReporterId;
use crate::time::Time;
use crate::window::{Sums, Window};

/// Reporters that are remembered one by one.
pub(crate) const SLOTS: usize = 8;
/// The place of all others.
const CROWD: usize = SLOTS;
/// Bits of the bitmap that estimates how many the others are.
const CROWD_BITS: u32 = u64::BITS;

/// What each reporter brought: the remembered ones, and all others together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shares(pub(crate) [u32; SLOTS + 1]);

/// A bad call in the window: whose, and what was bad about it. In bits: the slot from bit 2 on.
pub(crate) type BadCall = u8;

const FAILED_BIT: u8 = 1;
const SLOW_BIT: u8 = 2;
const SLOT_SHIFT: u32 = 2;

/// The bad calls of the window, by reporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BadCalls {
    pub(crate) failures: Shares,
    pub(crate) slow: Shares,
}

/// What each reporter brought to the conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quorum {
    /// Who has which slot; 0 is nobody.
    pub(crate) slots: [ReporterId; SLOTS],
    /// A bit for each of the others.
    pub(crate) crowd: u64,
    /// Towards `failure_threshold`.
    pub(crate) count: Shares,
    /// Towards `consecutive_failures`.
    pub(crate) streak: Shares,
    /// Towards the rates; of a window over calls every one is in it, the good ones as nobody's.
    pub(crate) window: Option<Window<BadCalls>>,
}

impl Quorum {
    pub(crate) const fn new() -> Self {
        Self {
            slots: [ReporterId(0); SLOTS],
            crowd: 0,
            count: Shares([0; SLOTS + 1]),
            streak: Shares([0; SLOTS + 1]),
            window: None,
        }
    }

    /// Notes that so many calls of the reporter with this place failed.
    pub(crate) fn fail(&mut self, slot: usize, count: u32) {
        self.count.add(slot, count);
        self.streak.add(slot, count);
    }

    /// Notes that calls of a reporter succeeded, which took so much off the count: off its own
    /// share first, then off the largest.
    pub(crate) fn succeed(&mut self, reporter: ReporterId, taken: u32) {
        if taken > 0 {
            let own = self.known_place(reporter).map_or(0, |place| self.count.take(place, taken));
            self.count.level(&self.slots, taken - own);
        }
        self.streak = Shares::default();
    }

    /// Notes calls in the window; the place of a reporter matters for bad ones alone.
    pub(crate) fn push(
        &mut self,
        size: WindowSize,
        (is_failure, is_slow): (bool, bool),
        (slot, count): (usize, u32),
        (ended_at, now): (Time, Time),
    ) {
        let failed = if is_failure { FAILED_BIT } else { 0 };
        let slow = if is_slow { SLOW_BIT } else { 0 };
        let call = (slot as u8) << SLOT_SHIFT | slow | failed;
        let window = self.window.get_or_insert_with(|| Window::new(size));
        // Over time a good call leaves no trace; over calls it pushes out the oldest.
        match window.room() {
            None if call == 0 => window.advance(now),
            _ => window.push(call, count, ended_at, now),
        }
    }

    /// What each brought to the rates.
    pub(crate) fn bad_calls(&self) -> BadCalls {
        self.window.as_ref().map(|window| *window.sums()).unwrap_or_default()
    }

    /// Whether enough reporters brought so much of what was needed.
    pub(crate) fn agrees(&self, config: &Config, shares: &Shares, needed: u32) -> bool {
        let others = self.crowd_size();
        let (seen, from_others) = (&shares.0[..SLOTS], shares.0[CROWD]);
        let distinct = seen.iter().filter(|&&share| share > 0).count() as u32
            + if from_others > 0 { others.min(from_others) } else { 0 };
        if distinct < config.min_reporters() {
            return false;
        }
        let Some(percent) = config.max_reporter_share() else { return true };
        let most = (u64::from(needed) * u64::from(percent) / 100).max(1);
        let capped = |share: u32, reporters: u32| u64::from(share).min(most * u64::from(reporters));
        let effective: u64 = seen.iter().map(|&share| capped(share, 1)).sum();
        effective + capped(from_others, others) >= u64::from(needed)
    }

    /// Roughly how many reporters share the last place.
    fn crowd_size(&self) -> u32 {
        match CROWD_BITS - self.crowd.count_ones() {
            CROWD_BITS => 0,
            unset => {
                let bits = f64::from(CROWD_BITS);
                (bits * (bits / f64::from(unset.max(1))).ln()).round().max(1.0) as u32
            }
        }
    }

    /// The place of a reporter that has brought something, as far as is known.
    fn known_place(&self, reporter: ReporterId) -> Option<usize> {
        let reporter = not_nobody(reporter);
        let slot = self.slots.iter().position(|&other| other == reporter);
        slot.or_else(|| (self.crowd & crowd_bit(reporter) != 0).then_some(CROWD))
    }

    /// The place of a reporter that brings something bad.
    pub(crate) fn slot_of(&mut self, reporter: ReporterId, now: Time) -> usize {
        let reporter = not_nobody(reporter);
        if let Some(slot) = self.slots.iter().position(|&other| other == reporter) {
            return slot;
        }
        // The places of those whose calls have left the window by now are free.
        if let Some(window) = &mut self.window {
            window.advance(now);
        }
        if self.brought(CROWD) == 0 {
            self.crowd = 0;
        }
        // Whoever may be in the crowd stays there: nobody vouches from two places.
        let is_in_crowd = self.crowd & crowd_bit(reporter) != 0;
        if !is_in_crowd && let Some(slot) = (0..SLOTS).find(|&slot| self.brought(slot) == 0) {
            self.slots[slot] = reporter;
            return slot;
        }
        self.crowd |= crowd_bit(reporter);
        CROWD
    }

    /// Whatever is still remembered of this place.
    fn brought(&self, slot: usize) -> u64 {
        let window = self.bad_calls();
        [self.count, self.streak, window.failures, window.slow]
            .into_iter()
            .map(|shares| u64::from(shares.0[slot]))
            .sum()
    }
}

/// Anonymous reporters are one, which needs a number other than that of an empty slot.
fn not_nobody(reporter: ReporterId) -> ReporterId {
    ReporterId(reporter.0.max(1))
}

/// The bit of the crowd's bitmap that a reporter sets.
const fn crowd_bit(reporter: ReporterId) -> u64 {
    1 << (reporter.0 % CROWD_BITS as u64)
}

impl Shares {
    fn add(&mut self, slot: usize, count: u32) {
        self.0[slot] = self.0[slot].saturating_add(count);
    }

    /// Takes so much off one place, as far as it goes; returns how much that was.
    fn take(&mut self, place: usize, amount: u32) -> u32 {
        let taken = amount.min(self.0[place]);
        self.0[place] -= taken;
        taken
    }

    /// Takes so much off whoever has brought the most, one failure after another: it must not
    /// matter how many successes one report tells of. Of equal shares the highest number goes
    /// first, and all others together before it.
    fn level(&mut self, slots: &[ReporterId; SLOTS], mut amount: u32) {
        while amount > 0 {
            let most = self.0.into_iter().max().unwrap_or(0);
            if most == 0 {
                return;
            }
            let next = self.0.into_iter().filter(|&share| share < most).max().unwrap_or(0);
            let sharing = self.0.into_iter().filter(|&share| share == most).count() as u32;
            let shared = amount.min((most - next).saturating_mul(sharing));
            let (each, left_over) = (shared / sharing, shared % sharing);
            self.0.iter_mut().filter(|share| **share == most).for_each(|share| *share -= each);
            for _ in 0..left_over {
                let number = |place: usize| slots.get(place).map_or(u64::MAX, |slot| slot.0);
                let largest = (0..=CROWD).max_by_key(|&place| (self.0[place], number(place)));
                self.take(largest.unwrap_or(CROWD), 1);
            }
            amount -= shared;
        }
    }

    fn join(&mut self, others: &Self) {
        for (slot, other) in others.0.into_iter().enumerate() {
            self.add(slot, other);
        }
    }

    fn subtract(&mut self, others: &Self) {
        for (share, other) in self.0.iter_mut().zip(others.0) {
            *share = share.saturating_sub(other);
        }
    }
}

impl Sums for BadCalls {
    type Call = BadCall;

    fn add(&mut self, call: BadCall, count: u32) {
        let slot = usize::from(call >> SLOT_SHIFT).min(CROWD);
        if call & FAILED_BIT != 0 {
            self.failures.add(slot, count);
        }
        if call & SLOW_BIT != 0 {
            self.slow.add(slot, count);
        }
    }

    fn remove(&mut self, call: BadCall) {
        let slot = usize::from(call >> SLOT_SHIFT).min(CROWD);
        if call & FAILED_BIT != 0 {
            self.failures.take(slot, 1);
        }
        if call & SLOW_BIT != 0 {
            self.slow.take(slot, 1);
        }
    }

    fn join(&mut self, others: &Self) {
        self.failures.join(&others.failures);
        self.slow.join(&others.slow);
    }

    fn subtract(&mut self, others: &Self) {
        self.failures.subtract(&others.failures);
        self.slow.subtract(&others.slow);
    }
}
