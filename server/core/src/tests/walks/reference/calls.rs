//! The lists of calls, and what is computed from them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::ledger::{Call, is_within};
use super::Reference;
use crate::{Config, Outcome, ReporterId, Time, WindowSize};

/// A call that counts for something.
#[derive(Clone, Debug)]
pub(in crate::tests::walks) struct Heard {
    pub(super) at: Time,
    pub(super) outcome: Outcome,
    nanos: u64,
    slow: bool,
    reporter: u64,
    /// The configured `failure_decay` of its time.
    decay: u32,
    /// Whether the rates count it.
    is_rated: bool,
    /// Whether who brought it is of interest.
    is_attributed: bool,
}

/// What each reporter brought.
pub(super) type Brought = BTreeMap<u64, u32>;

/// What the counts amount to, and who brought it.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) failures: u32,
    pub(super) in_a_row: u32,
    pub(super) failures_by: Brought,
    pub(super) in_a_row_by: Brought,
}

/// What there is in a window, and who brought the bad calls.
#[derive(Default)]
pub(super) struct Rated {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
    pub(super) failures_by: Brought,
    pub(super) slow_by: Brought,
    pub(super) success_nanos: Vec<u64>,
}

impl Rated {
    fn of<'a>(calls: impl Iterator<Item = &'a Heard>) -> Self {
        let mut rated = Self::default();
        for call in calls {
            rated.calls += 1;
            if call.outcome == Outcome::Success {
                rated.success_nanos.push(call.nanos);
            } else {
                rated.failures += 1;
            }
            rated.slow += u32::from(call.slow);
            if call.is_attributed && call.outcome != Outcome::Success {
                *rated.failures_by.entry(call.reporter).or_default() += 1;
            }
            if call.is_attributed && call.slow {
                *rated.slow_by.entry(call.reporter).or_default() += 1;
            }
        }
        rated
    }
}

pub(super) fn needs_quorum(config: &Config) -> bool {
    config.min_reporters() > 1 || config.max_reporter_share().is_some()
}

fn has_rates(config: &Config) -> bool {
    config.failure_rate().is_some() || config.slow_call_rate().is_some()
}

/// The calls of a list that are in the window now.
fn in_window<'a>(
    calls: impl Iterator<Item = &'a Heard>,
    window: WindowSize,
    now: Time,
) -> Vec<&'a Heard> {
    let mut calls: Vec<_> = calls.collect();
    match window {
        WindowSize::Calls(most) => {
            let surplus = calls.len().saturating_sub(most as usize);
            calls.drain(..surplus);
        }
        WindowSize::Duration(length) => calls.retain(|call| is_within(length, call.at, now)),
    }
    calls
}

fn keep_last<T>(list: &mut Vec<T>, most: usize) {
    let surplus = list.len().saturating_sub(most);
    list.drain(..surplus);
}

impl Reference {
    /// A call as it is judged; `None` if it counts for nothing.
    pub(super) fn hears(&self, call: &Call, at: Time, reporter: ReporterId) -> Option<Heard> {
        let config = &self.config;
        let outcome = call.judged(config);
        (outcome != Outcome::Ignored).then(|| Heard {
            at,
            outcome,
            nanos: call.nanos,
            slow: call.is_slow(config),
            reporter: reporter.0,
            decay: config.failure_decay(),
            is_rated: has_rates(config),
            is_attributed: needs_quorum(config),
        })
    }

    pub(super) fn measures(&mut self, heard: &Heard) {
        self.measured.push(heard.clone());
        if let WindowSize::Calls(most) = self.config.window() {
            keep_last(&mut self.measured, most as usize);
        }
    }

    pub(super) fn learns(&mut self, heard: Heard) {
        if let Some(adaptive) = self.config.adaptive() {
            self.learnt.push(heard);
            keep_last(&mut self.learnt, adaptive.window as usize);
        }
    }

    /// Counts a call; one that the window over calls has no room for is out for good.
    pub(super) fn counts_in(&mut self, heard: Heard) {
        self.counted.push(heard);
        if let WindowSize::Calls(most) = self.config.window() {
            self.rates_only_last(most as usize);
        }
    }

    fn rates_only_last(&mut self, most: usize) {
        let rated = self.counted.iter_mut().rev().filter(|call| call.is_rated);
        rated.skip(most).for_each(|call| call.is_rated = false);
    }

    pub(super) fn metrics(&self, now: Time) -> Rated {
        Rated::of(in_window(self.measured.iter(), self.config.window(), now).into_iter())
    }

    pub(super) fn rated(&self, now: Time) -> Rated {
        let rated = self.counted.iter().filter(|call| call.is_rated);
        Rated::of(in_window(rated, self.config.window(), now).into_iter())
    }

    pub(super) fn history(&self) -> Rated {
        Rated::of(self.learnt.iter())
    }

    /// Counts all calls anew.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for call in &self.counted {
            if call.outcome == Outcome::Success {
                let taken = call.decay.min(tally.failures);
                tally.failures -= taken;
                tally.in_a_row = 0;
                tally.in_a_row_by.clear();
                if call.is_attributed {
                    (0..taken).for_each(|_| take_one(&mut tally.failures_by, call.reporter));
                }
                continue;
            }
            tally.failures += 1;
            tally.in_a_row += 1;
            if call.is_attributed {
                *tally.failures_by.entry(call.reporter).or_default() += 1;
                *tally.in_a_row_by.entry(call.reporter).or_default() += 1;
            }
        }
        tally
    }

    /// What becomes of the calls when the configuration changes.
    pub(in crate::tests::walks) fn is_reconfigured(&mut self, new: Config, now: Time) {
        self.time_passes(now);
        let old = std::mem::replace(&mut self.config, new);
        let new = &self.config;
        let begins_anew = match (old.window(), new.window()) {
            (WindowSize::Calls(_), WindowSize::Calls(_)) => false,
            (WindowSize::Duration(old), WindowSize::Duration(new)) => {
                old.as_nanos() / 100 != new.as_nanos() / 100
            }
            _ => true,
        };
        if begins_anew {
            self.measured.clear();
        }
        let (is_rated, is_attributed) = (has_rates(new) && !begins_anew, needs_quorum(new));
        for call in &mut self.counted {
            call.is_rated &= is_rated;
            call.is_attributed &= is_attributed;
        }
        let base_changed = old.open_duration() != new.open_duration();
        match new.adaptive() {
            Some(adaptive) => keep_last(&mut self.learnt, adaptive.window as usize),
            None => self.learnt.clear(),
        }
        if base_changed || new.adaptive().is_none() {
            self.learnt_duration = new.open_duration();
        }
        self.level = self.level.min(new.levels().map_or(0, |levels| levels.levels.len() - 1));
        if let WindowSize::Calls(most) = new.window() {
            keep_last(&mut self.measured, most as usize);
            self.rates_only_last(most as usize);
        }
    }
}

/// A success takes one failure back: off its own reporter's, or off those of whoever brought most,
/// the highest number first among equals.
fn take_one(brought: &mut Brought, own: u64) {
    let has_own = brought.get(&own).is_some_and(|&share| share > 0);
    let most = brought.iter().max_by_key(|&(&reporter, &share)| (share, reporter));
    let from = if has_own { Some(own) } else { most.map(|(&reporter, _)| reporter) };
    if let Some(share) = from.and_then(|from| brought.get_mut(&from)) {
        *share = share.saturating_sub(1);
    }
}

/// The mean, compared as a fraction.
pub(super) fn mean_is(success_nanos: &[u64], than: Duration) -> std::cmp::Ordering {
    let total: u128 = success_nanos.iter().map(|&nanos| u128::from(nanos)).sum();
    total.cmp(&(than.as_nanos() * success_nanos.len() as u128))
}
