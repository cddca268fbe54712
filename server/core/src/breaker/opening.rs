//! How a breaker opens by itself: for how long, and on which level.

use std::time::Duration;

use crate::breaker::{Breaker, Change};
use crate::config::{Backoff, Config};
use crate::overrides::Attribution;
use crate::state::State;
use crate::time::{Time, nanos};
use crate::transition::{Cause, Transition};

impl Breaker {
    /// Opens after a failure, or a slow call, that ended at this time. What adapts at a trip does so
    /// first, and holds for this OPEN already.
    pub(super) fn open_by_itself(
        &mut self,
        config: &Config,
        cause: Cause,
        (ended_at, now): (Time, Time),
        transitions: &mut Vec<Transition>,
    ) {
        if let (Some(adaptive), Some(memory)) = (config.adaptive(), self.memory.as_deref_mut())
            && let Some(adapted) = memory.adapted.as_deref_mut()
        {
            adapted.adapt_open_duration(adaptive);
        }
        let from_level = self.level_name(config);
        if self.has_to_escalate(config, now) {
            self.memory_mut(now).level += 1;
        }
        let reopens = self.count_reopen(config, now);
        let duration = self.open_duration(config, reopens, ended_at);
        // OPEN lasts from the failure, which cannot lie before the state that it ends.
        let retry_at = Some(ended_at.max(self.since) + duration);
        let by = Attribution::default();
        let state = Some(State::Open { retry_at });
        let change = Change { state, mode: None, cause, by, at: now };
        self.change_from_level(config, change, from_level, transitions);
    }

    /// Whether enough of the metrics window failed to go up one level.
    fn has_to_escalate(&self, config: &Config, now: Time) -> bool {
        let Some(levels) = config.levels() else { return false };
        let Some(metrics) = self.metrics() else { return false };
        let sums = metrics.window.sums_at(now);
        let is_above = u64::from(sums.failures) * 100
            > u64::from(levels.escalate_above) * u64::from(sums.calls);
        is_above && self.level_number() + 1 < levels.levels.len()
    }

    /// How many times the breaker has opened again, this time included.
    fn count_reopen(&mut self, config: &Config, now: Time) -> u32 {
        if config.backoff().is_none() || matches!(self.state, State::Closed) {
            return 0;
        }
        let memory = self.memory_mut(now);
        memory.reopens = memory.reopens.saturating_add(1);
        memory.reopens
    }

    /// How long OPEN lasts where nothing has opened before.
    pub(super) fn first_open_duration(&self, config: &Config) -> Duration {
        let duration = self.effective(config).open_duration;
        config.backoff().map_or(duration, |backoff| duration.min(backoff.max))
    }

    fn open_duration(&self, config: &Config, reopens: u32, ended_at: Time) -> Duration {
        let duration = self.effective(config).open_duration;
        let Some(Backoff { multiplier, max, jitter }) = config.backoff() else { return duration };
        let mut grown = duration;
        for _ in 0..reopens {
            if grown >= max || multiplier.of(grown) == grown {
                break;
            }
            grown = multiplier.of(grown);
        }
        let grown = grown.min(max);
        if reopens == 0 {
            return grown;
        }
        let longest_cut = nanos(jitter.of(grown));
        let cut = (u128::from(longest_cut) * u128::from(self.chance(ended_at))) >> u64::BITS;
        grown - Duration::from_nanos(cut as u64)
    }

    /// A number as good as chance, made of when the failure ended and how often the state has
    /// changed: breakers that fail together do not come back together, and a replay comes out the
    /// same. The mixing is that of SplitMix64 (Steele, Lea and Flood, 2014).
    fn chance(&self, ended_at: Time) -> u64 {
        let mut mixed = ended_at.as_nanos() ^ self.generation.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
