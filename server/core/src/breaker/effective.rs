//! What the configuration amounts to just now: adaptive breakers and those with levels have other
//! values than the configured ones.

use std::time::Duration;

use crate::adapted::{Adapted, DurationReason, ThresholdReason};
use crate::breaker::Breaker;
use crate::config::{Adaptive, Config, Level};

/// The values in force, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Failures that trip the breaker; 0 is off.
    pub failure_threshold: u32,
    /// Why it is so many.
    pub threshold_reason: ThresholdReason,
    /// How long OPEN lasts, before backoff.
    pub open_duration: Duration,
    /// Why it is so long.
    pub duration_reason: DurationReason,
    /// Successful probes that close the breaker.
    pub success_threshold: u32,
    /// Probes in flight at once.
    pub max_probes: u32,
}

/// Where the ramp stands and what is in force: what clients see of a breaker and can change without
/// a change of state, mode or level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aspect {
    effective: Effective,
    admit_percent: Option<u32>,
}

impl Breaker {
    /// The values in force.
    pub fn effective(&self, config: &Config) -> Effective {
        let (failure_threshold, threshold_reason) = self.failure_threshold(config);
        let (open_duration, duration_reason) = self.first_open(config);
        let level = self.level(config);
        let success_threshold =
            level.map_or(config.success_threshold(), |level| level.success_threshold);
        Effective {
            failure_threshold,
            threshold_reason,
            open_duration,
            duration_reason,
            success_threshold,
            max_probes: config.max_probes_beside(success_threshold),
        }
    }

    pub(super) fn failure_threshold(&self, config: &Config) -> (u32, ThresholdReason) {
        let base = config.failure_threshold();
        if let Some(level) = self.level(config) {
            (level.failure_threshold, ThresholdReason::Level)
        } else if let Some((adapted, adaptive)) = self.learnt(config) {
            adapted.failure_threshold(adaptive, base)
        } else {
            (base, ThresholdReason::Configured)
        }
    }

    fn first_open(&self, config: &Config) -> (Duration, DurationReason) {
        if let Some(level) = self.level(config) {
            (level.open_duration, DurationReason::Level)
        } else if let Some((adapted, _)) = self.learnt(config) {
            (adapted.open_duration, adapted.duration_reason())
        } else {
            (config.open_duration(), DurationReason::Configured)
        }
    }

    fn learnt<'a>(&'a self, config: &'a Config) -> Option<(&'a Adapted, &'a Adaptive)> {
        let adaptive = config.adaptive()?;
        Some((self.memory.as_deref()?.adapted.as_deref()?, adaptive))
    }

    /// The level, and its number from 0; `None` without levels.
    pub fn level<'c>(&self, config: &'c Config) -> Option<&'c Level> {
        config.levels()?.at(self.level_number())
    }

    /// The number of the level, from 0.
    pub fn level_number(&self) -> usize {
        self.memory.as_deref().map_or(0, |memory| memory.level)
    }

    /// What of the calls flows on the ramp, in percent; `None` if the breaker is on none.
    pub fn admit_percent(&self, config: &Config) -> Option<u32> {
        self.ramping().map(|ramping| ramping.admit_percent(config.ramp()))
    }

    /// What can change without a transition; `None` where the configuration has no such rule.
    pub fn aspect(&self, config: &Config) -> Option<Aspect> {
        (config.has_adaptive() || config.ramp().is_some() || self.ramping().is_some()).then(|| {
            Aspect { effective: self.effective(config), admit_percent: self.admit_percent(config) }
        })
    }
}
